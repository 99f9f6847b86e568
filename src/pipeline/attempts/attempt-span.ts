/**
 * The span of one upstream call, `chat {model}`: GenAI semantic conventions v1.41, inference span, with the attempt's
 * number, reason and outcome beside them.
 */

import type { AnswerSummary } from "../answers/answer-summary.ts";
import type { Bill } from "../bills.ts";
import type { GatewayError } from "../../errors.ts";
import { usd } from "../../pricing/cost.ts";
import type { BareCall } from "../ports.ts";
import { baseUrlFor, type Provider } from "../../providers/provider.ts";
import type { ProviderAccount, Target } from "../../wires/upstream-wire.ts";
import { usageAttributes } from "../request-facts.ts";
import type { PlannedTarget } from "../../routing/planned-target.ts";
import type { StreamReport } from "../../upstream/stream.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import { reportAttributes } from "./upstream-report.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** One attempt's place in the request. */
export interface AttemptFacts {
  readonly number: number;
  /** `cache`: an embedding for a look-up of the semantic cache; no client gets it. */
  readonly reason: "initial" | "retry" | "fallback" | "hedge" | "cache";
  /** Calls made to this target before. */
  readonly resends: number;
  readonly target: Pick<PlannedTarget, "label" | "accountName" | "model" | "params">;
}

const MS_PER_SECOND = 1000;

/** `method`: a vendor's own API is called by this HTTP method; its span names no model. */
export function openAttempt(
  call: BareCall,
  provider: Provider,
  target: Target,
  facts: AttemptFacts,
  method?: string,
): Span {
  if (method !== undefined) return openNative(call, provider, target, facts, method);
  const { params, operation, stream } = call.chat;
  const address = addressOf(provider, target.account);
  return call.trace.root.child(`${operation} ${target.model}`, {
    kind: "client",
    attributes: {
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": provider.vendor,
      "gen_ai.request.model": target.model,
      "gen_ai.request.stream": stream ? true : undefined,
      "gen_ai.request.max_tokens": params.maxOutputTokens,
      "gen_ai.request.temperature": params.temperature,
      "gen_ai.request.top_p": params.topP,
      "gen_ai.request.frequency_penalty": params.frequencyPenalty,
      "gen_ai.request.presence_penalty": params.presencePenalty,
      "gen_ai.request.seed": params.seed,
      "gen_ai.request.choice.count": params.choiceCount === 1 ? undefined : params.choiceCount,
      "gen_ai.conversation.id": call.options.session,
      "server.address": address?.host,
      "server.port": address?.port,
      "http.request.resend_count": facts.resends === 0 ? undefined : facts.resends,
      "gateway.attempt.number": facts.number,
      "gateway.attempt.reason": facts.reason,
      "gateway.attempt.target": facts.target.label,
    },
  });
}

/** Low-cardinality: the kind, not the tenant's name for it. */
function openNative(
  call: BareCall,
  provider: Provider,
  { account }: Target,
  facts: AttemptFacts,
  method: string,
): Span {
  const address = addressOf(provider, account);
  return call.trace.root.child(`${method} ${provider.kind}`, {
    kind: "client",
    attributes: {
      "http.request.method": method,
      "gen_ai.provider.name": provider.vendor,
      "gen_ai.conversation.id": call.options.session,
      "server.address": address?.host,
      "server.port": address?.port,
      "gateway.attempt.number": facts.number,
      "gateway.attempt.reason": facts.reason,
      "gateway.attempt.target": facts.target.label,
    },
  });
}

export interface AttemptEnd {
  readonly answer?: AnswerSummary;
  readonly bill?: Bill | undefined;
  readonly status?: number;
  readonly report?: StreamReport;
  readonly firstChunkMs?: number;
  /** What the upstream said of its work, and what the call took by our clock. */
  readonly reported?: { readonly said: UpstreamReport; readonly durationMs: number };
  readonly error?: GatewayError;
  /** It was called off since another attempt had answered: not a fault. */
  readonly isLost?: boolean;
}

/** Writes how the call ended and ends its span. A client that left is not an error of the upstream. */
export function endAttempt(span: Span, end: AttemptEnd): void {
  const { answer, bill, report, reported, error, firstChunkMs, isLost = false } = end;
  const isLeft = report?.outcome === "client_disconnected" || error?.code === "client_disconnected";
  const status = end.status ?? error?.details.upstreamStatus;
  span.set({
    "gateway.attempt.outcome": isLost ? "hedge_lost" : isLeft ? "client_disconnected" : (error?.code ?? "ok"),
    "gateway.timeout.kind": error?.details.timeout,
    "gateway.retry_after_s": retryAfterOf(error),
    "http.response.status_code": status,
    "gen_ai.response.id": answer?.id,
    "gen_ai.response.model": answer?.model,
    "gen_ai.response.finish_reasons": answer?.finishReasons.map((reason) => reason ?? "error"),
    "gen_ai.response.time_to_first_chunk":
      firstChunkMs === undefined ? undefined : firstChunkMs / MS_PER_SECOND,
    "gateway.stream.outcome": report?.outcome,
    "gateway.stream.chunks": report?.events,
    "gateway.stream.bytes": report?.bytes,
    "gateway.stream.max_gap_ms": report?.maxGapMs,
    "gateway.usage.source": bill?.isEstimate ? "estimate" : undefined,
    "gateway.usage.refused": bill?.isCountRefused,
    "gateway.attempt.cost_usd": bill?.costMicroUsd === undefined ? undefined : usd(bill.costMicroUsd),
  });
  if (bill !== undefined) span.set(usageAttributes(bill.usage));
  if (reported !== undefined)
    span.set(reportAttributes(reported.said, { totalMs: reported.durationMs, firstChunkMs }));
  if (report?.stalledAt !== undefined)
    span.event("gateway.stream.stall", { "gateway.stream.max_gap_ms": report.maxGapMs }, report.stalledAt);
  if (error && !isLeft && !isLost)
    span.fail(error.details.upstreamStatus === undefined ? error.code : String(error.details.upstreamStatus));
  span.end();
}

/** Seconds, as the upstream said them; the gateway's own waits are not included. */
function retryAfterOf(error: GatewayError | undefined): number | undefined {
  const { upstreamStatus, retryAfterMs } = error?.details ?? {};
  if (upstreamStatus === undefined || retryAfterMs === undefined) return undefined;
  return Math.ceil(retryAfterMs / MS_PER_SECOND);
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { "https:": 443, "http:": 80 };

interface Address {
  readonly host: string;
  readonly port?: number;
}

/** Of accounts as they were opened: an account has one address, and to parse a URL costs as much as a span. */
const addresses = new WeakMap<ProviderAccount, Address | undefined>();

function addressOf(provider: Provider, account: ProviderAccount): Address | undefined {
  const known = addresses.get(account);
  if (known !== undefined || addresses.has(account)) return known;
  const address = readAddress(provider, account);
  addresses.set(account, address);
  return address;
}

/** The host a call goes to; undefined where it does not leave the Worker. */
function readAddress(provider: Provider, account: ProviderAccount): Address | undefined {
  const baseUrl = baseUrlFor(provider, account);
  if (baseUrl === undefined || !URL.canParse(baseUrl)) return undefined;
  const { hostname, port, protocol } = new URL(baseUrl);
  const number = port === "" ? DEFAULT_PORTS[protocol] : Number(port);
  return { host: hostname, ...(number !== undefined && { port: number }) };
}
