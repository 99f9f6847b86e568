/**
 * How leases end: settled with what was really used, returned because their request never started, or expired. Each ends
 * once; money is recorded once, even where its lease is no longer in force. What an expired lease had reserved of a budget
 * is recorded until its holder says more. Pure; when a lease ends is decided elsewhere.
 */

import { type CountedRequests, createObjectives } from "../usage/objectives.ts";
import type { BudgetAlerts } from "../usage/budget-alerts.ts";
import { isLight, spendOf, type Allowance } from "../usage/allowance.ts";
import { isUnstarted, type QueueEntry } from "./queue-entry.ts";
import type { OrphanedLeases } from "./orphaned-leases.ts";
import type { Change, CheckpointPolicy } from "./checkpoint-policy.ts";
import type { Reservations } from "./reservations.ts";
import type { KeyTable } from "./keys.ts";
import { leaseIdOf, tokenOf, type LeaseTable } from "./lease-table.ts";
import type { Expense, NumberedExpense } from "../budget-protocol.ts";
import type { ObjectState, Settlement } from "../protocol.ts";
import type { RecentIds } from "../../runtime/recent-ids.ts";
import { createRecordedExpenses, type SavedSender } from "./recorded-expenses.ts";
import { recordSpend, takeBackSpend } from "../usage/spend.ts";
import type { UsageBook } from "../usage/usage-book.ts";
import { cellOf, isMain, routeOf } from "../usage/usage-cells.ts";
import type { UsageCell } from "../usage-protocol.ts";

/** Expired leases whose record was not fetched yet; those beyond leave none. */
const MAX_ABANDONED = 1000;

const NONE: readonly QueueEntry[] = [];

/** What is saved of the ledger's records beside its sums. */
export interface Recorded {
  /** How often money was recorded. */
  readonly count: number;
  /** Whose expenses were recorded lately; absent where there are none. */
  readonly senders: readonly SavedSender[] | undefined;
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
  readonly alerts: Pick<BudgetAlerts, "spent" | "raise">;
  readonly usage: Pick<UsageBook, "add">;
  /** What the checkpoint that the object began with knows of it. */
  readonly recorded: Recorded;
  /** A slot is free again; `wasFull`: others may have lacked it. */
  onFree(entry: QueueEntry, wasFull: boolean, now: number): void;
}

export interface Settler {
  /** A second settlement is a no-op; one after the lease's end changes no limit, but its money is recorded. */
  settle(settlement: Settlement, now: number): void;
  /** Records what was spent outside any lease, once for each number of an isolate. */
  spend(expense: NumberedExpense, now: number): void;
  /** A prefetched lease comes back unused: it has cost nothing, also where it ran out before. */
  takeUnused(leaseId: string, now: number): void;
  /** A request that never started has cost nothing, also where its lease ran out before. */
  undoLapsed(requestId: string, now: number): void;
  /** Ends a lease whose request never started: it has cost nothing, and nor have those that came with it, unless used. */
  undo(entry: QueueEntry, now: number): void;
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
  const expenses = createRecordedExpenses(deps.recorded.senders);
  let abandoned: QueueEntry[] = [];
  const objectives = createObjectives();
  const ledger = { count: deps.recorded.count, saved: deps.recorded.count };
  let savedBefore = deps.recorded.count;

  /**
   * A request whose Worker died may have cost as much; what it did cost is not known. So may one under a prefetched lease
   * that its isolate has neither reported nor returned.
   */
  function book(entry: QueueEntry, now: number): void {
    const { requestId, flow } = entry;
    const costMicroUsd = Math.round(entry.costMicroUsd);
    entry.booked = { microUsd: costMicroUsd, at: now };
    recordCost({ requestId, keyId: flow.id, costMicroUsd, usage: unknownUsage(entry, 1, costMicroUsd) }, now);
  }

  function unbook(entry: QueueEntry, now: number): void {
    const { booked, flow } = entry;
    if (booked === undefined) return;
    entry.booked = undefined;
    usage.add(unknownUsage(entry, -1, booked.microUsd), booked.at);
    if (booked.microUsd > 0) {
      takeBackSpend(spendOf(tenant), booked.microUsd, booked.at);
      takeBackSpend(spendOf(flow.allowance), booked.microUsd, booked.at);
    }
    noteMoney(now);
  }

  /** Of a lease that ran out, and was not used. */
  function takeBack(lapsed: QueueEntry, now: number): void {
    if (lapsed.lease !== undefined) orphaned.dropLapsed(lapsed.lease.token);
    unbook(lapsed, now);
  }

  function markUse(now: number, whenLight: Change): void {
    checkpointPolicy.mark(isLight(tenant, now) ? whenLight : "usage");
  }

  function recordCost(
    { requestId, keyId, costMicroUsd, usage: used }: Expense,
    now: number,
    traceId = "",
  ): void {
    if (used !== undefined) usage.add(used, now);
    if (!(costMicroUsd > 0)) {
      if (used !== undefined) noteMoney(now);
      return;
    }
    const { allowance } = keys.find(keyId, now);
    const cause = { requestId, ...(traceId !== "" && { traceId }) };
    recordSpend(spendOf(tenant), costMicroUsd, now);
    recordSpend(spendOf(allowance), costMicroUsd, now);
    noteMoney(now);
    // An alert names its request: where none is known, the next settlement brings it.
    if (requestId === "") return;
    if (tenant.limits.budget !== undefined) alerts.spent(tenant, cause, now);
    if (allowance.limits.budget !== undefined) alerts.spent(allowance, { ...cause, keyId }, now);
  }

  /** Counts requests against the tenant's objectives: a settled one, or some without a lease. */
  function judge(used: readonly UsageCell[], known: CountedRequests["known"], now: number): void {
    const judged = tenant.limits.objectives;
    if (judged === undefined) return;
    for (const [cell, [all = 0, failed = 0, refused = 0]] of used) {
      const requests = all - refused;
      if (requests <= 0 || !isMain(cell)) continue;
      const counted = { route: routeOf(cell), requests, failed, ...(known !== undefined && { known }) };
      for (const missed of objectives.count(judged, counted, now)) alerts.raise(missed);
    }
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

  function takeUnused(leaseId: string, now: number): void {
    const entry = leases.find(leaseId);
    if (entry !== undefined && isUnstarted(entry)) return abandon(entry, now);
    const lapsed = orphaned.findLapsed(tokenOf(leaseId));
    if (lapsed !== undefined && isUnstarted(lapsed)) takeBack(lapsed, now);
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
      if (settlement.outcome === "returned") {
        recordCost(settlement, now);
        orphaned.noteSettled(token);
        return abandon(entry, now);
      }
      if (!entry.isAdopted) reservations.settle(entry, inputTokens, outputTokens, now);
      if (settlement.costMicroUsd > 0 || settlement.usage !== undefined)
        recordCost(settlement, now, entry.traceId);
      else if (entry.costMicroUsd > 0) noteMoney(now);
      const { usage: used = [], durationMs = 0 } = settlement;
      judge(used, { durationMs, requestId, traceId: entry.traceId }, now);
      orphaned.noteSettled(token);
      end(entry, now);
    },
    spend(expense, now) {
      if (!expenses.claim(expense.sender, expense.number, now)) return;
      judge(expense.usage ?? [], undefined, now);
      recordCost(expense, now);
    },
    takeUnused,
    undoLapsed(requestId, now) {
      for (const lapsed of orphaned.lapsed(now)) if (lapsed.requestId === requestId) takeBack(lapsed, now);
    },
    undo(entry, now) {
      const { firstToken = 0, count = 0 } = entry.lease?.answer?.prefetched ?? {};
      abandon(entry, now);
      // Its caller has not heard of them.
      for (let n = 0; n < count; n += 1) takeUnused(leaseIdOf(firstToken + n), now);
    },
    unbook,
    expire(entry, now) {
      // Booked before its reservation ends: in between, others would be admitted for the same money.
      if (entry.traceId !== "" || entry.costMicroUsd > 0) book(entry, now);
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
      return { count: ledger.count, senders: expenses.save(now) };
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

/**
 * A request whose Worker died: it failed, and cost what it had reserved. A prefetched lease may have had none. `times` is -1
 * to take that back.
 */
function unknownUsage({ flow, traceId }: QueueEntry, times: 1 | -1, microUsd: number): readonly UsageCell[] {
  const cost = times * microUsd;
  const count = traceId === "" ? 0 : times;
  return [[cellOf("main", flow.id, "", "", ""), [count, count, 0, 0, 0, 0, 0, 0, 0, cost, 0, cost]]];
}
