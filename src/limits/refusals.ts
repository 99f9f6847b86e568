/**
 * Who needs not wait because it is in vain, and what a refused request is told. Reads the queue, changes nothing;
 * admission.ts takes the request out.
 */

import { requestsOpenAt, type Allowance } from "./allowance.ts";
import { refusedAnswer } from "./answers.ts";
import { estimateOf, type Entry } from "./entry.ts";
import type { FairQueue } from "./fair-queue.ts";
import type { LeaseTable } from "./lease-table.ts";
import { outlookOf, retryAfterMs, type Outlook } from "./outlook.ts";
import type { LimitName, Refused } from "./protocol.ts";

export interface Refusals {
  /** What a request of this key and lane has to expect that joins the queue now. */
  outlookFor(entry: Entry, now: number): Outlook;
  /** The answer with its honest `Retry-After`; `outlook` is from before the entry joined or after it left. */
  refuse(entry: Entry, limit: LimitName, outlook: Outlook, now: number): Refused;
}

export function createRefusals(tenant: Allowance, queue: FairQueue<Entry>, leases: LeaseTable): Refusals {
  return {
    outlookFor(entry, now) {
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
    },
    refuse(entry, limit, outlook, now) {
      const placeFreesAt = leases.sleeping > 0 ? leases.nextDepartureAt : requestsOpenAt(tenant);
      const placeFreesMs = limit === "queue_depth" ? placeFreesAt - now : 0;
      const retryMs = retryAfterMs(outlook, entry.maxWaitMs, placeFreesMs);
      return refusedAnswer(tenant, entry, { name: limit, retryAfterMs: retryMs }, now);
    },
  };
}
