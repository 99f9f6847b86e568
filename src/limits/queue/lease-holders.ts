/**
 * What holders of leases report: that they live (renewals) and which request uses a prefetched lease (starts). A lease
 * whose holder lives is never taken: one that expired, or that a crash lost, is adopted again. Pure.
 */

import { hasSlot } from "../usage/allowance.ts";
import type { CheckpointPolicy } from "../leases/checkpoint-policy.ts";
import type { LeaseGrants } from "../leases/lease-grants.ts";
import { tokenOf } from "../leases/lease-table.ts";
import { createKey, type QueueEntry } from "../leases/queue-entry.ts";
import type { Settler } from "../leases/settlement.ts";
import { LEASE_RENEW_MS, type LeaseStart } from "../protocol.ts";
import { adoptLapsed, adoptLost, type QueueState } from "./checkpoint.ts";

/** A saved expiry nearer than this is saved again at a renewal: two more renewals, one of them lost, and their way. */
const MIN_SAVED_AHEAD_MS = 2 * LEASE_RENEW_MS + 5000;

export interface LeaseHoldersDeps {
  readonly state: QueueState;
  readonly leaseGrants: LeaseGrants;
  readonly checkpointPolicy: CheckpointPolicy;
  /** Waiting and holding entries. */
  readonly byRequest: Map<string, QueueEntry>;
  readonly settler: Pick<Settler, "unbook">;
}

export interface LeaseHolders {
  /** Returns whether the lease is in force: renewed, or adopted again; with `isStrict` only while its slot is free. */
  renew(leaseId: string, isStrict: boolean, now: number): boolean;
  /** A prefetched lease whose start arrives late counts again. */
  start(start: LeaseStart, now: number): void;
}

export function createLeaseHolders(deps: LeaseHoldersDeps): LeaseHolders {
  const { state, leaseGrants, checkpointPolicy, byRequest, settler } = deps;
  const { tenant, leases, orphaned } = state;
  /** A lease that a crash lost doesn't name its key. */
  const unknownKey = createKey("");

  /** The lease counts again, over the limits if need be. */
  function adopt(token: number, isStrict: boolean, now: number): boolean {
    const lapsed = orphaned.findLapsed(token);
    if (lapsed === undefined) {
      if (!orphaned.isLost(token, now)) return false;
      adoptLost(state, token, unknownKey, now);
    } else {
      if (isStrict && !(hasSlot(tenant) && hasSlot(lapsed.flow.allowance))) return false;
      orphaned.dropLapsed(token);
      settler.unbook(lapsed, now);
      adoptLapsed(state, lapsed, now);
      if (lapsed.requestId !== "") byRequest.set(lapsed.requestId, lapsed);
    }
    checkpointPolicy.mark("usage");
    return true;
  }

  return {
    renew(leaseId, isStrict, now) {
      const entry = leases.find(leaseId);
      if (entry === undefined) return adopt(tokenOf(leaseId), isStrict, now);
      leases.renew(entry, now);
      const savedUntil = entry.lease?.savedUntil ?? 0;
      if (savedUntil > 0 && savedUntil - now < MIN_SAVED_AHEAD_MS) checkpointPolicy.mark("renewal");
      return true;
    },
    start(start, now) {
      const token = tokenOf(start.leaseId);
      if (orphaned.findLapsed(token)?.requestId === "") adopt(token, false, now);
      const entry = leaseGrants.start(start, now);
      if (entry === undefined) return;
      byRequest.set(entry.requestId, entry);
      checkpointPolicy.mark("held");
    },
  };
}
