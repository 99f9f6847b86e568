/**
 * The directory's table from a gateway key's hash to its tenant and key. Only the end of a pointer's
 * validity ever changes: a rotation makes a new pointer.
 */

import type { KeyPointer } from "./directory-api.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS pointers (
  hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, key_id TEXT NOT NULL, valid_until INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pointers_by_key ON pointers (tenant, key_id);`;

export interface KeyPlace extends KeyPointer {
  /** ms since the epoch: end of validity of a rotated key's old hash; null: none. */
  readonly validUntil: number | null;
}

export type KeyPointers = ReturnType<typeof createKeyPointers>;

export function createKeyPointers(sql: SqlStorage, now: () => number) {
  sql.exec(SCHEMA);
  return {
    /** Where a hash leads, as long as it is valid. */
    find(hash: string): KeyPlace | undefined {
      const row = sql
        .exec<{ tenant: string; key_id: string; valid_until: number | null }>(
          "SELECT tenant, key_id, valid_until FROM pointers WHERE hash = ? AND (valid_until IS NULL OR valid_until > ?)",
          hash,
          now(),
        )
        .toArray()[0];
      if (row === undefined) return undefined;
      return { tenantId: row.tenant, keyId: row.key_id, validUntil: row.valid_until };
    },

    /** Every hash of a key, or of all keys of a tenant; ended ones too. */
    hashesOf(tenantId: string, keyId?: string): readonly string[] {
      const rows = sql.exec<{ hash: string }>(
        "SELECT hash FROM pointers WHERE tenant = ? AND key_id = coalesce(?, key_id)",
        tenantId,
        keyId ?? null,
      );
      return rows.toArray().map(({ hash }) => hash);
    },

    write(hash: string, place: KeyPlace): void {
      sql.exec(
        "INSERT OR REPLACE INTO pointers (hash, tenant, key_id, valid_until) VALUES (?, ?, ?, ?)",
        hash,
        place.tenantId,
        place.keyId,
        place.validUntil,
      );
    },

    erase(hash: string): void {
      sql.exec("DELETE FROM pointers WHERE hash = ?", hash);
    },
  };
}
