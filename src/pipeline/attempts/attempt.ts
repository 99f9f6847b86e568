/**
 * One call of one target: its span, its time limits, and what is learned from it about the target. Whether another
 * follows is attempts.ts; what the request's end makes of it is end.ts.
 */

import { openAttempt } from "./attempt-span.ts";
import { billFailure, type Progress } from "./bill.ts";
import type { Bill } from "../bills.ts";
import type { Exchange } from "./exchange.ts";
import type { AttemptContext, AttemptTurn } from "./attempt-context.ts";
import { answerClient } from "../answers/respond.ts";
import { type Answered, type Ended, errorOf, isClientGone, isSound } from "../ended.ts";
import { type GatewayError, toGatewayError } from "../../errors.ts";
import type { Provider } from "../../providers/provider.ts";
import type { Target } from "../../wires/upstream-wire.ts";
import { type FirstByteLimit, firstByteLimit } from "../../routing/first-byte-limit.ts";
import { DEFAULT_FIRST_BYTE_MS } from "../../tenants/records/route-record.ts";
import type { Verdict } from "../../targets/circuit.ts";
import type { CallRef } from "../../targets/circuit-entry.ts";
import type { CallEnd } from "../../targets/concurrency-limiter.ts";
import { latencyKey } from "../../targets/targets.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import { formatTraceparent } from "../../telemetry/trace/traceparent.ts";
import { readErrorResponse } from "../../upstream/read-body.ts";
import { type CallLimits, sendUpstream, type UpstreamSend } from "../../upstream/send.ts";
import { rateLimitAttributes, takeHead } from "./upstream-report.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";
import type { RateLimitsLeft } from "../../upstream/rate-limit-headers.ts";
import { isOfClientsAccount, withClientCredential } from "./client-account.ts";

/** An attempt that answered nothing. */
export interface AttemptFailure {
  readonly answered?: undefined;
  readonly error: GatewayError;
  /** Still open: what is done next belongs on it. Absent where there was no target to call. */
  readonly span: Span | undefined;
  /** What it owes all the same. */
  readonly bill: Bill | undefined;
  /** It was called off since another attempt had answered. */
  readonly isLost?: boolean;
}

export type AttemptResult = { readonly answered: Answered; readonly error?: undefined } | AttemptFailure;

/** Calls one target once. Never throws: a fault comes back as an error row, with the attempt's span still open. */
export async function tryOnce(attempts: AttemptContext, turn: AttemptTurn): Promise<AttemptResult> {
  const { call, plan, deps } = attempts;
  const { label } = turn.target;
  const firstByte = firstByteLimit(plan.timeouts, call.options.firstByteMs, call.chat.stream);
  const limits = { firstByteMs: firstByte.ms, idleMs: plan.timeouts.idleMs, deadlineAt: attempts.deadlineAt };
  const startedAt = deps.now();
  const leaveTarget = deps.targets.concurrency.enter(label, startedAt);
  deps.targets.rateLimits.take(call.bundle.id, label);
  call.facts.attempts = turn.number;
  let span: Span | undefined;
  let chosen: Chosen | undefined;
  const progress: Progress = {};
  let isClientsAccount = false;
  try {
    const kept = await deps.accountOf(call.bundle, turn.target.accountName);
    const account = withClientCredential(kept, call.headers);
    isClientsAccount = account !== kept;
    const provider = deps.providerOf(account.kind);
    const { model, params } = turn.target;
    const target: Target = { account, model, ...(params !== undefined && { params }) };
    span = openAttempt(call, provider, target, turn, attempts.method);
    if (turn.pass.probe !== undefined) span.set({ "gateway.circuit.state": "half_open" });
    const exchange = await attempts.open(provider, target);
    chosen = { provider, target, exchange, span };
    // For a client that has left already nothing is sent.
    if (!call.signal().aborted) progress.sentAt = deps.now();
    const upstreamCall = await sendUpstream(sendOf(attempts, chosen, limits), deps);
    progress.hasHead = true;
    const { status, headers } = upstreamCall.response;
    const report: UpstreamReport = {};
    const left = takeHead(headers, report, deps.now());
    if (!isClientsAccount) noteHead(attempts, label, span, left);
    if (exchange.kind === "native" && exchange.isWithheld(status)) {
      throw await readErrorResponse(upstreamCall, provider, target, limits.idleMs, deps.now());
    }
    span.set({
      "gateway.upstream.headers_ms": deps.now() - startedAt,
      "gateway.upstream.request_id": headers.get("x-request-id") ?? headers.get("request-id") ?? undefined,
    });
    const context = { attempts, turn, provider, target, exchange, span, startedAt, report };
    const answered = await answerClient(context, upstreamCall, limits.idleMs);
    const endedAt = deps.now();
    nameTarget(attempts, turn, chosen);
    learn(
      attempts,
      turn,
      answered.refusal ? verdictOf(answered.refusal) : "alive",
      span,
      endedAt - startedAt,
    );
    learnFromEnd(attempts, turn, answered.ended, span, leaveTarget);
    call.facts.upstreamMs = (call.facts.upstreamMs ?? 0) + (endedAt - startedAt);
    return { answered };
  } catch (thrown) {
    const error = toGatewayError(thrown);
    const saysNothing = isClientsAccount && isOfClientsAccount(error);
    leaveTarget(saysNothing ? { kind: "other" } : callEnd(error), deps.now());
    const isLost = attempts.isLost?.() === true;
    const { exchange, target } = chosen ?? {};
    const bill =
      exchange && target && billFailure({ attempts, turn, target }, exchange, error, progress, isLost);
    if (isLost) {
      learn(attempts, turn, "neutral", span);
      return { error, span, bill, isLost };
    }
    nameTarget(attempts, turn, chosen);
    call.facts.upstreamMs = (call.facts.upstreamMs ?? 0) + (deps.now() - startedAt);
    const isNeutral = span === undefined || saysNothing || isClientsLimit(error, firstByte);
    // A fault may come fast; it counts as the longest wait allowed, or least-latency would seek out what is broken.
    const latencyMs = isNeutral || !error.canFallBack ? undefined : (firstByte.ms ?? DEFAULT_FIRST_BYTE_MS);
    learn(attempts, turn, isNeutral ? "neutral" : verdictOf(error), span, latencyMs);
    return { error, span, bill };
  }
}

/** What is left of the upstream's limits, for the trace and for the next request's choice. */
function noteHead(
  { call, deps }: AttemptContext,
  label: string,
  span: Span,
  left: RateLimitsLeft | undefined,
): void {
  if (left === undefined) return;
  span.set(rateLimitAttributes(left));
  deps.targets.rateLimits.note(call.bundle.id, label, left, deps.now());
}

/** The call ran into a limit that only this request's client set: another client's call may be answered. */
function isClientsLimit({ details }: GatewayError, { isClientsOwn }: FirstByteLimit): boolean {
  return isClientsOwn && details.timeout === "first_byte";
}

/** What an attempt calls, once its credential is open. */
interface Chosen {
  readonly provider: Provider;
  readonly target: Target;
  readonly exchange: Exchange;
  readonly span: Span;
}

function sendOf(
  { call, deps }: AttemptContext,
  { provider, target, exchange, span }: Chosen,
  limits: CallLimits,
): UpstreamSend {
  // What is passed on unread has nothing to show.
  if (exchange.kind === "chat" || exchange.kind === "embeddings") deps.content?.note(call, span.ref);
  const client = {
    signal: call.signal(),
    headers: call.headers,
    passed: exchange.isSameWire ? call.chat.wire.passedHeaders : [],
    traceparent: formatTraceparent(span.ref),
  };
  const { request, payload } = exchange;
  return { request, payload, provider, target, limits, client, throwOnStatus: exchange.kind !== "native" };
}

/** The facts name the target that answered, or the last one called. */
function nameTarget({ call, plan }: AttemptContext, turn: AttemptTurn, chosen: Chosen | undefined): void {
  call.facts.usedFallback = turn.target !== plan.targets[0];
  if (chosen === undefined) return;
  call.facts.target = turn.target.label;
  call.facts.vendor = chosen.provider.vendor;
  call.facts.dropped = chosen.exchange.dropped;
}

type LeaveTarget = (end: CallEnd, now: number) => void;

/** A whole answer has ended already; a stream's end is awaited. */
function learnFromEnd(
  attempts: AttemptContext,
  turn: AttemptTurn,
  ended: Ended | Promise<Ended>,
  span: Span,
  leaveTarget: LeaveTarget,
): void {
  const { deps } = attempts;
  if (!(ended instanceof Promise)) {
    leaveTarget(callEnd(errorOf(ended)), deps.now());
    return;
  }
  void ended.then((over) => {
    const error = errorOf(over);
    leaveTarget(isSound(over) ? { kind: "ok" } : callEnd(error), deps.now());
    // A client that left, and what the gateway itself ended, say nothing of the target. A refusal was judged by its head.
    const isUpstreams = !isClientGone(over) && error?.canFallBack !== false;
    const isJudged = over.kind === "relay" && over.refusal !== undefined;
    if (isUpstreams && !isJudged)
      learn(attempts, turn, isSound(over) ? "alive" : isSilence(error) ? "silent" : "failed", span);
  });
}

/** A 429 or Anthropic's 529 is about the account's limits; other faults say nothing of them. */
function callEnd(error: GatewayError | undefined): CallEnd {
  if (error === undefined) return { kind: "ok" };
  const { upstreamStatus, retryAfterMs } = error.details;
  const isLimited = upstreamStatus === 429 || upstreamStatus === 529;
  return isLimited ? { kind: "limited", retryAfterMs } : { kind: "other" };
}

/** What a failed call says about its target. A rate limit is not a failure: it has a cooldown of its own. */
function verdictOf(error: GatewayError): Verdict {
  const { code, canFallBack } = error;
  if (code === "upstream_rejected") return "alive";
  if (isSilence(error)) return "silent";
  return canFallBack && code !== "upstream_rate_limited" ? "failed" : "neutral";
}

/** The total limit says only that it took long, for which the request may be the cause. */
function isSilence(error: GatewayError | undefined): boolean {
  const timeout = error?.details.timeout;
  return timeout === "first_byte" || timeout === "idle";
}

function learn(
  { call, plan, deps }: AttemptContext,
  { target, pass }: AttemptTurn,
  verdict: Verdict,
  span: Span | undefined,
  latencyMs?: number,
): void {
  const { latency, sessions } = deps.targets;
  const { id } = call.bundle;
  const now = deps.now();
  const ref: CallRef | undefined = span && { requestId: call.requestId, ...span.ref };
  deps.targets.circuits.record(pass, verdict, ref);
  if (latencyMs === undefined) return;
  latency.note(id, latencyKey(target.label, call.chat.stream), latencyMs, now);
  if (verdict === "alive" && plan.session !== undefined) {
    const { label, model, accountName } = target;
    const { kind = "" } = call.bundle.providers[accountName] ?? {};
    sessions.note(`${id} ${plan.routeId}`, plan.session, { label, model, kind }, now);
  }
}
