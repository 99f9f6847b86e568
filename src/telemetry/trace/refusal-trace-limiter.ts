/**
 * Keeps a flood of unauthenticated refusals from becoming a flood of traces: the first in a second leaves its own, the
 * rest of that second become one span that counts them. Per isolate, in memory; the clock is passed in.
 */

import type { RequestTraceInit } from "./request-trace.ts";

const WINDOW_MS = 1000;

export interface RefusalFlood {
  /**
   * Asked once for each unauthenticated refusal. `own`: it leaves its own trace. `counted`: it must not.
   * `first_counted`: it must not either, and whoever asked sees to it that `take` is called when the window is over.
   */
  note(): "own" | "counted" | "first_counted";
  /** Ms until the window of the last refusal is over. */
  remainingMs(): number;
  /** What was counted since the last call, and when the first of it came; undefined when nothing was. */
  take(): { readonly count: number; readonly sinceAt: number } | undefined;
}

export function createRefusalFlood(clock: () => number): RefusalFlood {
  let windowAt = Number.NEGATIVE_INFINITY;
  let count = 0;
  let sinceAt = 0;
  let collectorAt = Number.NEGATIVE_INFINITY;

  return {
    note() {
      const now = clock();
      if (now - windowAt >= WINDOW_MS) {
        windowAt = now;
        return "own";
      }
      if (count === 0) sinceAt = now;
      count++;
      // Once per window: the collector of an earlier one may have died with its request, its count is then taken over.
      if (collectorAt === windowAt) return "counted";
      collectorAt = windowAt;
      return "first_counted";
    },
    remainingMs: () => Math.max(0, windowAt + WINDOW_MS - clock()),
    take() {
      if (count === 0) return undefined;
      const taken = { count, sinceAt };
      count = 0;
      return taken;
    },
  };
}

/** The trace that stands for counted refusals: one root span. End it at once. */
export function summaryTrace(count: number): Pick<RequestTraceInit, "name" | "kind" | "attributes"> {
  return {
    name: "gateway.refusals",
    kind: "internal",
    attributes: { "gateway.refusals.count": count, "gateway.outcome": "rejected" },
  };
}
