/**
 * A route as an operator writes it: strategy, targets, retries and time limits (src/docs/records.md), with the
 * defaults that a bare `provider/model` uses too. Pure.
 */

import * as z from "zod/mini";
import { recordName as NAME, urlName } from "./record-name.ts";
import { conditionSchema } from "./route-conditions.ts";

const targetSchema = z.strictObject({
  provider: NAME,
  model: urlName.check(z.minLength(1), z.maxLength(256)),
  weight: z.optional(z.number().check(z.nonnegative())),
  params: z.optional(z.record(z.string(), z.unknown())),
});

/** Statuses that are retried on the same target. */
const RETRY_STATUSES: (number | "timeout")[] = [408, 429, 500, 502, 503, 504, 529];

const retriesSchema = z.strictObject({
  /** Per target; 1 still falls back. */
  maxAttempts: z._default(z.int().check(z.minimum(1), z.maximum(10)), 3),
  baseDelayMs: z._default(z.int().check(z.nonnegative(), z.maximum(60_000)), 250),
  /** Statuses, and `timeout`: a call that ran into a time limit is still running and billed at the upstream. */
  on: z._default(
    z.array(z.union([z.int().check(z.minimum(400), z.maximum(599)), z.literal("timeout")])),
    RETRY_STATUSES,
  ),
  /** A longer `Retry-After` is not slept through. */
  maxRetryAfterMs: z._default(z.int().check(z.nonnegative(), z.maximum(600_000)), 10_000),
});

const timeoutsSchema = z.strictObject({
  /** Absent: DEFAULT_FIRST_BYTE_MS for streams, none for whole answers, which come when they are finished. */
  firstByteMs: z.optional(z.int().check(z.positive(), z.maximum(600_000))),
  /** The longest gap between two bytes of any kind. */
  idleMs: z._default(z.int().check(z.positive(), z.maximum(600_000)), 30_000),
  totalMs: z._default(z.int().check(z.positive(), z.maximum(3_600_000)), 600_000),
});

const strategySchema = z.enum(["fallback", "weighted", "least-latency", "least-cost"]);
const targetsSchema = z.array(targetSchema).check(z.minLength(1), z.maxLength(32));

/** No shorter than the longest provider name, `/` and the longest model. */
const MAX_TARGET_CHARS = 321;

/** The semantic cache: cache/semantic-index.ts. Off where absent. */
const semanticSchema = z.strictObject({
  /** `provider/model` of one of the tenant's own providers: every miss of the exact cache is embedded by it. */
  embedding: urlName.check(
    z.maxLength(MAX_TARGET_CHARS),
    z.regex(/^[^/]+\/./, "must be a provider and a model: provider/model"),
  ),
  /** Fewer dimensions than the model has, where it supports that: less to compare. */
  dimensions: z.optional(z.int().check(z.minimum(8), z.maximum(4096))),
  /** The least cosine similarity of a hit. Below one half, unrelated texts reach it. */
  threshold: z._default(z.number().check(z.minimum(0.5), z.maximum(1)), 0.95),
  /** Of the route; the oldest go first. */
  maxEntries: z._default(z.int().check(z.minimum(1), z.maximum(10_000)), 1000),
  /** The longest time for a look-up, its embedding included; a slower one is a miss. */
  timeoutMs: z._default(z.int().check(z.minimum(50), z.maximum(5000)), 1000),
});
export type SemanticSettings = z.infer<typeof semanticSchema>;

/** What `PUT …/routes/{name}` takes. */
export const routeSchema = z.strictObject({
  strategy: z._default(strategySchema, "fallback"),
  /** Tried in order: the first branch whose condition holds replaces the targets (and the strategy). */
  when: z.optional(
    z
      .array(
        z.strictObject({ if: conditionSchema, strategy: z.optional(strategySchema), targets: targetsSchema }),
      )
      .check(z.maxLength(16)),
  ),
  targets: targetsSchema,
  retries: z.prefault(retriesSchema, {}),
  timeouts: z.prefault(timeoutsSchema, {}),
  /** Absent: where the strategy would choose again, a session stays as long as its vendor's prompt cache may live. */
  sticky: z.optional(z.enum(["session", "off"])),
  /** After that time without an answer the next target is called too, and the first answer is used. */
  hedge: z.optional(z.strictObject({ afterMs: z.int().check(z.positive(), z.maximum(60_000)) })),
  cache: z.optional(z.strictObject({ semantic: z.optional(semanticSchema) })),
});
export type RouteRecord = z.infer<typeof routeSchema>;
export type TargetRecord = z.infer<typeof targetSchema>;

/** The defaults, which a bare `provider/model` uses too. */
export const DEFAULT_RETRIES = retriesSchema.parse({});
/** Of streamed answers, where the route sets none. */
export const DEFAULT_FIRST_BYTE_MS = 30_000;
export const DEFAULT_TIMEOUTS = timeoutsSchema.parse({});
