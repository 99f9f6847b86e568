/**
 * Finished answers of requests with an idempotency key, in the object's own SQLite for a day: src/storage.md. Knows
 * nothing of requests under way.
 */

import type { AnswerKeeper } from "./single-flight.ts";
import type { FlightHead } from "./protocol.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, head TEXT NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_expiry ON answers (expires_at);
CREATE TABLE IF NOT EXISTS pieces (key TEXT, at INTEGER, text TEXT NOT NULL, PRIMARY KEY (key, at)) WITHOUT ROWID;`;

/** src/docs/http-api.md, `idempotency-key`. */
const KEPT_MS = 24 * 3_600_000;
/** A row holds at most 2 MB, and a character takes up to 3 bytes. */
const PIECE_CHARS = 500_000;

/** Half a surrogate pair would not come back as it was. */
function pieceAt(text: string, at: number): string {
  const piece = text.slice(at, at + PIECE_CHARS);
  return piece.length === PIECE_CHARS && !piece.isWellFormed() ? piece.slice(0, -1) : piece;
}

export interface SqlAnswerKeeper extends AnswerKeeper {
  /** Deletes the expired ones; returns when the next one expires. */
  expire(): number | undefined;
}

/** `onKept` is called with the time at which the first kept answer expires, in ms since the epoch. */
export function createAnswerKeeper(
  sql: SqlStorage,
  now: () => number,
  onKept: (expiresAt: number) => void,
): SqlAnswerKeeper {
  sql.exec(SCHEMA);
  return {
    find(key) {
      const [row] = sql
        .exec<{ fingerprint: string; head: string }>(
          "SELECT fingerprint, head FROM answers WHERE key = ? AND expires_at > ?",
          key,
          now(),
        )
        .toArray();
      if (row === undefined) return undefined;
      const pieces = sql
        .exec<{ text: string }>("SELECT text FROM pieces WHERE key = ? ORDER BY at", key)
        .toArray();
      // Written below.
      const head = JSON.parse(row.head) as FlightHead;
      return { fingerprint: row.fingerprint, head, text: pieces.map(({ text }) => text).join("") };
    },

    keep(key, fingerprint, head, text) {
      const expiresAt = now() + KEPT_MS;
      erase(key);
      sql.exec("INSERT INTO answers VALUES (?, ?, ?, ?)", key, fingerprint, JSON.stringify(head), expiresAt);
      for (let at = 0; at < text.length;) {
        const piece = pieceAt(text, at);
        sql.exec("INSERT INTO pieces VALUES (?, ?, ?)", key, at, piece);
        at += piece.length;
      }
      onKept(expiresAt);
    },

    expire() {
      const over = sql
        .exec<{ key: string }>("SELECT key FROM answers WHERE expires_at <= ?", now())
        .toArray();
      for (const { key } of over) erase(key);
      const [next] = sql.exec<{ at: number | null }>("SELECT MIN(expires_at) AS at FROM answers").toArray();
      return next?.at ?? undefined;
    },
  };

  function erase(key: string): void {
    sql.exec("DELETE FROM answers WHERE key = ?", key);
    sql.exec("DELETE FROM pieces WHERE key = ?", key);
  }
}
