/**
 * Whose turn it is: lets requests in at once or in their order, or refuses them, as far as limits, slots and deadlines
 * say. Pure; queue-machine.ts calls it when a request arrives, when time has passed, and when a slot is free again.
 */

import { hasSlot, isLight, tokensWindow, type Allowance } from "../leases/allowance.ts";
import { admittedAnswer, type AnswerContext } from "./queue-replies.ts";
import type { Batches } from "../leases/lease-grants.ts";
import type { Entry, Key } from "../leases/queue-entry.ts";
import type { Freshness } from "../leases/checkpoint-policy.ts";
import type { Gatekeeper } from "./eligibility.ts";
import type { Holdings } from "../leases/reservations.ts";
import type { LeaseTable } from "../leases/lease-table.ts";
import { isHopeless } from "./wait-estimate.ts";
import type { AdmissionAnswer, Admitted, LimitName, SpanRef } from "../protocol.ts";
import type { Refusals } from "./refusals.ts";
import type { OrderBook } from "./operator-overrides.ts";
import type { WaitingRoom } from "./wait-queue.ts";

/** A waiting request's answer; its caller's RPC is still open. */
export interface WakeUp {
  readonly requestId: string;
  readonly answer: AdmissionAnswer;
}

export interface TurnsDeps {
  readonly context: AnswerContext;
  readonly room: WaitingRoom;
  readonly gatekeeper: Gatekeeper;
  readonly refusals: Refusals;
  readonly holdings: Holdings;
  readonly leases: LeaseTable;
  readonly batches: Batches;
  readonly freshness: Freshness;
  readonly book: OrderBook;
  /** Waiting and holding entries. */
  readonly byRequest: Map<string, Entry>;
  /** Whether money was booked that a crash would forget. */
  hasUnsavedMoney(): boolean;
}

export interface Turns {
  /** The answer to a newcomer, or undefined if it waits; where it passes at once, `wants` more come with it. */
  arrive(entry: Entry, wants: number, now: number): AdmissionAnswer | undefined;
  /** Lets in whoever is next until something stands in the way; the first takes the slot of `endedBy`. */
  pump(now: number, endedBy?: SpanRef): void;
  /** Refuses those whose deadline was at `dueAt` or before. Returns whether there were any. */
  refuseOverdue(dueAt: number, now: number): boolean;
  /** Refuses everybody who waits. */
  refuseAll(now: number): void;
  /** Takes a waiting entry out, with that answer. */
  withdraw(entry: Entry, answer: AdmissionAnswer): void;
  /** Answers since the last call, in order. */
  takeWakeUps(): readonly WakeUp[];
}

const NO_WAKE_UPS: readonly WakeUp[] = [];

export function createTurns(deps: TurnsDeps): Turns {
  const { context, room, gatekeeper, refusals, holdings, leases, batches, freshness, book, byRequest } = deps;
  const { tenant } = context;
  const { queue } = room;
  let wakeUps: WakeUp[] = [];
  /** The one that `arrive` is about: it is answered by return, not by a wake-up. */
  let arriving: Entry | undefined;

  function arrive(entry: Entry, wants: number, now: number): AdmissionAnswer | undefined {
    if (now < book.drainedUntil) return refusals.refuseDrained(entry, book.drainedUntil, now);
    if (!gatekeeper.canPay(entry, now)) return refuseSpend(entry, now);
    entry.hasPlace = !gatekeeper.isQueueFull(entry);
    arriving = entry;
    const answer = queue.size === 0 && mayPass(entry, now) ? pass(entry, wants, now) : wait(entry, now);
    arriving = undefined;
    return answer;
  }

  /** The short way, when nobody waits. */
  function mayPass(entry: Entry, now: number): boolean {
    queue.pass(entry.flow);
    gatekeeper.aim(now);
    return hasSlot(tenant) && gatekeeper.isOpen(entry) && gatekeeper.mayGo(entry, now);
  }

  function pass(entry: Entry, wants: number, now: number): Admitted {
    const answer = grant(entry, now, undefined);
    if (wants < 1 || answer.goInMs > 0 || leases.sleeping > 0) return answer;
    const batch = batches.grant(entry, wants, now);
    if (batch === undefined || entry.lease === undefined) return answer;
    entry.lease.answer = { ...answer, batch };
    return entry.lease.answer;
  }

  /** Lets an entry in that is in no list; it goes at once or at its moment. */
  function grant(entry: Entry, now: number, admittedBy: SpanRef | undefined): Admitted {
    const goAt = gatekeeper.goAt(entry, now);
    if (goAt > now) markHeld(entry, now);
    const lease = holdings.begin(entry, goAt, now);
    byRequest.set(entry.requestId, entry);
    freshness.mark(gradeOf(entry.flow, now));
    const canSettleLate =
      queue.size === 0 &&
      leases.sleeping === 0 &&
      isSpacious(tenant, now) &&
      isSpacious(entry.flow.allowance, now);
    const answer = admittedAnswer(context, entry, lease, now, { admittedBy, canSettleLate });
    lease.answer = answer;
    return answer;
  }

  /** How soon a grant must be saved: at leisure where what a crash forgets of it brings no limit near. */
  function gradeOf({ allowance }: Key, now: number): "usage" | "held" {
    return isLight(tenant, now) && isLight(allowance, now) ? "held" : "usage";
  }

  /** A refusal that rests on money a crash would forget must be true after the crash as well. */
  function refuseSpend(entry: Entry, now: number): AdmissionAnswer {
    if (deps.hasUnsavedMoney()) freshness.mark("verdict");
    return refusals.refuseSpend(entry, now);
  }

  function wait(entry: Entry, now: number): AdmissionAnswer | undefined {
    const outlook = refusals.outlookFor(entry, now);
    room.add(entry);
    byRequest.set(entry.requestId, entry);
    pump(now);
    if (entry.lease !== undefined) return entry.lease.answer;
    const heldBy = markHeld(entry, now);
    if (entry.hasPlace && entry.maxWaitMs > 0 && !isHopeless(outlook, entry.maxWaitMs)) return undefined;
    leave(entry);
    pump(now);
    const limit = entry.hasPlace || entry.maxWaitMs === 0 ? heldBy : "queue_depth";
    return refusals.refuse(entry, limit, outlook, now);
  }

  function pump(now: number, endedBy?: SpanRef): void {
    let admittedBy = endedBy;
    gatekeeper.reset();
    while (queue.size > 0 && hasSlot(tenant)) {
      gatekeeper.aim(now);
      const entry = queue.next(gatekeeper.isOpen);
      if (entry === undefined) return;
      const isNew = entry === arriving;
      // Of a newcomer both were found to be well when it came: its coming lets nobody else in before it.
      if (!isNew && (!gatekeeper.canPay(entry, now) || gatekeeper.goAt(entry, now) > entry.dueAt)) {
        refuseWaiting(entry, now);
        continue;
      }
      if (!gatekeeper.mayGo(entry, now)) return;
      room.admit(entry);
      const answer = grant(entry, now, admittedBy);
      admittedBy = undefined;
      if (!isNew) wakeUps.push({ requestId: entry.requestId, answer });
    }
  }

  /** Takes a waiting entry out for good. */
  function leave(entry: Entry): void {
    room.leave(entry);
    byRequest.delete(entry.requestId);
  }

  function refuseWaiting(entry: Entry, now: number): void {
    leave(entry);
    const { requestId } = entry;
    if (now < book.drainedUntil) {
      wakeUps.push({ requestId, answer: refusals.refuseDrained(entry, book.drainedUntil, now) });
    } else if (gatekeeper.canPay(entry, now)) {
      const limit = gatekeeper.holder(entry, now);
      const outlook = refusals.outlookFor(entry, now);
      wakeUps.push({ requestId, answer: refusals.refuse(entry, limit, outlook, now) });
    } else {
      wakeUps.push({ requestId, answer: refuseSpend(entry, now) });
    }
  }

  /** Notes what holds a request on its arrival, and who was there before it. */
  function markHeld(entry: Entry, now: number): LimitName {
    const limit = gatekeeper.holder(entry, now);
    if (entry.heldBy === undefined) entry.queuedBehind = leases.links();
    entry.heldBy ??= limit;
    return entry.heldBy;
  }

  function refuseOverdue(dueAt: number, now: number): boolean {
    let didRefuse = false;
    for (let late = room.overdue(dueAt); late !== undefined; late = room.overdue(dueAt)) {
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

/** Whether half of slots and tokens are free: what is settled a moment later is missed by nobody. */
function isSpacious(allowance: Allowance, now: number): boolean {
  const { limits, holding, tokens } = allowance;
  if (limits.concurrency !== undefined && holding > limits.concurrency / 2) return false;
  return tokens === undefined || (tokensWindow(allowance, now)?.remaining ?? 0) >= tokens.rule.burst / 2;
}
