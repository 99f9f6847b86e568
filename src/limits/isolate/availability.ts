/**
 * Whether a tenant's object answers at all, as one isolate sees it: a breaker over its calls, so that an object that hangs
 * or is overloaded costs one deadline and not one for each request. Plain data of one tenant.
 */

import type { UnreachableReason } from "./queue-call.ts";

/** How long no call is made after the object failed so; doubled each time that the next call fails too. */
const PAUSE_MS: Readonly<Record<UnreachableReason, number>> = { timeout: 2000, overloaded: 1000, failed: 0 };
const LONGEST_PAUSE_MS = 30_000;
/** A trial without an outcome by then has died with its request. */
const TRIAL_LOST_MS = 5000;

export interface Availability {
  /** When the object was last heard of, ms since the epoch. */
  readonly heardAt: number;
  readonly isReachable: boolean;
  /** Why no call may be made now; undefined where one may. After a pause one request at a time tries. */
  closedBy(now: number): UnreachableReason | undefined;
  heard(now: number): void;
  failed(reason: UnreachableReason, now: number): void;
}

export function createAvailability(): Availability {
  let heardAt = -Infinity;
  let reason: UnreachableReason | undefined;
  let pauseMs = 0;
  let closedUntil = 0;
  let triedAt = -Infinity;

  return {
    get heardAt() {
      return heardAt;
    },
    get isReachable() {
      return reason === undefined;
    },
    closedBy(now) {
      if (reason === undefined || pauseMs === 0) return undefined;
      if (now < closedUntil || now - triedAt < TRIAL_LOST_MS) return reason;
      triedAt = now;
      return undefined;
    },
    heard(now) {
      heardAt = now;
      reason = undefined;
      pauseMs = 0;
      triedAt = -Infinity;
    },
    failed(why, now) {
      reason = why;
      triedAt = -Infinity;
      // Calls that were under way when it closed say nothing new.
      if (now < closedUntil) return;
      pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(PAUSE_MS[why], why === "failed" ? 0 : 2 * pauseMs));
      closedUntil = now + pauseMs;
    },
  };
}
