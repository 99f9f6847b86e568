/**
 * A record's limits in the queue object's form, with the queue's defaults filled in. Pure.
 */

import type { Limits } from "../../limits/protocol.ts";
import type { ObjectiveRecord } from "./alerts-record.ts";
import type { BudgetRecord, LimitsRecord } from "./limits-record.ts";

/** What applies where a tenant's record sets nothing: src/docs/queue.md. */
const DEFAULT_MAX_DEPTH = 100;
const DEFAULT_MAX_WAIT_MS = 30_000;

/** Without `maxBodyBytes`, which the gateway checks. `rulesId`: of the deployment's rules that are in the limits already. */
export function toQueueLimits(
  record: LimitsRecord,
  budget?: BudgetRecord,
  rulesId?: string,
  objectives?: readonly ObjectiveRecord[],
): Limits {
  const { requestsPerMinute, burst, tokensPerMinute, concurrency, queue } = record;
  return {
    ...(requestsPerMinute !== undefined && { requestsPerMinute }),
    ...(burst !== undefined && { burst }),
    ...(tokensPerMinute !== undefined && { tokensPerMinute }),
    ...(concurrency !== undefined && { concurrency }),
    ...(budget !== undefined && { budget: toBudget(budget) }),
    ...(rulesId !== undefined && { rulesId }),
    ...(objectives !== undefined && { objectives: objectives.map(toObjective) }),
    maxDepth: queue?.maxDepth ?? DEFAULT_MAX_DEPTH,
    maxWaitMs: queue?.maxWaitMs ?? DEFAULT_MAX_WAIT_MS,
  };
}

/** Only the limits that are named: those that an operator overrides for a time. */
export function toRaisedLimits({
  queue,
  ...rates
}: Omit<LimitsRecord, "maxBodyBytes" | "unqueuedRequestsPerMinute">): Partial<Limits> {
  const raised: { -readonly [name in keyof Limits]?: Limits[name] } = {};
  if (rates.requestsPerMinute !== undefined) raised.requestsPerMinute = rates.requestsPerMinute;
  if (rates.burst !== undefined) raised.burst = rates.burst;
  if (rates.tokensPerMinute !== undefined) raised.tokensPerMinute = rates.tokensPerMinute;
  if (rates.concurrency !== undefined) raised.concurrency = rates.concurrency;
  if (queue?.maxDepth !== undefined) raised.maxDepth = queue.maxDepth;
  if (queue?.maxWaitMs !== undefined) raised.maxWaitMs = queue.maxWaitMs;
  return raised;
}

function toObjective({
  route,
  maxErrorShare,
  maxSlowShare,
  slowerThanMs,
}: ObjectiveRecord): NonNullable<Limits["objectives"]>[number] {
  return {
    ...(route !== undefined && { route }),
    allowedShare: maxErrorShare ?? maxSlowShare ?? 0,
    ...(slowerThanMs !== undefined && { slowerThanMs }),
  };
}

const MICRO_USD_PER_USD = 1_000_000;

function toBudget({ usd, period, onExceeded }: BudgetRecord): NonNullable<Limits["budget"]> {
  return { microUsd: Math.round(usd * MICRO_USD_PER_USD), period, onExceeded };
}
