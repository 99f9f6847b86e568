/**
 * Which failed OTLP exports are retried, and after how long: the OTLP specification 1.11, "Failures" and "Throttling".
 * Pure; it sends nothing.
 */

/**
 * No retry begins later than this after the first try. Enough for a receiver's restart; a longer outage is the outbox's,
 * which outlives this request and this isolate. With a last try of 10 s, the whole export ends within 20 s.
 */
export const RETRY_WINDOW_MS = 5000;

/** A receiver would answer every other status again. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([429, 502, 503, 504]);

const BASE_DELAY_MS = 500;
const MAX_DELAY_MS = 8000;
/** Spreads clients that got the same Retry-After. */
const RETRY_AFTER_SPREAD_MS = 500;

export function isRetryableStatus(status: number): boolean {
  return RETRYABLE_STATUSES.has(status);
}

/** The wait before the next try in ms. `attempt` counts the tries so far; `random` is in [0, 1). */
export function retryDelayMs(attempt: number, retryAfterMs: number | undefined, random: number): number {
  if (retryAfterMs !== undefined) return retryAfterMs + random * RETRY_AFTER_SPREAD_MS;
  return random * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** attempt);
}
