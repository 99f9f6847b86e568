/**
 * Refuses at once what waiting can't help, with an honest `Retry-After`. Reads the queue, changes nothing.
 */

import { canPay, requestsOpenAt, spendOf, spendWindow, type Allowance } from "../usage/allowance.ts";
import { limitFacts, refusedReply, type ReplyContext } from "./queue-replies.ts";
import { estimateOf, type QueueEntry } from "../leases/queue-entry.ts";
import type { FairQueue } from "../structures/fair-queue.ts";
import type { LeaseTable } from "../leases/lease-table.ts";
import { estimateWait, retryAfterMs, type WaitEstimate } from "./wait-estimate.ts";
import type { LimitName, Refused } from "../protocol.ts";
import { affordableInMs } from "../usage/spend.ts";

export interface Refusals {
  /** The wait of a request of this key and lane that joins the queue now. */
  waitEstimateFor(entry: QueueEntry, now: number): WaitEstimate;
  /** The refusal by a limit; `waitEstimate` is from before the entry joined or after it left. */
  refuse(entry: QueueEntry, limit: LimitName, waitEstimate: WaitEstimate, now: number): Refused;
  /** The refusal by a budget. */
  refuseSpend(entry: QueueEntry, now: number): Refused;
  /** The refusal of a new request while the queue is drained. */
  refuseDrained(entry: QueueEntry, until: number, now: number): Refused;
}

export function createRefusals(
  context: ReplyContext,
  queue: FairQueue<QueueEntry>,
  leases: LeaseTable,
): Refusals {
  const { tenant } = context;

  function waitEstimateFor(entry: QueueEntry, now: number): WaitEstimate {
    const { flow, lane } = entry;
    const place = {
      tenant,
      key: flow.allowance,
      estimatedTokens: estimateOf(entry),
      ahead: queue.ahead(flow, lane),
      keyAhead: flow[lane].size,
      meanHoldMs: leases.meanHoldMs(now),
      holdSamples: leases.holdSamples,
    };
    return estimateWait(place, now);
  }

  /** When this holder's budget has room again, in ms; 0 if it has. */
  function payableInMs(allowance: Allowance, { costMicroUsd }: QueueEntry, now: number): number {
    const { budget } = allowance.limits;
    if (budget === undefined || canPay(allowance, costMicroUsd, now)) return 0;
    return affordableInMs(spendOf(allowance), budget, costMicroUsd, leases.meanHoldMs(now), now);
  }

  return {
    waitEstimateFor,
    refuse(entry, name, waitEstimate, now) {
      const placeFreesAt = leases.sleeping > 0 ? leases.nextDepartureAt : requestsOpenAt(tenant);
      const placeFreesMs = name === "queue_depth" ? placeFreesAt - now : 0;
      const refusal = {
        code: name === "queue_depth" ? ("queue_full" as const) : ("rate_limited" as const),
        limit: limitFacts(name, tenant, entry.flow.allowance, now),
        retryAfterMs: retryAfterMs(waitEstimate, entry.maxWaitMs, placeFreesMs),
      };
      return refusedReply(context, entry, refusal, now);
    },
    refuseSpend(entry, now) {
      const { allowance } = entry.flow;
      const ofTenantMs = payableInMs(tenant, entry, now);
      const ofKeyMs = payableInMs(allowance, entry, now);
      const window = spendWindow(ofKeyMs > ofTenantMs ? allowance : tenant, now);
      const limit = { name: "budget" as const, value: window?.limit ?? 0, remaining: window?.remaining ?? 0 };
      const retryMs = Math.max(1, ofTenantMs, ofKeyMs);
      return refusedReply(context, entry, { code: "budget_exceeded", limit, retryAfterMs: retryMs }, now);
    },
    refuseDrained(entry, until, now) {
      const limit = { name: "queue_depth" as const, value: 0, remaining: 0 };
      return refusedReply(context, entry, { code: "queue_full", limit, retryAfterMs: until - now }, now);
    },
  };
}
