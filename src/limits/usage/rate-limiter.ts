/**
 * A rate limit as GCRA (a token bucket kept as one theoretical arrival time): the exact time of the next admission follows
 * from it. Costs may differ from 1, so it counts requests and tokens alike. Pure; the caller passes the time (ms).
 */

import type { LimitWindow } from "../protocol.ts";

const MS_PER_MINUTE = 60_000;
/** Burst where none is set: ten seconds' worth of a minute. */
const BURST_SHARE = 1 / 6;
/** The longest that a debt holds up others, beyond the burst itself. */
const MAX_DEBT_MS = 2 * MS_PER_MINUTE;
/** Doubles at 1.8e12 ms are 0.0002 ms apart: less than this above a whole millisecond is noise. */
const CLOCK_NOISE_MS = 0.001;

/** What is admitted: `burst` units at once, then one each `unitMs`. */
export interface RateLimitRule {
  readonly perMinute: number;
  readonly burst: number;
  readonly unitMs: number;
}

/** The state of a limiter. `fullAt`: when the bucket is full again (GCRA's theoretical arrival time). Stored: keep the names. */
export interface RateLimiter {
  fullAt: number;
  /** The latest time of an admission; in the future where a caller sleeps until then. */
  lastAt: number;
  /** All that was ever given back, in ms: the correction for a later ticket. */
  returnedMs: number;
}

/** One admission's mark on a limiter, kept so that it can be undone. */
export interface RateTicket {
  readonly before: number;
  readonly after: number;
  /** The limiter's `returnedMs` then. */
  readonly returnedMs: number;
  readonly units: number;
}

export function createRateLimitRule(
  perMinute: number,
  burst = Math.ceil(perMinute * BURST_SHARE),
): RateLimitRule {
  return { perMinute, burst: Math.max(1, burst), unitMs: MS_PER_MINUTE / perMinute };
}

export function createRateLimiter(): RateLimiter {
  return { fullAt: 0, lastAt: 0, returnedMs: 0 };
}

/**
 * The first whole millisecond at which `units` may pass after `unitsAhead` others; may be in the past.
 * More units than the burst pass when the bucket is full, and leave a debt.
 */
export function opensAt(limiter: RateLimiter, rule: RateLimitRule, units: number, unitsAhead = 0): number {
  const spare = rule.burst - Math.min(units, rule.burst) - unitsAhead;
  return Math.ceil(limiter.fullAt - spare * rule.unitMs - CLOCK_NOISE_MS);
}

/** Counts an admission at the time `at`, which must not be before `opensAt`. */
export function take(limiter: RateLimiter, rule: RateLimitRule, units: number, at: number): RateTicket {
  const before = limiter.fullAt;
  limiter.fullAt = Math.max(before, at) + units * rule.unitMs;
  limiter.lastAt = Math.max(limiter.lastAt, at);
  return { before, after: limiter.fullAt, returnedMs: limiter.returnedMs, units };
}

/**
 * Undoes an admission that was never used. Exact for the last one. For an earlier one it returns only what can't have
 * drained before the later ones were counted: never too much, so the limit holds at the cost of slight under-use.
 */
export function giveBack(limiter: RateLimiter, rule: RateLimitRule, ticket: RateTicket, now: number): void {
  const shiftMs = limiter.returnedMs - ticket.returnedMs;
  const after = ticket.after - shiftMs;
  if (limiter.fullAt === after) {
    limiter.fullAt = ticket.before - shiftMs;
    return;
  }
  const undrainedMs = Math.max(0, after - Math.max(now, limiter.lastAt));
  giveCredit(limiter, Math.min(ticket.units * rule.unitMs, undrainedMs));
}

function giveCredit(limiter: RateLimiter, ms: number): void {
  limiter.fullAt -= ms;
  limiter.returnedMs += ms;
}

/**
 * Settles an estimate: `units` above 0 are a debt that is carried, for two minutes of the limit at most, so that no single
 * report locks the others out; below 0 they are a credit that is returned.
 */
export function adjust(limiter: RateLimiter, rule: RateLimitRule, units: number, now: number): void {
  if (units <= 0) giveCredit(limiter, -units * rule.unitMs);
  else {
    const owedUntil = Math.max(limiter.fullAt, now) + units * rule.unitMs;
    const longest = now + rule.burst * rule.unitMs + MAX_DEBT_MS;
    limiter.fullAt = Math.max(limiter.fullAt, Math.min(owedUntil, longest));
  }
}

/**
 * Carries what was used over to a changed rule: the units stay, the time they take changes. At most a burst is owed,
 * and what sleeping callers have reserved.
 */
export function rescale(limiter: RateLimiter, from: RateLimitRule, to: RateLimitRule, now: number): void {
  const usedUnits = Math.max(0, limiter.fullAt - now) / from.unitMs;
  const reservedUnits = Math.ceil(Math.max(0, limiter.lastAt - now) / from.unitMs);
  limiter.fullAt = now + Math.min(usedUnits, to.burst + reservedUnits) * to.unitMs;
}

/** The numbers of the `x-ratelimit-…` headers: how many units may pass now, and when the whole burst is back. */
export function windowOf(limiter: RateLimiter, rule: RateLimitRule, now: number): LimitWindow {
  const owedMs = Math.max(0, limiter.fullAt - now);
  const remaining = Math.floor(rule.burst - (owedMs - CLOCK_NOISE_MS) / rule.unitMs);
  return {
    limit: rule.perMinute,
    remaining: Math.min(rule.burst, Math.max(0, remaining)),
    resetMs: Math.ceil(owedMs),
  };
}
