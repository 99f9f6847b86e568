/**
 * Slows those who fail: after a few failures an address has to wait, twice as long each time, before it may try again.
 * One for an isolate; plain data, bounded. Not a rate limit on those who succeed.
 */

import { createBoundedMap } from "./bounded-map.ts";

/** A person may mistype. */
const FREE_FAILURES = 5;
const FIRST_WAIT_MS = 1000;
const MAX_WAIT_MS = 60_000;
/** An address without a failure for that long starts afresh. */
const FORGET_MS = 600_000;
const MAX_ADDRESSES = 2000;

interface Failures {
  readonly count: number;
  readonly blockedUntil: number;
  readonly lastAt: number;
}

export interface FailureLimiter {
  /** How long the address has to wait, in ms; 0 where it may try. */
  waitMs(address: string): number;
  /** Whether the address has to wait from now on. */
  noteFailure(address: string): boolean;
  noteSuccess(address: string): void;
}

/** `now` is ms since the epoch. */
export function createFailureLimiter(now: () => number): FailureLimiter {
  const failures = createBoundedMap<string, Failures>(MAX_ADDRESSES);
  return {
    waitMs: (address) => Math.max(0, (failures.get(address)?.blockedUntil ?? 0) - now()),
    noteFailure(address) {
      const at = now();
      const known = failures.get(address);
      const count = known === undefined || at - known.lastAt > FORGET_MS ? 1 : known.count + 1;
      const doublings = count - FREE_FAILURES;
      const waitMs = doublings < 0 ? 0 : Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(doublings, 10));
      failures.set(address, { count, blockedUntil: at + waitMs, lastAt: at });
      return waitMs > 0;
    },
    noteSuccess: (address) => failures.delete(address),
  };
}
