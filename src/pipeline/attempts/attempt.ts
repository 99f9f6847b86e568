/**
 * One call of one target: its span, its time limits, and what is learned from it about the target. Whether another
 * follows is attempts.ts.
 */

import { answerClient } from "../answers/respond.ts";
import { type AttemptFacts, openAttempt } from "./attempt-span.ts";
import type { Run } from "./attempts.ts";
import { type GatewayError, toGatewayError } from "../../errors.ts";
import type { CallEnd } from "../../targets/concurrency-limiter.ts";
import type { Generation } from "../ports.ts";
import type { Target } from "../../providers/provider.ts";
import { latencyKey } from "../../targets/targets.ts";
import type { CallPass } from "../../targets/isolate-circuits.ts";
import type { CallRef, Verdict } from "../../targets/circuit.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import { PASSED_HEADERS, sendUpstream } from "../../upstream/call.ts";
import { formatTraceparent } from "../../telemetry/trace/traceparent.ts";

export interface Failed {
  readonly answer?: undefined;
  readonly error: GatewayError;
  /** Still open: what is done next belongs on it. Absent where there was no one to call. */
  readonly span: Span | undefined;
  /** It was called off since another attempt had answered. */
  readonly isLost?: boolean;
}

export type Tried = { readonly answer: Generation } | Failed;

/** `facts.pass`: its circuit lets the call through. */
export async function tryOnce(run: Run, facts: AttemptFacts & { readonly pass: CallPass }): Promise<Tried> {
  const { call, plan, held, deps } = run;
  const { label } = facts.target;
  const limits = {
    firstByteMs: call.options.firstByteMs ?? plan.timeouts.firstByteMs,
    idleMs: plan.timeouts.idleMs,
    deadlineAt: run.deadlineAt,
  };
  const startedAt = deps.now();
  const endCall = deps.targets.concurrency.enter(label, startedAt);
  let span: Span | undefined;
  let nameTarget = (): void => {};
  call.facts.attempts = facts.number;
  const judge = (verdict: Verdict, latencyMs?: number): void =>
    learn(run, facts, verdict, span && { requestId: call.requestId, ...span.ref }, latencyMs);
  try {
    const account = await deps.accountOf(call.bundle, facts.target.provider);
    const provider = deps.providerOf(account.kind);
    const { model, params } = facts.target;
    const target: Target = { account, model, ...(params === undefined ? {} : { params }) };
    span = openAttempt(call, provider, target, facts);
    if (facts.pass.probe !== undefined) span.set({ "gateway.circuit.state": "half_open" });
    const traceparent = formatTraceparent(span.ref);
    const exchange = held.open(provider, target);
    // What is passed on unread has nothing to show.
    if (exchange.kind === "chat" || exchange.kind === "embeddings") deps.content?.note(call, span.ref);
    const passed = exchange.isSameWire ? PASSED_HEADERS[call.chat.dialect] : [];
    const client = { signal: call.signal(), headers: call.headers, passed, traceparent };
    const { request, payload } = exchange;
    const attempt = await sendUpstream(
      { request, payload, provider, target, limits, client, throwOnStatus: true },
      deps,
    );
    const headersMs = deps.now() - startedAt;
    span.set({
      "gateway.upstream.headers_ms": headersMs,
      "gateway.upstream.request_id": attempt.response.headers.get("x-request-id") ?? undefined,
    });
    nameTarget = () => {
      call.facts.target = label;
      call.facts.provider = provider.semconvName;
      call.facts.dropped = exchange.dropped;
      call.facts.usedFallback = facts.target !== plan.targets[0];
    };
    const onEnd = (isSound: boolean): void => judge(isSound ? "alive" : "failed");
    const answer = await answerClient(
      { call, held, exchange, target, span, startedAt, deps, onEnd },
      attempt,
      limits.idleMs,
    );
    const endedAt = deps.now();
    const leave = (isSound: boolean): void => endCall({ kind: isSound ? "ok" : "other" }, deps.now());
    if (answer.isComplete === undefined) leave(true);
    else void answer.isComplete.then(leave, () => leave(false));
    nameTarget();
    judge("alive", endedAt - startedAt);
    call.facts.upstreamMs = (call.facts.upstreamMs ?? 0) + (endedAt - startedAt);
    return { answer };
  } catch (thrown) {
    const error = toGatewayError(thrown);
    endCall(callEnd(error), deps.now());
    if (held.isLost?.()) {
      judge("neutral");
      return { error, span, isLost: true };
    }
    nameTarget();
    call.facts.usedFallback = facts.target !== plan.targets[0];
    call.facts.upstreamMs = (call.facts.upstreamMs ?? 0) + (deps.now() - startedAt);
    // A fault may come fast; it counts as the longest wait allowed, or least-latency would seek out what is broken.
    judge(
      span === undefined ? "neutral" : verdictOf(error),
      error.canFallBack ? limits.firstByteMs : undefined,
    );
    return { error, span };
  }
}

/** A 429 or Anthropic's 529 is about the account's limits; other faults say nothing of them. */
function callEnd({ details }: GatewayError): CallEnd {
  const isLimited = details.upstreamStatus === 429 || details.upstreamStatus === 529;
  return isLimited ? { kind: "limited", retryAfterMs: details.retryAfterMs } : { kind: "other" };
}

/** What a failed call says about its target. A limit is no defect: it has its own wait, and the next one may get through. */
function verdictOf({ code, canFallBack }: GatewayError): Verdict {
  if (code === "upstream_rejected") return "alive";
  return canFallBack && code !== "upstream_rate_limited" ? "failed" : "neutral";
}

function learn(
  { call, plan, deps }: Run,
  { target, pass }: AttemptFacts & { readonly pass: CallPass },
  verdict: Verdict,
  ref: CallRef | undefined,
  latencyMs?: number,
): void {
  const { latency, sessions } = deps.targets;
  const { id } = call.bundle;
  const now = deps.now();
  deps.targets.circuits.note(pass, verdict, ref);
  if (latencyMs === undefined) return;
  latency.note(id, latencyKey(target.label, call.chat.stream), latencyMs, now);
  const { session } = call.options;
  if (verdict === "alive" && plan.isSticky && session !== undefined) {
    sessions.note(`${id} ${plan.routeId}`, session, target.label, now);
  }
}
