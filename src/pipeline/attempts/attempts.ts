/**
 * Asks the plan's targets in order until one answers: attempts, retries, fallback, hedge, each with the reason why the
 * one before was left. Nothing is tried again once a byte has reached the client. One call is attempt.ts.
 */

import type { Admission } from "../lease.ts";
import { type AttemptFacts, endAttempt } from "./attempt-span.ts";
import { type Failed, tryOnce } from "./attempt.ts";
import type { CacheKey } from "../../cache/key.ts";
import { GatewayError } from "../../errors.ts";
import type { Exchange } from "./exchange.ts";
import { raceWithHedge } from "./hedge.ts";
import type { BareCall, Deps, Generation } from "../ports.ts";
import type { Provider, Target } from "../../providers/provider.ts";
import type { Plan } from "../../routing/plan.ts";
import { type NextStep, nextStep } from "../../routing/retry.ts";
import type { PlannedTarget } from "../../routing/planned-target.ts";
import { abortCauseOf, toUpstreamError } from "../../upstream/call.ts";

export interface Held {
  readonly admission: Admission;
  /** Where the answer may be stored; absent when the cache is out of this request. */
  readonly cacheKey: CacheKey | undefined;
  /** How a target is asked; throws `invalid_request` for what can't be said to it. */
  readonly open: (provider: Provider, target: Target) => Exchange;
  /** Of several answers on their way, whether this one is the request's: asked once by each, before anything of it counts. */
  readonly claim?: () => boolean;
  /** Whether another answer is the request's already. */
  readonly isLost?: () => boolean;
}

/** What all attempts of one request share. */
export interface Run {
  readonly call: BareCall;
  readonly plan: Plan;
  readonly held: Held;
  readonly deps: Deps;
  readonly deadlineAt: number;
  /** Targets that a hedge has taken on: nobody else asks them. */
  readonly taken: Set<PlannedTarget>;
  /** Calls made so far, of this lane and of a hedge's. */
  readonly made: { count: number };
  /** Whom this lane is calling just now. */
  readonly asking: { target?: PlannedTarget };
}

/** The first target's answer that is one. Throws the last fault when none is left to ask. */
export function firstSuccess(call: BareCall, plan: Plan, held: Held, deps: Deps): Promise<Generation> {
  const deadlineAt = deps.now() + plan.timeouts.totalMs;
  deps.targets.retryBudget.noteRequest(call.bundle.id, deps.now());
  const state = { taken: new Set<PlannedTarget>(), made: { count: 0 }, asking: {} };
  const run: Run = { call, plan, held, deps, deadlineAt, ...state };
  if (plan.hedge === undefined) return askInTurn(run, plan.targets);
  return raceWithHedge(run, plan.hedge.afterMs, askInTurn);
}

/** `reason` is the first attempt's. */
async function askInTurn(
  run: Run,
  targets: readonly PlannedTarget[],
  reason: AttemptFacts["reason"] = "initial",
): Promise<Generation> {
  const { call, plan, deps } = run;
  let why = reason;
  let last: GatewayError | undefined;
  for (const [index, target] of targets.entries()) {
    const next = targets.slice(index + 1).find((other) => !run.taken.has(other));
    if (run.taken.has(target)) continue;
    for (let resends = 0; ; resends++) {
      if (!(await mayAsk(run, target, next))) {
        why = run.made.count === 0 ? "initial" : "fallback";
        break;
      }
      const pass = await deps.targets.circuits.take(target.label, call.requestId);
      if (pass === undefined) {
        last = passOver(run, target, last);
        why = run.made.count === 0 ? "initial" : "fallback";
        break;
      }
      const facts = { number: ++run.made.count, reason: why, resends, target, pass };
      run.asking.target = target;
      const tried = await tryOnce(run, facts);
      delete run.asking.target;
      if (tried.answer) return tried.answer;
      last = tried.error;
      const step = stepAfter(run, tried, resends + 1, next !== undefined);
      leaveAttempt(call, tried, step, next);
      if (step.kind === "give_up") throw last;
      why = step.kind;
      if (step.kind === "fallback") break;
      await sleepUnlessGone(step.delayMs, call.signal(), deps);
    }
  }
  throw last ?? new GatewayError("internal_error", `The plan of '${plan.routeId}' had no target.`);
}

function stepAfter(
  { call, plan, deps, deadlineAt, taken }: Run,
  tried: Failed,
  attemptsOfTarget: number,
  hasNext: boolean,
): NextStep {
  // Nobody was called: an account that can't be used (its credential can't be opened) is no reason to give up on the others.
  if (tried.span === undefined && !call.signal().aborted) return { kind: hasNext ? "fallback" : "give_up" };
  return nextStep({
    error: tried.error,
    attemptsOfTarget,
    // What a hedge is asking already may still answer, but not for this one to wait for.
    hasNextTarget: hasNext || taken.size > 0,
    remainingMs: deadlineAt - deps.now(),
    rules: plan.retries,
    random: deps.random,
    takeRetry: () => deps.targets.retryBudget.take(call.bundle.id, deps.now()),
  });
}

/**
 * Whether this target may be asked, once it may. One that its upstream wants to be left alone is passed over where
 * there is another, else waited for. Throws `upstream_rate_limited` where that takes longer than the request may.
 */
async function mayAsk(
  { call, deps, deadlineAt }: Run,
  { label }: PlannedTarget,
  next: PlannedTarget | undefined,
): Promise<boolean> {
  const { concurrency } = deps.targets;
  for (
    let waitMs = concurrency.waitMs(label, deps.now());
    waitMs > 0;
    waitMs = concurrency.waitMs(label, deps.now())
  ) {
    const why = { "error.type": "target_closed", "gateway.backoff_ms": waitMs };
    if (next !== undefined) {
      call.trace.root.event("gateway.fallback", { ...why, "gateway.attempt.target": next.label });
      return false;
    }
    if (deps.now() + waitMs >= deadlineAt) {
      call.trace.root.event("gateway.gate_closed", { ...why, "gateway.attempt.target": label });
      const message = `'${label}' asks to be left alone, and there is no other target.`;
      throw new GatewayError("upstream_rate_limited", message, { retryAfterMs: waitMs });
    }
    call.trace.root.event("gateway.retry", why);
    await sleepUnlessGone(waitMs, call.signal(), deps);
  }
  return true;
}

const MS_PER_SECOND = 1000;

/** A target whose circuit is open costs no call. The fault that is told where no other target has one. */
function passOver(
  { call, deps }: Run,
  { label }: PlannedTarget,
  last: GatewayError | undefined,
): GatewayError {
  const { state, retryInMs, foundBy } = deps.targets.circuits.of(label, deps.now());
  call.trace.root.event("gateway.circuit_open", {
    "gateway.attempt.target": label,
    "gateway.circuit.state": state,
    "gateway.circuit.found_by": foundBy?.traceId,
  });
  if (last !== undefined) return last;
  const seconds = Math.max(1, Math.ceil(retryInMs / MS_PER_SECOND));
  return new GatewayError(
    "upstream_overloaded",
    `'${label}' has failed too often and is not asked again for ${seconds} s (its circuit is open).`,
    { retryAfterMs: seconds * MS_PER_SECOND },
  );
}

/** Ends a failed attempt's span with what is done instead, and says the same on the request's own. */
function leaveAttempt(
  call: BareCall,
  { span, error, isLost }: Failed,
  next: NextStep,
  nextTarget: PlannedTarget | undefined,
): void {
  if (isLost) {
    span?.set({ "gateway.attempt.left_for": "hedge" });
    if (span) endAttempt(span, { error, isLost });
    return;
  }
  const isOverBudget = next.kind !== "retry" && next.isOverBudget;
  if (span) {
    span.set({
      "gateway.attempt.left_for": next.kind,
      "gateway.retry.refused": isOverBudget ? "budget" : undefined,
    });
    endAttempt(span, { error });
  }
  const why = { "error.type": error.code, "http.response.status_code": error.details.upstreamStatus };
  if (next.kind === "retry") {
    call.trace.root.event("gateway.retry", { ...why, "gateway.backoff_ms": next.delayMs });
  } else if (next.kind === "fallback") {
    call.trace.root.event("gateway.fallback", { ...why, "gateway.attempt.target": nextTarget?.label });
  }
}

async function sleepUnlessGone(ms: number, signal: AbortSignal, deps: Deps): Promise<void> {
  if (ms > 0 && !signal.aborted) {
    const gone = Promise.withResolvers<void>();
    const leave = (): void => gone.resolve();
    signal.addEventListener("abort", leave);
    await Promise.race([deps.sleep(ms), gone.promise]);
    signal.removeEventListener("abort", leave);
  }
  if (signal.aborted) throw toUpstreamError(undefined, abortCauseOf(signal), "the upstream");
}
