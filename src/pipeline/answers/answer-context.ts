/** What the answers of all kinds share: the attempt they come from, and the claim that makes one of them the request's. */

import type { AttemptEnd } from "../attempts/attempt-span.ts";
import type { Exchange } from "../attempts/exchange.ts";
import type { AttemptContext, AttemptTurn } from "../attempts/attempt-context.ts";
import { GatewayError } from "../../errors.ts";
import type { Provider } from "../../providers/provider.ts";
import type { Target } from "../../wires/upstream-wire.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import type { UpstreamCall } from "../../upstream/call.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

export interface AnswerContext {
  readonly attempts: AttemptContext;
  readonly turn: AttemptTurn;
  readonly provider: Provider;
  readonly target: Target;
  readonly exchange: Exchange;
  /** The attempt's span: ended where its answer ends. */
  readonly span: Span;
  readonly startedAt: number;
  /** Filled in while the answer is read. */
  readonly report: UpstreamReport;
}

/** Stops here where another attempt's answer is the request's already. Throws `client_disconnected`. */
export function claim({ attempts }: AnswerContext, upstreamCall: UpstreamCall): void {
  if (attempts.claim?.() !== false) return;
  upstreamCall.abort("client");
  upstreamCall.release();
  throw new GatewayError("client_disconnected", "Another target answered first.");
}

/** The span of a translation, whole or streamed. */
export function openFormat({ attempts: { call }, exchange }: AnswerContext): Span {
  return call.trace.root.child("gateway.response.format", {
    attributes: {
      "gateway.dialect.client": call.chat.wire.name,
      "gateway.dialect.upstream": exchange.upstreamWireName,
    },
  });
}

/** What the upstream said of its work, beside how long it took until now. */
export function reportedOf({
  attempts: { deps },
  startedAt,
  report,
}: AnswerContext): AttemptEnd["reported"] & object {
  return { said: report, durationMs: deps.now() - startedAt };
}
