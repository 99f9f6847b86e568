/**
 * How fast each target has been, as seen by this isolate: an exponentially weighted mean of the time to the first byte.
 * Plain data, bounded; an isolate's view is enough to prefer a fast target, and costs no call.
 */

/** Weight of the newest measurement: the last ten or so calls decide. */
const SMOOTHING = 0.2;
/** Targets remembered per isolate; the oldest is dropped first. */
const MAX_TARGETS = 2_000;
/** An older measurement counts as none, so that a target that was slow or down for once is tried again. */
const MAX_AGE_MS = 60_000;

export interface LatencyBook {
  /** Smoothed ms, or undefined for a target not seen lately. `now` is ms since the epoch. */
  of(tenantId: string, target: string, now: number): number | undefined;
  note(tenantId: string, target: string, ms: number, now: number): void;
}

interface Seen {
  readonly ms: number;
  readonly at: number;
}

export function createLatencyBook(): LatencyBook {
  const seen = new Map<string, Seen>();
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
      // Deleted first, so that the Map's order is the order of use.
      seen.delete(key);
      seen.set(key, { ms: before === undefined ? ms : before + SMOOTHING * (ms - before), at: now });
      const [oldest] = seen.keys();
      if (seen.size > MAX_TARGETS && oldest !== undefined) seen.delete(oldest);
    },
  };
}
