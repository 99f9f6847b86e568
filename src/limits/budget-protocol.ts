/** The part of the queue's messages that is about money: budgets, how much of them is used, their alerts, and expenses. Plain data. */

import type { UsageCell } from "./usage-protocol.ts";

/** UTC days, ISO weeks (from Monday) and calendar months. */
export type BudgetPeriod = "day" | "week" | "month";

export interface Budget {
  readonly microUsd: number;
  readonly period: BudgetPeriod;
  /** `alert` lets requests through and only shows that it is exceeded. */
  readonly onExceeded: "reject" | "alert";
}

/** How much of a budget is spent in the current period. */
export interface BudgetUse {
  readonly microUsd: number;
  readonly spentMicroUsd: number;
}

/** A budget has reached a threshold: one for each holder, threshold and period. Stored: keep the field names. */
export interface BudgetAlert {
  /** Idempotency key, unique within the tenant. */
  readonly id: string;
  /** Absent for the tenant's own budget. */
  readonly keyId?: string;
  /** The request that spent the money, or was refused. */
  readonly requestId: string;
  readonly traceId?: string;
  /** The share of the budget: 0.5, 0.8 or 1. */
  readonly threshold: number;
  readonly budget: Budget;
  readonly spentMicroUsd: number;
  /** When the period ends, ms since the epoch; `at`: when the threshold was reached. */
  readonly endsAt: number;
  readonly at: number;
}

/** In US dollars. */
export type SpentUsd = Readonly<Record<BudgetPeriod | "reserved", number>>;

/** What a request cost before its admission, or without one (an embedding for the semantic cache). */
export interface Expense {
  readonly requestId: string;
  readonly keyId: string;
  readonly costMicroUsd: number;
  readonly usage?: readonly UsageCell[];
}

/** What requests of a key cost since the isolate's last call. One that arrives twice is recorded once. */
export interface NumberedExpense extends Expense {
  /** The isolate. */
  readonly sender: string;
  /** Counts the isolate's expenses, from 1. */
  readonly number: number;
}
