/**
 * Whether rates and slots admit this request, now or at a known time: the tenant's limits with the key's nested in them.
 * Remembers when time alone could change a "no". Changes no limit.
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
 * How far ahead start times are given to sleeping callers. Longer bills fewer object-seconds, but what was given can't be
 * re-ordered: another key or lane waits behind it. The very next start time is always given.
 */
const RESERVE_AHEAD_MS = 2000;

export interface Eligibility {
  /** When time alone may change a "no" of `isEligible` or `canGo`; Infinity if it can't. */
  readonly recheckAt: number;
  /** Begins a new round: resets `recheckAt`. */
  reset(): void;
  /** Fixes when the next request could start. Call it before `isEligible`, each time that something was reserved. */
  fixNextStart(now: number): void;
  /** Whether the key's own limits let its first request start by then. */
  isEligible(head: QueueEntry): boolean;
  /** When the rates let it start: `now` at the earliest. */
  goAt(entry: QueueEntry, now: number): number;
  /** Whether the next request may be admitted now, to start at once or later; one without a place can't sleep. */
  canGo(entry: QueueEntry, now: number): boolean;
  /** The limit that holds a request that has to wait. */
  blockingLimit(entry: QueueEntry, now: number): LimitName;
  /** Whether the budgets have room for it. */
  canPay(entry: QueueEntry, now: number): boolean;
  /** Whether the queue has no place for a new request, should it have to wait. */
  isQueueFull(entry: QueueEntry): boolean;
}

export function createEligibility(tenant: Allowance, leases: LeaseTable): Eligibility {
  let recheckAt = Infinity;
  let nextStartAt = 0;
  /** A request that only waits behind others is held by what held the last of them. */
  let lastBlockingLimit: LimitName = "concurrency";

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
    fixNextStart(now) {
      nextStartAt = isLimited(tenant) ? Math.max(now, requestsOpenAt(tenant)) : now + RESERVE_AHEAD_MS;
    },
    isEligible(head) {
      const { allowance } = head.flow;
      if (!hasSlot(allowance)) return false;
      const opensAt = ratesOpenAt(allowance, estimateOf(head));
      if (opensAt <= nextStartAt) return true;
      // A start time reserved for this key would delay the tenant's other keys: they are served first.
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
      lastBlockingLimit =
        heldBy(tenant, estimate, now) ?? heldBy(entry.flow.allowance, estimate, now) ?? lastBlockingLimit;
      return lastBlockingLimit;
    },
    canPay: ({ flow, costMicroUsd }, now) =>
      canPay(tenant, costMicroUsd, now) && canPay(flow.allowance, costMicroUsd, now),
    isQueueFull({ depth, flow: { allowance } }) {
      return depth >= tenant.limits.maxDepth || allowance.waiting >= allowance.limits.maxDepth;
    },
  };
}
