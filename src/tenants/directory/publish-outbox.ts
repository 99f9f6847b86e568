/**
 * The outbox of the directory's changes: marks in SQLite, written with the change itself, so that a crash loses none. A
 * mark only says *that* a target is out of date; what to send is read when it is sent, so many changes in a second become
 * one write. The alarm belongs to directory.ts.
 */

const SCHEMA = `
CREATE TABLE IF NOT EXISTS outbox (
  target TEXT PRIMARY KEY, marked INTEGER NOT NULL, sent INTEGER NOT NULL, attempts INTEGER NOT NULL,
  due_at INTEGER NOT NULL, sent_at INTEGER NOT NULL
) WITHOUT ROWID;`;

/** KV takes one write a second for one key and refuses more with 429 (Workers KV limits, seen 2026-11). */
const SPACING_MS = 1000;
const FIRST_RETRY_MS = 1000;
/** Keeps a revocation that could not be pushed close to its 30 s, at one row written for each attempt. */
const MAX_RETRY_MS = 10_000;
/** KV allows 1,000 operations an invocation; a deleted tenant may have more keys than one round takes. */
const ROUND = 100;

export interface PublishOutboxDeps {
  readonly sql: SqlStorage;
  readonly now: () => number;
  /** Brings the target up to date with what the tables say now. */
  readonly send: (target: string) => Promise<void>;
}

export interface PublishOutbox {
  /** The target is out of date from now on; to be called inside the change's transaction. */
  mark(target: string): void;
  /** Sends to one target now. Never throws: a failure stays marked and is retried. */
  deliver(target: string): Promise<void>;
  /** Sends to the targets that are due and not being sent to, ROUND at a time. */
  deliverDue(): Promise<void>;
  /** Whether the target is out of date still. */
  isPending(target: string): boolean;
  /** When the next one is due, in ms since the epoch; undefined when all are up to date. */
  nextDueAt(): number | undefined;
}

export function createPublishOutbox({ sql, now, send }: PublishOutboxDeps): PublishOutbox {
  sql.exec(SCHEMA);
  // Two writes of one KV key must not overtake each other: the later one finds the mark and runs second.
  const inFlight = new Set<string>();

  async function deliver(target: string): Promise<void> {
    const row = sql
      .exec<{ marked: number }>("SELECT marked FROM outbox WHERE target = ?", target)
      .toArray()[0];
    if (row === undefined) return;
    inFlight.add(target);
    try {
      await send(target);
      sql.exec(
        "UPDATE outbox SET sent = max(sent, ?), attempts = 0, sent_at = ?, due_at = ? WHERE target = ?",
        row.marked,
        now(),
        now() + SPACING_MS,
        target,
      );
    } catch {
      sql.exec(
        "UPDATE outbox SET attempts = attempts + 1, due_at = ? + min(?, ? << min(attempts, 16)) WHERE target = ?",
        now(),
        MAX_RETRY_MS,
        FIRST_RETRY_MS,
        target,
      );
    } finally {
      inFlight.delete(target);
    }
  }

  return {
    mark(target) {
      sql.exec(
        `INSERT INTO outbox (target, marked, sent, attempts, due_at, sent_at) VALUES (?, 1, 0, 0, ?, 0)
         ON CONFLICT (target) DO UPDATE SET marked = marked + 1, attempts = 0, due_at = max(?, sent_at + ?)`,
        target,
        now(),
        now(),
        SPACING_MS,
      );
    },

    deliver,

    async deliverDue() {
      const due = sql
        .exec<{ target: string }>(
          "SELECT target FROM outbox WHERE marked > sent AND due_at <= ? ORDER BY due_at LIMIT ?",
          now(),
          ROUND + inFlight.size,
        )
        .toArray()
        .map(({ target }) => target)
        .filter((target) => !inFlight.has(target));
      await Promise.all(due.slice(0, ROUND).map(deliver));
      // A mark is kept for a second after it was sent because of its time; then it is no longer needed.
      sql.exec("DELETE FROM outbox WHERE marked = sent AND sent_at <= ?", now() - SPACING_MS);
    },

    isPending: (target) =>
      sql.exec("SELECT 1 FROM outbox WHERE target = ? AND marked > sent", target).toArray().length > 0,

    nextDueAt() {
      const row = sql
        .exec<{ due_at: number | null }>("SELECT min(due_at) AS due_at FROM outbox WHERE marked > sent")
        .one();
      return row.due_at ?? undefined;
    },
  };
}
