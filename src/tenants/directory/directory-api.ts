/**
 * The two interfaces of the directory: the admin routes call `DirectoryApi`, with views and thrown GatewayErrors; the
 * Durable Object has `DirectoryRpc`, plain data only, since an error loses its class over RPC. directory-client.ts is
 * between them.
 */

import type { AdminCaller } from "../admin/roles.ts";
import type { TokenRecord, TokenView } from "../admin/token-record.ts";
import type { ErasureView } from "./erasures.ts";
import type { RpcResult } from "./rpc-result.ts";
import type { KeyView, ProviderView, RouteView, TenantView } from "../records/record-views.ts";
import type {
  IncomingSecret,
  KeyInput,
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
  /** The cursor of the page before; opaque to clients. */
  readonly cursor?: string;
  /** Only what belongs to this tenant. */
  readonly tenant?: string;
}

/** `cursor` is null on the last page. */
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
  /** Whether the record is new. */
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

/** Which master keys there are, and how many secrets each has sealed. */
export interface MasterKeysView {
  /** `blocked`: what is left can't be opened with any key that is set; those secrets have to be sent again. */
  readonly status: "done" | "running" | "blocked";
  readonly keys: readonly {
    /** Null for what was sealed by versions that named no key. */
    readonly id: string | null;
    /** `seals`: MASTER_KEY; `opens`: the next or the previous one; `unknown`: none that is set. */
    readonly use: "seals" | "opens" | "unknown";
    readonly secrets: number;
  }[];
  /** Secrets that are not yet under MASTER_KEY. */
  readonly remaining: number;
  /** At most 100 records; `name` is empty for the trace destinations of the tenant itself. */
  readonly unreadable: readonly {
    readonly tenant: string;
    readonly kind: "tenant" | "provider";
    readonly name: string;
  }[];
}

/** Bodies are unchecked, as they were sent; each method throws GatewayErrors. */
export interface DirectoryApi {
  listTenants(page: PageAsk): Promise<Page<TenantView>>;
  getTenant(tenantId: string): Promise<Versioned<TenantView>>;
  putTenant(tenantId: string, body: unknown, ifMatch?: string): Promise<Written<TenantView>>;
  /** RFC 7396 over what `getTenant` shows. */
  patchTenant(tenantId: string, patch: unknown, ifMatch?: string): Promise<Versioned<TenantView>>;
  /** Returns the id of the erasure that follows. */
  deleteTenant(tenantId: string, ifMatch?: string): Promise<string>;
  /** Throws `not_found`. */
  getErasure(id: string): Promise<ErasureView>;

  listKeys(tenantId: string, page: PageAsk): Promise<Page<KeyView>>;
  /** Only this answer and `rotateKey`'s hold the key itself. */
  createKey(tenantId: string, body: unknown): Promise<KeyView & { readonly key: string }>;
  rotateKey(tenantId: string, keyId: string, body: unknown): Promise<KeyView & { readonly key: string }>;
  /** RFC 7396 over what `listKeys` shows; the key itself stays. */
  patchKey(tenantId: string, keyId: string, patch: unknown, ifMatch?: string): Promise<Versioned<KeyView>>;
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

  /** Returns the new epoch. */
  purgeCache(tenantId: string): Promise<number>;
  /** Audits what happened to something other than records: `queue.drain`, `admin.refused`, … */
  noteOrder(tenantId: string, action: string, subject?: string): Promise<void>;
  listAudit(page: PageAsk): Promise<Page<AuditEntry>>;
  getMasterKeys(): Promise<MasterKeysView>;
  readonly tokens: TokensApi;
}

/** Bodies are unchecked, as they were sent; each method throws GatewayErrors. */
export interface TokensApi {
  /** Only this answer holds the token itself. */
  create(body: unknown): Promise<TokenView>;
  list(page: PageAsk): Promise<Page<TokenView>>;
  delete(id: string): Promise<void>;
}

/** Who writes. */
export interface Writer {
  readonly actor: string;
}

/** Who writes, and under which condition. */
export interface WriteAsk extends Writer {
  readonly ifMatch?: string;
  /** Of `noteOrder`: it is audited once, however often it is reported. */
  readonly isOnce?: boolean;
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

/** The key that a hash belongs to. */
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
  ): Promise<RpcResult<Written<StoredTenant>>>;
  deleteTenant(tenantId: string, ask: WriteAsk): Promise<RpcResult<string>>;
  getErasure(id: string): Promise<ErasureView | undefined>;

  listRecords<Kind extends StoredKind>(
    tenantId: string,
    kind: Kind,
    page: PageAsk,
  ): Promise<RpcResult<Page<Named<StoredRecords[Kind]>>>>;
  getRecord<Kind extends StoredKind>(
    tenantId: string,
    kind: Kind,
    name: string,
  ): Promise<RpcResult<Versioned<StoredRecords[Kind]>>>;
  putProvider(
    tenantId: string,
    name: string,
    record: ProviderWith<IncomingSecret>,
    ask: WriteAsk,
  ): Promise<RpcResult<Written<ProviderRecord>>>;
  putRoute(
    tenantId: string,
    name: string,
    record: RouteRecord,
    ask: WriteAsk,
  ): Promise<RpcResult<Written<RouteRecord>>>;
  addKey(tenantId: string, record: KeyRecord, ask: WriteAsk): Promise<RpcResult<KeyRecord>>;
  /** The old hash stays valid for `overlapMs`. */
  rotateKey(
    tenantId: string,
    keyId: string,
    hash: string,
    overlapMs: number,
    ask: WriteAsk,
  ): Promise<RpcResult<KeyRecord>>;
  /** All of the record but what makes it this key. */
  putKey(
    tenantId: string,
    keyId: string,
    input: KeyInput,
    ask: WriteAsk,
  ): Promise<RpcResult<Versioned<KeyRecord>>>;
  deleteRecord(tenantId: string, kind: StoredKind, name: string, ask: WriteAsk): Promise<RpcResult<null>>;

  purgeCache(tenantId: string, ask: WriteAsk): Promise<RpcResult<number>>;
  noteOrder(tenantId: string, action: string, subject: string, ask: WriteAsk): Promise<void>;
  listAudit(page: PageAsk): Promise<Page<AuditEntry>>;
  getMasterKeys(): Promise<MasterKeysView>;

  /** `hash`: hex of SHA-256 over the whole token. */
  addToken(record: TokenRecord, hash: string, ask: WriteAsk): Promise<RpcResult<null>>;
  listTokens(page: PageAsk): Promise<Page<TokenView>>;
  deleteToken(id: string, ask: WriteAsk): Promise<RpcResult<null>>;
  /** Who a token's hash belongs to, unless the token has expired. */
  useToken(hash: string): Promise<AdminCaller | undefined>;
  /** Whether a token is neither revoked nor expired, by its id. */
  isTokenValid(id: string): Promise<boolean>;

  /** For the data plane, where KV has no answer or an old one. */
  findKey(hash: string): Promise<KeyPointer | undefined>;
  /** A TenantBundle as JSON, as KV holds it. */
  readBundle(tenantId: string): Promise<string | undefined>;
}
