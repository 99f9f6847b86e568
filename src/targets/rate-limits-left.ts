/**
 * What upstreams have left us of their rate limits, as this isolate last read it: a target that the next call would use up is passed
 * over before it refuses. Plain data, bounded; a guess, so the last target of a route is called all the same.
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";
import type { LimitLeft, RateLimitsLeft } from "../upstream/rate-limit-headers.ts";

const MAX_TARGETS = 2_000;
/** Where the upstream doesn't say when a limit is whole again. */
const DEFAULT_RESET_MS = 5_000;
/** A wrong header must not shut a target for a day. */
const MAX_RESET_MS = 600_000;

export interface RateLimitStats {
  /** `now` is ms since the epoch. */
  note(tenantId: string, target: string, left: RateLimitsLeft, now: number): void;
  /** A call begins: one request less is left. */
  take(tenantId: string, target: string): void;
  /** Whether a call would be refused, by what is known. `tokens` counts the request, where a limit of tokens is known. */
  isUsedUp(tenantId: string, target: string, tokens: () => number, now: number): boolean;
}

interface Left {
  requests: number;
  requestsUntil: number;
  tokens: number;
  tokensUntil: number;
}

export function createRateLimitStats(): RateLimitStats {
  const known = createBoundedMap<string, Left>(MAX_TARGETS);
  const keyOf = (tenantId: string, target: string): string => `${tenantId} ${target}`;
  return {
    note(tenantId, target, { requests, tokens }, now) {
      known.set(keyOf(tenantId, target), {
        requests: requests?.remaining ?? Infinity,
        requestsUntil: untilOf(requests, now),
        tokens: tokens?.remaining ?? Infinity,
        tokensUntil: untilOf(tokens, now),
      });
    },
    take(tenantId, target) {
      const left = known.get(keyOf(tenantId, target));
      if (left !== undefined) left.requests -= 1;
    },
    isUsedUp(tenantId, target, tokens, now) {
      const left = known.get(keyOf(tenantId, target));
      if (left === undefined) return false;
      if (left.requests < 1 && now < left.requestsUntil) return true;
      return left.tokens !== Infinity && now < left.tokensUntil && tokens() > left.tokens;
    },
  };
}

function untilOf(left: LimitLeft | undefined, now: number): number {
  return now + Math.min(MAX_RESET_MS, left?.resetMs ?? DEFAULT_RESET_MS);
}
