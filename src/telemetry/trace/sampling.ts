/**
 * Which traces a tenant keeps, decided when the request is over and all is known (src/docs/records.md). Usage,
 * cost and budgets never depend on it. Pure.
 *
 * Not for the operator's destination, which gets every trace: a tenant's settings must not hide traffic from
 * the operator.
 */

import { isFailed, numberAttribute } from "./summary.ts";
import type { FinishedTrace } from "./trace.ts";

type AlwaysKeep = "error" | "slow" | "queued" | "fallback";

export interface SamplingPolicy {
  /** 0 to 1, of the traces that no other rule keeps. */
  readonly sampleRatio: number;
  readonly alwaysKeep: readonly AlwaysKeep[];
  readonly slowMs: number;
}

/** Whether a trace is kept. */
export function shouldKeep(trace: FinishedTrace, policy: SamplingPolicy): boolean {
  return (
    isChosenByRatio(trace.traceId, policy.sampleRatio) ||
    policy.alwaysKeep.some((rule) => RULES[rule](trace, policy))
  );
}

type Rule = (trace: FinishedTrace, policy: SamplingPolicy) => boolean;

const RULES: Readonly<Record<AlwaysKeep, Rule>> = {
  error: ({ root }) => isFailed(root),
  slow: ({ root }, { slowMs }) => root.endAt - root.startAt >= slowMs,
  queued: ({ root }) => (numberAttribute(root, "gateway.queue.wait_ms") ?? 0) > 0,
  fallback: ({ root }) => root.attributes["gateway.fallback.used"] === true,
};

/**
 * The last 13 hex digits are 52 random bits, as many as a double holds exactly (W3C Trace Context level 2,
 * §3.2.2.3).
 */
const RANDOM_DIGITS = 13;
const RANDOM_RANGE = 16 ** RANDOM_DIGITS;

/** The same result for each request of a trace, so that a kept trace is complete. */
function isChosenByRatio(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) < ratio * RANDOM_RANGE;
}
