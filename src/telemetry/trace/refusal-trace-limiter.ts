/**
 * Bounds the traces of unauthenticated refusals, which anyone can cause without limit: the first in a second gets a trace
 * of its own, the others of that second share one span that counts them. Per isolate, in memory; the clock is passed in.
 */

import type { RequestTraceInit } from "./request-trace.ts";

const WINDOW_MS = 1000;

export interface RefusalTraceLimiter {
  /**
   * Call once for each unauthenticated refusal. `trace`: it gets its own trace. `count`: it gets none. `count_and_collect`:
   * it gets none either, and the caller must call `takeCounted` when the window is over.
   */
  decide(): "trace" | "count" | "count_and_collect";
  /** Ms until the window of the last refusal is over. */
  windowLeftMs(): number;
  /** Number of refusals counted since the last call, and when the first of them came; undefined when there were none. */
  takeCounted(): { readonly count: number; readonly sinceAt: number } | undefined;
}

export function createRefusalTraceLimiter(clock: () => number): RefusalTraceLimiter {
  let windowAt = Number.NEGATIVE_INFINITY;
  let count = 0;
  let sinceAt = 0;
  let collectorAt = Number.NEGATIVE_INFINITY;

  return {
    decide() {
      const now = clock();
      if (now - windowAt >= WINDOW_MS) {
        windowAt = now;
        return "trace";
      }
      if (count === 0) sinceAt = now;
      count++;
      // One collector per window: an earlier one may have died with its request, then this one takes its count too.
      if (collectorAt === windowAt) return "count";
      collectorAt = windowAt;
      return "count_and_collect";
    },
    windowLeftMs: () => Math.max(0, windowAt + WINDOW_MS - clock()),
    takeCounted() {
      if (count === 0) return undefined;
      const taken = { count, sinceAt };
      count = 0;
      return taken;
    },
  };
}

/** The trace of counted refusals: one root span. End it at once. */
export function summaryTrace(count: number): Pick<RequestTraceInit, "name" | "kind" | "attributes"> {
  return {
    name: "gateway.refusals",
    kind: "internal",
    attributes: { "gateway.refusals.count": count, "gateway.outcome": "rejected" },
  };
}
