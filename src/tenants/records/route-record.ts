/**
 * A route as an operator writes it: strategy, targets, retries and time limits (src/docs/records.md), with the
 * defaults that a bare `provider/model` takes too. Pure.
 */

import * as z from "zod";
import { recordName as NAME } from "./record-name.ts";
import { conditionSchema } from "./route-conditions.ts";

const targetSchema = z.strictObject({
  provider: NAME,
  model: z.string().min(1).max(256),
  weight: z.number().nonnegative().optional(),
  params: z.record(z.string(), z.unknown()).optional(),
});

/** Statuses worth another try of the same target: src/docs/records.md. */
const RETRY_STATUSES = [408, 429, 500, 502, 503, 504, 529];

const retriesSchema = z.strictObject({
  /** Per target; 1 still falls back. */
  maxAttempts: z.int().min(1).max(10).default(3),
  baseDelayMs: z.int().nonnegative().max(60_000).default(250),
  on: z.array(z.int().min(400).max(599)).default(RETRY_STATUSES),
});

const timeoutsSchema = z.strictObject({
  firstByteMs: z.int().positive().max(600_000).default(30_000),
  idleMs: z.int().positive().max(600_000).default(30_000),
  totalMs: z.int().positive().max(3_600_000).default(600_000),
});

const strategySchema = z.enum(["fallback", "weighted", "least-latency", "least-cost"]);
const targetsSchema = z.array(targetSchema).min(1).max(32);

const MAX_TARGET_CHARS = 321;

/** Answers to questions that mean the same: cache/semantic-index.ts. Off where absent. */
const semanticSchema = z.strictObject({
  /** `provider/model` of one of the tenant's own providers: every miss of the exact cache is embedded by it. */
  embedding: z
    .string()
    .max(MAX_TARGET_CHARS)
    .regex(/^[^/]+\/./, "must be a provider and a model: provider/model"),
  /** Asked of a model that can give fewer than it has: less to compare. */
  dimensions: z.int().min(8).max(4096).optional(),
  /** The least cosine of what counts as the same. Below one half any two texts do. */
  threshold: z.number().min(0.5).max(1).default(0.95),
  /** Of the route; the oldest go first. */
  maxEntries: z.int().min(1).max(10_000).default(1000),
  /** What a look-up may take, the embedding included; a slower one is a miss. */
  timeoutMs: z.int().min(50).max(5000).default(1000),
});
export type SemanticSettings = z.infer<typeof semanticSchema>;

/** What `PUT …/routes/{name}` takes. */
export const routeSchema = z.strictObject({
  strategy: strategySchema.default("fallback"),
  /** Looked at in order, before the targets: the first branch that holds gives targets (and strategy) in their place. */
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
  /** With no answer begun after that long, the next target is asked too, and the first answer counts. */
  hedge: z.strictObject({ afterMs: z.int().positive().max(60_000) }).optional(),
  cache: z.strictObject({ semantic: semanticSchema.optional() }).optional(),
});
export type RouteRecord = z.infer<typeof routeSchema>;
export type TargetRecord = z.infer<typeof targetSchema>;

/** The defaults of src/docs/records.md, which a bare `provider/model` takes too. */
export const DEFAULT_RETRIES = retriesSchema.parse({});
export const DEFAULT_TIMEOUTS = timeoutsSchema.parse({});
