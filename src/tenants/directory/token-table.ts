/** The directory's table of admin tokens, as synchronous SQL. It holds digests; the tokens themselves are nowhere. */

import { GatewayError } from "../../errors.ts";
import type { Page, PageAsk } from "./directory-api.ts";
import type { AdminCaller } from "../admin/roles.ts";
import { type TokenRecord, type TokenView, viewToken } from "../admin/token-record.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS admin_tokens (
  id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, record TEXT NOT NULL, used_at INTEGER
) WITHOUT ROWID;`;

/** A write for each use would be one for each query of a dashboard. */
const USED_STEP_MS = 60_000;

/** Far above the people and programs of one deployment; a program that makes one for each of its runs reaches it. */
const MAX_TOKENS = 1000;

interface TokenRow extends Record<string, SqlStorageValue> {
  readonly record: string;
  readonly used_at: number | null;
}

/** `now` is ms since the epoch. */
export function createTokenTable(sql: SqlStorage, now: () => number) {
  sql.exec(SCHEMA);

  function hasExpired(row: TokenRow): boolean {
    const { expiresAt } = read(row);
    return expiresAt !== undefined && Date.parse(expiresAt) <= now();
  }

  /** Expired ones open nothing, so they give way first. */
  function checkCount(): void {
    const rows = sql.exec<TokenRow>("SELECT * FROM admin_tokens").toArray();
    if (rows.length < MAX_TOKENS) return;
    const expired = rows.filter(hasExpired);
    for (const row of expired) sql.exec("DELETE FROM admin_tokens WHERE id = ?", read(row).id);
    if (expired.length > 0) return;
    const message = `A deployment can have at most ${MAX_TOKENS} admin tokens. Delete one first.`;
    throw new GatewayError("conflict", message);
  }

  return {
    /** `hash`: hex of SHA-256 over the whole token. Throws `conflict` where there are as many as there may be. */
    add(record: TokenRecord, hash: string): void {
      checkCount();
      sql.exec(
        "INSERT OR REPLACE INTO admin_tokens (id, hash, tenant, record) VALUES (?, ?, ?, ?)",
        record.id,
        hash,
        record.tenant ?? "",
        JSON.stringify(record),
      );
    },

    /** Throws `not_found`. */
    remove(id: string): TokenRecord {
      const [row] = sql.exec<TokenRow>("DELETE FROM admin_tokens WHERE id = ? RETURNING *", id).toArray();
      if (row === undefined)
        throw new GatewayError("not_found", `There is no token "${id}".`, { param: "id" });
      return read(row);
    },

    /** A later tenant of the same name must not be opened by them. */
    eraseTenant(tenantId: string): void {
      sql.exec("DELETE FROM admin_tokens WHERE tenant = ?", tenantId);
    },

    list({ limit, cursor }: PageAsk): Page<TokenView> {
      const rows = sql
        .exec<TokenRow>(
          "SELECT * FROM admin_tokens WHERE id > ? ORDER BY id LIMIT ?",
          cursor ?? "",
          limit + 1,
        )
        .toArray();
      const items = rows.slice(0, limit).map((row) => viewToken(read(row), row.used_at));
      return { items, cursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
    },

    /** Who a token's hash stands for, unless it has expired. Notes the use. */
    use(hash: string): AdminCaller | undefined {
      const [row] = sql.exec<TokenRow>("SELECT * FROM admin_tokens WHERE hash = ?", hash).toArray();
      if (row === undefined || hasExpired(row)) return undefined;
      const { id, createdAt: _created, masked: _masked, ...shown } = read(row);
      const at = now();
      if (at - (row.used_at ?? 0) >= USED_STEP_MS)
        sql.exec("UPDATE admin_tokens SET used_at = ? WHERE hash = ?", at, hash);
      return { actor: id, ...shown };
    },

    /** Whether there is a token of this id that has not expired. */
    isValid(id: string): boolean {
      const [row] = sql.exec<TokenRow>("SELECT * FROM admin_tokens WHERE id = ?", id).toArray();
      return row !== undefined && !hasExpired(row);
    },
  };
}

function read({ record }: TokenRow): TokenRecord {
  // Only `add` fills this column.
  return JSON.parse(record) as TokenRecord;
}
