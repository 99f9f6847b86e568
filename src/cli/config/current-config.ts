/** What a gateway has now, read by its admin API. Credentials are masks, as GET shows them. */

import { type Connection, listRecords, readRecord } from "../connection.ts";

/** A record as GET shows it, without what only the gateway sets. */
export type ShownRecord = Readonly<Record<string, unknown>>;

export interface CurrentTenant {
  /** Undefined where there is no such tenant. */
  readonly record: ShownRecord | undefined;
  readonly providers: ReadonlyMap<string, ShownRecord>;
  readonly routes: ReadonlyMap<string, ShownRecord>;
  readonly keys: readonly CurrentKey[];
}

export interface CurrentKey {
  readonly id: string;
  readonly name: string;
  readonly record: ShownRecord;
}

const NOTHING: CurrentTenant = { record: undefined, providers: new Map(), routes: new Map(), keys: [] };

export async function readCurrentTenant(connection: Connection, tenant: string): Promise<CurrentTenant> {
  const path = `/admin/tenants/${tenant}`;
  const record = await readRecord(connection, path);
  if (record === undefined) return NOTHING;
  const [providers, routes, keys] = await Promise.all(
    ["providers", "routes", "keys"].map((list) => listRecords(connection, `${path}/${list}`)),
  );
  return {
    record: without(record, ["id", "etag", "effectiveLimits"]),
    providers: byName(providers ?? []),
    routes: byName(routes ?? []),
    keys: (keys ?? []).map((key) => ({
      id: String(key["id"]),
      name: String(key["name"]),
      record: without(key, ["id", "name", "etag", "createdAt", "lastUsedAt"]),
    })),
  };
}

function byName(records: readonly Record<string, unknown>[]): ReadonlyMap<string, ShownRecord> {
  return new Map(records.map((record) => [String(record["name"]), without(record, ["name", "etag"])]));
}

function without(record: Record<string, unknown>, names: readonly string[]): ShownRecord {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
}
