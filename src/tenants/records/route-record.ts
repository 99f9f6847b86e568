/**
 * A route as an operator writes it: strategy, targets, retries and time limits (src/docs/records.md), with the
 * defaults that a bare `provider/model` uses too. Pure.
 */

import * as z from "zod";
import { recordName as NAME, urlName } from "./record-name.ts";
import { conditionSchema } from "./route-conditions.ts";

const targetSchema = z.strictObject({
  provider: NAME,
  model: urlName.min(1).max(256),
  weight: z.number().nonnegative().optional(),
  params: z.record(z.string(), z.unknown()).optional(),
});

/** Statuses that are retried on the same target. */
const RETRY_STATUSES: (number | "timeout")[] = [408, 429, 500, 502, 503, 504, 529];

const retriesSchema = z.strictObject({
  /** Per target; 1 still falls back. */
  maxAttempts: z.int().min(1).max(10).default(3),
  baseDelayMs: z.int().nonnegative().max(60_000).default(250),
  /** Statuses, and `timeout`: a call that ran into a time limit is still running and billed at the upstream. */
  on: z.array(z.union([z.int().min(400).max(599), z.literal("timeout")])).default(RETRY_STATUSES),
  /** A longer `Retry-After` is not slept through. */
  maxRetryAfterMs: z.int().nonnegative().max(600_000).default(10_000),
});

const timeoutsSchema = z.strictObject({
  /** Absent: DEFAULT_FIRST_BYTE_MS for streams, none for whole answers, which come when they are finished. */
  firstByteMs: z.int().positive().max(600_000).optional(),
  /** The longest gap between two bytes of any kind. */
  idleMs: z.int().positive().max(600_000).default(30_000),
  totalMs: z.int().positive().max(3_600_000).default(600_000),
});

const strategySchema = z.enum(["fallback", "weighted", "least-latency", "least-cost"]);
const targetsSchema = z.array(targetSchema).min(1).max(32);

const MAX_TARGET_CHARS = 321;

/** The semantic cache: cache/semantic-index.ts. Off where absent. */
const semanticSchema = z.strictObject({
  /** `provider/model` of one of the tenant's own providers: every miss of the exact cache is embedded by it. */
  embedding: urlName
    .max(MAX_TARGET_CHARS)
    .regex(/^[^/]+\/./, "must be a provider and a model: provider/model"),
  /** Fewer dimensions than the model has, where it supports that: less to compare. */
  dimensions: z.int().min(8).max(4096).optional(),
  /** The least cosine similarity of a hit. Below one half, unrelated texts reach it. */
  threshold: z.number().min(0.5).max(1).default(0.95),
  /** Of the route; the oldest go first. */
  maxEntries: z.int().min(1).max(10_000).default(1000),
  /** The longest time for a look-up, its embedding included; a slower one is a miss. */
  timeoutMs: z.int().min(50).max(5000).default(1000),
});
export type SemanticSettings = z.infer<typeof semanticSchema>;

/** What `PUT …/routes/{name}` takes. */
export const routeSchema = z.strictObject({
  strategy: strategySchema.default("fallback"),
  /** Tried in order: the first branch whose condition holds replaces the targets (and the strategy). */
  when: z
    .array(
      z.strictObject({ if: conditionSchema, strategy: strategySchema.optional(), targets: targetsSchema }),
    )
    .max(16)
    .optional(),
  targets: targetsSchema,
  retries: retriesSchema.prefault({}),
  timeouts: timeoutsSchema.prefault({}),
  sticky: z.literal("session").optional(),
  /** After that time without an answer the next target is called too, and the first answer is used. */
  hedge: z.strictObject({ afterMs: z.int().positive().max(60_000) }).optional(),
  cache: z.strictObject({ semantic: semanticSchema.optional() }).optional(),
});
export type RouteRecord = z.infer<typeof routeSchema>;
export type TargetRecord = z.infer<typeof targetSchema>;

/** The defaults, which a bare `provider/model` uses too. */
export const DEFAULT_RETRIES = retriesSchema.parse({});
/** Of streamed answers, where the route sets none. */
export const DEFAULT_FIRST_BYTE_MS = 30_000;
export const DEFAULT_TIMEOUTS = timeoutsSchema.parse({});
