/**
 * The records an operator writes, as zod schemas: src/docs/records.md. Unknown fields are refused by name, so that
 * a misspelt limit is an error and not a limit that is silently absent. Pure; no KV, no crypto.
 */

import * as z from "zod";
import { headersSchema, nativeSchema, optionsSchema, secretText } from "./account-record.ts";
import { alertsSchema, type AlertsWith } from "./alerts-record.ts";
import { budgetSchema, limitsSchema } from "./limits-record.ts";
import { pricesSchema } from "./price-record.ts";
import { labelText, recordName as NAME } from "./record-name.ts";
import type { RouteRecord } from "./route-record.ts";
import { type DestinationInput, tracingSchema } from "./tracing-record.ts";

const MIN_TTL_SECONDS = 60;
const MAX_TTL_SECONDS = 2_592_000;
/** KV's minimum is 60 s; 30 days is the contract's maximum. */
export const ttlSeconds = z.int().min(MIN_TTL_SECONDS).max(MAX_TTL_SECONDS);

const cacheSchema = z.strictObject({
  /** `never`: no header of a request turns it on. */
  enabled: z.union([z.boolean(), z.literal("never")]).default(false),
  ttlSeconds: ttlSeconds.default(3600),
  coalesce: z.boolean().default(false),
  /** Answers that call tools are stored too: right only where the tools have no side effects. */
  toolCalls: z.boolean().default(false),
  /** Who is answered from the semantic cache and by idempotency keys: each key its own, or all keys of the tenant. */
  share: z.enum(["key", "tenant"]).default("key"),
});

/** What `PUT /admin/tenants/{tenant}` takes. Defaults are filled in, so a stored record is whole. */
export const tenantSchema = z.strictObject({
  name: labelText.min(1).max(200).optional(),
  status: z.enum(["active", "suspended"]).default("active"),
  limits: limitsSchema.default({}),
  budget: budgetSchema.optional(),
  alerts: alertsSchema.exactOptional(),
  prices: pricesSchema.optional(),
  cache: cacheSchema.prefault({}),
  tracing: tracingSchema.prefault({}),
  defaultRoute: NAME.optional(),
  /** What happens to requests while the queue object is unreachable: src/docs/queue.md, "Failure". */
  onQueueError: z.enum(["open", "closed"]).default("open"),
});
export type TenantRecord = z.infer<typeof tenantSchema>;

/** What `PUT …/providers/{name}` takes. `apiKey` is write-only: it is sealed before it is stored. */
export const providerSchema = z.strictObject({
  /** One of src/providers/registry.ts: checked in parse-record.ts, since the registry is above the records. */
  kind: z.string(),
  baseUrl: z.url().optional(),
  apiKey: secretText.min(1).optional(),
  headers: headersSchema,
  options: optionsSchema.default({}),
  propagateTrace: z.boolean().default(false),
  native: nativeSchema.exactOptional(),
});
export type ProviderInput = z.infer<typeof providerSchema>;

/** A key's labels are on every root span of its requests. */
const MAX_METADATA_PAIRS = 16;

/** What a key may call: the endpoints of the data plane. */
export const ENDPOINTS = [
  "chat",
  "responses",
  "messages",
  "gemini",
  "embeddings",
  "images",
  "audio",
  "moderations",
  "rerank",
  "realtime",
  "files",
  "batches",
  "native",
  "models",
] as const;
export type Endpoint = (typeof ENDPOINTS)[number];

/** What `POST …/keys` takes. */
export const keySchema = z.strictObject({
  name: labelText.min(1).max(200),
  /** Absent: active. */
  status: z.enum(["active", "paused"]).exactOptional(),
  expiresAt: z.iso.datetime().optional(),
  /** Names or `prefix*` patterns of routes and `provider/model`s; absent means all. */
  allowedModels: z.array(z.string().min(1).max(256)).max(100).optional(),
  /** Absent: all, but not `native` where `allowedModels` is set. */
  endpoints: z.array(z.enum(ENDPOINTS)).max(ENDPOINTS.length).exactOptional(),
  limits: limitsSchema.optional(),
  budget: budgetSchema.optional(),
  metadata: z
    .record(labelText.min(1).max(64), labelText.max(256))
    .refine(
      (pairs) => Object.keys(pairs).length <= MAX_METADATA_PAIRS,
      `must be at most ${MAX_METADATA_PAIRS}`,
    )
    .optional(),
});

const MAX_OVERLAP_SECONDS = 2_592_000;
/** What `POST …/keys/{id}/rotate` takes; the old key stays valid for that long, at most 30 days. */
export const rotationSchema = z.strictObject({
  overlapSeconds: z.int().nonnegative().max(MAX_OVERLAP_SECONDS).default(0),
});

export type KeyInput = z.infer<typeof keySchema>;

/** A key as it is stored: the secret only as SHA-256. */
export interface KeyRecord extends KeyInput {
  readonly id: string;
  /** Hex of SHA-256 over the whole key. After a rotation with overlap, `previous` holds the old hash. */
  readonly hash: string;
  readonly previous?: { readonly hash: string; readonly validUntil: number };
  readonly createdAt: string;
}

/** A secret as it is stored. */
export interface SealedSecret {
  /** `base64(nonce ‖ ciphertext ‖ tag)`, AES-256-GCM under MASTER_KEY with its place as additional data: sealing.ts. */
  readonly sealed: string;
  /** `sk-…9f2c`: what GET shows. */
  readonly masked: string;
}

/** A secret in a request: one without `sealed` is a mask that was sent back and means "keep the stored one". */
export interface IncomingSecret {
  readonly sealed?: string;
  readonly masked: string;
}

/** A provider with its secrets as `Secret`: sealed when stored, perhaps only masked in a request. */
export interface ProviderWith<Secret> extends Omit<ProviderInput, "apiKey" | "headers"> {
  readonly apiKey?: Secret;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, Secret>>;
}

/** A provider as it is stored: no credential in the clear. */
export type ProviderRecord = ProviderWith<SealedSecret>;

/** A trace destination with its header values as `Secret`. */
export interface DestinationWith<Secret> extends Omit<DestinationInput, "headers"> {
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, Secret>>;
}

/** A tenant with its destinations' header values and its webhook's secret as `Secret`. */
export interface TenantWith<Secret> extends Omit<TenantRecord, "tracing" | "alerts"> {
  readonly alerts?: AlertsWith<Secret>;
  readonly tracing: Omit<TenantRecord["tracing"], "destinations"> & {
    readonly destinations: readonly DestinationWith<Secret>[];
  };
}

/** A tenant as it is stored. */
export type StoredTenant = TenantWith<SealedSecret>;

/** Everything the data plane needs of a tenant, in one value: what KV holds under `tenant/{id}`. */
export interface TenantBundle {
  readonly id: string;
  /** Grows by one with each change of any record of the tenant. */
  readonly version: number;
  readonly tenant: StoredTenant;
  readonly keys: readonly KeyRecord[];
  readonly providers: Readonly<Record<string, ProviderRecord>>;
  readonly routes: Readonly<Record<string, RouteRecord>>;
  /** Bumped by a cache purge; part of each cache key. */
  readonly cacheEpoch: number;
  /** Of the deployment's rules in `tenant.limits`: limit-rules.ts. Never stored. */
  readonly limitRulesId?: string;
}
