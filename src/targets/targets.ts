/**
 * What an isolate has learned about targets, in one place: latencies, turns, sessions, the retry budget. One for an
 * isolate and all its tenants; every key begins with the tenant. Nothing of it is shared between isolates: what is shared
 * are circuits (targets/isolate-circuits.ts) and closed gates.
 */

import { createLatencyBook, type LatencyBook } from "./latency.ts";
import { createRetryBudget, type RetryBudget } from "./retry-budget.ts";
import { createSessions, type Sessions } from "./sessions.ts";
import { createTurns, type Turns } from "./weighted-round-robin.ts";

export interface RoutingBook {
  readonly latency: LatencyBook;
  readonly turns: Turns;
  readonly sessions: Sessions;
  readonly retries: RetryBudget;
}

/** `random` gives a number in [0, 1). */
export function createRoutingBook(random: () => number): RoutingBook {
  return {
    latency: createLatencyBook(),
    turns: createTurns(random),
    sessions: createSessions(),
    retries: createRetryBudget(),
  };
}

/** Streams are timed to their first token, whole answers to their end: two measures of one target that must not mix. */
export function latencyKey(label: string, isStream: boolean): string {
  return isStream ? `${label} stream` : label;
}
