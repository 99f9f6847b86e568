/**
 * Requests with an idempotency key, in the object's own SQLite for a day: which were begun, and the answers of those that
 * were finished (src/storage.md). Knows nothing of requests under way.
 */

import type { AnswerKeeper, KeptRequest } from "./single-flight.ts";
import type { FlightHead } from "./protocol.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, head TEXT NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_expiry ON answers (expires_at);
CREATE TABLE IF NOT EXISTS unanswered (
  key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL, expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unanswered_by_expiry ON unanswered (expires_at);
CREATE TABLE IF NOT EXISTS pieces (key TEXT, at INTEGER, text TEXT NOT NULL, PRIMARY KEY (key, at)) WITHOUT ROWID;`;

/** src/docs/http-api.md, `idempotency-key`. */
const KEPT_MS = 24 * 3_600_000;
/** A row holds at most 2 MB, and a character takes up to 3 bytes. */
const PIECE_CHARS = 500_000;

/** Of one object, of which a tenant has sixteen. The oldest answers go first; that they were given is still known. */
const MAX_KEPT_CHARS = 64 * 1024 * 1024;

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
  maxChars = MAX_KEPT_CHARS,
): SqlAnswerKeeper {
  sql.exec(SCHEMA);
  /** Characters of all pieces; undefined until it is first needed. */
  let keptChars: number | undefined;

  function noteUnanswered(
    key: string,
    fingerprint: string,
    state: "begun" | "dropped",
    expiresAt: number,
  ): void {
    sql.exec("INSERT OR REPLACE INTO unanswered VALUES (?, ?, ?, ?)", key, fingerprint, state, expiresAt);
    onKept(expiresAt);
  }

  function makeRoom(chars: number): void {
    keptChars ??= countChars();
    while (keptChars > 0 && keptChars + chars > maxChars) {
      const [oldest] = sql
        .exec<{ key: string; fingerprint: string; expires_at: number }>(
          "SELECT key, fingerprint, expires_at FROM answers ORDER BY expires_at LIMIT 1",
        )
        .toArray();
      if (oldest === undefined) return;
      noteUnanswered(oldest.key, oldest.fingerprint, "dropped", oldest.expires_at);
      erase(oldest.key);
    }
  }

  function countChars(): number {
    const [row] = sql
      .exec<{ chars: number | null }>("SELECT SUM(LENGTH(text)) AS chars FROM pieces")
      .toArray();
    return row?.chars ?? 0;
  }

  return {
    begin(key, fingerprint) {
      noteUnanswered(key, fingerprint, "begun", now() + KEPT_MS);
    },
    drop(key, fingerprint) {
      noteUnanswered(key, fingerprint, "dropped", now() + KEPT_MS);
    },
    free(key) {
      sql.exec("DELETE FROM unanswered WHERE key = ?", key);
    },

    find(key) {
      const [row] = sql
        .exec<{ fingerprint: string; head: string }>(
          "SELECT fingerprint, head FROM answers WHERE key = ? AND expires_at > ?",
          key,
          now(),
        )
        .toArray();
      if (row === undefined) return findUnanswered(key);
      const pieces = sql
        .exec<{ text: string }>("SELECT text FROM pieces WHERE key = ? ORDER BY at", key)
        .toArray();
      // Written below.
      const head = JSON.parse(row.head) as FlightHead;
      return {
        kind: "answer",
        fingerprint: row.fingerprint,
        head,
        text: pieces.map(({ text }) => text).join(""),
      };
    },

    keep(key, fingerprint, head, text) {
      const expiresAt = now() + KEPT_MS;
      if (text.length > maxChars) return noteUnanswered(key, fingerprint, "dropped", expiresAt);
      makeRoom(text.length);
      erase(key);
      sql.exec("DELETE FROM unanswered WHERE key = ?", key);
      sql.exec("INSERT INTO answers VALUES (?, ?, ?, ?)", key, fingerprint, JSON.stringify(head), expiresAt);
      for (let at = 0; at < text.length;) {
        const piece = pieceAt(text, at);
        sql.exec("INSERT INTO pieces VALUES (?, ?, ?)", key, at, piece);
        at += piece.length;
      }
      keptChars = (keptChars ?? 0) + text.length;
      onKept(expiresAt);
    },

    expire() {
      const over = sql
        .exec<{ key: string }>("SELECT key FROM answers WHERE expires_at <= ?", now())
        .toArray();
      for (const { key } of over) erase(key);
      sql.exec("DELETE FROM unanswered WHERE expires_at <= ?", now());
      const [next] = sql
        .exec<{ at: number | null }>(
          "SELECT MIN(expires_at) AS at FROM (SELECT expires_at FROM answers UNION ALL SELECT expires_at FROM unanswered)",
        )
        .toArray();
      return next?.at ?? undefined;
    },
  };

  function findUnanswered(key: string): KeptRequest | undefined {
    const [row] = sql
      .exec<{ fingerprint: string; state: "begun" | "dropped" }>(
        "SELECT fingerprint, state FROM unanswered WHERE key = ? AND expires_at > ?",
        key,
        now(),
      )
      .toArray();
    return row && { kind: row.state, fingerprint: row.fingerprint };
  }

  function erase(key: string): void {
    const [gone] = sql
      .exec<{ chars: number | null }>("SELECT SUM(LENGTH(text)) AS chars FROM pieces WHERE key = ?", key)
      .toArray();
    if (keptChars !== undefined) keptChars = Math.max(0, keptChars - (gone?.chars ?? 0));
    sql.exec("DELETE FROM answers WHERE key = ?", key);
    sql.exec("DELETE FROM pieces WHERE key = ?", key);
  }
}
