/**
 * How old the last checkpoint may get, given what has changed since: a row written costs seven times a call, so only
 * what a crash must not forget is saved at once. Pure; admission.ts marks, tenant-queue.ts saves.
 */

import { LEASE_RENEW_MS } from "./protocol.ts";

const STALE_AFTER_MS = {
  /** Limits in force were used: what a crash forgets is over-admitted. */
  usage: 1000,
  /** A lease's new time limit: the saved one must still outlive the next renewal. */
  renewal: LEASE_RENEW_MS,
  /** When a key was last used, of tenants without limits. */
  lastUse: 60_000,
} as const;

type Change = keyof typeof STALE_AFTER_MS;

export interface Freshness {
  mark(change: Change): void;
  /** A checkpoint was taken: it holds all changes. */
  clear(): void;
  /** How old the last checkpoint may be, in ms; Infinity while it holds everything. */
  readonly staleAfterMs: number;
}

export function createFreshness(): Freshness {
  let staleAfterMs = Infinity;
  return {
    mark(change) {
      staleAfterMs = Math.min(staleAfterMs, STALE_AFTER_MS[change]);
    },
    clear() {
      staleAfterMs = Infinity;
    },
    get staleAfterMs() {
      return staleAfterMs;
    },
  };
}
