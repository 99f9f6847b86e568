/**
 * The records an operator writes, as zod schemas: src/docs/records.md. Unknown fields are refused by name, so that
 * a misspelt limit is an error and not a limit that is silently absent. Pure; no KV, no crypto.
 */

import * as z from "zod";
import { findDestinationFaults, PRESET_NAMES } from "./destination-presets.ts";
import { pricesSchema } from "./price-record.ts";
import { isMask } from "./sealing.ts";
import { label, recordName as NAME, urlName } from "./record-name.ts";
import type { RouteRecord } from "./route-record.ts";

const count = z.int().positive();
const MAX_BODY_BYTES = 100 * 1024 * 1024;
const MAX_WAIT_MS = 300_000;
const MAX_DEPTH = 10_000;

export const limitsSchema = z.strictObject({
  requestsPerMinute: count.optional(),
  burst: count.optional(),
  tokensPerMinute: count.optional(),
  concurrency: count.optional(),
  maxBodyBytes: count.max(MAX_BODY_BYTES).optional(),
  queue: z
    .strictObject({
      maxDepth: z.int().nonnegative().max(MAX_DEPTH).optional(),
      maxWaitMs: z.int().nonnegative().max(MAX_WAIT_MS).optional(),
    })
    .optional(),
});

/** A day: an override is for an incident or a launch; a lasting change belongs in the record. */
const MAX_RAISE_SECONDS = 86_400;
const MAX_DRAIN_SECONDS = 3600;

/** What `POST …/queue/limits` takes: limits that replace the record's for a time; 0 seconds ends it. */
export const raiseSchema = z.strictObject({
  limits: limitsSchema.omit({ maxBodyBytes: true }),
  forSeconds: z.int().nonnegative().max(MAX_RAISE_SECONDS),
});

/** What `POST …/queue/drain` takes: no new requests for a time; the waiting ones finish or are dropped; 0 ends it. */
export const drainSchema = z.strictObject({
  forSeconds: z.int().nonnegative().max(MAX_DRAIN_SECONDS),
  waiting: z.enum(["finish", "drop"]).default("finish"),
});
export type RaiseRecord = z.infer<typeof raiseSchema>;
export type DrainRecord = z.infer<typeof drainSchema>;

const budgetSchema = z.strictObject({
  usd: z.number().positive(),
  period: z.enum(["day", "week", "month"]),
  onExceeded: z.enum(["reject", "alert"]).default("reject"),
});

const MIN_TTL_SECONDS = 60;
const MAX_TTL_SECONDS = 2_592_000;
/** KV's minimum is 60 s; 30 days is the contract's maximum. */
export const ttlSeconds = z.int().min(MIN_TTL_SECONDS).max(MAX_TTL_SECONDS);

const cacheSchema = z.strictObject({
  enabled: z.boolean().default(false),
  ttlSeconds: ttlSeconds.default(3600),
  coalesce: z.boolean().default(false),
  /** Answers that call tools are stored too: right only where the tools have no side effects. */
  toolCalls: z.boolean().default(false),
});

const MAX_SECRET_CHARS = 8192;
const MAX_HEADERS = 32;

/** What `fetch` takes as a header name (RFC 9110 token) and value; `…` is accepted because it marks a mask. */
const headerName = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, "must be an HTTP header name");
const secretText = z
  .string()
  .max(MAX_SECRET_CHARS)
  .regex(/^[\t\x20-\x7e…]*$/, "must be printable ASCII");

/** Headers may carry credentials, so each value is sealed as an API key is. */
const headersSchema = z
  .record(headerName, secretText)
  .refine((headers) => Object.keys(headers).length <= MAX_HEADERS, `must be at most ${MAX_HEADERS}`)
  .default({});

const contentMode = z.enum(["off", "redacted", "full"]);

const destinationSchema = z
  .strictObject({
    name: NAME,
    preset: z.enum(PRESET_NAMES).default("otlp"),
    /** Where absent, the preset's own. */
    endpoint: z.url().optional(),
    headers: headersSchema,
    gzip: z.boolean().default(false),
    /** Whether prompts and answers are sent; never more than the tenant's own `content`. */
    content: contentMode.default("off"),
  })
  .superRefine((destination, context) => {
    for (const { path, message } of findDestinationFaults(destination, isMask)) {
      context.addIssue({ code: "custom", path: [...path], message });
    }
  });

type DestinationInput = z.infer<typeof destinationSchema>;

const tracingSchema = z.strictObject({
  sampleRatio: z.number().min(0).max(1).default(1),
  alwaysKeep: z
    .array(z.enum(["error", "slow", "queued", "fallback"]))
    .default(["error", "slow", "queued", "fallback"]),
  slowMs: z.int().positive().default(10_000),
  content: contentMode.default("off"),
  store: z
    .strictObject({
      enabled: z.boolean().default(true),
      maxTraces: z.int().positive().max(1_000_000).default(10_000),
      maxAgeHours: z.int().positive().max(8760).default(72),
    })
    .prefault({}),
  destinations: z.array(destinationSchema).max(8).default([]),
});

/** What `PUT /admin/tenants/{tenant}` takes. Defaults are filled in, so a stored record is whole. */
export const tenantSchema = z.strictObject({
  name: label.min(1).max(200).optional(),
  status: z.enum(["active", "suspended"]).default("active"),
  limits: limitsSchema.default({}),
  budget: budgetSchema.optional(),
  prices: pricesSchema.optional(),
  cache: cacheSchema.prefault({}),
  tracing: tracingSchema.prefault({}),
  defaultRoute: NAME.optional(),
  /** What happens to requests while the queue object is unreachable: src/docs/queue.md, "Failure". */
  onQueueError: z.enum(["open", "closed"]).default("open"),
});
export type BudgetRecord = z.infer<typeof budgetSchema>;
export type LimitsRecord = z.infer<typeof limitsSchema>;
export type TenantRecord = z.infer<typeof tenantSchema>;

/** Upstream kinds a provider record may name; each is a file or a row in src/providers/. */
export const PROVIDER_KINDS = [
  "openai",
  "openai-compatible",
  "anthropic",
  "azure-openai",
  "bedrock",
  "cohere",
  "gemini",
  "vertex",
  "workers-ai",
  "mistral",
  "groq",
  "deepseek",
  "xai",
  "openrouter",
  "together",
  "fireworks",
  "perplexity",
  "cerebras",
  "nvidia",
  "databricks",
  "hugging-face",
  "moonshot",
  "ollama",
  "vllm",
  "llama-cpp",
  "lm-studio",
  "litellm",
  "mlflow",
  "portkey",
  "sim",
] as const;
export type ProviderKind = (typeof PROVIDER_KINDS)[number];

/** Options that become a part of a host name. */
const HOST_OPTIONS: ReadonlySet<string> = new Set(["region", "location"]);
const HOST_LABEL = /^[a-z0-9-]{1,40}$/;
/** Options that become a segment of a path. */
const PATH_OPTIONS: ReadonlySet<string> = new Set(["apiVersion", "accountId", "project", "deployment"]);
const PATH_SEGMENT = /^[^/?#@%\\]{1,128}$/;

const optionsSchema = z
  .record(z.string(), z.union([urlName, z.number(), z.boolean()]))
  .superRefine((options, context) => {
    for (const [name, value] of Object.entries(options)) {
      const pattern = HOST_OPTIONS.has(name) ? HOST_LABEL : PATH_OPTIONS.has(name) ? PATH_SEGMENT : undefined;
      if (pattern === undefined || pattern.test(String(value))) continue;
      const rule =
        pattern === HOST_LABEL ? "must be 1 to 40 of a-z 0-9 -" : "must not contain any of / ? # @ % \\";
      context.addIssue({ code: "custom", path: [name], message: rule });
    }
  });

/** What `PUT …/providers/{name}` takes. `apiKey` is write-only: it is sealed before it is stored. */
export const providerSchema = z.strictObject({
  kind: z.enum(PROVIDER_KINDS),
  baseUrl: z.url().optional(),
  apiKey: secretText.min(1).optional(),
  headers: headersSchema,
  options: optionsSchema.default({}),
  propagateTrace: z.boolean().default(false),
});
export type ProviderInput = z.infer<typeof providerSchema>;

/** A key's labels are on every root span of its requests. */
const MAX_METADATA_PAIRS = 16;

/** What `POST …/keys` takes. */
export const keySchema = z.strictObject({
  name: label.min(1).max(200),
  expiresAt: z.iso.datetime().optional(),
  /** Names or `prefix*` patterns of routes and `provider/model`s; absent means all. */
  allowedModels: z.array(z.string().min(1).max(256)).max(100).optional(),
  limits: limitsSchema.optional(),
  budget: budgetSchema.optional(),
  metadata: z
    .record(label.min(1).max(64), label.max(256))
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

/** A tenant with its destinations' header values as `Secret`. */
export interface TenantWith<Secret> extends Omit<TenantRecord, "tracing"> {
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
}
