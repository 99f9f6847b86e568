/**
 * All that is known of a tenant's targets behind one port (`deps.targets`): whether one may be called now (circuits,
 * cooldowns, concurrency) and what an isolate has measured (latency, output lengths, sessions, turns, retries, what is left of upstreams' rate limits). Which
 * target a request takes is decided in routing/.
 */

import type { ConcurrencyLimiter } from "./concurrency-limiter.ts";
import type { TargetCircuits } from "./isolate-circuits.ts";
import { createLatencyStats, type LatencyStats } from "./latency.ts";
import { createOutputLengthStats, type OutputLengthStats } from "./output-lengths.ts";
import { createRateLimitStats, type RateLimitStats } from "./rate-limits-left.ts";
import { createRetryBudget, type RetryBudget } from "./retry-budget.ts";
import { createSessions, type Sessions } from "./sessions.ts";
import { createWeightedRoundRobin, type WeightedRoundRobin } from "./weighted-round-robin.ts";

/** What one isolate has measured, for all its tenants: every key begins with the tenant. No other isolate sees it. */
export interface MeasuredTargets {
  readonly latency: LatencyStats;
  readonly roundRobin: WeightedRoundRobin;
  readonly sessions: Sessions;
  readonly retryBudget: RetryBudget;
  readonly outputLengths: OutputLengthStats;
  readonly rateLimits: RateLimitStats;
}

/** What a tenant's isolates share through its queue object. */
export interface SharedTargets {
  /** How many calls a target takes at once, and until when it is cooling down. */
  readonly concurrency: ConcurrencyLimiter;
  /** Which targets have failed too often. */
  readonly circuits: TargetCircuits;
}

export interface Targets extends MeasuredTargets, SharedTargets {}

/** `random` gives a number in [0, 1). */
export function createMeasuredTargets(random: () => number): MeasuredTargets {
  return {
    latency: createLatencyStats(),
    roundRobin: createWeightedRoundRobin(random),
    sessions: createSessions(),
    retryBudget: createRetryBudget(),
    outputLengths: createOutputLengthStats(),
    rateLimits: createRateLimitStats(),
  };
}

/** Streams are timed to their first token, non-streamed answers to their end: two measures that must not mix. */
export function latencyKey(label: string, isStream: boolean): string {
  return isStream ? `${label} stream` : label;
}
