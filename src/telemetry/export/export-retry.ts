/**
 * When an OTLP export is tried again, and how long after: the rules of the OTLP specification 1.11 ("Failures",
 * "Throttling"). Pure; called by otlp-send.ts.
 */

/**
 * No try begins later than so long after the first one. It bridges a receiver's restart; what takes longer is safer in
 * the outbox, which outlives this request and this isolate. With a last try of 10 s all of it ends within 20 s.
 */
export const RETRY_WINDOW_MS = 5000;

/** Everything else a receiver refuses, it would refuse again. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([429, 502, 503, 504]);

const BASE_DELAY_MS = 500;
const MAX_DELAY_MS = 8000;
/** Spreads the clients that were told the same Retry-After. */
const RETRY_AFTER_SPREAD_MS = 500;
const MS_PER_SECOND = 1000;

export function isRetryableStatus(status: number): boolean {
  return RETRYABLE_STATUSES.has(status);
}

/** How long to wait before the next try. `attempt` counts the tries so far; `random` is in [0, 1). */
export function retryDelayMs(attempt: number, retryAfterMs: number | undefined, random: number): number {
  if (retryAfterMs !== undefined) return retryAfterMs + random * RETRY_AFTER_SPREAD_MS;
  return random * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** attempt);
}

/** A Retry-After header in ms from now: seconds or an HTTP date (RFC 9110 §10.2.3); undefined for anything else. */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  if (/^\d+$/.test(text)) return Number(text) * MS_PER_SECOND;
  // Date.parse takes much that is no HTTP date ("-5" is a year); those all begin with the day's name.
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
