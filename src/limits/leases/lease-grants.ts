/**
 * Leases granted to an isolate in advance (prefetched), so that most requests of a tenant far below its limits need no
 * call. Each is an ordinary lease that has taken its share of every limit: it counts as used until its isolate reports
 * its request, returns it, or lets it expire. Pure; the isolate's side is prefetched-leases.ts.
 */

import { isAlertNear } from "../usage/budget-alerts.ts";
import { isLight, roomFor, type Allowance } from "../usage/allowance.ts";
import { createEntry, estimateOf, isUnstarted, type QueueEntry } from "./queue-entry.ts";
import type { Reservations } from "./reservations.ts";
import type { LeaseTable } from "./lease-table.ts";
import { UNSTARTED_TTL_MS, type LeaseGrant, type LeaseStart } from "../protocol.ts";

/** The share of the tightest limit's remainder that one grant may take. */
const GRANT_SHARE = 0.1;
/** A second's worth of a busy isolate; more would only be lost with it. */
const MAX_GRANT = 100;

export interface LeaseGrants {
  /** As many leases like that of `model`, just admitted, as its isolate expects to use and the limits allow. */
  grant(model: QueueEntry, prefetchCount: number, now: number): LeaseGrant | undefined;
  /** Notes which request uses a lease. Undefined where the lease is not in force, or the request known already. */
  start(start: LeaseStart, now: number): QueueEntry | undefined;
}

export function createLeaseGrants(
  tenant: Allowance,
  leases: LeaseTable,
  reservations: Reservations,
): LeaseGrants {
  function sizeFor(model: QueueEntry, prefetchCount: number, now: number): number {
    const { allowance } = model.flow;
    // A prefetched slot is missing elsewhere: only where nine tenths of every limit are free.
    if (!isLight(tenant, now) || !isLight(allowance, now)) return 0;
    // Their settlements may come late, and an alert belongs on the trace of the request that caused it.
    if (isAlertNear(tenant, now) || isAlertNear(allowance, now)) return 0;
    const estimate = estimateOf(model);
    const room = Math.min(
      roomFor(tenant, estimate, model.costMicroUsd, now),
      roomFor(allowance, estimate, model.costMicroUsd, now),
    );
    return Math.floor(Math.min(prefetchCount, MAX_GRANT, GRANT_SHARE * room));
  }

  function add(model: QueueEntry, now: number): number {
    const { flow, lane, inputTokens, outputTokens, costMicroUsd } = model;
    const estimate = { inputTokens, outputTokens, costMicroUsd };
    const source = { requestId: "", traceId: "", spanId: "", lane, estimate };
    const arrival = { arrivedAt: now, deadlineAt: now, position: 0, depth: 0 };
    return reservations.begin(createEntry(source, flow, arrival), now, now, UNSTARTED_TTL_MS).token;
  }

  return {
    grant(model, prefetchCount, now) {
      const count = sizeFor(model, prefetchCount, now);
      if (count < 1) return undefined;
      const firstToken = add(model, now);
      for (let more = 1; more < count; more += 1) add(model, now);
      const { limits, tokens } = model.flow.allowance;
      const countsTokens = (tenant.tokens ?? tokens) !== undefined;
      const countsMoney = (tenant.limits.budget ?? limits.budget) !== undefined;
      return {
        firstToken,
        count,
        ...(countsTokens && { maxTokens: estimateOf(model) }),
        ...(countsMoney && { maxMicroUsd: model.costMicroUsd }),
      };
    },
    start({ leaseId, requestId, traceId, spanId }, now) {
      const entry = leases.find(leaseId);
      if (entry === undefined || !isUnstarted(entry)) return undefined;
      entry.requestId = requestId;
      entry.traceId = traceId;
      entry.spanId = spanId;
      leases.renew(entry, now);
      return entry;
    },
  };
}
