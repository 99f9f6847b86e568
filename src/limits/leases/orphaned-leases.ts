/**
 * Leases that are not in force and may still be renewed, started or settled: those that a crash lost, known by their
 * tokens, and lapsed ones, which expired while their holder lived on. Both are adopted again when their holder is heard
 * of; the money of both is recorded, once.
 */

import type { QueueEntry } from "./queue-entry.ts";

/** Lapsed leases that are remembered: about 600 bytes each. */
const MAX_LAPSED = 4096;
/** A holder that has been silent for so long is dead. */
const ORPHAN_TTL_MS = 600_000;

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
  /** Whether a crash lost a lease of that token: issued before the restart, missed by the checkpoint, not settled. */
  isLost(token: number, now: number): boolean;
  /** The lease was settled: a second settlement is not recorded. */
  noteSettled(token: number): void;
  noteLapsed(entry: QueueEntry): void;
  findLapsed(token: number): QueueEntry | undefined;
  /** The lease is in force again. */
  dropLapsed(token: number): void;
  /** Whether a settlement of that token, not in force, is the first one; true once. */
  claimLate(token: number, now: number): boolean;
  /** Lapsed leases, oldest first. */
  lapsed(now: number): Iterable<QueueEntry>;
}

export function createOrphanedLeases(restart: Restart): OrphanedLeases {
  const { startedAt, lastToken, isWhole, firstToken } = restart;
  const settled = new Set<number>();
  const byToken = new Map<number, QueueEntry>();

  function isMissed(token: number, above: number, now: number): boolean {
    return token > above && token < firstToken && now < startedAt + ORPHAN_TTL_MS && !settled.has(token);
  }

  return {
    isLost: (token, now) => isMissed(token, isWhole ? lastToken : 0, now),
    noteSettled(token) {
      // Later tokens are this object's own and known by its table.
      if (token < firstToken) settled.add(token);
    },
    noteLapsed(entry) {
      if (entry.lease === undefined) return;
      byToken.set(entry.lease.token, entry);
      const [oldest] = byToken.keys();
      if (byToken.size > MAX_LAPSED && oldest !== undefined) byToken.delete(oldest);
    },
    findLapsed: (token) => byToken.get(token),
    dropLapsed: (token) => void byToken.delete(token),
    claimLate(token, now) {
      if (byToken.delete(token)) return true;
      if (!isMissed(token, lastToken, now)) return false;
      settled.add(token);
      return true;
    },
    lapsed(now) {
      for (const [token, { dueAt }] of byToken) {
        if (dueAt > now - ORPHAN_TTL_MS) break;
        byToken.delete(token);
      }
      return byToken.values();
    },
  };
}
