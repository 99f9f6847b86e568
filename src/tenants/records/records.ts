/**
 * The records an operator writes, as zod schemas: src/docs/records.md. Unknown fields are refused by name, so that
 * a misspelt limit is an error and not a limit that is silently absent. Pure; no KV, no crypto.
 */

import * as z from "zod/mini";
import { headersSchema, nativeSchema, optionsSchema, secretText } from "./account-record.ts";
import { alertsSchema, type AlertsWith, objectivesSchema } from "./alerts-record.ts";
import { budgetSchema, limitsSchema } from "./limits-record.ts";
import { pricesSchema } from "./price-record.ts";
import { labelText, recordName as NAME } from "./record-name.ts";
import type { RouteRecord } from "./route-record.ts";
import { type DestinationInput, tracingSchema } from "./tracing-record.ts";

const MIN_TTL_SECONDS = 60;
const MAX_TTL_SECONDS = 2_592_000;
/** KV's minimum is 60 s; 30 days is the contract's maximum. */
export const ttlSeconds = z.int().check(z.minimum(MIN_TTL_SECONDS), z.maximum(MAX_TTL_SECONDS));

const cacheSchema = z.strictObject({
  /** `never`: no header of a request turns it on. */
  enabled: z._default(z.union([z.boolean(), z.literal("never")]), false),
  ttlSeconds: z._default(ttlSeconds, 3600),
  coalesce: z._default(z.boolean(), false),
  /** Answers that call tools are stored too: right only where the tools have no side effects. */
  toolCalls: z._default(z.boolean(), false),
  /** Who is answered from the semantic cache and by idempotency keys: each key its own, or all keys of the tenant. */
  share: z._default(z.enum(["key", "tenant"]), "key"),
});

/** What `PUT /admin/tenants/{tenant}` takes. Defaults are filled in, so a stored record is whole. */
export const tenantSchema = z.strictObject({
  name: z.optional(labelText.check(z.minLength(1), z.maxLength(200))),
  status: z._default(z.enum(["active", "suspended"]), "active"),
  limits: z._default(limitsSchema, {}),
  budget: z.optional(budgetSchema),
  alerts: z.exactOptional(alertsSchema),
  objectives: z.exactOptional(objectivesSchema),
  prices: z.optional(pricesSchema),
  cache: z.prefault(cacheSchema, {}),
  tracing: z.prefault(tracingSchema, {}),
  defaultRoute: z.optional(NAME),
  /** What happens to requests while the queue object is unreachable: src/docs/queue.md, "Failure". */
  onQueueError: z._default(z.enum(["open", "closed"]), "open"),
});
export type TenantRecord = z.infer<typeof tenantSchema>;

/** What `PUT …/providers/{name}` takes. `apiKey` is write-only: it is sealed before it is stored. */
export const providerSchema = z.strictObject({
  /** One of src/providers/registry.ts: checked in parse-record.ts, since the registry is above the records. */
  kind: z.string(),
  baseUrl: z.optional(z.url()),
  apiKey: z.optional(secretText.check(z.minLength(1))),
  headers: headersSchema,
  options: z._default(optionsSchema, {}),
  propagateTrace: z._default(z.boolean(), false),
  /** Whether a client's own credential at the vendor is used in place of the account's: src/docs/agents.md. */
  passthroughAuth: z.exactOptional(z.boolean()),
  /** Whether answers are searched for the account's credential: src/docs/records.md. */
  scrubAnswers: z.exactOptional(z.boolean()),
  native: z.exactOptional(nativeSchema),
});
export type ProviderInput = z.infer<typeof providerSchema>;

/** A key's labels are on every root span of its requests. */
const MAX_METADATA_PAIRS = 16;

/** What a key may call: the endpoints of the data plane. */
export const ENDPOINTS = [
  "chat",
  "completions",
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
  name: labelText.check(z.minLength(1), z.maxLength(200)),
  /** Absent: active. */
  status: z.exactOptional(z.enum(["active", "paused"])),
  expiresAt: z.optional(z.iso.datetime()),
  /** Names or `prefix*` patterns of routes and `provider/model`s; absent means all. */
  allowedModels: z.optional(
    z.array(z.string().check(z.minLength(1), z.maxLength(256))).check(z.maxLength(100)),
  ),
  /** Absent: all, but not `native` where `allowedModels` is set. */
  endpoints: z.exactOptional(z.array(z.enum(ENDPOINTS)).check(z.maxLength(ENDPOINTS.length))),
  limits: z.optional(limitsSchema),
  budget: z.optional(budgetSchema),
  metadata: z.optional(
    z
      .record(labelText.check(z.minLength(1), z.maxLength(64)), labelText.check(z.maxLength(256)))
      .check(
        z.refine(
          (pairs) => Object.keys(pairs).length <= MAX_METADATA_PAIRS,
          `must be at most ${MAX_METADATA_PAIRS}`,
        ),
      ),
  ),
});

const MAX_OVERLAP_SECONDS = 2_592_000;
/** What `POST …/keys/{id}/rotate` takes; the old key stays valid for that long, at most 30 days. */
export const rotationSchema = z.strictObject({
  overlapSeconds: z._default(z.int().check(z.nonnegative(), z.maximum(MAX_OVERLAP_SECONDS)), 0),
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
  /** How many tenants of this name were deleted before; absent: none. */
  readonly generation?: number;
  /** Of the deployment's rules in `tenant.limits`: limit-rules.ts. Never stored. */
  readonly limitRulesId?: string;
}
