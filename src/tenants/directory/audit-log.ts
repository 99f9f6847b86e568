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
  return {
    append(entry: Omit<AuditEntry, "at">): void {
      sql.exec(
        "INSERT INTO audit (at, actor, action, tenant, subject) VALUES (?, ?, ?, ?, ?)",
        now(),
        entry.actor,
        entry.action,
        entry.tenant,
        entry.subject,
      );
    },

    /** Newest first; the cursor is the last entry's number. */
    list({ limit, cursor }: PageAsk): Page<AuditEntry> {
      const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor);
      const rows = sql
        .exec<AuditRow>("SELECT * FROM audit WHERE seq < ? ORDER BY seq DESC LIMIT ?", before, limit + 1)
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
