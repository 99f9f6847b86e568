/**
 * How long a request that has to wait will wait: whether queueing is worth it, and when a refused request should retry.
 * Exact for rates, an estimate from the mean hold for slots. Pure.
 */

import { requestsOpenAt, tokensOpenAt, type Allowance } from "../usage/allowance.ts";

/** Ends of leases that must have been seen before an estimate may refuse a request. */
const MIN_HOLD_SAMPLES = 8;
/** An estimate of slots refuses only when it is this many times beyond the deadline. */
const SLOT_DOUBT = 2;

export interface QueuePosition {
  readonly tenant: Allowance;
  readonly key: Allowance;
  readonly estimatedTokens: number;
  /** Requests that are served first, of the tenant and of the key. */
  readonly ahead: number;
  readonly keyAhead: number;
  readonly meanHoldMs: number;
  readonly holdSamples: number;
}

/** The expected wait by cause; each 0 where nothing is in the way. */
export interface WaitEstimate {
  readonly rateMs: number;
  readonly slotMs: number;
  /** What rounding may add to `rateMs`: each request ahead starts at a whole millisecond. */
  readonly roundingMs: number;
  /** Where slots are lacking: the mean time until one is free. */
  readonly slotFreesMs: number;
  readonly isSlotKnown: boolean;
}

export function estimateWait(place: QueuePosition, now: number): WaitEstimate {
  const { tenant, key, estimatedTokens, meanHoldMs } = place;
  const opensAt = Math.max(
    requestsOpenAt(tenant, place.ahead),
    tokensOpenAt(tenant, estimatedTokens),
    requestsOpenAt(key, place.keyAhead),
    tokensOpenAt(key, estimatedTokens),
  );
  const slotMs = Math.max(
    slotWaitMs(tenant, place.ahead, meanHoldMs),
    slotWaitMs(key, place.keyAhead, meanHoldMs),
  );
  return {
    rateMs: Math.max(0, opensAt - now),
    slotMs,
    roundingMs: place.ahead,
    slotFreesMs: slotMs === 0 ? 0 : Math.max(slotFreesMs(tenant, meanHoldMs), slotFreesMs(key, meanHoldMs)),
    isSlotKnown: place.holdSamples >= MIN_HOLD_SAMPLES,
  };
}

function slotWaitMs({ limits, holding }: Allowance, ahead: number, meanHoldMs: number): number {
  if (limits.concurrency === undefined) return 0;
  const lacking = ahead + 1 - Math.max(0, limits.concurrency - holding);
  return lacking <= 0 ? 0 : (lacking * meanHoldMs) / limits.concurrency;
}

function slotFreesMs({ limits }: Allowance, meanHoldMs: number): number {
  return limits.concurrency === undefined ? 0 : meanHoldMs / limits.concurrency;
}

/** Whether its deadline will come before its admission, by all that is known. */
export function isHopeless({ rateMs, slotMs, isSlotKnown }: WaitEstimate, maxWaitMs: number): boolean {
  return rateMs > maxWaitMs || (isSlotKnown && slotMs > SLOT_DOUBT * maxWaitMs);
}

/** When the same request would be admitted within its `maxWaitMs` unless others come first; whole ms, at least 1. */
export function retryAfterMs(waitEstimate: WaitEstimate, maxWaitMs: number, placeFreesMs: number): number {
  const rateMs = waitEstimate.rateMs === 0 ? 0 : waitEstimate.rateMs + waitEstimate.roundingMs;
  const expectedMs = Math.max(rateMs, waitEstimate.slotMs);
  return Math.max(1, Math.ceil(Math.max(expectedMs - maxWaitMs, waitEstimate.slotFreesMs, placeFreesMs)));
}
