/**
 * The two faces of the directory: `DirectoryApi` is what the admin routes call, with views and thrown GatewayErrors;
 * `DirectoryRpc` is what the Durable Object answers, plain data only, since an error loses its class on the way.
 * directory-client.ts makes the one of the other.
 */

import type { Outcome } from "./rpc-result.ts";
import type { KeyView, ProviderView, RouteView, TenantView } from "../records/record-views.ts";
import type {
  IncomingSecret,
  KeyRecord,
  ProviderRecord,
  ProviderWith,
  StoredTenant,
  TenantWith,
} from "../records/records.ts";
import type { RouteRecord } from "../records/route-record.ts";

export interface PageAsk {
  /** 1 to 1,000. */
  readonly limit: number;
  /** The cursor of the page before; to the reader it is opaque. */
  readonly cursor?: string;
}

/** src/docs/admin-api.md: `cursor` is null on the last page. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly cursor: string | null;
}

/** A record with its revision: the tenant's version when it was last written, and what its etag is made of. */
export interface Versioned<Value> {
  readonly value: Value;
  readonly revision: number;
}

export interface Written<Value> extends Versioned<Value> {
  /** Whether there was none of that name before. */
  readonly created: boolean;
}

export interface AuditEntry {
  /** ISO 8601 in UTC. */
  readonly at: string;
  readonly actor: string;
  /** `tenant.put`, `key.rotate`, … */
  readonly action: string;
  readonly tenant: string;
  /** The key's id, the provider's or route's name; empty for the tenant itself. */
  readonly subject: string;
}

/** What the admin routes call. Bodies come as they were sent; each method throws GatewayErrors. */
export interface DirectoryApi {
  listTenants(page: PageAsk): Promise<Page<TenantView>>;
  getTenant(tenantId: string): Promise<Versioned<TenantView>>;
  putTenant(tenantId: string, body: unknown, ifMatch?: string): Promise<Written<TenantView>>;
  /** RFC 7396 over what `getTenant` shows. */
  patchTenant(tenantId: string, patch: unknown, ifMatch?: string): Promise<Versioned<TenantView>>;
  deleteTenant(tenantId: string, ifMatch?: string): Promise<void>;

  listKeys(tenantId: string, page: PageAsk): Promise<Page<KeyView>>;
  /** The only answer, with `rotateKey`'s, that holds the key itself. */
  createKey(tenantId: string, body: unknown): Promise<KeyView & { readonly key: string }>;
  rotateKey(tenantId: string, keyId: string, body: unknown): Promise<KeyView & { readonly key: string }>;
  deleteKey(tenantId: string, keyId: string): Promise<void>;

  listProviders(tenantId: string, page: PageAsk): Promise<Page<ProviderView>>;
  getProvider(tenantId: string, name: string): Promise<Versioned<ProviderView>>;
  putProvider(
    tenantId: string,
    name: string,
    body: unknown,
    ifMatch?: string,
  ): Promise<Written<ProviderView>>;
  deleteProvider(tenantId: string, name: string, ifMatch?: string): Promise<void>;

  listRoutes(tenantId: string, page: PageAsk): Promise<Page<RouteView>>;
  getRoute(tenantId: string, name: string): Promise<Versioned<RouteView>>;
  putRoute(tenantId: string, name: string, body: unknown, ifMatch?: string): Promise<Written<RouteView>>;
  deleteRoute(tenantId: string, name: string, ifMatch?: string): Promise<void>;

  /** Answers the new epoch. */
  purgeCache(tenantId: string): Promise<number>;
  /** What an operator ordered of something else than the records: `queue.drain`, … */
  noteOrder(tenantId: string, action: string): Promise<void>;
  listAudit(page: PageAsk): Promise<Page<AuditEntry>>;
}

/** Who writes, and on what condition. */
export interface WriteAsk {
  readonly actor: string;
  readonly ifMatch?: string;
}

/** A record of a tenant other than the tenant's own. */
export interface StoredRecords {
  readonly key: KeyRecord;
  readonly provider: ProviderRecord;
  readonly route: RouteRecord;
}
export type StoredKind = keyof StoredRecords;

export interface Named<Value> extends Versioned<Value> {
  readonly name: string;
}

/** What a gateway key's hash leads to. */
export interface KeyPointer {
  readonly tenantId: string;
  readonly keyId: string;
}

/** The methods of the Durable Object. Each write is idempotent in its effect: the runtime may repeat a call. */
export interface DirectoryRpc {
  listTenants(page: PageAsk): Promise<Page<Named<StoredTenant>>>;
  getTenant(tenantId: string): Promise<Versioned<StoredTenant> | undefined>;
  putTenant(
    tenantId: string,
    record: TenantWith<IncomingSecret>,
    ask: WriteAsk,
  ): Promise<Outcome<Written<StoredTenant>>>;
  deleteTenant(tenantId: string, ask: WriteAsk): Promise<Outcome<null>>;

  listRecords<Kind extends StoredKind>(
    tenantId: string,
    kind: Kind,
    page: PageAsk,
  ): Promise<Outcome<Page<Named<StoredRecords[Kind]>>>>;
  getRecord<Kind extends StoredKind>(
    tenantId: string,
    kind: Kind,
    name: string,
  ): Promise<Outcome<Versioned<StoredRecords[Kind]>>>;
  putProvider(
    tenantId: string,
    name: string,
    record: ProviderWith<IncomingSecret>,
    ask: WriteAsk,
  ): Promise<Outcome<Written<ProviderRecord>>>;
  putRoute(
    tenantId: string,
    name: string,
    record: RouteRecord,
    ask: WriteAsk,
  ): Promise<Outcome<Written<RouteRecord>>>;
  addKey(tenantId: string, record: KeyRecord, ask: WriteAsk): Promise<Outcome<KeyRecord>>;
  /** The old hash stays valid for `overlapMs`. */
  rotateKey(
    tenantId: string,
    keyId: string,
    hash: string,
    overlapMs: number,
    ask: WriteAsk,
  ): Promise<Outcome<KeyRecord>>;
  deleteRecord(tenantId: string, kind: StoredKind, name: string, ask: WriteAsk): Promise<Outcome<null>>;

  purgeCache(tenantId: string, ask: WriteAsk): Promise<Outcome<number>>;
  noteOrder(tenantId: string, action: string, ask: WriteAsk): Promise<void>;
  listAudit(page: PageAsk): Promise<Page<AuditEntry>>;

  /** For the data plane, where KV has no answer or an old one. */
  findKey(hash: string): Promise<KeyPointer | undefined>;
  /** A TenantBundle as JSON, just as KV would hold it. */
  readBundle(tenantId: string): Promise<string | undefined>;
}
