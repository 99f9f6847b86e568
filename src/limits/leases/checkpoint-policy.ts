/**
 * How old the last checkpoint may get, given what has changed since: a row written costs seven times a call, so only
 * what a crash must not lose is saved at once. Pure; saves nothing itself.
 */

const STALE_AFTER_MS = {
  /** A reply was sent that must still be true after a crash. */
  verdict: 0,
  /** A request's trace was recorded as abandoned: a restart must not do it again. */
  abandoned: 0,
  /** Limits in force were used: what a crash loses is admitted twice. */
  usage: 1000,
  /** Money was spent, far below every limit: as long as an idle object stays in memory anyway. */
  ledger: 10_000,
  /** A saved lease has ended, far below every limit: an idle object must know it before it sleeps. */
  ended: 10_000,
  /** A lease's saved expiry is near: an object without other work sleeps soon, and forgets what is not saved. */
  renewal: 1000,
  /** When a key was last used. */
  lastUse: 60_000,
} as const;

/** Leases far below every limit are saved this late: early enough that a Worker that dies leaves its trace. */
const HELD_STALE_MS = 10_000;

export type Change = keyof typeof STALE_AFTER_MS | "held";

export interface CheckpointPolicy {
  /** `held`: a lease was granted far below every limit; it no longer matters once it has ended. */
  mark(change: Change): void;
  /** A checkpoint was taken: it holds all changes. */
  clear(): void;
  /** How old the last checkpoint may be, in ms; Infinity while it holds everything. */
  staleAfterMs(hasLeases: boolean): number;
}

export function createCheckpointPolicy(): CheckpointPolicy {
  let staleAfterMs = Infinity;
  let isHeld = false;
  return {
    mark(change) {
      if (change !== "held") staleAfterMs = Math.min(staleAfterMs, STALE_AFTER_MS[change]);
      else isHeld = true;
    },
    clear() {
      staleAfterMs = Infinity;
      isHeld = false;
    },
    staleAfterMs(hasLeases) {
      if (!isHeld) return staleAfterMs;
      return Math.min(staleAfterMs, hasLeases ? HELD_STALE_MS : STALE_AFTER_MS.lastUse);
    },
  };
}
