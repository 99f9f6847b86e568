/**
 * The rules of one tenant's queue as a state machine: which request is admitted, waits or is refused, and when a slot is
 * free again. Pure: no promises, timers or storage; each call passes the time (ms, never decreasing). tenant-queue.ts runs
 * it in a Durable Object. The invariants it keeps are numbered in src/docs/queue.md.
 */

import { createAllowance, setLimits } from "../usage/allowance.ts";
import type { TenantAlert } from "../alert-protocol.ts";
import { createBudgetAlerts } from "../usage/budget-alerts.ts";
import { cancelledReply, repeatedReply, snapshotOf, stateOf } from "./queue-replies.ts";
import { createLeaseGrants } from "../leases/lease-grants.ts";
import { pack, restore, type Checkpoint, type QueueState } from "./checkpoint.ts";
import { createCooldowns } from "../../targets/cooldowns.ts";
import { createSharedCircuits } from "../../targets/shared-circuits.ts";
import { createSettler } from "../leases/settlement.ts";
import { createEntry, spanRefOf, type QueueEntry } from "../leases/queue-entry.ts";
import { createOrphanedLeases } from "../leases/orphaned-leases.ts";
import { createCheckpointPolicy } from "../leases/checkpoint-policy.ts";
import { createEligibility } from "./eligibility.ts";
import { createReservations } from "../leases/reservations.ts";
import { createKeyTable } from "../leases/keys.ts";
import { createLeaseTable, firstToken } from "../leases/lease-table.ts";
import type {
  AdmissionReply,
  AdmissionRequest,
  IsolateUpdates,
  Limits,
  QueueSnapshot,
  RenewReply,
  SettleReply,
  Settlement,
  Overrides,
} from "../protocol.ts";
import { createRecentIds } from "../../runtime/recent-ids.ts";
import { createLeaseHolders } from "./lease-holders.ts";
import { createRefusals } from "./refusals.ts";
import { createOperatorOverrides } from "./operator-overrides.ts";
import type { Retention } from "../../telemetry/store/stored-trace.ts";
import { createScheduler, type WakeUp } from "./scheduler.ts";
import { createUsageBook, type UsageBook } from "../usage/usage-book.ts";
import { createWaitQueue } from "./wait-queue.ts";

export interface QueueMachine {
  /** The reply, or undefined if it waits: then it comes as a wake-up. A repeated id gets the same reply. */
  admit(ask: AdmissionRequest, now: number): AdmissionReply | undefined;
  settle(settlements: readonly Settlement[], now: number, updates?: IsolateUpdates): SettleReply;
  cancel(requestId: string, now: number): void;
  /** Leases that expired meanwhile are adopted again; with `isStrict` only while their slots are free. */
  renew(leaseIds: readonly string[], now: number, isStrict?: boolean): RenewReply;
  /** Ignores a version that is not newer. Returns whether it was taken. */
  setLimits(version: number, limits: Limits, now: number): boolean;
  /** Puts limits in force over the records' until a time. */
  raise(limits: Partial<Limits>, untilAt: number, now: number): void;
  /** Refuses new requests until a time, and with `drop` the waiting ones. */
  drain(untilAt: number, waiting: "finish" | "drop", now: number): void;
  /** Overrides from before a restart, as `overrides` had them. */
  restoreOverrides(stored: Overrides, now: number): void;
  readonly overrides: Overrides;
  /** Does everything that is due. */
  expire(now: number): void;
  /** Replies to waiting requests since the last call, in order. */
  takeWakeUps(): readonly WakeUp[];
  /** Requests whose leases expired without a settlement, since the last call. */
  takeAbandoned(): readonly QueueEntry[];
  /** How long the tenant keeps traces, as the last request said; undefined where it keeps none. */
  traceRetention(): Retention | undefined;
  /** When to call `expire` next; Infinity while no request waits. */
  nextWakeAt(): number;
  /** When the first lease expires; Infinity while there is none. */
  nextExpiryAt(): number;
  /** How old the last checkpoint may be, in ms; 0 before the answers leave; Infinity while it is up to date. */
  staleAfterMs(): number;
  checkpoint(now: number): Checkpoint;
  /** The last checkpoint could not be written. */
  noteUnsaved(): void;
  /** Alerts of budgets that have not been handed over. */
  pendingAlerts(): readonly TenantAlert[];
  noteAlertHandedOver(id: string): void;
  /** Whether money was recorded that no checkpoint holds. */
  hasUnsavedMoney(): boolean;
  snapshot(now: number): QueueSnapshot;
  lastUsed(): Record<string, number>;
  configVersion(): number;
}

/** A tenant's queue, empty or as a checkpoint left it; `usage` gets what requests add to it. */
export function createQueueMachine(
  startedAt: number,
  checkpoint?: Checkpoint,
  usage: Pick<UsageBook, "add"> = createUsageBook(),
): QueueMachine {
  const tenant = createAllowance();
  const keys = createKeyTable();
  const epoch = firstToken(startedAt, checkpoint?.lastToken ?? 0);
  const leases = createLeaseTable(epoch - 1);
  const overrides = createOperatorOverrides(tenant.limits);
  const cooldowns = createCooldowns();
  const circuits = createSharedCircuits();
  const context = { tenant, epoch, cooldowns, circuits: circuits.breakers, ledger: () => settler.known() };
  const orphaned = createOrphanedLeases({
    startedAt,
    lastToken: checkpoint?.lastToken ?? 0,
    isWhole: checkpoint?.isWhole ?? false,
    firstToken: epoch,
    saved: checkpoint?.orphans,
  });
  const checkpointPolicy = createCheckpointPolicy();
  const alerts = createBudgetAlerts(() => checkpointPolicy.mark("verdict"), checkpoint?.alerts);
  const state: QueueState = { tenant, keys, leases, overrides, orphaned, alerts, traces: undefined };
  const waitQueue = createWaitQueue();
  const { queue } = waitQueue;
  const eligibility = createEligibility(tenant, leases);
  const reservations = createReservations(tenant, leases);
  const leaseGrants = createLeaseGrants(tenant, leases, reservations);
  /** Waiting and holding entries. */
  const byRequest = new Map<string, QueueEntry>();
  const ended = createRecentIds();
  const settler = createSettler({
    ...state,
    reservations,
    checkpointPolicy,
    byRequest,
    ended,
    usage,
    recorded: { count: checkpoint?.recorded ?? 0, senders: checkpoint?.senders },
    onFree(entry, wasFull, now) {
      if (queue.size > 0) scheduler.pump(now, wasFull && entry.traceId !== "" ? spanRefOf(entry) : undefined);
    },
  });
  const scheduler = createScheduler({
    context,
    waitQueue,
    eligibility,
    refusals: createRefusals(context, queue, leases),
    reservations,
    leases,
    leaseGrants,
    checkpointPolicy,
    overrides,
    byRequest,
    alerts,
    hasUnsavedMoney: () => settler.hasUnsaved,
  });
  if (checkpoint !== undefined)
    for (const entry of restore(state, checkpoint, startedAt))
      if (entry.requestId !== "") byRequest.set(entry.requestId, entry);

  const holders = createLeaseHolders({ state, leaseGrants, checkpointPolicy, byRequest, settler });

  function admit(ask: AdmissionRequest, now: number): AdmissionReply | undefined {
    if (ask.settles.length > 0 || ask.updates !== undefined) take(ask.settles, ask.updates, now);
    expire(now);
    const known = byRequest.get(ask.requestId);
    if (known !== undefined) return known.lease && repeatedReply(context, known, known.lease, now);
    if (ended.has(ask.requestId, now)) return cancelledReply(context, undefined, now);
    setLimitsTo(ask.configVersion, ask.limits, now);
    state.traces = ask.traces;
    const entry = createEntry(ask, keys.use(ask, now), {
      arrivedAt: now,
      deadlineAt: now + ask.maxWaitMs,
      position: leases.sleeping + queue.before(ask.lane) + 1,
      depth: leases.sleeping + queue.size,
    });
    return scheduler.arrive(entry, ask.prefetchCount ?? 0, now);
  }

  /** Never admits after the deadline; exactly at it still counts. */
  function expire(now: number): void {
    const hasOverrideEnded = overrides.expire(now);
    if (hasOverrideEnded) setLimits(tenant, overrides.limits, tenant.version, now);
    for (let gone = leases.takeDeparted(now); gone !== undefined; gone = leases.takeDeparted(now))
      gone.flow.allowance.waiting -= 1;
    const didRefuse = scheduler.refuseOverdue(now - 1, now);
    for (let lost = leases.expired(now); lost !== undefined; lost = leases.expired(now))
      settler.expire(lost, now);
    if (didRefuse || hasOverrideEnded || eligibility.recheckAt <= now) scheduler.pump(now);
    if (scheduler.refuseOverdue(now, now)) scheduler.pump(now);
  }

  /** Applies an isolate's updates: a lease's start comes before its settlement. */
  function take(settlements: readonly Settlement[], updates: IsolateUpdates | undefined, now: number): void {
    expire(now);
    for (const start of updates?.starts ?? []) {
      holders.start(start, now);
    }
    for (const settlement of settlements) settler.settle(settlement, now);
    for (const leaseId of updates?.unused ?? []) settler.takeUnused(leaseId, now);
    for (const requestId of updates?.cancels ?? []) cancel(requestId, now);
    for (const cooldown of updates?.cooldowns ?? []) cooldowns.start(cooldown, now);
    for (const each of updates?.circuits ?? []) alerts.circuitOpened(circuits.take(each, now), now);
    for (const expense of updates?.expenses ?? []) settler.spend(expense, now);
  }

  function cancel(requestId: string, now: number): void {
    expire(now);
    const entry = byRequest.get(requestId);
    if (entry?.phase === "holding") return settler.undo(entry, now);
    ended.add(requestId, now);
    if (entry === undefined) return settler.undoLapsed(requestId, now);
    scheduler.withdraw(entry, cancelledReply(context, entry, now));
    scheduler.pump(now);
  }

  function renew(leaseIds: readonly string[], now: number, isStrict = false): RenewReply {
    expire(now);
    const lost = leaseIds.filter((leaseId) => !holders.renew(leaseId, isStrict, now));
    return { lost, ...stateOf(context, now) };
  }

  function setLimitsTo(version: number, limits: Limits, now: number): boolean {
    // The same records may mean other limits after a deployment with other defaults or ceilings.
    const isOther = version === tenant.version && limits.rulesId !== tenant.limits.rulesId;
    if (version <= tenant.version && !isOther) return false;
    // The version never goes back: a reader that knows this one would believe older records again.
    if (tenant.version >= 0) checkpointPolicy.mark("usage");
    overrides.setLimits(limits);
    setLimits(tenant, overrides.limits, version, now);
    return true;
  }

  /** Overrides have changed. */
  function applyOverrides(now: number): void {
    overrides.expire(now);
    setLimits(tenant, overrides.limits, tenant.version, now);
    scheduler.pump(now);
  }

  return {
    admit,
    settle(settlements, now, updates) {
      take(settlements, updates, now);
      const reached = alerts.takeNew();
      return { ...stateOf(context, now), ...(reached.length > 0 && { alerts: reached }) };
    },
    cancel,
    renew,
    setLimits(version, limits, now) {
      expire(now);
      const isNew = setLimitsTo(version, limits, now);
      if (isNew) scheduler.pump(now);
      return isNew;
    },
    raise(limits, untilAt, now) {
      expire(now);
      overrides.raise(limits, untilAt);
      applyOverrides(now);
    },
    drain(untilAt, waiting, now) {
      expire(now);
      overrides.drain(untilAt);
      if (waiting === "drop" && untilAt > now) scheduler.refuseAll(now);
      applyOverrides(now);
    },
    restoreOverrides(stored, now) {
      overrides.restore(stored);
      applyOverrides(now);
    },
    get overrides() {
      return overrides.current;
    },
    expire,
    takeWakeUps: scheduler.takeWakeUps,
    takeAbandoned: settler.takeAbandoned,
    traceRetention: () => state.traces,
    nextWakeAt() {
      if (queue.size === 0) return Infinity;
      const nextAt = Math.min(waitQueue.nextDeadlineAt, leases.nextExpiryAt, eligibility.recheckAt);
      // Its end may raise a limit again.
      return Math.min(nextAt, overrides.nextEndAt);
    },
    nextExpiryAt: () => leases.nextExpiryAt,
    staleAfterMs: () => checkpointPolicy.staleAfterMs(leases.size > 0),
    checkpoint(now) {
      checkpointPolicy.clear();
      settler.noteSaved();
      return pack(state, settler.recorded(now), now);
    },
    noteUnsaved() {
      settler.noteUnsaved();
      checkpointPolicy.mark("usage");
    },
    pendingAlerts: alerts.pending,
    noteAlertHandedOver(id) {
      alerts.noteHandedOver(id);
      checkpointPolicy.mark("usage");
    },
    hasUnsavedMoney: () => settler.hasUnsaved,
    snapshot(now) {
      expire(now);
      const counts = { depth: queue.size + leases.sleeping, leases: leases.size - leases.sleeping };
      const queued = snapshotOf(tenant, queue.entries(), leases.entries(), counts, overrides.current, now);
      const known = circuits.breakers.all(now);
      return known.length === 0 ? queued : { ...queued, circuits: known };
    },
    lastUsed: keys.lastUsed,
    configVersion: () => tenant.version,
  };
}
