/**
 * What one holder of limits, a tenant or one of its keys, has used of them: two rate limiters, slots and money.
 * A key's allowance is nested in its tenant's: a request needs room in both. Pure.
 */

import {
  adjust,
  createRateLimiter,
  createRateLimitRule,
  giveBack,
  opensAt,
  rescale,
  take,
  windowOf,
  type RateLimiter,
  type RateLimitRule,
  type RateTicket,
} from "./rate-limiter.ts";
import type { BudgetUse } from "../budget-protocol.ts";
import type { LimitName, Limits, LimitWindow } from "../protocol.ts";
import {
  budgetUse,
  budgetWindow,
  createSpend,
  hasEnded,
  isAffordable,
  spentIn,
  type Spend,
} from "./spend.ts";

/** A holder that has used less than this share of each limit can't reach one within a checkpoint's age. */
const LIGHT_SHARE = 0.1;

/** A rate limit in force. */
interface RateLimit {
  readonly rule: RateLimitRule;
  readonly limiter: RateLimiter;
}

export interface Allowance {
  limits: Limits;
  /** The configuration that `limits` are from; -1 before any. */
  version: number;
  requests: RateLimit | undefined;
  tokens: RateLimit | undefined;
  /** Slots in use: leases, those of sleeping callers too. */
  holding: number;
  /** Requests that wait, sleeping callers too. */
  waiting: number;
  /** Absent until something was spent or reserved. */
  spend: Spend | undefined;
}

/** What one admission took of an allowance, so that it can be undone. */
export interface Reservation {
  readonly requests: RateTicket | undefined;
  readonly tokens: RateTicket | undefined;
  /** Micro-dollars reserved until the lease ends. */
  readonly reserved: number;
}

/** The limits of a key that has none of its own. */
export const UNLIMITED: Limits = { maxDepth: Infinity, maxWaitMs: Infinity };

export function createAllowance(limits: Limits = UNLIMITED, version = -1): Allowance {
  const allowance: Allowance = {
    limits: UNLIMITED,
    version: -1,
    requests: undefined,
    tokens: undefined,
    holding: 0,
    waiting: 0,
    spend: undefined,
  };
  setLimits(allowance, limits, version, 0);
  return allowance;
}

/** Puts limits in force; what was used before carries over. */
export function setLimits(allowance: Allowance, limits: Limits, version: number, now: number): void {
  const { requestsPerMinute, burst, tokensPerMinute } = limits;
  allowance.requests =
    requestsPerMinute === undefined
      ? undefined
      : changeRate(allowance.requests, createRateLimitRule(requestsPerMinute, burst), now);
  allowance.tokens =
    tokensPerMinute === undefined
      ? undefined
      : changeRate(allowance.tokens, createRateLimitRule(tokensPerMinute), now);
  allowance.limits = limits;
  allowance.version = version;
}

function changeRate(old: RateLimit | undefined, rule: RateLimitRule, now: number): RateLimit {
  if (old === undefined) return { rule, limiter: createRateLimiter() };
  const isSame = old.rule.perMinute === rule.perMinute && old.rule.burst === rule.burst;
  if (!isSame) rescale(old.limiter, old.rule, rule, now);
  return { rule, limiter: old.limiter };
}

export function isLimited({ limits, requests, tokens }: Allowance): boolean {
  const { concurrency, budget } = limits;
  return concurrency !== undefined || requests !== undefined || tokens !== undefined || budget !== undefined;
}

/** Whether so little is used that what a crash forgets of some seconds brings no limit near. */
export function isLight({ limits, holding, requests, tokens, spend }: Allowance, now: number): boolean {
  const { concurrency = Infinity, budget } = limits;
  return (
    holding <= LIGHT_SHARE * concurrency &&
    (requests === undefined || isRateLight(requests, now)) &&
    (tokens === undefined || isRateLight(tokens, now)) &&
    (budget === undefined ||
      spend === undefined ||
      spentIn(spend, budget.period, now) + spend.reserved <= (1 - LIGHT_SHARE) * budget.microUsd)
  );
}

function isRateLight({ rule, limiter }: RateLimit, now: number): boolean {
  return limiter.fullAt - now <= LIGHT_SHARE * rule.burst * rule.unitMs;
}

/** Nothing held, nothing owed, nothing spent in a period that still runs: dropping it changes nothing. */
export function isIdle({ holding, waiting, requests, tokens, spend }: Allowance, now: number): boolean {
  const owedUntil = Math.max(requests?.limiter.fullAt ?? 0, tokens?.limiter.fullAt ?? 0);
  return holding === 0 && waiting === 0 && owedUntil <= now && (spend === undefined || hasEnded(spend, now));
}

export function hasSlot({ limits, holding }: Allowance): boolean {
  return limits.concurrency === undefined || holding < limits.concurrency;
}

/** When the request rate admits the next request after `ahead` others. */
export function requestsOpenAt({ requests }: Allowance, ahead = 0): number {
  return requests === undefined ? 0 : opensAt(requests.limiter, requests.rule, 1, ahead);
}

export function tokensOpenAt({ tokens }: Allowance, estimate: number): number {
  return tokens === undefined ? 0 : opensAt(tokens.limiter, tokens.rule, estimate);
}

/** When both rates admit a request of so many tokens; may be in the past. */
export function ratesOpenAt(allowance: Allowance, estimate: number): number {
  return Math.max(requestsOpenAt(allowance), tokensOpenAt(allowance, estimate));
}

/** The limit in the way at `now`, if one is. */
export function heldBy(allowance: Allowance, estimate: number, now: number): LimitName | undefined {
  if (!hasSlot(allowance)) return "concurrency";
  const requestsAt = requestsOpenAt(allowance);
  const tokensAt = tokensOpenAt(allowance, estimate);
  if (Math.max(requestsAt, tokensAt) <= now) return undefined;
  return requestsAt >= tokensAt ? "requests_per_minute" : "tokens_per_minute";
}

/** Whether the budget has room for a request of that estimate. */
export function canPay({ limits: { budget }, spend }: Allowance, microUsd: number, now: number): boolean {
  return budget === undefined || spend === undefined || isAffordable(spend, budget, microUsd, now);
}

/** The holder's spend, made if it is new. */
export function spendOf(allowance: Allowance): Spend {
  allowance.spend ??= createSpend();
  return allowance.spend;
}

/**
 * Counts an admission that starts at `at` and reserves its tokens and its cost; the slot is held until `release`. At most a
 * burst of tokens is reserved: the estimate contains the client's own word, and what is used beyond it becomes a debt.
 */
export function reserve(allowance: Allowance, estimate: number, microUsd: number, at: number): Reservation {
  const { requests, tokens, limits } = allowance;
  allowance.holding += 1;
  const reserved = limits.budget === undefined ? 0 : microUsd;
  if (reserved > 0) spendOf(allowance).reserved += reserved;
  return {
    requests: requests && take(requests.limiter, requests.rule, 1, at),
    tokens: tokens && take(tokens.limiter, tokens.rule, Math.min(estimate, tokens.rule.burst), at),
    reserved,
  };
}

/** Frees the slot and what was reserved of the budget. */
export function release(allowance: Allowance, { reserved }: Reservation): void {
  const { spend } = allowance;
  allowance.holding -= 1;
  // Sums of fractions leave dust: with nothing under way nothing is reserved.
  if (spend !== undefined) spend.reserved = allowance.holding === 0 ? 0 : spend.reserved - reserved;
}

/** Undoes an admission that was never used. */
export function undo({ requests, tokens }: Allowance, reservation: Reservation, now: number): void {
  if (requests !== undefined && reservation.requests !== undefined)
    giveBack(requests.limiter, requests.rule, reservation.requests, now);
  if (tokens !== undefined && reservation.tokens !== undefined)
    giveBack(tokens.limiter, tokens.rule, reservation.tokens, now);
}

/** Puts the true count in place of the estimate: a debt is carried, a credit returned. */
export function settleTokens(
  { tokens }: Allowance,
  reservation: Reservation,
  actual: number,
  now: number,
): void {
  if (tokens === undefined || reservation.tokens === undefined) return;
  adjust(tokens.limiter, tokens.rule, actual - reservation.tokens.units, now);
}

export function requestsWindow({ requests }: Allowance, now: number): LimitWindow | undefined {
  return requests && windowOf(requests.limiter, requests.rule, now);
}

export function tokensWindow({ tokens }: Allowance, now: number): LimitWindow | undefined {
  return tokens && windowOf(tokens.limiter, tokens.rule, now);
}

/** What is left of the budget now, in micro-dollars. */
export function spendWindow({ limits: { budget }, spend }: Allowance, now: number): LimitWindow | undefined {
  return budget && budgetWindow(spend, budget, now);
}

/** How much of the holder's budget is spent; undefined where it has none. */
export function budgetUseOf({ limits: { budget }, spend }: Allowance, now: number): BudgetUse | undefined {
  return budget && budgetUse(spend, budget, now);
}

/** How many more requests of that estimate this holder's limits admit now. */
export function roomFor(allowance: Allowance, estimate: number, microUsd: number, now: number): number {
  const { limits, holding } = allowance;
  const tokens = tokensWindow(allowance, now)?.remaining ?? Infinity;
  const money = spendWindow(allowance, now)?.remaining ?? Infinity;
  return Math.min(
    (limits.concurrency ?? Infinity) - holding,
    requestsWindow(allowance, now)?.remaining ?? Infinity,
    tokens / Math.max(1, estimate),
    money / Math.max(1, microUsd),
  );
}

/** Of a tenant's and a key's window the one that will refuse first. */
export function tighterWindow(
  one: LimitWindow | undefined,
  other: LimitWindow | undefined,
): LimitWindow | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.remaining < one.remaining ? other : one;
}
