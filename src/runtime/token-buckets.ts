/**
 * Token buckets by name, for what an isolate spends on strangers: each holds `capacity` tokens and gets `perSecond` back. Plain
 * data, bounded. Tenants' rates are src/limits/.
 */

import { createBoundedMap } from "./bounded-map.ts";

const MS_PER_SECOND = 1000;

export interface TokenBuckets {
  /** How long until there is a token, in ms; 0 where there is one. */
  waitMs(name: string): number;
  /** Takes a token and answers 0, or takes none and answers as `waitMs`. */
  take(name: string): number;
  /** Puts one back that was taken. */
  giveBack(name: string): void;
}

export interface TokenBucketRule {
  readonly capacity: number;
  readonly perSecond: number;
  /** Of the names used last; another one begins full. */
  readonly maxNames: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** `now` is ms since the epoch. */
export function createTokenBuckets(
  { capacity, perSecond, maxNames }: TokenBucketRule,
  now: () => number,
): TokenBuckets {
  const buckets = createBoundedMap<string, Bucket>(maxNames);

  function filled(name: string): Bucket {
    const at = now();
    const known = buckets.get(name);
    if (known === undefined) {
      const bucket = { tokens: capacity, at };
      buckets.set(name, bucket);
      return bucket;
    }
    const elapsedMs = Math.max(0, at - known.at);
    known.tokens = Math.min(capacity, known.tokens + (elapsedMs * perSecond) / MS_PER_SECOND);
    known.at = at;
    return known;
  }

  function waitOf({ tokens }: Bucket): number {
    return tokens < 1 ? Math.ceil(((1 - tokens) / perSecond) * MS_PER_SECOND) : 0;
  }

  return {
    waitMs: (name) => waitOf(filled(name)),
    take(name) {
      const bucket = filled(name);
      const waitMs = waitOf(bucket);
      if (waitMs === 0) bucket.tokens -= 1;
      return waitMs;
    },
    giveBack(name) {
      const bucket = filled(name);
      bucket.tokens = Math.min(capacity, bucket.tokens + 1);
    },
  };
}
