/**
 * How leases end: settled with what was really used, returned because their request never started, or expired. Each ends
 * once; money is recorded once, even where its lease is no longer in force. What an expired lease had reserved of a budget
 * is recorded until its holder says more. Pure; when a lease ends is decided elsewhere.
 */

import type { BudgetAlerts } from "../usage/budget-alerts.ts";
import { isLight, spendOf, type Allowance } from "../usage/allowance.ts";
import { isUnstarted, type QueueEntry } from "./queue-entry.ts";
import type { OrphanedLeases } from "./orphaned-leases.ts";
import type { Change, CheckpointPolicy } from "./checkpoint-policy.ts";
import type { Reservations } from "./reservations.ts";
import type { KeyTable } from "./keys.ts";
import { tokenOf, type LeaseTable } from "./lease-table.ts";
import { RESEND_WINDOW_MS, type Expense, type ObjectState, type Settlement } from "../protocol.ts";
import { createRecentIds, type RecentIds, type SeenId } from "../../runtime/recent-ids.ts";
import { recordSpend, takeBackSpend } from "../usage/spend.ts";
import type { UsageBook } from "../usage/usage-book.ts";
import { cellOf } from "../usage/usage-cells.ts";
import type { UsageCell } from "../usage-protocol.ts";

/** Expired leases whose record was not fetched yet; those beyond leave none. */
const MAX_ABANDONED = 1000;

const NONE: readonly QueueEntry[] = [];

/** What is saved of the ledger's records beside its sums. */
export interface Recorded {
  /** How often money was recorded. */
  readonly count: number;
  /** Requests whose expenses were recorded lately; absent where there are none. */
  readonly spenders: readonly SeenId[] | undefined;
}

export interface SettlerDeps {
  readonly tenant: Allowance;
  readonly keys: KeyTable;
  readonly leases: LeaseTable;
  readonly reservations: Reservations;
  readonly orphaned: OrphanedLeases;
  readonly checkpointPolicy: CheckpointPolicy;
  readonly byRequest: Map<string, QueueEntry>;
  readonly ended: RecentIds;
  readonly alerts: Pick<BudgetAlerts, "spent">;
  readonly usage: Pick<UsageBook, "add">;
  /** What the checkpoint that the object began with knows of it. */
  readonly recorded: Recorded;
  /** A slot is free again; `wasFull`: others may have lacked it. */
  onFree(entry: QueueEntry, wasFull: boolean, now: number): void;
}

export interface Settler {
  /** A second settlement is a no-op; one after the lease's end changes no limit, but its money is recorded. */
  settle(settlement: Settlement, now: number): void;
  /** Records what was spent outside any lease, once for each request. */
  spend(expense: Expense, now: number): void;
  /** Ends a lease whose request never started: it has cost nothing. */
  abandon(entry: QueueEntry, now: number): void;
  /** Ends an expired lease: its requests and tokens stay counted, the money it reserved counts as spent. */
  expire(entry: QueueEntry, now: number): void;
  /** The holder of an expired lease lives: what was recorded in place of its settlement is taken back. */
  unbook(entry: QueueEntry, now: number): void;
  /** Requests whose leases expired since the last call. */
  takeAbandoned(): readonly QueueEntry[];
  recorded(now: number): Recorded;
  /** How often money was recorded, over all lives of the object, and how often as of the last checkpoint. */
  known(): ObjectState["ledger"];
  /** Whether money was recorded since the last checkpoint. */
  readonly hasUnsaved: boolean;
  noteSaved(): void;
  /** The last checkpoint was not written after all. */
  noteUnsaved(): void;
}

export function createSettler(deps: SettlerDeps): Settler {
  const { tenant, keys, leases, reservations, orphaned, checkpointPolicy, byRequest, ended, alerts, usage } =
    deps;
  const spenders = createRecentIds(RESEND_WINDOW_MS, deps.recorded.spenders);
  let abandoned: QueueEntry[] = [];
  const ledger = { count: deps.recorded.count, saved: deps.recorded.count };
  let savedBefore = deps.recorded.count;

  /** A request whose Worker died may have cost as much; what it did cost is not known. */
  function book(entry: QueueEntry, now: number): void {
    const { requestId, flow } = entry;
    const costMicroUsd = Math.round(entry.costMicroUsd);
    entry.booked = { microUsd: costMicroUsd, at: now };
    recordCost(
      { requestId, keyId: flow.id, costMicroUsd, usage: unknownUsage(flow.id, 1, costMicroUsd) },
      now,
    );
  }

  function unbook(entry: QueueEntry, now: number): void {
    const { booked, flow } = entry;
    if (booked === undefined) return;
    entry.booked = undefined;
    usage.add(unknownUsage(flow.id, -1, booked.microUsd), booked.at);
    if (booked.microUsd > 0) {
      takeBackSpend(spendOf(tenant), booked.microUsd, booked.at);
      takeBackSpend(spendOf(flow.allowance), booked.microUsd, booked.at);
    }
    noteMoney(now);
  }

  function markUse(now: number, whenLight: Change): void {
    checkpointPolicy.mark(isLight(tenant, now) ? whenLight : "usage");
  }

  function recordCost({ requestId, keyId, costMicroUsd, usage: used }: Expense, now: number): void {
    if (used !== undefined) usage.add(used, now);
    if (!(costMicroUsd > 0)) {
      if (used !== undefined) noteMoney(now);
      return;
    }
    const { allowance } = keys.find(keyId, now);
    recordSpend(spendOf(tenant), costMicroUsd, now);
    recordSpend(spendOf(allowance), costMicroUsd, now);
    if (tenant.limits.budget !== undefined) alerts.spent(tenant, { requestId }, now);
    if (allowance.limits.budget !== undefined) alerts.spent(allowance, { requestId, keyId }, now);
    noteMoney(now);
  }

  /** The ledger has changed, or what is reserved of a budget has ended: isolates tell it again until it is saved. */
  function noteMoney(now: number): void {
    ledger.count += 1;
    markUse(now, "ledger");
  }

  function end(entry: QueueEntry, now: number): void {
    // Judged with its slot still held: a saved lease that has ended must not fill a limit after a crash, nor come back
    // when the object sleeps, as if its Worker had died.
    if ((entry.lease?.savedUntil ?? 0) > 0) markUse(now, "ended");
    else if (tenant.tokens !== undefined) markUse(now, "held");
    const wasFull = reservations.end(entry);
    if (entry.requestId !== "") {
      byRequest.delete(entry.requestId);
      ended.add(entry.requestId, now);
    }
    deps.onFree(entry, wasFull, now);
  }

  function abandon(entry: QueueEntry, now: number): void {
    reservations.undo(entry, now);
    if (entry.costMicroUsd > 0) noteMoney(now);
    else markUse(now, "held");
    end(entry, now);
  }

  return {
    settle(settlement, now) {
      const { requestId, leaseId, inputTokens, outputTokens } = settlement;
      const token = tokenOf(leaseId);
      const entry = leases.find(leaseId);
      if (entry === undefined) {
        const lapsed = orphaned.findLapsed(token);
        if (!orphaned.claimLate(token, now)) return;
        if (lapsed !== undefined) unbook(lapsed, now);
        return recordCost(settlement, now);
      }
      // Two calls of an isolate may overtake each other: a settlement names the lease's request as well.
      if (isUnstarted(entry)) entry.requestId = requestId;
      else if (!entry.isAdopted && entry.requestId !== requestId) return;
      if (entry.lease?.departure !== undefined) return abandon(entry, now);
      if (!entry.isAdopted) reservations.settle(entry, inputTokens, outputTokens, now);
      if (settlement.costMicroUsd > 0 || settlement.usage !== undefined) recordCost(settlement, now);
      else if (entry.costMicroUsd > 0) noteMoney(now);
      orphaned.noteSettled(token);
      end(entry, now);
    },
    spend(expense, now) {
      const { requestId, part } = expense;
      const id = part === undefined ? requestId : `${requestId} ${part}`;
      if (spenders.has(id, now)) return;
      spenders.add(id, now);
      recordCost(expense, now);
    },
    abandon,
    unbook,
    expire(entry, now) {
      // Booked before its reservation ends: in between, others would be admitted for the same money.
      if (entry.traceId !== "") book(entry, now);
      end(entry, now);
      orphaned.noteLapsed(entry);
      if (entry.traceId === "" || abandoned.length >= MAX_ABANDONED) return;
      abandoned.push(entry);
      checkpointPolicy.mark("abandoned");
    },
    takeAbandoned() {
      if (abandoned.length === 0) return NONE;
      const taken = abandoned;
      abandoned = [];
      return taken;
    },
    recorded(now) {
      const recent = spenders.entries(now);
      return { count: ledger.count, spenders: recent.length > 0 ? recent : undefined };
    },
    known: () => (ledger.count === 0 ? undefined : { ...ledger }),
    get hasUnsaved() {
      return ledger.count > ledger.saved;
    },
    noteSaved() {
      savedBefore = ledger.saved;
      ledger.saved = ledger.count;
    },
    noteUnsaved() {
      ledger.saved = savedBefore;
    },
  };
}

/** A request whose Worker died: it failed, and cost what it had reserved. `times` is -1 to take that back. */
function unknownUsage(keyId: string, times: 1 | -1, microUsd: number): readonly UsageCell[] {
  const cost = times * microUsd;
  return [[cellOf("main", keyId, "", "", ""), [times, times, 0, 0, 0, 0, 0, 0, 0, cost, 0, cost]]];
}
