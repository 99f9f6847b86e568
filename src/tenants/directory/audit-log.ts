/**
 * The directory's audit: who changed what, append-only, in the transaction of the change itself. Holds names, never
 * values.
 */

import type { AuditEntry, Page, PageAsk } from "./directory-api.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  tenant TEXT NOT NULL, subject TEXT NOT NULL
);`;

/** Entries between a report and its repetition: far more than come in the time of an outage. */
const REPEATED_WITHIN = 10_000;

interface AuditRow extends Record<string, SqlStorageValue> {
  readonly seq: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly tenant: string;
  readonly subject: string;
}

export function createAuditLog(sql: SqlStorage, now: () => number) {
  sql.exec(SCHEMA);
  function insert({ actor, action, tenant, subject }: Omit<AuditEntry, "at">): void {
    sql.exec(
      "INSERT INTO audit (at, actor, action, tenant, subject) VALUES (?, ?, ?, ?, ?)",
      now(),
      actor,
      action,
      tenant,
      subject,
    );
  }

  return {
    /** `isOnce`: it may be reported again, and is left out where one of the last entries says the same. */
    append(entry: Omit<AuditEntry, "at">, isOnce = false): void {
      if (!isOnce) return insert(entry);
      const known = sql.exec(
        "SELECT 1 FROM audit WHERE seq > (SELECT max(seq) FROM audit) - ? AND action = ? AND tenant = ? AND subject = ?",
        REPEATED_WITHIN,
        entry.action,
        entry.tenant,
        entry.subject,
      );
      if (known.next().done === true) insert(entry);
    },

    /** Newest first; the cursor is the last entry's number. */
    list({ limit, cursor, tenant }: PageAsk): Page<AuditEntry> {
      const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor);
      const rows = sql
        .exec<AuditRow>(
          "SELECT * FROM audit WHERE seq < ? AND tenant = coalesce(?, tenant) ORDER BY seq DESC LIMIT ?",
          before,
          tenant ?? null,
          limit + 1,
        )
        .toArray();
      const shown = rows.slice(0, limit);
      return {
        items: shown.map(({ at, actor, action, tenant, subject }) => ({
          at: new Date(at).toISOString(),
          actor,
          action,
          tenant,
          subject,
        })),
        cursor: rows.length > limit ? String(shown.at(-1)?.seq) : null,
      };
    },
  };
}
