/**
 * Who needs not wait because it is in vain, and what a refused request is told. Reads the queue, changes nothing;
 * queue-machine.ts takes the request out.
 */

import { canPay, requestsOpenAt, spendOf, spendWindow, type Allowance } from "../leases/allowance.ts";
import { limitFacts, refusedAnswer, type AnswerContext } from "./queue-replies.ts";
import { estimateOf, type Entry } from "../leases/queue-entry.ts";
import type { FairQueue } from "../leases/fair-queue.ts";
import type { LeaseTable } from "../leases/lease-table.ts";
import { outlookOf, retryAfterMs, type Outlook } from "./wait-estimate.ts";
import type { LimitName, Refused } from "../protocol.ts";
import { affordableInMs } from "../leases/spend.ts";

export interface Refusals {
  /** What a request of this key and lane has to expect that joins the queue now. */
  outlookFor(entry: Entry, now: number): Outlook;
  /** The answer with its honest `Retry-After`; `outlook` is from before the entry joined or after it left. */
  refuse(entry: Entry, limit: LimitName, outlook: Outlook, now: number): Refused;
  /** The answer to one that a budget has no room for. */
  refuseSpend(entry: Entry, now: number): Refused;
  /** The answer to a newcomer while the queue is drained. */
  refuseDrained(entry: Entry, until: number, now: number): Refused;
}

export function createRefusals(
  context: AnswerContext,
  queue: FairQueue<Entry>,
  leases: LeaseTable,
): Refusals {
  const { tenant } = context;

  function outlookFor(entry: Entry, now: number): Outlook {
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
    return outlookOf(place, now);
  }

  /** When this holder's budget has room again, in ms; 0 if it has. */
  function payableInMs(allowance: Allowance, { costMicroUsd }: Entry, now: number): number {
    const { budget } = allowance.limits;
    if (budget === undefined || canPay(allowance, costMicroUsd, now)) return 0;
    return affordableInMs(spendOf(allowance), budget, costMicroUsd, leases.meanHoldMs(now), now);
  }

  return {
    outlookFor,
    refuse(entry, name, outlook, now) {
      const placeFreesAt = leases.sleeping > 0 ? leases.nextDepartureAt : requestsOpenAt(tenant);
      const placeFreesMs = name === "queue_depth" ? placeFreesAt - now : 0;
      const refusal = {
        code: name === "queue_depth" ? ("queue_full" as const) : ("rate_limited" as const),
        limit: limitFacts(name, tenant, entry.flow.allowance, now),
        retryAfterMs: retryAfterMs(outlook, entry.maxWaitMs, placeFreesMs),
      };
      return refusedAnswer(context, entry, refusal, now);
    },
    refuseSpend(entry, now) {
      const { allowance } = entry.flow;
      const ofTenantMs = payableInMs(tenant, entry, now);
      const ofKeyMs = payableInMs(allowance, entry, now);
      const window = spendWindow(ofKeyMs > ofTenantMs ? allowance : tenant, now);
      const limit = { name: "budget" as const, value: window?.limit ?? 0, remaining: window?.remaining ?? 0 };
      const retryMs = Math.max(1, ofTenantMs, ofKeyMs);
      return refusedAnswer(context, entry, { code: "budget_exceeded", limit, retryAfterMs: retryMs }, now);
    },
    refuseDrained(entry, until, now) {
      const limit = { name: "queue_depth" as const, value: 0, remaining: 0 };
      return refusedAnswer(context, entry, { code: "queue_full", limit, retryAfterMs: until - now }, now);
    },
  };
}
