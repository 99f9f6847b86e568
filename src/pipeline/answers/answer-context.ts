/** What the answers of all kinds share: the attempt they come from, and the claim that makes one of them the request's. */

import type { AttemptEnd } from "../attempts/attempt-span.ts";
import type { Exchange } from "../attempts/exchange.ts";
import type { AttemptContext, AttemptTurn } from "../attempts/attempt-context.ts";
import { GatewayError } from "../../errors.ts";
import type { Provider } from "../../providers/provider.ts";
import type { Target } from "../../wires/upstream-wire.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import { promptTokens } from "../../pricing/estimate/request-tokens.ts";
import type { UpstreamCall } from "../../upstream/call.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";
import { readBody, type WholeBody } from "../../upstream/read-body.ts";

const MIN_LET_GO_CHARS = 65_536;
/** Where the clients' wires have the conversation: most of a large body. */
const CONVERSATION_FIELDS = ["messages", "input", "contents", "system", "systemInstruction"] as const;

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

/** Reads an answer whole, counted among the bytes that the isolate holds. Throws as `readBody` does, or `overloaded`. */
export function readHeld(
  { attempts: { call, deps } }: AnswerContext,
  upstreamCall: UpstreamCall,
  idleMs: number,
): Promise<WholeBody> {
  return readBody(upstreamCall, idleMs, (bytes) => deps.bodies.holdAnswer(call.holder, bytes));
}

/**
 * Lets the request's text go once its answer has begun: no further call can need it, and a stream may last for minutes.
 * Small ones may be shared with other requests (wires/known-requests.ts) and stay; so does what a trace will show.
 */
export function letRequestGo({ attempts, exchange }: AnswerContext): void {
  const { call, deps } = attempts;
  const { chat } = call;
  if (deps.content !== undefined || chat.bodyText.length < MIN_LET_GO_CHARS) return;
  // Estimates of the prompt are remembered by the body, whose other fields the answer's form depends on.
  promptTokens(chat);
  for (const name of CONVERSATION_FIELDS) Reflect.deleteProperty(chat.body, name);
  Reflect.set(chat, "bodyText", "");
  Reflect.deleteProperty(exchange.request, "body");
  deps.bodies.release(call.holder);
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
