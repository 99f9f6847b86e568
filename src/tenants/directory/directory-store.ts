/**
 * The directory's tables of records, as synchronous SQL: the caller runs one change in one transaction. No KV, no RPC, no
 * secret in the clear. src/storage.md lists the tables; key hashes are in
 * key-pointers.ts, the audit in audit-log.ts.
 */

import { GatewayError } from "../../errors.ts";
import { tenantNotFound } from "../bundle.ts";
import type { Named, Page, PageAsk, StoredKind, StoredRecords, Versioned } from "./directory-api.ts";
import type { ProviderRecord, StoredTenant } from "../records/records.ts";
import { createSealIndex } from "./seal-index.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS tenants (
  id TEXT PRIMARY KEY, version INTEGER NOT NULL, revision INTEGER NOT NULL, cache_epoch INTEGER NOT NULL, record TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
  tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (tenant, kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generations (tenant TEXT PRIMARY KEY, deleted INTEGER NOT NULL) WITHOUT ROWID;`;

/** Each isolate keeps all keys of a tenant. */
const MAX_KEYS = 1000;
/** One record must fit a row (2 MB) with room to spare. */
const MAX_RECORD_CHARS = 256 * 1024;
/** Each isolate parses a tenant's bundle every 30 s, and KV holds it as one value: a few ms, far below KV's 25 MiB. */
const MAX_BUNDLE_CHARS = 4 * 1024 * 1024;

/** A tenant's row; `record` is null after its deletion, so that version and cache epoch never decrease. */
interface TenantRow extends Record<string, SqlStorageValue> {
  readonly version: number;
  readonly revision: number;
  readonly cache_epoch: number;
  readonly record: string | null;
}

export type DirectoryStore = ReturnType<typeof createDirectoryStore>;

export function createDirectoryStore(sql: SqlStorage) {
  sql.exec(SCHEMA);
  const seals = createSealIndex(sql);
  if (seals.isNew) indexSeals();

  /** Once, for the records of versions before the index. */
  function indexSeals(): void {
    for (const { id, record } of sql.exec<{ id: string; record: string }>(
      "SELECT id, record FROM tenants WHERE record IS NOT NULL",
    ))
      seals.noteTenant(id, read(record));
    for (const { tenant, name, record } of sql.exec<{ tenant: string; name: string; record: string }>(
      "SELECT tenant, name, record FROM records WHERE kind = 'provider'",
    ))
      seals.noteProvider(tenant, name, read(record));
  }

  function tenantRow(id: string): TenantRow | undefined {
    return sql
      .exec<TenantRow>("SELECT version, revision, cache_epoch, record FROM tenants WHERE id = ?", id)
      .toArray()[0];
  }

  function getTenant(id: string): Versioned<StoredTenant> | undefined {
    const row = tenantRow(id);
    return row?.record == null ? undefined : { value: read(row.record), revision: row.revision };
  }

  /** Throws `not_found` that names the tenant. */
  function requireTenant(id: string): Versioned<StoredTenant> {
    const tenant = getTenant(id);
    if (tenant === undefined) throw tenantNotFound(id);
    return tenant;
  }

  function find<Kind extends StoredKind>(
    tenantId: string,
    kind: Kind,
    name: string,
  ): Versioned<StoredRecords[Kind]> | undefined {
    const row = sql
      .exec<{ revision: number; record: string }>(
        "SELECT revision, record FROM records WHERE tenant = ? AND kind = ? AND name = ?",
        tenantId,
        kind,
        name,
      )
      .toArray()[0];
    return row === undefined ? undefined : { value: read(row.record), revision: row.revision };
  }

  /** Throws `not_found` that names the tenant or the record. */
  function requireRecord<Kind extends StoredKind>(
    tenantId: string,
    kind: Kind,
    name: string,
  ): Versioned<StoredRecords[Kind]> {
    requireTenant(tenantId);
    const found = find(tenantId, kind, name);
    if (found !== undefined) return found;
    throw new GatewayError("not_found", `The tenant "${tenantId}" has no ${kind} "${name}".`);
  }

  /** Writes and returns the tenant's next version. Each change of any of its records calls this first. */
  function nextVersion(tenantId: string): number {
    return sql
      .exec<{ version: number }>(
        `INSERT INTO tenants (id, version, revision, cache_epoch) VALUES (?, 1, 0, 0)
         ON CONFLICT (id) DO UPDATE SET version = version + 1 RETURNING version`,
        tenantId,
      )
      .one().version;
  }

  /** How many tenants of the name were deleted: the generation of the one that there is, or will be. */
  function generation(tenantId: string): number {
    const [row] = sql
      .exec<{ deleted: number }>("SELECT deleted FROM generations WHERE tenant = ?", tenantId)
      .toArray();
    return row?.deleted ?? 0;
  }

  /** The TenantBundle as JSON, built from the rows' JSON without parsing it. */
  function readBundle(tenantId: string): string | undefined {
    const row = tenantRow(tenantId);
    if (row?.record == null) return undefined;
    const parts: Record<StoredKind, string[]> = { key: [], provider: [], route: [] };
    for (const each of sql.exec<{ kind: StoredKind; name: string; record: string }>(
      "SELECT kind, name, record FROM records WHERE tenant = ?",
      tenantId,
    )) {
      parts[each.kind].push(
        each.kind === "key" ? each.record : `${JSON.stringify(each.name)}:${each.record}`,
      );
    }
    const { key, provider, route } = parts;
    const deleted = generation(tenantId);
    const generationField = deleted === 0 ? "" : `,"generation":${deleted}`;
    return (
      `{"id":${JSON.stringify(tenantId)},"version":${row.version},"cacheEpoch":${row.cache_epoch}${generationField}` +
      `,"tenant":${row.record},"keys":[${key.join()}],"providers":{${provider.join()}},"routes":{${route.join()}}}`
    );
  }

  return {
    getTenant,
    requireTenant,
    find,
    requireRecord,
    seals,
    nextVersion,
    readBundle,
    generation,

    /** The version of a tenant, deleted ones too; 0 for one that never was. */
    version: (tenantId: string): number => tenantRow(tenantId)?.version ?? 0,

    listTenants(page: PageAsk): Page<Named<StoredTenant>> {
      const rows = sql
        .exec<{ name: string; revision: number; record: string }>(
          "SELECT id AS name, revision, record FROM tenants WHERE record IS NOT NULL AND id > ? AND id = coalesce(?, id) ORDER BY id LIMIT ?",
          page.cursor ?? "",
          page.tenant ?? null,
          page.limit + 1,
        )
        .toArray();
      return toPage(rows, page.limit);
    },

    writeTenant(id: string, revision: number, record: StoredTenant): void {
      const text = write(record);
      sql.exec("UPDATE tenants SET revision = ?, record = ? WHERE id = ?", revision, text, id);
      seals.noteTenant(id, record);
    },

    /** Erases the tenant and all of its records; a later one of the same name is another generation and cache epoch. */
    eraseTenant(id: string): void {
      sql.exec("UPDATE tenants SET record = NULL, cache_epoch = cache_epoch + 1 WHERE id = ?", id);
      sql.exec(
        "INSERT INTO generations (tenant, deleted) VALUES (?, 1) ON CONFLICT (tenant) DO UPDATE SET deleted = deleted + 1",
        id,
      );
      sql.exec("DELETE FROM records WHERE tenant = ?", id);
      seals.eraseTenant(id);
    },

    bumpCacheEpoch(tenantId: string): number {
      return sql
        .exec<{ epoch: number }>(
          "UPDATE tenants SET cache_epoch = cache_epoch + 1 WHERE id = ? RETURNING cache_epoch AS epoch",
          tenantId,
        )
        .one().epoch;
    },

    listRecords<Kind extends StoredKind>(
      tenantId: string,
      kind: Kind,
      page: PageAsk,
    ): Page<Named<StoredRecords[Kind]>> {
      const rows = sql
        .exec<{ name: string; revision: number; record: string }>(
          "SELECT name, revision, record FROM records WHERE tenant = ? AND kind = ? AND name > ? ORDER BY name LIMIT ?",
          tenantId,
          kind,
          page.cursor ?? "",
          page.limit + 1,
        )
        .toArray();
      return toPage(rows, page.limit);
    },

    /** Throws `conflict` where a tenant has as many keys as it can have. */
    checkKeyCount(tenantId: string): void {
      const { count } = sql
        .exec<{ count: number }>(
          "SELECT count(*) AS count FROM records WHERE tenant = ? AND kind = 'key'",
          tenantId,
        )
        .one();
      if (count < MAX_KEYS) return;
      throw new GatewayError("conflict", `A tenant can have at most ${MAX_KEYS} keys. Delete one first.`);
    },

    writeRecord<Kind extends StoredKind>(
      tenantId: string,
      kind: Kind,
      name: string,
      revision: number,
      record: StoredRecords[Kind],
    ): void {
      sql.exec(
        "INSERT OR REPLACE INTO records (tenant, kind, name, revision, record) VALUES (?, ?, ?, ?, ?)",
        tenantId,
        kind,
        name,
        revision,
        write(record),
      );
      // The type can't tell which record belongs to which kind.
      if (kind === "provider") seals.noteProvider(tenantId, name, record as ProviderRecord);
    },

    eraseRecord(tenantId: string, kind: StoredKind, name: string): void {
      sql.exec("DELETE FROM records WHERE tenant = ? AND kind = ? AND name = ?", tenantId, kind, name);
      if (kind === "provider") seals.eraseProvider(tenantId, name);
    },

    /** Throws `invalid_request` where a tenant's records are larger than isolates can keep, which rolls the change back. */
    checkSize(tenantId: string): void {
      const size = readBundle(tenantId)?.length ?? 0;
      if (size <= MAX_BUNDLE_CHARS) return;
      throw new GatewayError(
        "invalid_request",
        `The tenant's records would have ${size} characters in total; the maximum is ${MAX_BUNDLE_CHARS}. Delete records first.`,
      );
    },
  };
}

function toPage<Value>(
  rows: readonly { readonly name: string; readonly revision: number; readonly record: string }[],
  limit: number,
): Page<Named<Value>> {
  const shown = rows.slice(0, limit);
  return {
    items: shown.map(({ name, revision, record }) => ({ name, revision, value: read(record) })),
    cursor: rows.length > limit ? (shown.at(-1)?.name ?? null) : null,
  };
}

function write(record: object): string {
  const text = JSON.stringify(record);
  if (text.length <= MAX_RECORD_CHARS) return text;
  throw new GatewayError("invalid_request", `A record can have at most ${MAX_RECORD_CHARS} characters.`);
}

function read<Value>(text: string): Value {
  // Only `write` fills these columns, from values of the type that the reader expects.
  return JSON.parse(text) as Value;
}
