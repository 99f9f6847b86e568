/**
 * How leases end: settled with what was really used, given back because their request never went, or run out. Each ends
 * once; money is booked once, even where its lease is no longer in force. Pure; queue-machine.ts owns the moment.
 */

import { isLight, spendOf, type Allowance } from "./allowance.ts";
import { isUnstarted, type Entry } from "./queue-entry.ts";
import type { ForgottenLeases } from "./orphaned-leases.ts";
import type { Freshness } from "./checkpoint-policy.ts";
import type { Holdings } from "./reservations.ts";
import type { KeyRing } from "./keys.ts";
import { tokenOf, type LeaseTable } from "./lease-table.ts";
import type { Expense, Settlement } from "../protocol.ts";
import { createRecentIds, type RecentIds } from "./recent-ids.ts";
import { book } from "./spend.ts";

/** Leases that ran out and whose record nobody has fetched yet; those beyond leave none. */
const MAX_ABANDONED = 1000;

const NOBODY: readonly Entry[] = [];

export interface EndingsDeps {
  readonly tenant: Allowance;
  readonly keys: KeyRing;
  readonly leases: LeaseTable;
  readonly holdings: Holdings;
  readonly forgotten: ForgottenLeases;
  readonly freshness: Freshness;
  readonly byRequest: Map<string, Entry>;
  readonly ended: RecentIds;
  /** A slot is free again; `wasFull`: others may have lacked it. */
  onFree(entry: Entry, wasFull: boolean, now: number): void;
}

export interface Endings {
  /** A second settlement is a no-op; one after the lease's end changes no limit but its money is booked. */
  settle(settlement: Settlement, now: number): void;
  /** Books what was spent outside of any lease, once for each request. */
  spend(expense: Expense, now: number): void;
  /** Ends a lease whose request never went: it has cost nothing. */
  abandon(entry: Entry, now: number): void;
  /** Ends a lease that ran out: what it took stays taken, what it reserved of a budget is free. */
  expire(entry: Entry, now: number): void;
  /** Requests whose leases ran out since the last call. */
  takeAbandoned(): readonly Entry[];
  /** Money booked since the last checkpoint, in micro-dollars. */
  readonly unsavedMicroUsd: number;
  noteSaved(): void;
}

export function createEndings(deps: EndingsDeps): Endings {
  const { tenant, keys, leases, holdings, forgotten, freshness, byRequest, ended } = deps;
  const spenders = createRecentIds();
  let abandoned: Entry[] = [];
  let unsavedMicroUsd = 0;

  function markUse(now: number, whenLight: "held" | "ledger"): void {
    freshness.mark(isLight(tenant, now) ? whenLight : "usage");
  }

  function bookCost({ keyId, costMicroUsd }: Expense, now: number): void {
    if (!(costMicroUsd > 0)) return;
    book(spendOf(tenant), costMicroUsd, now);
    book(spendOf(keys.find(keyId, now).allowance), costMicroUsd, now);
    unsavedMicroUsd += costMicroUsd;
    markUse(now, "ledger");
  }

  function end(entry: Entry, now: number): void {
    // Judged with its slot still held: a saved lease that has ended must not haunt a small limit after a crash.
    if (entry.lease?.isSaved === true || tenant.tokens !== undefined) markUse(now, "held");
    const wasFull = holdings.end(entry);
    if (entry.requestId !== "") {
      byRequest.delete(entry.requestId);
      ended.add(entry.requestId, now);
    }
    deps.onFree(entry, wasFull, now);
  }

  function abandon(entry: Entry, now: number): void {
    holdings.takeBack(entry, now);
    markUse(now, "held");
    end(entry, now);
  }

  return {
    settle(settlement, now) {
      const { requestId, leaseId, inputTokens, outputTokens } = settlement;
      const token = tokenOf(leaseId);
      const entry = leases.find(leaseId);
      if (entry === undefined) {
        if (forgotten.takeLate(token, now)) bookCost(settlement, now);
        return;
      }
      // Two calls of an isolate may overtake each other: a settlement says who used the lease as well.
      if (isUnstarted(entry)) entry.requestId = requestId;
      else if (!entry.isAdopted && entry.requestId !== requestId) return;
      if (entry.lease?.departure !== undefined) return abandon(entry, now);
      if (!entry.isAdopted) holdings.settle(entry, inputTokens, outputTokens, now);
      bookCost(settlement, now);
      forgotten.noteSettled(token);
      end(entry, now);
    },
    spend(expense, now) {
      if (spenders.has(expense.requestId, now)) return;
      spenders.add(expense.requestId, now);
      bookCost(expense, now);
    },
    abandon,
    expire(entry, now) {
      if (entry.lease !== undefined) forgotten.noteExpired(entry.lease.token);
      if (entry.traceId !== "" && abandoned.length < MAX_ABANDONED) abandoned.push(entry);
      end(entry, now);
    },
    takeAbandoned() {
      if (abandoned.length === 0) return NOBODY;
      const taken = abandoned;
      abandoned = [];
      return taken;
    },
    get unsavedMicroUsd() {
      return unsavedMicroUsd;
    },
    noteSaved() {
      unsavedMicroUsd = 0;
    },
  };
}
