/**
 * A route as an operator writes it: strategy, targets, retries and time limits (api.md §4), with the defaults that a bare
 * `provider/model` takes too. Pure.
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

/** Statuses worth another try of the same target: api.md §4. */
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
});
export type RouteRecord = z.infer<typeof routeSchema>;
export type TargetRecord = z.infer<typeof targetSchema>;

/** The defaults of api.md §4, which a bare `provider/model` takes too. */
export const DEFAULT_RETRIES = retriesSchema.parse({});
export const DEFAULT_TIMEOUTS = timeoutsSchema.parse({});
