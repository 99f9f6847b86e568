/**
 * The alerts that budgets owe: one for each of three thresholds in a period, for a tenant's budget and a key's alike. What
 * was told is part of the spend, and what is still to be told is kept until it is handed over, so that a restart neither
 * repeats an alert nor loses one. Pure; who hears of them is object/alert-teller.ts.
 */

import type { Incident, TenantAlert } from "../alert-protocol.ts";
import type { Allowance } from "./allowance.ts";
import { periodEndsAt, spentIn, type Spend } from "./spend.ts";
import type { OpenCircuit } from "../../targets/circuit-entry.ts";
import type { Budget, BudgetAlert } from "../budget-protocol.ts";

/** As shares of the budget. */
const THRESHOLDS = [0.5, 0.8, 1] as const;
/**
 * A budget that rejects is hardly ever spent to its last cent: a request that it refuses with no more than a twentieth left
 * counts as its end.
 */
const USED_UP_SHARE = 0.95;

/** A settlement may cost more than was reserved for it: this share of the budget more is expected. */
const NEAR_SHARE = 0.1;

/** Whose money it is, and the request that spent it or was refused. */
export interface AlertCause {
  /** Absent for the tenant's own budget. */
  readonly keyId?: string;
  readonly requestId: string;
  readonly traceId?: string;
}

export interface BudgetAlerts {
  /** Money of this holder was recorded. */
  spent(allowance: Allowance, cause: AlertCause, now: number): void;
  /** The holder's budget had no room for a request. */
  refused(allowance: Allowance, cause: AlertCause, now: number): void;
  /** Something else has happened that is to be told. */
  raise(incident: Incident): void;
  /** A target's circuit has opened, for the first time or again, for one key or for all. */
  circuitOpened(open: OpenCircuit | undefined, now: number): void;
  /** Alerts that have not been handed over. */
  pending(): readonly TenantAlert[];
  noteHandedOver(id: string): void;
  /** Alerts since the last call, for the requests that caused them. */
  takeNew(): readonly BudgetAlert[];
}

const NONE: readonly BudgetAlert[] = [];

/** `onAlert`: there is one more, and a crash must not forget it. `restored`: those of a checkpoint. */
export function createBudgetAlerts(onAlert: () => void, restored: readonly TenantAlert[] = []): BudgetAlerts {
  let pending = restored;
  let fresh: readonly BudgetAlert[] = NONE;

  function tell(holder: Allowance, cause: AlertCause, used: number, now: number): void {
    const { spend, limits } = holder;
    const { budget } = limits;
    if (spend === undefined || budget === undefined) return;
    const toldBefore = toldShare(spend, budget, now);
    const crossed = THRESHOLDS.filter((threshold) => threshold > toldBefore && used >= threshold);
    if (crossed.length === 0) return;
    const endsAt = periodEndsAt(budget.period, now);
    spend.alerted = { microUsd: budget.microUsd, period: budget.period, endsAt, share: crossed.at(-1) ?? 0 };
    const alerts = crossed.map((threshold): BudgetAlert => ({
      id: idOf(cause.keyId, budget, endsAt, threshold),
      ...cause,
      threshold,
      budget,
      spentMicroUsd: spentIn(spend, budget.period, now),
      endsAt,
      at: now,
    }));
    pending = [...pending, ...alerts];
    fresh = [...fresh, ...alerts];
    onAlert();
  }

  function raise(incident: Incident): void {
    pending = [...pending, incident];
    onAlert();
  }

  return {
    raise,
    circuitOpened(open, now) {
      // A probe that fails opens it again: that is the same event.
      if (open === undefined || open.openForMs > 0) return;
      const { target, keyId, foundBy } = open;
      raise({
        id: `circuit ${keyId ?? ""} ${target} ${now}`,
        type: "circuit.opened",
        subject: `${target} for ${keyId ?? "all keys"} at ${new Date(now).toISOString()}`,
        at: now,
        ...(foundBy !== undefined && { requestId: foundBy.requestId, traceId: foundBy.traceId }),
        data: { target, keyId: keyId ?? null },
      });
    },
    spent(holder, cause, now) {
      const { spend, limits } = holder;
      if (spend === undefined || limits.budget === undefined) return;
      tell(holder, cause, usedShare(spend, limits.budget, now), now);
    },
    refused(holder, cause, now) {
      const { spend, limits } = holder;
      if (spend === undefined || limits.budget === undefined) return;
      const used = usedShare(spend, limits.budget, now);
      tell(holder, cause, used >= USED_UP_SHARE ? 1 : used, now);
    },
    pending: () => pending,
    noteHandedOver(id) {
      pending = pending.filter((alert) => alert.id !== id);
    },
    takeNew() {
      if (fresh.length === 0) return NONE;
      const taken = fresh;
      fresh = NONE;
      return taken;
    },
  };
}

/** Whether the requests under way may bring the next alert: their ends are not to be reported late. */
export function isAlertNear({ spend, limits: { budget } }: Allowance, now: number): boolean {
  if (budget === undefined || spend === undefined) return false;
  const told = toldShare(spend, budget, now);
  const next = THRESHOLDS.find((threshold) => threshold > told);
  const used = spentIn(spend, budget.period, now) + spend.reserved;
  return next !== undefined && used >= (next - NEAR_SHARE) * budget.microUsd;
}

function usedShare(spend: Spend, { period, microUsd }: Budget, now: number): number {
  return spentIn(spend, period, now) / microUsd;
}

/** The highest threshold told in this period; a budget that was changed begins again. */
function toldShare({ alerted }: Spend, { period, microUsd }: Budget, now: number): number {
  const isSame =
    alerted !== undefined &&
    now < alerted.endsAt &&
    alerted.period === period &&
    alerted.microUsd === microUsd;
  return isSame ? alerted.share : 0;
}

/** The same for a repetition, another one for any other holder, budget, period and threshold. */
function idOf(keyId: string | undefined, budget: Budget, endsAt: number, threshold: number): string {
  return [keyId ?? "tenant", budget.period, endsAt, budget.microUsd, threshold].join(" ");
}
