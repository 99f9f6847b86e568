/**
 * May this request go, at once or at a known moment, as far as rates and slots are concerned: the tenant's limits with
 * the key's nested in them. Remembers when time alone could change a "no". Changes no limit; queue-machine.ts does.
 */

import {
  canPay,
  hasSlot,
  heldBy,
  isLimited,
  ratesOpenAt,
  requestsOpenAt,
  type Allowance,
} from "../usage/allowance.ts";
import { estimateOf, type QueueEntry } from "../leases/queue-entry.ts";
import type { LeaseTable } from "../leases/lease-table.ts";
import type { LimitName } from "../protocol.ts";

/**
 * How far ahead a rate's moments are given out to sleeping callers. Longer bills fewer object-seconds, but what was
 * given out can't be re-ordered: another key or lane waits behind it. The very next moment is always given.
 */
const RESERVE_AHEAD_MS = 2000;

export interface Eligibility {
  /** When time alone may turn a refusal of `isEligible` or `canGo` round; Infinity if it can't. */
  readonly recheckAt: number;
  /** Begins a new look at who is next: forgets `recheckAt`. */
  reset(): void;
  /** Must come before `isEligible`, each time that something was taken: fixes the moment the next one could go at. */
  aim(now: number): void;
  /** Whether the key's own limits let this head of its line go by that moment. */
  isEligible(head: QueueEntry): boolean;
  /** When the rates let it go: `now` at the earliest. */
  goAt(entry: QueueEntry, now: number): number;
  /** Whether the one that is next may have its moment now; one without a place can't sleep until a later one. */
  canGo(entry: QueueEntry, now: number): boolean;
  /** The limit in the way of one that has to wait. */
  blockingLimit(entry: QueueEntry, now: number): LimitName;
  /** Whether the budgets have room for it. */
  canPay(entry: QueueEntry, now: number): boolean;
  /** Whether the queue has no place for a newcomer, should it have to wait. */
  isQueueFull(entry: QueueEntry): boolean;
}

export function createEligibility(tenant: Allowance, leases: LeaseTable): Eligibility {
  let recheckAt = Infinity;
  let frontierAt = 0;
  /** Who only stands behind others is held by what held the last of them. */
  let lastHolder: LimitName = "concurrency";

  function recheckLater(at: number): false {
    recheckAt = Math.min(recheckAt, at);
    return false;
  }

  function goAt(entry: QueueEntry, now: number): number {
    const estimate = estimateOf(entry);
    return Math.max(now, ratesOpenAt(tenant, estimate), ratesOpenAt(entry.flow.allowance, estimate));
  }

  return {
    get recheckAt() {
      return recheckAt;
    },
    reset() {
      recheckAt = Infinity;
    },
    aim(now) {
      frontierAt = isLimited(tenant) ? Math.max(now, requestsOpenAt(tenant)) : now + RESERVE_AHEAD_MS;
    },
    isEligible(head) {
      const { allowance } = head.flow;
      if (!hasSlot(allowance)) return false;
      const opensAt = ratesOpenAt(allowance, estimateOf(head));
      if (opensAt <= frontierAt) return true;
      // A moment reserved for this key would hold up the tenant's other keys, so it stands aside until then.
      return recheckLater(isLimited(tenant) ? opensAt : opensAt - RESERVE_AHEAD_MS);
    },
    goAt,
    canGo(entry, now) {
      const at = goAt(entry, now);
      if (at > entry.dueAt) return false;
      if (at === now) return true;
      if (!entry.hasPlace) return false;
      if (at - now <= RESERVE_AHEAD_MS || leases.sleeping === 0) return true;
      return recheckLater(Math.min(at - RESERVE_AHEAD_MS, leases.nextDepartureAt));
    },
    blockingLimit(entry, now) {
      const estimate = estimateOf(entry);
      lastHolder = heldBy(tenant, estimate, now) ?? heldBy(entry.flow.allowance, estimate, now) ?? lastHolder;
      return lastHolder;
    },
    canPay: ({ flow, costMicroUsd }, now) =>
      canPay(tenant, costMicroUsd, now) && canPay(flow.allowance, costMicroUsd, now),
    isQueueFull({ depth, flow: { allowance } }) {
      return depth >= tenant.limits.maxDepth || allowance.waiting >= allowance.limits.maxDepth;
    },
  };
}
