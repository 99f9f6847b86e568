/**
 * A rate limit as GCRA: one theoretical arrival time, from which the exact moment of the next admission follows.
 * Costs may differ from 1, so the same gate counts requests and tokens. Pure; the caller brings the clock (ms).
 */

import type { LimitWindow } from "../protocol.ts";

const MS_PER_MINUTE = 60_000;
/** Burst where none is set: ten seconds' worth of a minute. */
const BURST_SHARE = 1 / 6;
/** Doubles at 1.8e12 ms are 0.0002 ms apart: less than this above a whole millisecond is noise. */
const CLOCK_NOISE_MS = 0.001;

/** What a gate lets through: `burst` units at once, then one each `unitMs`. */
export interface RateLimitRule {
  readonly perMinute: number;
  readonly burst: number;
  readonly unitMs: number;
}

/** A gate's state. `fullAt`: when the bucket is whole again (GCRA's theoretical arrival time). */
export interface RateLimiter {
  fullAt: number;
  /** The latest moment that anything was admitted at; may lie ahead where a caller sleeps until then. */
  lastAt: number;
  /** All that was ever given back, in ms: what a later ticket has to be corrected by. */
  returnedMs: number;
}

/** One admission's mark on a gate, kept so that it can be taken back. */
export interface RateTicket {
  readonly before: number;
  readonly after: number;
  /** The gate's `returnedMs` then. */
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
 * The first whole millisecond at which `units` may pass after `unitsAhead` others; it may lie in the past.
 * More units than the burst pass when the bucket is full, and leave a debt.
 */
export function opensAt(limiter: RateLimiter, rule: RateLimitRule, units: number, unitsAhead = 0): number {
  const spare = rule.burst - Math.min(units, rule.burst) - unitsAhead;
  return Math.ceil(limiter.fullAt - spare * rule.unitMs - CLOCK_NOISE_MS);
}

/** Counts an admission at the moment `at`, which must not be before `opensAt`. */
export function take(limiter: RateLimiter, rule: RateLimitRule, units: number, at: number): RateTicket {
  const before = limiter.fullAt;
  limiter.fullAt = Math.max(before, at) + units * rule.unitMs;
  limiter.lastAt = Math.max(limiter.lastAt, at);
  return { before, after: limiter.fullAt, returnedMs: limiter.returnedMs, units };
}

/**
 * Undoes an admission that never went. Exact for the last one. For an earlier one it returns what surely had not
 * drained before the later ones were counted: never too much, so the limit holds at the price of a little under-use.
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

/** Settles an estimate: `units` above 0 are a debt that is carried, below 0 a credit that is returned. */
export function adjust(limiter: RateLimiter, rule: RateLimitRule, units: number, now: number): void {
  if (units <= 0) giveCredit(limiter, -units * rule.unitMs);
  else limiter.fullAt = Math.max(limiter.fullAt, now) + units * rule.unitMs;
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

/** The numbers of the `x-ratelimit-…` headers: how many units may go this moment, and when all of the burst is back. */
export function windowOf(limiter: RateLimiter, rule: RateLimitRule, now: number): LimitWindow {
  const owedMs = Math.max(0, limiter.fullAt - now);
  const remaining = Math.floor(rule.burst - (owedMs - CLOCK_NOISE_MS) / rule.unitMs);
  return {
    limit: rule.perMinute,
    remaining: Math.min(rule.burst, Math.max(0, remaining)),
    resetMs: Math.ceil(owedMs),
  };
}
