/**
 * The rules of one tenant's queue as a state machine: who is let in, who waits, who is refused, and when a slot comes
 * back. Pure: no promises, timers or storage; each call brings the time (ms, never decreasing). tenant-queue.ts runs
 * it in a Durable Object. The invariants it keeps are numbered in queue.md.
 */

import { createAllowance, hasSlot, isLimited, setLimits } from "./allowance.ts";
import { admittedAnswer, cancelledAnswer, repeatedAnswer, snapshotOf } from "./answers.ts";
import { createAdopter, pack, restore, type Checkpoint } from "./checkpoint.ts";
import { createEntry, createKey, spanRefOf, type Entry } from "./entry.ts";
import { createFreshness } from "./freshness.ts";
import { createGatekeeper } from "./gatekeeper.ts";
import { createHoldings } from "./holdings.ts";
import { createKeyRing } from "./key-ring.ts";
import { createLeaseTable, firstToken, tokenOf } from "./lease-table.ts";
import { isHopeless } from "./outlook.ts";
import type {
  AdmissionAnswer,
  AdmissionAsk,
  Admitted,
  LimitName,
  Limits,
  QueueSnapshot,
  RenewAnswer,
  Settlement,
  SpanRef,
} from "./protocol.ts";
import { createRecentIds } from "./recent-ids.ts";
import { createRefusals } from "./refusals.ts";
import { createWaitingRoom } from "./waiting-room.ts";

/** A waiting request's answer; its caller's RPC is still open. */
interface WakeUp {
  readonly requestId: string;
  readonly answer: AdmissionAnswer;
}

export interface Admission {
  /** The answer, or undefined if it waits: then it comes as a wake-up. Repeated with the same id, the same again. */
  admit(ask: AdmissionAsk, now: number): AdmissionAnswer | undefined;
  settle(settlements: readonly Settlement[], now: number): void;
  cancel(requestId: string, now: number): void;
  renew(leaseIds: readonly string[], now: number): RenewAnswer;
  /** Ignores a version that is not newer. Returns whether it was taken. */
  setLimits(version: number, limits: Limits, now: number): boolean;
  /** Does all that has fallen due. */
  expire(now: number): void;
  /** Answers since the last call, in order. */
  takeWakeUps(): readonly WakeUp[];
  /** When to call `expire` next; Infinity while nobody waits. */
  nextWakeAt(): number;
  /** How old the last checkpoint may be, in ms; Infinity while it is up to date. */
  staleAfterMs(): number;
  checkpoint(now: number): Checkpoint;
  snapshot(now: number): QueueSnapshot;
  lastUsed(): Record<string, number>;
  configVersion(): number;
}

const NO_WAKE_UPS: readonly WakeUp[] = [];

/** A tenant's queue, empty or as a checkpoint left it. */
export function createAdmission(startedAt: number, checkpoint?: Checkpoint): Admission {
  const tenant = createAllowance();
  const keys = createKeyRing();
  const leases = createLeaseTable(firstToken(startedAt, checkpoint?.lastToken ?? 0) - 1);
  const state = { tenant, keys, leases };
  const adopter = createAdopter(state, checkpoint, startedAt);
  const room = createWaitingRoom();
  const { queue } = room;
  const gatekeeper = createGatekeeper(tenant, leases);
  const holdings = createHoldings(tenant, leases);
  const refusals = createRefusals(tenant, queue, leases);
  /** Waiting and holding entries. */
  const byRequest = new Map<string, Entry>();
  const ended = createRecentIds();
  const freshness = createFreshness();
  if (checkpoint !== undefined)
    for (const entry of restore(state, checkpoint, startedAt)) byRequest.set(entry.requestId, entry);

  let wakeUps: WakeUp[] = [];
  /** The one whose `admit` runs: it is answered by return, not by a wake-up. */
  let arriving: Entry | undefined;
  /** Leases that come back after a crash don't tell whose they were. */
  const unknownKey = createKey("");

  function admit(ask: AdmissionAsk, now: number): AdmissionAnswer | undefined {
    if (ask.settles.length > 0) settle(ask.settles, now);
    expire(now);
    const known = byRequest.get(ask.requestId);
    if (known !== undefined) return known.lease && repeatedAnswer(tenant, known, known.lease, now);
    if (ended.has(ask.requestId, now)) return cancelledAnswer(tenant, undefined, now);
    setLimitsTo(ask.configVersion, ask.limits, now);
    const key = keys.use(ask, now);
    const entry = createEntry(ask, key, {
      arrivedAt: now,
      deadlineAt: now + ask.maxWaitMs,
      position: leases.sleeping + queue.before(ask.lane) + 1,
      depth: leases.sleeping + queue.size,
    });
    entry.hasPlace = !gatekeeper.isQueueFull(entry);
    arriving = entry;
    const answer = queue.size === 0 && mayPass(entry, now) ? grant(entry, now, undefined) : wait(entry, now);
    arriving = undefined;
    return answer;
  }

  /** The short way, when nobody waits. */
  function mayPass(entry: Entry, now: number): boolean {
    queue.pass(entry.flow);
    gatekeeper.aim(now);
    return hasSlot(tenant) && gatekeeper.isOpen(entry) && gatekeeper.mayGo(entry, now);
  }

  /** Lets an entry in that is in no list; it goes at once or at its moment. */
  function grant(entry: Entry, now: number, admittedBy: SpanRef | undefined): Admitted {
    const goAt = gatekeeper.goAt(entry, now);
    if (goAt > now) markHeld(entry, now);
    const lease = holdings.begin(entry, goAt, now);
    byRequest.set(entry.requestId, entry);
    freshness.mark(isLimited(tenant) || isLimited(entry.flow.allowance) ? "usage" : "lastUse");
    const answer = admittedAnswer(tenant, entry, lease, now, admittedBy);
    lease.answer = answer;
    return answer;
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

  /** Lets in whoever is next until something stands in the way; the first takes the slot of `endedBy`. */
  function pump(now: number, endedBy?: SpanRef): void {
    let admittedBy = endedBy;
    gatekeeper.reset();
    while (queue.size > 0 && hasSlot(tenant)) {
      gatekeeper.aim(now);
      const entry = queue.next(gatekeeper.isOpen);
      if (entry === undefined) return;
      const isNew = entry === arriving;
      if (!isNew && gatekeeper.goAt(entry, now) > entry.dueAt) {
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
    const limit = gatekeeper.holder(entry, now);
    const answer = refusals.refuse(entry, limit, refusals.outlookFor(entry, now), now);
    wakeUps.push({ requestId: entry.requestId, answer });
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

  /** Nobody is let in after his deadline, but whose moment is his deadline still is. */
  function expire(now: number): void {
    for (let gone = leases.takeDeparted(now); gone !== undefined; gone = leases.takeDeparted(now))
      gone.flow.allowance.waiting -= 1;
    const didRefuse = refuseOverdue(now - 1, now);
    for (let lost = leases.expired(now); lost !== undefined; lost = leases.expired(now)) endLease(lost, now);
    if (didRefuse || gatekeeper.askAgainAt <= now) pump(now);
    if (refuseOverdue(now, now)) pump(now);
  }

  function settle(settlements: readonly Settlement[], now: number): void {
    expire(now);
    for (const settlement of settlements) settleOne(settlement, now);
  }

  function settleOne({ requestId, leaseId, inputTokens, outputTokens }: Settlement, now: number): void {
    const entry = leases.find(leaseId);
    if (entry === undefined) return;
    const isAdopted = entry.requestId === "";
    if (!isAdopted && entry.requestId !== requestId) return;
    if (entry.lease?.departure !== undefined) return abandon(entry, now);
    if (!isAdopted) holdings.settle(entry, inputTokens, outputTokens, now);
    endLease(entry, now);
  }

  function cancel(requestId: string, now: number): void {
    expire(now);
    const entry = byRequest.get(requestId);
    if (entry?.phase === "holding") return abandon(entry, now);
    ended.add(requestId, now);
    if (entry === undefined) return;
    leave(entry);
    wakeUps.push({ requestId, answer: cancelledAnswer(tenant, entry, now) });
    pump(now);
  }

  /** Ends a lease whose request never went. */
  function abandon(entry: Entry, now: number): void {
    holdings.takeBack(entry, now);
    freshness.mark("usage");
    endLease(entry, now);
  }

  function endLease(entry: Entry, now: number): void {
    const wasFull = holdings.end(entry);
    byRequest.delete(entry.requestId);
    ended.add(entry.requestId, now);
    if (entry.lease?.isSaved === true || tenant.tokens !== undefined) freshness.mark("usage");
    if (queue.size > 0) pump(now, wasFull && entry.traceId !== "" ? spanRefOf(entry) : undefined);
  }

  function renew(leaseIds: readonly string[], now: number): RenewAnswer {
    expire(now);
    const lost = leaseIds.filter((leaseId) => !renewOne(leaseId, now));
    if (lost.length < leaseIds.length) freshness.mark("renewal");
    return { lost, configVersion: tenant.version };
  }

  function renewOne(leaseId: string, now: number): boolean {
    const entry = leases.find(leaseId);
    if (entry === undefined) return adopter.adopt(tokenOf(leaseId), unknownKey, now) !== undefined;
    leases.renew(entry, now);
    return true;
  }

  function setLimitsTo(version: number, limits: Limits, now: number): boolean {
    if (version <= tenant.version) return false;
    setLimits(tenant, limits, version, now);
    return true;
  }

  return {
    admit,
    settle,
    cancel,
    renew,
    setLimits(version, limits, now) {
      expire(now);
      const isNew = setLimitsTo(version, limits, now);
      if (isNew) pump(now);
      return isNew;
    },
    expire,
    takeWakeUps() {
      if (wakeUps.length === 0) return NO_WAKE_UPS;
      const taken = wakeUps;
      wakeUps = [];
      return taken;
    },
    nextWakeAt() {
      if (queue.size === 0) return Infinity;
      return Math.min(room.nextDeadlineAt, leases.nextExpiryAt, gatekeeper.askAgainAt);
    },
    staleAfterMs: () => freshness.staleAfterMs,
    checkpoint(now) {
      freshness.clear();
      return pack(state, now);
    },
    snapshot(now) {
      expire(now);
      const counts = { depth: queue.size + leases.sleeping, leases: leases.size - leases.sleeping };
      return snapshotOf(tenant, queue.entries(), leases.entries(), counts, now);
    },
    lastUsed: keys.lastUsed,
    configVersion: () => tenant.version,
  };
}
