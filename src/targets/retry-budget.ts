/**
 * How many retries a tenant may cause: a fifth of its requests, with a floor so that few requests can be retried at all.
 * An upstream that is down is then called 1.2 times as often as before, not three times. Per isolate, plain data, bounded.
 * Fallbacks to another target don't count: they bring no load to the one that failed.
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";

const SHARE = 0.2;
/** src/routing/README.md. */
const FLOOR = 10;
const WINDOW_MS = 10_000;
/** The window moves on in steps of a second. */
const STEP_MS = 1_000;
const STEPS = WINDOW_MS / STEP_MS;
const MAX_TENANTS = 2_000;

export interface RetryBudget {
  noteRequest(tenantId: string, now: number): void;
  /** Whether one more retry (or hedge) is within the budget; it is then taken. `now` is ms since the epoch. */
  take(tenantId: string, now: number): boolean;
}

interface Step {
  /** Whole seconds since the epoch. */
  at: number;
  requests: number;
  retries: number;
}

export function createRetryBudget(): RetryBudget {
  const windows = createBoundedMap<string, Step[]>(MAX_TENANTS);

  function windowOf(tenantId: string): Step[] {
    const known = windows.get(tenantId);
    if (known !== undefined) return known;
    const fresh = Array.from({ length: STEPS }, (): Step => ({ at: -1, requests: 0, retries: 0 }));
    windows.set(tenantId, fresh);
    return fresh;
  }

  /** The step of this second, emptied where it still holds an older one. */
  function stepOf(steps: Step[], now: number): Step {
    const at = Math.floor(now / STEP_MS);
    const index = at % STEPS;
    const step = steps[index];
    if (step?.at === at) return step;
    const fresh = { at, requests: 0, retries: 0 };
    steps[index] = fresh;
    return fresh;
  }

  return {
    noteRequest(tenantId, now) {
      stepOf(windowOf(tenantId), now).requests++;
    },
    take(tenantId, now) {
      const steps = windowOf(tenantId);
      const current = stepOf(steps, now);
      let requests = 0;
      let retries = 0;
      for (const step of steps) {
        if (step.at <= current.at - STEPS) continue;
        requests += step.requests;
        retries += step.retries;
      }
      if (retries >= Math.max(FLOOR, Math.floor(requests * SHARE))) return false;
      current.retries++;
      return true;
    },
  };
}
