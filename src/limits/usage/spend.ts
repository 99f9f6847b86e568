/**
 * What one holder of a budget, a tenant or one of its keys, has spent: a tally each for the UTC day, the ISO week and
 * the month, so that a budget set in the middle of a period knows what came before it. Pure; micro-US-dollars, ms.
 */

import { usd } from "../../pricing/cost.ts";
import type { Budget, BudgetPeriod, BudgetUse, SpentUsd } from "../budget-protocol.ts";
import type { LimitWindow } from "../protocol.ts";

const MS_PER_DAY = 86_400_000;
const DAYS_PER_WEEK = 7;
/** 1970-01-01 was a Thursday: the third day after a Monday. */
const EPOCH_WEEKDAY = 3;

interface Tally {
  microUsd: number;
  /** When the next period begins. */
  endsAt: number;
}

export interface Spend {
  readonly day: Tally;
  readonly week: Tally;
  readonly month: Tally;
  /** Estimates of the requests that are under way. */
  reserved: number;
  /** Up to which share of which budget alerts were told, and when its period ends; absent before the first. */
  alerted?: {
    readonly microUsd: number;
    readonly period: BudgetPeriod;
    readonly endsAt: number;
    readonly share: number;
  };
}

export function createSpend(): Spend {
  const empty = (): Tally => ({ microUsd: 0, endsAt: 0 });
  return { day: empty(), week: empty(), month: empty(), reserved: 0 };
}

/** When the period that `now` lies in ends. */
export function periodEndsAt(period: BudgetPeriod, now: number): number {
  const day = Math.floor(now / MS_PER_DAY);
  switch (period) {
    case "day":
      return (day + 1) * MS_PER_DAY;
    case "week":
      return (day - ((day + EPOCH_WEEKDAY) % DAYS_PER_WEEK) + DAYS_PER_WEEK) * MS_PER_DAY;
    case "month": {
      const date = new Date(now);
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
    }
  }
}

const PERIODS: readonly BudgetPeriod[] = ["day", "week", "month"];

/** Records what a request has cost. */
export function recordSpend(spend: Spend, microUsd: number, now: number): void {
  for (const period of PERIODS) {
    const tally = spend[period];
    tally.microUsd = spentIn(spend, period, now) + microUsd;
    if (now >= tally.endsAt) tally.endsAt = periodEndsAt(period, now);
  }
}

/** Takes back what was recorded at `at`, in the periods that have not ended since. */
export function takeBackSpend(spend: Spend, microUsd: number, at: number): void {
  for (const period of PERIODS) {
    const tally = spend[period];
    if (tally.endsAt === periodEndsAt(period, at)) tally.microUsd = Math.max(0, tally.microUsd - microUsd);
  }
}

/** What was spent in the period that `now` lies in. */
export function spentIn(spend: Spend, period: BudgetPeriod, now: number): number {
  const { microUsd, endsAt } = spend[period];
  return now < endsAt ? microUsd : 0;
}

/** Whether nothing was spent in the day, week and month that `now` lies in. */
export function hasEnded(spend: Spend, now: number): boolean {
  return PERIODS.every((period) => spentIn(spend, period, now) === 0);
}

/** The whole ledger in US dollars, for display. */
export function spentUsd(spend: Spend | undefined, now: number): SpentUsd {
  const spent = (period: BudgetPeriod): number =>
    spend === undefined ? 0 : usd(spentIn(spend, period, now));
  return {
    day: spent("day"),
    week: spent("week"),
    month: spent("month"),
    reserved: usd(spend?.reserved ?? 0),
  };
}

/**
 * Whether the budget has room for a request of that estimate. One dearer than the whole budget counts as the whole, so
 * that it is admitted when nothing was spent; one of unknown price as long as anything is left.
 */
export function isAffordable(spend: Spend, budget: Budget, estimate: number, now: number): boolean {
  if (budget.onExceeded === "alert") return true;
  const used = spentIn(spend, budget.period, now) + spend.reserved;
  return used < budget.microUsd && used + Math.min(estimate, budget.microUsd) <= budget.microUsd;
}

/** When the budget has room for a refused request: soon where only reservations block it, else in the next period. */
export function affordableInMs(
  spend: Spend,
  budget: Budget,
  estimate: number,
  meanHoldMs: number,
  now: number,
): number {
  const isReservedOnly = isAffordable({ ...spend, reserved: 0 }, budget, estimate, now);
  return isReservedOnly ? Math.max(1, Math.ceil(meanHoldMs)) : periodEndsAt(budget.period, now) - now;
}

/** How much of a budget is spent. What requests under way have reserved is not spent. */
export function budgetUse(spend: Spend | undefined, { microUsd, period }: Budget, now: number): BudgetUse {
  return { microUsd, spentMicroUsd: spend === undefined ? 0 : spentIn(spend, period, now) };
}

/** What is left of a budget, in micro-dollars; never below 0. */
export function budgetWindow(spend: Spend | undefined, budget: Budget, now: number): LimitWindow {
  const used = spend === undefined ? 0 : spentIn(spend, budget.period, now) + spend.reserved;
  return {
    limit: budget.microUsd,
    remaining: Math.max(0, Math.floor(budget.microUsd - used)),
    resetMs: periodEndsAt(budget.period, now) - now,
  };
}
