/**
 * Admits requests at once or in their order, or refuses them, by limits, slots and deadlines: when a request arrives, when
 * time has passed, and when a slot is free again. Pure.
 */

import { canPay, hasSlot, isLight, tokensWindow, type Allowance } from "../usage/allowance.ts";
import { type AlertCause, type BudgetAlerts, isAlertNear } from "../usage/budget-alerts.ts";
import { admittedReply, type ReplyContext } from "./queue-replies.ts";
import type { LeaseGrants } from "../leases/lease-grants.ts";
import type { QueueEntry, Key } from "../leases/queue-entry.ts";
import type { CheckpointPolicy } from "../leases/checkpoint-policy.ts";
import type { Eligibility } from "./eligibility.ts";
import type { Reservations } from "../leases/reservations.ts";
import type { LeaseTable } from "../leases/lease-table.ts";
import { isHopeless } from "./wait-estimate.ts";
import type { AdmissionReply, Admitted, LimitName, SpanRef } from "../protocol.ts";
import type { Refusals } from "./refusals.ts";
import type { OperatorOverrides } from "./operator-overrides.ts";
import type { WaitQueue } from "./wait-queue.ts";

/** A waiting request's answer; its caller's RPC is still open. */
export interface WakeUp {
  readonly requestId: string;
  readonly answer: AdmissionReply;
}

export interface SchedulerDeps {
  readonly context: ReplyContext;
  readonly waitQueue: WaitQueue;
  readonly eligibility: Eligibility;
  readonly refusals: Refusals;
  readonly reservations: Reservations;
  readonly leases: LeaseTable;
  readonly leaseGrants: LeaseGrants;
  readonly checkpointPolicy: CheckpointPolicy;
  readonly overrides: OperatorOverrides;
  /** Waiting and holding entries. */
  readonly byRequest: Map<string, QueueEntry>;
  readonly alerts: Pick<BudgetAlerts, "refused">;
  /** Whether money was recorded that a crash would lose. */
  hasUnsavedMoney(): boolean;
}

export interface Scheduler {
  /** The answer to a newcomer, or undefined if it waits; where it passes at once, `wants` more come with it. */
  arrive(entry: QueueEntry, prefetchCount: number, now: number): AdmissionReply | undefined;
  /** Admits the next requests until a limit holds them; the first takes the slot of `endedBy`. */
  pump(now: number, endedBy?: SpanRef): void;
  /** Refuses those whose deadline was at `dueAt` or before. Returns whether there were any. */
  refuseOverdue(dueAt: number, now: number): boolean;
  /** Refuses all waiting requests. */
  refuseAll(now: number): void;
  /** Takes a waiting entry out, with that answer. */
  withdraw(entry: QueueEntry, answer: AdmissionReply): void;
  /** Answers since the last call, in order. */
  takeWakeUps(): readonly WakeUp[];
}

const NO_WAKE_UPS: readonly WakeUp[] = [];

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const {
    context,
    waitQueue,
    eligibility,
    refusals,
    reservations,
    leases,
    leaseGrants,
    checkpointPolicy,
    overrides,
    byRequest,
  } = deps;
  const { tenant } = context;
  const { queue } = waitQueue;
  let wakeUps: WakeUp[] = [];
  /** The request that `arrive` is about: it gets its reply as the return value, not as a wake-up. */
  let arriving: QueueEntry | undefined;

  function arrive(entry: QueueEntry, prefetchCount: number, now: number): AdmissionReply | undefined {
    if (now < overrides.drainedUntil) return refusals.refuseDrained(entry, overrides.drainedUntil, now);
    if (!eligibility.canPay(entry, now)) return refuseSpend(entry, now);
    entry.hasPlace = !eligibility.isQueueFull(entry);
    arriving = entry;
    const answer =
      queue.size === 0 && canPass(entry, now) ? pass(entry, prefetchCount, now) : wait(entry, now);
    arriving = undefined;
    return answer;
  }

  /** The short path, when no request waits. */
  function canPass(entry: QueueEntry, now: number): boolean {
    queue.pass(entry.flow);
    eligibility.fixNextStart(now);
    return hasSlot(tenant) && eligibility.isEligible(entry) && eligibility.canGo(entry, now);
  }

  function pass(entry: QueueEntry, prefetchCount: number, now: number): Admitted {
    const answer = grant(entry, now, undefined);
    if (prefetchCount < 1 || answer.goInMs > 0 || leases.sleeping > 0) return answer;
    const prefetched = leaseGrants.grant(entry, prefetchCount, now);
    if (prefetched === undefined || entry.lease === undefined) return answer;
    entry.lease.answer = { ...answer, prefetched };
    return entry.lease.answer;
  }

  /** Admits an entry that is not queued; it starts at once or at its start time. */
  function grant(entry: QueueEntry, now: number, admittedBy: SpanRef | undefined): Admitted {
    const goAt = eligibility.goAt(entry, now);
    if (goAt > now) markHeld(entry, now);
    const lease = reservations.begin(entry, goAt, now);
    byRequest.set(entry.requestId, entry);
    checkpointPolicy.mark(gradeOf(entry.flow, now));
    const canDeferSettle =
      queue.size === 0 &&
      leases.sleeping === 0 &&
      isSpacious(tenant, now) &&
      isSpacious(entry.flow.allowance, now);
    const answer = admittedReply(context, entry, lease, now, { admittedBy, canDeferSettle });
    lease.answer = answer;
    return answer;
  }

  /** How soon a grant must be saved: at leisure where what a crash forgets of it brings no limit near. */
  function gradeOf({ allowance }: Key, now: number): "usage" | "held" {
    return isLight(tenant, now) && isLight(allowance, now) ? "held" : "usage";
  }

  /** A refusal that rests on money a crash would forget must be true after the crash as well. */
  function refuseSpend(entry: QueueEntry, now: number): AdmissionReply {
    if (deps.hasUnsavedMoney()) checkpointPolicy.mark("verdict");
    const { requestId, traceId, flow, costMicroUsd } = entry;
    noteUnaffordable(tenant, { requestId, traceId }, costMicroUsd, now);
    noteUnaffordable(flow.allowance, { requestId, traceId, keyId: flow.id }, costMicroUsd, now);
    return refusals.refuseSpend(entry, now);
  }

  function noteUnaffordable(holder: Allowance, cause: AlertCause, microUsd: number, now: number): void {
    if (!canPay(holder, microUsd, now)) deps.alerts.refused(holder, cause, now);
  }

  function wait(entry: QueueEntry, now: number): AdmissionReply | undefined {
    const waitEstimate = refusals.waitEstimateFor(entry, now);
    waitQueue.add(entry);
    byRequest.set(entry.requestId, entry);
    pump(now);
    if (entry.lease !== undefined) return entry.lease.answer;
    const heldBy = markHeld(entry, now);
    const isWorthIt = entry.maxWaitMs > 0 && !isHopeless(waitEstimate, entry.maxWaitMs);
    if (isWorthIt && entry.hasPlace) return undefined;
    if (isWorthIt && displace(entry, now)) {
      // With a place it may have a start time of its own.
      pump(now);
      return replyOf(entry);
    }
    leave(entry);
    pump(now);
    const limit = entry.hasPlace || entry.maxWaitMs === 0 ? heldBy : "queue_depth";
    return refusals.refuse(entry, limit, waitEstimate, now);
  }

  /** Places are shared as turns are: in a full queue a key with fewer waiting takes one of the key with the most. */
  function displace(entry: QueueEntry, now: number): boolean {
    const { flow, lane } = entry;
    if (flow.allowance.waiting > flow.allowance.limits.maxDepth) return false;
    const displaced = queue.newestOfLongest(flow, lane);
    if (displaced === undefined) return false;
    leave(displaced);
    const waitEstimate = refusals.waitEstimateFor(displaced, now);
    const answer = refusals.refuse(displaced, "queue_depth", waitEstimate, now);
    wakeUps.push({ requestId: displaced.requestId, answer });
    entry.hasPlace = true;
    return true;
  }

  function pump(now: number, endedBy?: SpanRef): void {
    let admittedBy = endedBy;
    eligibility.reset();
    while (queue.size > 0 && hasSlot(tenant)) {
      eligibility.fixNextStart(now);
      const entry = queue.next(eligibility.isEligible);
      if (entry === undefined) return;
      const isNew = entry === arriving;
      // For a new request both were checked on arrival, and nothing was admitted before it since.
      if (!isNew && (!eligibility.canPay(entry, now) || eligibility.goAt(entry, now) > entry.dueAt)) {
        refuseWaiting(entry, now);
        continue;
      }
      if (!eligibility.canGo(entry, now)) return;
      waitQueue.admit(entry);
      const answer = grant(entry, now, admittedBy);
      admittedBy = undefined;
      if (!isNew) wakeUps.push({ requestId: entry.requestId, answer });
    }
  }

  /** Takes a waiting entry out for good. */
  function leave(entry: QueueEntry): void {
    waitQueue.leave(entry);
    byRequest.delete(entry.requestId);
  }

  function refuseWaiting(entry: QueueEntry, now: number): void {
    leave(entry);
    const { requestId } = entry;
    if (now < overrides.drainedUntil) {
      wakeUps.push({ requestId, answer: refusals.refuseDrained(entry, overrides.drainedUntil, now) });
    } else if (eligibility.canPay(entry, now)) {
      const limit = eligibility.blockingLimit(entry, now);
      const waitEstimate = refusals.waitEstimateFor(entry, now);
      wakeUps.push({ requestId, answer: refusals.refuse(entry, limit, waitEstimate, now) });
    } else {
      wakeUps.push({ requestId, answer: refuseSpend(entry, now) });
    }
  }

  /** Notes what holds a request on its arrival, and the requests before it. */
  function markHeld(entry: QueueEntry, now: number): LimitName {
    const limit = eligibility.blockingLimit(entry, now);
    if (entry.heldBy === undefined) entry.queuedBehind = leases.links();
    entry.heldBy ??= limit;
    return entry.heldBy;
  }

  function refuseOverdue(dueAt: number, now: number): boolean {
    let didRefuse = false;
    for (let late = waitQueue.overdue(dueAt); late !== undefined; late = waitQueue.overdue(dueAt)) {
      refuseWaiting(late, now);
      didRefuse = true;
    }
    return didRefuse;
  }

  return {
    arrive,
    pump,
    refuseOverdue,
    refuseAll(now) {
      const waiting = Array.from(queue.entries());
      for (const entry of waiting) refuseWaiting(entry, now);
    },
    withdraw(entry, answer) {
      leave(entry);
      wakeUps.push({ requestId: entry.requestId, answer });
    },
    takeWakeUps() {
      if (wakeUps.length === 0) return NO_WAKE_UPS;
      const taken = wakeUps;
      wakeUps = [];
      return taken;
    },
  };
}

function replyOf({ lease }: QueueEntry): AdmissionReply | undefined {
  return lease?.answer;
}

/** Whether half of the slots and tokens are free, and no alert is near: a settlement a second later delays nothing. */
function isSpacious(allowance: Allowance, now: number): boolean {
  const { limits, holding, tokens } = allowance;
  if (limits.concurrency !== undefined && holding > limits.concurrency / 2) return false;
  if (limits.budget !== undefined && isAlertNear(allowance, now)) return false;
  return tokens === undefined || (tokensWindow(allowance, now)?.remaining ?? 0) >= tokens.rule.burst / 2;
}
