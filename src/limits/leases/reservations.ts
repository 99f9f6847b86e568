/**
 * What admitted requests hold of the limits: taken when they are let in, settled with the true counts, given back if
 * they never went. Keeps tenant, key and lease table in step; when to do which is queue-machine.ts.
 */

import { free, hasSlot, settleTokens, takeBack, reserve, type Allowance } from "../usage/allowance.ts";
import { estimateOf, servedWeight, type QueueEntry, type LeaseState } from "./queue-entry.ts";
import type { LeaseTable } from "./lease-table.ts";
import { LEASE_TTL_MS } from "../protocol.ts";

export interface Reservations {
  /** Takes slot, request, tokens and money of an entry that goes at `goAt`, and gives it a lease. */
  begin(entry: QueueEntry, goAt: number, now: number, ttlMs?: number): LeaseState;
  /** Puts what was really used in place of the estimate. */
  settle(entry: QueueEntry, inputTokens: number, outputTokens: number, now: number): void;
  /** The request never went: what it took of the rates comes back. */
  takeBack(entry: QueueEntry, now: number): void;
  /** Ends the lease. Returns whether its slot was what others lacked. */
  end(entry: QueueEntry): boolean;
}

export function createReservations(tenant: Allowance, leases: LeaseTable): Reservations {
  return {
    begin(entry, goAt, now, ttlMs = LEASE_TTL_MS) {
      const { allowance } = entry.flow;
      const { costMicroUsd } = entry;
      const estimate = estimateOf(entry);
      const lease: LeaseState = {
        token: leases.nextToken(now),
        goAt,
        ofTenant: reserve(tenant, estimate, costMicroUsd, goAt),
        ofKey: reserve(allowance, estimate, costMicroUsd, goAt),
        answer: undefined,
        departure: undefined,
        isSaved: false,
      };
      entry.phase = "holding";
      entry.dueAt = goAt + ttlMs;
      entry.lease = lease;
      entry.flow.served += servedWeight(entry.inputTokens, entry.outputTokens);
      if (goAt > now) allowance.waiting += 1;
      leases.add(entry, now);
      return lease;
    },
    settle(entry, inputTokens, outputTokens, now) {
      const { flow, lease } = entry;
      if (lease === undefined) return;
      const actual = inputTokens + outputTokens;
      settleTokens(tenant, lease.ofTenant, actual, now);
      settleTokens(flow.allowance, lease.ofKey, actual, now);
      flow.served +=
        servedWeight(inputTokens, outputTokens) - servedWeight(entry.inputTokens, entry.outputTokens);
      leases.sampleHold(now - lease.goAt);
    },
    takeBack({ flow, lease, inputTokens, outputTokens }, now) {
      if (lease === undefined) return;
      takeBack(tenant, lease.ofTenant, now);
      takeBack(flow.allowance, lease.ofKey, now);
      flow.served -= servedWeight(inputTokens, outputTokens);
    },
    end(entry) {
      const { lease } = entry;
      const { allowance } = entry.flow;
      const wasFull = !hasSlot(tenant) || !hasSlot(allowance);
      if (lease === undefined) return wasFull;
      if (lease.departure !== undefined) allowance.waiting -= 1;
      leases.remove(entry);
      free(tenant, lease.ofTenant);
      free(allowance, lease.ofKey);
      entry.phase = "over";
      return wasFull;
    },
  };
}
