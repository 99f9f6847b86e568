/**
 * What admitted requests hold of the limits: reserved at admission, settled with the true counts, returned if they never
 * started. Keeps tenant, key and lease table in step; decides nothing.
 */

import { hasSlot, release, reserve, settleTokens, undo, type Allowance } from "../usage/allowance.ts";
import { estimateOf, servedWeight, type QueueEntry, type LeaseState } from "./queue-entry.ts";
import type { LeaseTable } from "./lease-table.ts";
import { LEASE_TTL_MS } from "../protocol.ts";

export interface Reservations {
  /** Reserves slot, request, tokens and money for an entry that starts at `goAt`, and gives it a lease. */
  begin(entry: QueueEntry, goAt: number, now: number, ttlMs?: number): LeaseState;
  /** Puts what was really used in place of the estimate. */
  settle(entry: QueueEntry, inputTokens: number, outputTokens: number, now: number): void;
  /** The request never started: what it took of the rates is returned. */
  undo(entry: QueueEntry, now: number): void;
  /** Ends the lease. Returns whether the slots were all taken until now. */
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
        savedUntil: 0,
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
    undo({ flow, lease, inputTokens, outputTokens }, now) {
      if (lease === undefined) return;
      undo(tenant, lease.ofTenant, now);
      undo(flow.allowance, lease.ofKey, now);
      flow.served -= servedWeight(inputTokens, outputTokens);
    },
    end(entry) {
      const { lease } = entry;
      const { allowance } = entry.flow;
      const wasFull = !hasSlot(tenant) || !hasSlot(allowance);
      if (lease === undefined) return wasFull;
      if (lease.departure !== undefined) allowance.waiting -= 1;
      leases.remove(entry);
      release(tenant, lease.ofTenant);
      release(allowance, lease.ofKey);
      entry.phase = "over";
      return wasFull;
    },
  };
}
