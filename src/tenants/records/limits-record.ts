/** Limits and budgets as an operator writes them, in tenants and keys; and temporary overrides of a queue's limits. Pure. */

import * as z from "zod";

const count = z.int().positive();
const MAX_BODY_BYTES = 100 * 1024 * 1024;
const MAX_WAIT_MS = 300_000;
const MAX_DEPTH = 10_000;

export const limitsSchema = z.strictObject({
  requestsPerMinute: count.optional(),
  burst: count.optional(),
  tokensPerMinute: count.optional(),
  concurrency: count.optional(),
  /** A key's requests that are answered without the queue, in each isolate. */
  unqueuedRequestsPerMinute: count.optional(),
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
  limits: limitsSchema.omit({ maxBodyBytes: true, unqueuedRequestsPerMinute: true }),
  forSeconds: z.int().nonnegative().max(MAX_RAISE_SECONDS),
});

/** What `POST …/queue/drain` takes: no new requests for a time; the waiting ones finish or are dropped; 0 ends it. */
export const drainSchema = z.strictObject({
  forSeconds: z.int().nonnegative().max(MAX_DRAIN_SECONDS),
  waiting: z.enum(["finish", "drop"]).default("finish"),
});
export type RaiseRecord = z.infer<typeof raiseSchema>;
export type DrainRecord = z.infer<typeof drainSchema>;

export const budgetSchema = z.strictObject({
  usd: z.number().positive(),
  period: z.enum(["day", "week", "month"]),
  onExceeded: z.enum(["reject", "alert"]).default("reject"),
  /** A call whose price is not known can't be counted. */
  onUnpriced: z.enum(["refuse", "allow"]).default("refuse"),
});

export type BudgetRecord = z.infer<typeof budgetSchema>;
export type LimitsRecord = z.infer<typeof limitsSchema>;
