/**
 * Calls the plan's targets in order until one answers: attempts, retries, fallback, hedge, each with the reason why the
 * one before was left. Nothing is tried again once a byte has reached the client. One call is attempt.ts.
 */

import { type AttemptFacts, endAttempt } from "./attempt-span.ts";
import { type AttemptFailure, tryOnce } from "./attempt.ts";
import { raceWithHedge } from "./hedge.ts";
import type { AttemptContext, OpenExchange } from "./attempt-context.ts";
import type { Answered } from "../ended.ts";
import { isRefusedUnpriced, unpriced } from "../budget.ts";
import { GatewayError } from "../../errors.ts";
import type { BareCall, Deps } from "../ports.ts";
import type { Plan } from "../../routing/plan.ts";
import { type NextStep, nextStep } from "../../routing/retry.ts";
import type { PlannedTarget } from "../../routing/planned-target.ts";
import { sleepUnlessGone } from "../sleep.ts";
import { promptTokens } from "../../pricing/estimate/request-tokens.ts";

/** How the targets are called, and what is kept of their answers. */
export interface CallOptions {
  readonly open: OpenExchange;
  readonly isKept?: boolean;
  /** Whether a budget keeps out targets without a price: not where the call is free or priced by its body. */
  readonly needsPrice?: boolean;
  /** Of a vendor's own API: the HTTP method, which names the attempt's span. */
  readonly method?: string;
}

/** What all attempts of one request share, before the first is made. */
export function openAttempts(
  call: BareCall,
  plan: Plan,
  { open, isKept = false, needsPrice = true, method }: CallOptions,
  deps: Deps,
): AttemptContext {
  const now = deps.now();
  deps.targets.retryBudget.noteRequest(call.bundle.id, now);
  const deadlineAt = now + plan.timeouts.totalMs;
  return {
    call,
    plan,
    open,
    isKept,
    needsPrice,
    method,
    deps,
    deadlineAt,
    taken: new Set(),
    made: { count: 0 },
  };
}

/**
 * The first target's answer that is one. Throws the last fault when none is left to call. `targets` and `reason`, the first
 * attempt's, are a hedge's own.
 */
export async function callTargets(
  attempts: AttemptContext,
  targets: readonly PlannedTarget[] = attempts.plan.targets,
  reason: AttemptFacts["reason"] = "initial",
): Promise<Answered> {
  if (attempts.plan.hedge !== undefined && attempts.claim === undefined) {
    return raceWithHedge(attempts, attempts.plan.hedge.afterMs, callTargets);
  }
  const { call, plan, deps } = attempts;
  let why = reason;
  let last: GatewayError | undefined;
  for (const [index, target] of targets.entries()) {
    const next = targets.slice(index + 1).find((other) => !attempts.taken.has(other));
    if (attempts.taken.has(target)) continue;
    if (attempts.needsPrice && isRefusedUnpriced(call, target, deps)) {
      last ??= unpriced(target.label);
      continue;
    }
    for (let resends = 0; ; resends++) {
      if (!(await mayCall(attempts, target, next))) {
        why = attempts.made.count === 0 ? "initial" : "fallback";
        break;
      }
      const pass = await deps.targets.circuits.take(target.label, call.key.id, call.requestId);
      if (pass === undefined) {
        last = passOver(attempts, target, last);
        why = attempts.made.count === 0 ? "initial" : "fallback";
        break;
      }
      const turn = { number: ++attempts.made.count, reason: why, resends, target, pass };
      const tried = await tryOnce(attempts, turn);
      if (tried.answered) return tried.answered;
      last = tried.error;
      const step = stepAfter(attempts, tried, resends + 1, next !== undefined);
      leaveAttempt(call, tried, step, next);
      if (step.kind === "give_up") throw last;
      why = step.kind;
      if (step.kind === "fallback") break;
      await pauseFor(attempts, step.delayMs, last);
    }
  }
  throw last ?? new GatewayError("internal_error", `The plan of '${plan.routeId}' had no target.`);
}

function stepAfter(
  { call, plan, deps, deadlineAt, taken }: AttemptContext,
  tried: AttemptFailure,
  attemptsOfTarget: number,
  hasNext: boolean,
): NextStep {
  // No call was made: an account that can't be used (its credential can't be opened) says nothing of the others.
  if (tried.span === undefined && !call.signal().aborted) return { kind: hasNext ? "fallback" : "give_up" };
  return nextStep({
    error: tried.error,
    attemptsOfTarget,
    // What a hedge is calling already may still answer, but this branch doesn't wait for it.
    hasNextTarget: hasNext || taken.size > 0,
    remainingMs: deadlineAt - deps.now(),
    rules: plan.retries,
    random: deps.random,
    takeRetry: () => deps.targets.retryBudget.take(call.bundle.id, deps.now()),
  });
}

/**
 * Whether this target may be called, once it may. One that is cooling down is passed over where there is another, else
 * waited for. Throws `upstream_rate_limited` where that takes longer than the route or the request may.
 */
async function mayCall(
  attempts: AttemptContext,
  { label }: PlannedTarget,
  next: PlannedTarget | undefined,
): Promise<boolean> {
  const { call, deps } = attempts;
  const { concurrency, rateLimits } = deps.targets;
  // A guess by the last answer's head: only where there is another target.
  if (next !== undefined && rateLimits.isUsedUp(call.bundle.id, label, () => tokensOf(call), deps.now())) {
    const why = { "error.type": "rate_limit_near", "gateway.attempt.target": next.label };
    call.trace.root.event("gateway.fallback", why);
    return false;
  }
  const waitMs = concurrency.waitMs(label, deps.now());
  if (waitMs === 0) return true;
  if (next !== undefined) {
    const why = { "error.type": "target_closed", "gateway.backoff_ms": waitMs };
    call.trace.root.event("gateway.fallback", { ...why, "gateway.attempt.target": next.label });
    return false;
  }
  try {
    await waitForTurn(attempts, label);
  } finally {
    concurrency.leaveLine(label, attempts);
  }
  return true;
}

/** Throws `upstream_rate_limited` where that takes longer than the route or the request may. */
async function waitForTurn(attempts: AttemptContext, label: string): Promise<void> {
  const { call, plan, deps, deadlineAt } = attempts;
  const { concurrency } = deps.targets;
  const waitMsOf = (): number => concurrency.waitMs(label, deps.now(), attempts);
  let said = 0;
  for (let waitMs = waitMsOf(); waitMs > 0; waitMs = waitMsOf()) {
    const why = { "error.type": "target_closed", "gateway.backoff_ms": waitMs };
    const seconds = Math.ceil(waitMs / MS_PER_SECOND);
    const message = `'${label}' is rate-limiting us (Retry-After ${seconds} s) and the route has no other target.`;
    const error = new GatewayError("upstream_rate_limited", message, { retryAfterMs: waitMs });
    if (waitMs > plan.retries.maxRetryAfterMs || deps.now() + waitMs >= deadlineAt) {
      call.trace.root.event("gateway.gate_closed", { ...why, "gateway.attempt.target": label });
      throw error;
    }
    // A wait for a free call is one wait, however often the request looks.
    if (waitMs > said) call.trace.root.event("gateway.retry", why);
    said = Math.max(said, waitMs);
    await pauseFor(attempts, waitMs, error);
  }
}

/** As a limit of tokens counts a request: its prompt, and the output it asks for. */
function tokensOf({ chat }: BareCall): number {
  return promptTokens(chat) + (chat.params.maxOutputTokens ?? 0);
}

const MS_PER_SECOND = 1000;

/** A target whose circuit is open costs no call. Gives the error to report where no other target has one. */
function passOver(
  { call, deps }: AttemptContext,
  { label }: PlannedTarget,
  last: GatewayError | undefined,
): GatewayError {
  const { state, retryInMs, foundBy } = deps.targets.circuits.of(label, call.key.id, deps.now());
  call.trace.root.event("gateway.circuit_open", {
    "gateway.attempt.target": label,
    "gateway.circuit.state": state,
    "gateway.circuit.found_by": foundBy?.traceId,
  });
  if (last !== undefined) return last;
  const seconds = Math.max(1, Math.ceil(retryInMs / MS_PER_SECOND));
  return new GatewayError(
    "upstream_overloaded",
    `'${label}' has failed too often and is not called again for ${seconds} s (its circuit is open).`,
    { retryAfterMs: seconds * MS_PER_SECOND },
  );
}

/** Ends a failed attempt's span with what is done instead, and records the same on the request's own. */
function leaveAttempt(
  call: BareCall,
  { span, error, bill, isLost }: AttemptFailure,
  next: NextStep,
  nextTarget: PlannedTarget | undefined,
): void {
  if (isLost) {
    span?.set({ "gateway.attempt.left_for": "hedge" });
    if (span) endAttempt(span, { error, bill, isLost });
    return;
  }
  const isOverBudget = next.kind !== "retry" && next.isOverBudget;
  if (span) {
    span.set({
      "gateway.attempt.left_for": next.kind,
      "gateway.retry.refused": isOverBudget ? "budget" : undefined,
    });
    endAttempt(span, { error, bill });
  }
  const why = { "error.type": error.code, "http.response.status_code": error.details.upstreamStatus };
  if (next.kind === "retry") {
    call.trace.root.event("gateway.retry", { ...why, "gateway.backoff_ms": next.delayMs });
  } else if (next.kind === "fallback") {
    call.trace.root.event("gateway.fallback", { ...why, "gateway.attempt.target": nextTarget?.label });
  }
}

/** A shorter pause is over before another request has got the slot. */
const MIN_SLOT_PAUSE_MS = 1000;

/**
 * Waits before the next call. The request gives its slot back meanwhile, and takes one again; a hedged one, whose other
 * call may be under way, keeps it. `error` is what the client gets where there is none.
 */
async function pauseFor(
  { call, deps, claim, deadlineAt }: AttemptContext,
  ms: number,
  error: GatewayError,
): Promise<void> {
  if (call.pause === undefined || claim !== undefined || ms < MIN_SLOT_PAUSE_MS)
    return sleepUnlessGone(ms, call.signal(), deps);
  return call.pause({ ms, error, deadlineAt });
}
