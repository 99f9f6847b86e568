/**
 * How fast each target has been, as seen by this isolate: an exponentially weighted mean of the time to the first token
 * of a stream, and separately, of the time to a non-streamed answer. Plain data, bounded; an isolate's view is enough to
 * prefer a fast target, and costs no call.
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";

/** Weight of the newest measurement: the last ten or so calls decide. */
const SMOOTHING = 0.2;
/** Targets remembered per isolate; an old one that was not used since is dropped first. */
const MAX_TARGETS = 2_000;
/** An older measurement counts as none, so that a target that was slow or down for once is tried again. */
const MAX_AGE_MS = 60_000;
/** While one request tries out a target, others don't: a slow one must not be tried by all at once. */
const TRIAL_MS = 10_000;

export interface LatencyStats {
  /** Smoothed ms, or undefined for a target not seen lately. `now` is ms since the epoch. */
  of(tenantId: string, target: string, now: number): number | undefined;
  note(tenantId: string, target: string, ms: number, now: number): void;
  /** Whether this request may be the one that tries out a target not seen lately; the next one is refused for a while. */
  claimTrial(tenantId: string, target: string, now: number): boolean;
}

interface Seen {
  readonly ms: number;
  readonly at: number;
}

export function createLatencyStats(): LatencyStats {
  const seen = createBoundedMap<string, Seen>(MAX_TARGETS);
  const trials = createBoundedMap<string, number>(MAX_TARGETS);
  const keyOf = (tenantId: string, target: string): string => `${tenantId} ${target}`;
  function recall(key: string, now: number): number | undefined {
    const found = seen.get(key);
    return found === undefined || now - found.at > MAX_AGE_MS ? undefined : found.ms;
  }
  return {
    of: (tenantId, target, now) => recall(keyOf(tenantId, target), now),
    note(tenantId, target, ms, now) {
      const key = keyOf(tenantId, target);
      const before = recall(key, now);
      seen.set(key, { ms: before === undefined ? ms : before + SMOOTHING * (ms - before), at: now });
      trials.delete(key);
    },
    claimTrial(tenantId, target, now) {
      const key = keyOf(tenantId, target);
      if (recall(key, now) !== undefined || now < (trials.get(key) ?? 0)) return false;
      trials.set(key, now + TRIAL_MS);
      return true;
    },
  };
}
