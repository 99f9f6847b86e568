/**
 * Leases that are not in force and may still be renewed or settled: those that a crash lost, known by their tokens, and
 * those that expired while their holder lived on. Lost ones are adopted again when they are renewed; the money of both is
 * recorded, once.
 */

import { LEASE_TTL_MS } from "../protocol.ts";

/** Expired leases that are remembered for their late settlement: about 100 bytes each. */
const MAX_EXPIRED = 4096;

/** What tells which leases the last checkpoint missed. */
interface Restart {
  readonly startedAt: number;
  /** The last token the checkpoint knows; 0 without one. */
  readonly lastToken: number;
  /** Whether each lease up to there is in it. */
  readonly isWhole: boolean;
  /** The lowest token of this object. */
  readonly firstToken: number;
}

export interface OrphanedLeases {
  /** Whether a lease of that token may be put in force again: issued before the restart, missed, and not settled. */
  canReadopt(token: number, now: number): boolean;
  /** The lease was settled: a second settlement is not recorded. */
  noteSettled(token: number): void;
  noteExpired(token: number): void;
  /** Whether a settlement of that token, not in force, is the first one; true once. */
  claimLate(token: number, now: number): boolean;
}

export function createOrphanedLeases(restart: Restart): OrphanedLeases {
  const { startedAt, lastToken, isWhole, firstToken } = restart;
  const settled = new Set<number>();
  const expired = new Set<number>();

  function isMissed(token: number, above: number, now: number): boolean {
    return token > above && token < firstToken && now < startedAt + LEASE_TTL_MS && !settled.has(token);
  }

  return {
    canReadopt: (token, now) => isMissed(token, isWhole ? lastToken : 0, now),
    noteSettled(token) {
      // Later tokens are this object's own and known by its table.
      if (token < firstToken) settled.add(token);
    },
    noteExpired(token) {
      expired.add(token);
      const [oldest] = expired;
      if (expired.size > MAX_EXPIRED && oldest !== undefined) expired.delete(oldest);
    },
    claimLate(token, now) {
      if (expired.delete(token)) return true;
      if (!isMissed(token, lastToken, now)) return false;
      settled.add(token);
      return true;
    },
  };
}
