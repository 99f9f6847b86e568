/**
 * The directory's table of which master key sealed how many secrets of which record: kept with each write of a record, so
 * that a change of MASTER_KEY finds what is left without reading every record, and goes on where it stopped.
 */

import { sealedInProvider, sealedInTenant } from "../records/reseal-records.ts";
import type { ProviderRecord, StoredTenant } from "../records/records.ts";
import { masterKeyIdOf } from "../records/sealing.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS seals (
  tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, key_id TEXT NOT NULL, secrets INTEGER NOT NULL,
  is_unreadable INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (tenant, kind, name, key_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS seals_by_key ON seals (is_unreadable, key_id);`;

/** A record with secrets in it; the name of a tenant's own record is empty. */
export interface SealedRecord {
  readonly tenant: string;
  readonly kind: "tenant" | "provider";
  readonly name: string;
}

interface SealRow extends Record<string, SqlStorageValue> {
  readonly tenant: string;
  readonly kind: "tenant" | "provider";
  readonly name: string;
}

export function createSealIndex(sql: SqlStorage) {
  const isNew = sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'seals'").toArray().length === 0;
  sql.exec(SCHEMA);

  function note({ tenant, kind, name }: SealedRecord, sealed: readonly string[]): void {
    sql.exec("DELETE FROM seals WHERE tenant = ? AND kind = ? AND name = ?", tenant, kind, name);
    for (const text of sealed) {
      sql.exec(
        `INSERT INTO seals (tenant, kind, name, key_id, secrets) VALUES (?, ?, ?, ?, 1)
         ON CONFLICT (tenant, kind, name, key_id) DO UPDATE SET secrets = secrets + 1`,
        tenant,
        kind,
        name,
        masterKeyIdOf(text),
      );
    }
  }

  return {
    /** The table was made just now: records that were written before are not in it yet. */
    isNew,

    noteProvider(tenant: string, name: string, record: ProviderRecord): void {
      note({ tenant, kind: "provider", name }, sealedInProvider(record));
    },
    noteTenant(tenant: string, record: StoredTenant): void {
      note({ tenant, kind: "tenant", name: "" }, sealedInTenant(record));
    },
    eraseProvider(tenant: string, name: string): void {
      note({ tenant, kind: "provider", name }, []);
    },
    eraseTenant(tenant: string): void {
      sql.exec("DELETE FROM seals WHERE tenant = ?", tenant);
    },

    /** How many secrets each key has sealed, by key id. */
    countByKey(): ReadonlyMap<string, number> {
      const rows = sql.exec<{ key_id: string; secrets: number }>(
        "SELECT key_id, sum(secrets) AS secrets FROM seals GROUP BY key_id",
      );
      return new Map(rows.toArray().map(({ key_id, secrets }) => [key_id, secrets]));
    },

    /** Records with a secret of another key than the given one, except those that no key has opened. */
    findOthers(keyId: string, limit: number): readonly SealedRecord[] {
      return sql
        .exec<SealRow>(
          // Two ranges of the index: `<>` would read the rows of the given key too, which are nearly all.
          `SELECT tenant, kind, name FROM seals WHERE is_unreadable = 0 AND key_id < ?1
           UNION SELECT tenant, kind, name FROM seals WHERE is_unreadable = 0 AND key_id > ?1 LIMIT ?2`,
          keyId,
          limit,
        )
        .toArray();
    },

    /** Records that no key has opened since the object started. */
    listUnreadable(limit: number): readonly SealedRecord[] {
      return sql
        .exec<SealRow>("SELECT DISTINCT tenant, kind, name FROM seals WHERE is_unreadable = 1 LIMIT ?", limit)
        .toArray();
    },
    markUnreadable({ tenant, kind, name }: SealedRecord): void {
      sql.exec(
        "UPDATE seals SET is_unreadable = 1 WHERE tenant = ? AND kind = ? AND name = ?",
        tenant,
        kind,
        name,
      );
    },
    /** Other keys may be set now. */
    forgetUnreadable(): void {
      sql.exec("UPDATE seals SET is_unreadable = 0 WHERE is_unreadable = 1");
    },
  };
}
