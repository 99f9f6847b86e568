/**
 * The rules of one tenant's queue as a state machine: who is let in, who waits, who is refused, and when a slot comes
 * back. Pure: no promises, timers or storage; each call brings the time (ms, never decreasing). tenant-queue.ts runs
 * it in a Durable Object. The invariants it keeps are numbered in src/docs/queue.md.
 */

import { createAllowance, setLimits } from "../leases/allowance.ts";
import { cancelledAnswer, repeatedAnswer, snapshotOf, stateOf } from "./queue-replies.ts";
import { createBatches } from "../leases/lease-grants.ts";
import { adopt, pack, restore, type Checkpoint, type QueueState } from "./checkpoint.ts";
import { createClosedGates } from "../../targets/cooldowns.ts";
import { createSharedCircuits } from "../../targets/shared-circuits.ts";
import { createEndings } from "../leases/settlement.ts";
import { createEntry, createKey, isUnstarted, spanRefOf, type Entry } from "../leases/queue-entry.ts";
import { createForgottenLeases } from "../leases/orphaned-leases.ts";
import { createFreshness } from "../leases/checkpoint-policy.ts";
import { createGatekeeper } from "./eligibility.ts";
import { createHoldings } from "../leases/reservations.ts";
import { createKeyRing } from "../leases/keys.ts";
import { createLeaseTable, firstToken, tokenOf } from "../leases/lease-table.ts";
import type {
  AdmissionAnswer,
  AdmissionAsk,
  IsolateNews,
  Limits,
  ObjectState,
  QueueSnapshot,
  RenewAnswer,
  Settlement,
  StandingOrders,
} from "../protocol.ts";
import { createRecentIds } from "../leases/recent-ids.ts";
import { createRefusals } from "./refusals.ts";
import { createOrderBook } from "./operator-overrides.ts";
import type { Retention } from "../../telemetry/store/stored-trace.ts";
import { createTurns, type WakeUp } from "./scheduler.ts";
import { createWaitingRoom } from "./wait-queue.ts";

export interface Admission {
  /** The answer, or undefined if it waits: then it comes as a wake-up. Repeated with the same id, the same again. */
  admit(ask: AdmissionAsk, now: number): AdmissionAnswer | undefined;
  settle(settlements: readonly Settlement[], now: number, news?: IsolateNews): ObjectState;
  cancel(requestId: string, now: number): void;
  renew(leaseIds: readonly string[], now: number): RenewAnswer;
  /** Ignores a version that is not newer. Returns whether it was taken. */
  setLimits(version: number, limits: Limits, now: number): boolean;
  /** Puts limits in force over the records' until a moment. */
  raise(limits: Partial<Limits>, untilAt: number, now: number): void;
  /** Refuses newcomers until a moment, and with `drop` those who wait. */
  drain(untilAt: number, waiting: "finish" | "drop", now: number): void;
  /** Orders from before a restart, as `orders` had them. */
  restoreOrders(orders: StandingOrders, now: number): void;
  readonly orders: StandingOrders;
  /** Does all that has fallen due. */
  expire(now: number): void;
  /** Answers since the last call, in order. */
  takeWakeUps(): readonly WakeUp[];
  /** Requests whose leases ran out without a settlement, since the last call. */
  takeAbandoned(): readonly Entry[];
  /** How long the tenant keeps traces, as the last ask said; undefined where it keeps none. */
  traceRetention(): Retention | undefined;
  /** When to call `expire` next; Infinity while nobody waits. */
  nextWakeAt(): number;
  /** When the first lease runs out; Infinity while there is none. */
  nextExpiryAt(): number;
  /** How old the last checkpoint may be, in ms; 0 before the answers leave; Infinity while it is up to date. */
  staleAfterMs(): number;
  checkpoint(now: number): Checkpoint;
  snapshot(now: number): QueueSnapshot;
  lastUsed(): Record<string, number>;
  configVersion(): number;
}

/** A tenant's queue, empty or as a checkpoint left it. */
export function createAdmission(startedAt: number, checkpoint?: Checkpoint): Admission {
  const tenant = createAllowance();
  const keys = createKeyRing();
  const epoch = firstToken(startedAt, checkpoint?.lastToken ?? 0);
  const leases = createLeaseTable(epoch - 1);
  const book = createOrderBook(tenant.limits);
  const state: QueueState = { tenant, keys, leases, book, traces: undefined };
  const gates = createClosedGates();
  const circuits = createSharedCircuits();
  const context = { tenant, epoch, gates, circuits: circuits.book };
  const forgotten = createForgottenLeases({
    startedAt,
    lastToken: checkpoint?.lastToken ?? 0,
    isWhole: checkpoint?.isWhole ?? false,
    firstToken: epoch,
  });
  const room = createWaitingRoom();
  const { queue } = room;
  const gatekeeper = createGatekeeper(tenant, leases);
  const holdings = createHoldings(tenant, leases);
  const batches = createBatches(tenant, leases, holdings);
  /** Waiting and holding entries. */
  const byRequest = new Map<string, Entry>();
  const ended = createRecentIds();
  const freshness = createFreshness();
  const endings = createEndings({
    ...state,
    holdings,
    forgotten,
    freshness,
    byRequest,
    ended,
    onFree(entry, wasFull, now) {
      if (queue.size > 0) turns.pump(now, wasFull && entry.traceId !== "" ? spanRefOf(entry) : undefined);
    },
  });
  const turns = createTurns({
    context,
    room,
    gatekeeper,
    refusals: createRefusals(context, queue, leases),
    holdings,
    leases,
    batches,
    freshness,
    book,
    byRequest,
    hasUnsavedMoney: () => endings.unsavedMicroUsd > 0,
  });
  if (checkpoint !== undefined)
    for (const entry of restore(state, checkpoint, startedAt))
      if (entry.requestId !== "") byRequest.set(entry.requestId, entry);

  /** Leases that come back after a crash don't tell whose they were. */
  const unknownKey = createKey("");

  function admit(ask: AdmissionAsk, now: number): AdmissionAnswer | undefined {
    if (ask.settles.length > 0 || ask.news !== undefined) take(ask.settles, ask.news, now);
    expire(now);
    const known = byRequest.get(ask.requestId);
    if (known !== undefined) return known.lease && repeatedAnswer(context, known, known.lease, now);
    if (ended.has(ask.requestId, now)) return cancelledAnswer(context, undefined, now);
    setLimitsTo(ask.configVersion, ask.limits, now);
    state.traces = ask.traces;
    const entry = createEntry(ask, keys.use(ask, now), {
      arrivedAt: now,
      deadlineAt: now + ask.maxWaitMs,
      position: leases.sleeping + queue.before(ask.lane) + 1,
      depth: leases.sleeping + queue.size,
    });
    return turns.arrive(entry, ask.wants ?? 0, now);
  }

  /** Nobody is let in after his deadline, but whose moment is his deadline still is. */
  function expire(now: number): void {
    if (book.expire(now)) setLimits(tenant, book.limits, tenant.version, now);
    for (let gone = leases.takeDeparted(now); gone !== undefined; gone = leases.takeDeparted(now))
      gone.flow.allowance.waiting -= 1;
    const didRefuse = turns.refuseOverdue(now - 1, now);
    for (let lost = leases.expired(now); lost !== undefined; lost = leases.expired(now))
      endings.expire(lost, now);
    if (didRefuse || gatekeeper.askAgainAt <= now) turns.pump(now);
    if (turns.refuseOverdue(now, now)) turns.pump(now);
  }

  /** Takes in what an isolate tells: who uses a lease comes before its settlement. */
  function take(settlements: readonly Settlement[], news: IsolateNews | undefined, now: number): void {
    expire(now);
    for (const start of news?.starts ?? []) {
      const entry = batches.start(start, now);
      if (entry !== undefined) byRequest.set(entry.requestId, entry);
    }
    for (const settlement of settlements) endings.settle(settlement, now);
    for (const leaseId of news?.unused ?? []) {
      const entry = leases.find(leaseId);
      if (entry !== undefined && isUnstarted(entry)) endings.abandon(entry, now);
    }
    for (const gate of news?.closes ?? []) gates.close(gate, now);
    for (const each of news?.health ?? []) circuits.take(each, now);
    for (const expense of news?.expenses ?? []) endings.spend(expense, now);
  }

  function cancel(requestId: string, now: number): void {
    expire(now);
    const entry = byRequest.get(requestId);
    if (entry === undefined) return ended.add(requestId, now);
    if (entry.phase === "holding") return endings.abandon(entry, now);
    ended.add(requestId, now);
    turns.withdraw(entry, cancelledAnswer(context, entry, now));
    turns.pump(now);
  }

  function renew(leaseIds: readonly string[], now: number): RenewAnswer {
    expire(now);
    const lost = leaseIds.filter((leaseId) => !renewOne(leaseId, now));
    if (lost.length < leaseIds.length) freshness.mark("renewal");
    return { lost, ...stateOf(context, now) };
  }

  function renewOne(leaseId: string, now: number): boolean {
    const entry = leases.find(leaseId);
    const token = tokenOf(leaseId);
    if (entry !== undefined) leases.renew(entry, now);
    else if (forgotten.mayComeBack(token, now)) adopt(state, token, unknownKey, now);
    else return false;
    return true;
  }

  function setLimitsTo(version: number, limits: Limits, now: number): boolean {
    if (version <= tenant.version) return false;
    book.setLimits(limits);
    setLimits(tenant, book.limits, version, now);
    return true;
  }

  /** Standing orders have changed. */
  function obey(now: number): void {
    book.expire(now);
    setLimits(tenant, book.limits, tenant.version, now);
    turns.pump(now);
  }

  return {
    admit,
    settle(settlements, now, news) {
      take(settlements, news, now);
      return stateOf(context, now);
    },
    cancel,
    renew,
    setLimits(version, limits, now) {
      expire(now);
      const isNew = setLimitsTo(version, limits, now);
      if (isNew) turns.pump(now);
      return isNew;
    },
    raise(limits, untilAt, now) {
      expire(now);
      book.raise(limits, untilAt);
      obey(now);
    },
    drain(untilAt, waiting, now) {
      expire(now);
      book.drain(untilAt);
      if (waiting === "drop" && untilAt > now) turns.refuseAll(now);
      obey(now);
    },
    restoreOrders(orders, now) {
      book.restore(orders);
      obey(now);
    },
    get orders() {
      return book.orders;
    },
    expire,
    takeWakeUps: turns.takeWakeUps,
    takeAbandoned: endings.takeAbandoned,
    traceRetention: () => state.traces,
    nextWakeAt() {
      if (queue.size === 0) return Infinity;
      return Math.min(room.nextDeadlineAt, leases.nextExpiryAt, gatekeeper.askAgainAt);
    },
    nextExpiryAt: () => leases.nextExpiryAt,
    staleAfterMs: () => freshness.staleAfterMs(leases.size > 0),
    checkpoint(now) {
      freshness.clear();
      endings.noteSaved();
      return pack(state, now);
    },
    snapshot(now) {
      expire(now);
      const counts = { depth: queue.size + leases.sleeping, leases: leases.size - leases.sleeping };
      const queued = snapshotOf(tenant, queue.entries(), leases.entries(), counts, book.orders, now);
      const known = circuits.book.all(now);
      return known.length === 0 ? queued : { ...queued, circuits: known };
    },
    lastUsed: keys.lastUsed,
    configVersion: () => tenant.version,
  };
}
