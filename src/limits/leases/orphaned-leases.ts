/**
 * Leases that are not in force and may still be renewed, started or settled: those that a crash lost, known by their
 * tokens, and lapsed ones, which expired while their holder lived on. Both are adopted again when their holder is heard
 * of; the money of both is recorded, once, also where the object has ended and begun again in between.
 */

import type { QueueEntry } from "./queue-entry.ts";
import { firstToken as tokenAt } from "./lease-table.ts";
import { RESEND_WINDOW_MS } from "../protocol.ts";

/** Lapsed leases that are remembered: about 600 bytes each. */
const MAX_LAPSED = 4096;
/** A holder that has been silent for so long is dead, and its money is no longer told again. */
const ORPHAN_TTL_MS = RESEND_WINDOW_MS;
/** Restarts whose lost leases are known: an idle object begins again every ten seconds at most. */
const MAX_GAPS = 64;
/** Settled tokens that are saved: each lost lease that was settled since. */
const MAX_SAVED_SETTLED = 2000;

/** Tokens that an object may have issued and did not save: those between two tokens, and since when that is known. */
type Gap = readonly [after: number, before: number, since: number];

/** What must outlive a further restart. */
export interface SavedOrphans {
  readonly gaps: readonly Gap[];
  /** Tokens in these gaps whose settlements were recorded. */
  readonly settled: readonly number[];
}

/** What tells which leases the last checkpoint missed. */
interface Restart {
  readonly startedAt: number;
  /** The last token the checkpoint knows; 0 without one. */
  readonly lastToken: number;
  /** Whether each lease up to there is in it. */
  readonly isWhole: boolean;
  /** The lowest token of this object. */
  readonly firstToken: number;
  /** Of the checkpoint; absent in older rows. */
  readonly saved: SavedOrphans | undefined;
}

export interface OrphanedLeases {
  /** Whether a crash lost a lease of that token: issued before a restart, missed by its checkpoint, not settled. */
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
  /** Undefined where nothing has to be saved. */
  save(now: number): SavedOrphans | undefined;
}

export function createOrphanedLeases(restart: Restart): OrphanedLeases {
  const { startedAt, lastToken, isWhole, firstToken, saved } = restart;
  const settled = new Set<number>(saved?.settled);
  // Where there is no checkpoint, whatever was issued lately may have been.
  const after = lastToken > 0 ? lastToken : tokenAt(startedAt - ORPHAN_TTL_MS, 0) - 1;
  const gaps: readonly Gap[] = [...(saved?.gaps ?? []), [after, firstToken, startedAt] as const].slice(
    -MAX_GAPS,
  );
  const byToken = new Map<number, QueueEntry>();

  function isIn([after, before, since]: Gap, token: number, now: number): boolean {
    return token > after && token < before && now < since + ORPHAN_TTL_MS;
  }

  /** Whether no checkpoint has ever held the lease, nor its settlement. */
  function isMissed(token: number, now: number): boolean {
    return !settled.has(token) && gaps.some((gap) => isIn(gap, token, now));
  }

  function noteSettled(token: number): void {
    // Later tokens are this object's own and known by its table.
    if (token < firstToken) settled.add(token);
  }

  return {
    isLost(token, now) {
      if (isMissed(token, now)) return true;
      return !isWhole && isIn([0, firstToken, startedAt], token, now) && !settled.has(token);
    },
    noteSettled,
    noteLapsed(entry) {
      if (entry.lease === undefined) return;
      byToken.set(entry.lease.token, entry);
      const [oldest] = byToken.keys();
      if (byToken.size > MAX_LAPSED && oldest !== undefined) byToken.delete(oldest);
    },
    findLapsed: (token) => byToken.get(token),
    dropLapsed: (token) => void byToken.delete(token),
    claimLate(token, now) {
      if (!byToken.delete(token) && !isMissed(token, now)) return false;
      noteSettled(token);
      return true;
    },
    lapsed(now) {
      for (const [token, { dueAt }] of byToken) {
        if (dueAt > now - ORPHAN_TTL_MS) break;
        byToken.delete(token);
      }
      return byToken.values();
    },
    save(now) {
      const open = gaps.filter(([, , since]) => now < since + ORPHAN_TTL_MS);
      if (open.length === 0) return undefined;
      const inGaps = [...settled].filter((token) => open.some((gap) => isIn(gap, token, now)));
      return { gaps: open, settled: inGaps.slice(-MAX_SAVED_SETTLED) };
    },
  };
}
