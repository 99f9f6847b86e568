/**
 * A generous rate for a key's requests that its tenant's queue never sees: cache hits, replayed answers, lists, counts,
 * and what is refused before. They call no model, but they use the platform. Counted in the isolate: a key whose requests
 * go to several isolates has as much in each. Plain data.
 */

import { createBoundedMap } from "../../runtime/bounded-map.ts";
import { adjust, createRateLimiter, createRateLimitRule, opensAt, take } from "../usage/rate-limiter.ts";
import type { RateLimiter, RateLimitRule } from "../usage/rate-limiter.ts";

/** Where the records set none: this many times what may call a model. */
const TIMES_REQUESTS = 10;
const MIN_DEFAULT_PER_MINUTE = 600;
/** Keys whose state is kept. */
const MAX_KEYS = 10_000;

/** What a record says of it: a tenant's or a key's `limits`. */
export interface UnqueuedLimits {
  readonly requestsPerMinute?: number | undefined;
  readonly unqueuedRequestsPerMinute?: number | undefined;
}

/** Plain data of one request: the key whose rate has counted it, until it goes to the queue. */
export interface UnqueuedTurn {
  unqueuedKey?: string | undefined;
}

export interface UnqueuedRate {
  /** Counts a request as one that won't be queued. Returns how long to wait, in ms, where the rate is used up; else 0. */
  take(turn: UnqueuedTurn, keyId: string, perMinute: number, now: number): number;
  /** The request goes to the queue, which has limits of its own; idempotent. */
  giveBack(turn: UnqueuedTurn, now: number): void;
}

/** Requests a minute that need no queue; Infinity where neither the records nor their rates bound them. */
export function unqueuedPerMinute(ofTenant: UnqueuedLimits, ofKey: UnqueuedLimits = {}): number {
  const own = ofKey.unqueuedRequestsPerMinute ?? ofTenant.unqueuedRequestsPerMinute;
  if (own !== undefined) return own;
  const requests = Math.min(ofTenant.requestsPerMinute ?? Infinity, ofKey.requestsPerMinute ?? Infinity);
  return Math.max(MIN_DEFAULT_PER_MINUTE, TIMES_REQUESTS * requests);
}

interface KeyRate {
  readonly limiter: RateLimiter;
  readonly rule: RateLimitRule;
}

export function createUnqueuedRate(): UnqueuedRate {
  const keys = createBoundedMap<string, KeyRate>(MAX_KEYS);

  function rateOf(keyId: string, perMinute: number): KeyRate {
    const known = keys.get(keyId);
    if (known?.rule.perMinute === perMinute) return known;
    const rate = { limiter: createRateLimiter(), rule: createRateLimitRule(perMinute) };
    keys.set(keyId, rate);
    return rate;
  }

  return {
    take(turn, keyId, perMinute, now) {
      if (perMinute === Infinity) return 0;
      const { limiter, rule } = rateOf(keyId, perMinute);
      const waitMs = opensAt(limiter, rule, 1) - now;
      if (waitMs > 0) return waitMs;
      take(limiter, rule, 1, now);
      turn.unqueuedKey = keyId;
      return 0;
    },
    giveBack(turn, now) {
      const rate = turn.unqueuedKey === undefined ? undefined : keys.get(turn.unqueuedKey);
      turn.unqueuedKey = undefined;
      if (rate !== undefined) adjust(rate.limiter, rate.rule, -1, now);
    },
  };
}
