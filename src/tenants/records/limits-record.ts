/** Limits and budgets as an operator writes them, in tenants and keys; and temporary overrides of a queue's limits. Pure. */

import * as z from "zod/mini";

const count = z.int().check(z.positive());
const MAX_BODY_BYTES = 100 * 1024 * 1024;
const MAX_WAIT_MS = 300_000;
const MAX_DEPTH = 10_000;

export const limitsSchema = z.strictObject({
  requestsPerMinute: z.optional(count),
  burst: z.optional(count),
  tokensPerMinute: z.optional(count),
  concurrency: z.optional(count),
  /** A key's requests that are answered without the queue, in each isolate. */
  unqueuedRequestsPerMinute: z.optional(count),
  maxBodyBytes: z.optional(count.check(z.maximum(MAX_BODY_BYTES))),
  queue: z.optional(
    z.strictObject({
      maxDepth: z.optional(z.int().check(z.nonnegative(), z.maximum(MAX_DEPTH))),
      maxWaitMs: z.optional(z.int().check(z.nonnegative(), z.maximum(MAX_WAIT_MS))),
    }),
  ),
});

/** A day: an override is for an incident or a launch; a lasting change belongs in the record. */
const MAX_RAISE_SECONDS = 86_400;
const MAX_DRAIN_SECONDS = 3600;

/** What `POST …/queue/limits` takes: limits that replace the record's for a time; 0 seconds ends it. */
export const raiseSchema = z.strictObject({
  limits: z.omit(limitsSchema, { maxBodyBytes: true, unqueuedRequestsPerMinute: true }),
  forSeconds: z.int().check(z.nonnegative(), z.maximum(MAX_RAISE_SECONDS)),
});

/** What `POST …/queue/drain` takes: no new requests for a time; the waiting ones finish or are dropped; 0 ends it. */
export const drainSchema = z.strictObject({
  forSeconds: z.int().check(z.nonnegative(), z.maximum(MAX_DRAIN_SECONDS)),
  waiting: z._default(z.enum(["finish", "drop"]), "finish"),
});
export type RaiseRecord = z.infer<typeof raiseSchema>;
export type DrainRecord = z.infer<typeof drainSchema>;

export const budgetSchema = z.strictObject({
  usd: z.number().check(z.positive()),
  period: z.enum(["day", "week", "month"]),
  onExceeded: z._default(z.enum(["reject", "alert"]), "reject"),
  /** A call whose price is not known can't be counted. */
  onUnpriced: z._default(z.enum(["refuse", "allow"]), "refuse"),
});

export type BudgetRecord = z.infer<typeof budgetSchema>;
export type LimitsRecord = z.infer<typeof limitsSchema>;
