/**
 * What an upstream says of its own rate limits in the head of an answer: how much is left, and when it is whole again. Of several
 * windows the one that has least left counts. Pure.
 */

import { parseDuration } from "../runtime/retry-after.ts";

/** One limit: of requests, or of tokens. */
export interface LimitLeft {
  limit?: number;
  remaining?: number;
  /** Milliseconds until it is whole again. */
  resetMs?: number;
}

export interface RateLimitsLeft {
  readonly requests?: LimitLeft;
  readonly tokens?: LimitLeft;
}

/**
 * https://platform.openai.com/docs/guides/rate-limits (Azure, Groq, xAI, Fireworks and others alike),
 * https://inference-docs.cerebras.ai/support/rate-limits (with windows), https://docs.together.ai/docs/rate-limits (no kind: requests)
 */
const COMMON = /^x-ratelimit-(limit|remaining|reset)(?:-(requests|tokens)(?:-(?:minute|hour|day))?)?$/;
/** https://platform.claude.com/docs/en/api/rate-limits#response-headers */
const ANTHROPIC =
  /^anthropic-ratelimit-(requests|tokens|input-tokens|output-tokens)-(limit|remaining|reset)$/;

/** Whether a header's name, in lower case, is of a rate limit. */
export function isRateLimitHeader(name: string): boolean {
  return name.startsWith("x-ratelimit-") || name.startsWith("anthropic-ratelimit-");
}

/** Undefined where the head names no limit. `nowMs`: for resets that are an instant. */
export function readRateLimits(
  headers: Iterable<readonly [name: string, value: string]>,
  nowMs: number,
): RateLimitsLeft | undefined {
  const windows = new Map<string, LimitLeft>();
  for (const [name, value] of headers) {
    const common = COMMON.exec(name);
    const said = common ?? ANTHROPIC.exec(name);
    if (said === null) continue;
    const [, first = "", second = "requests"] = said;
    const [kind, field] = common === null ? [first, second] : [second, first];
    // The window is what the name has besides the field: `tokens-minute`.
    const window = `${kind.endsWith("tokens") ? "tokens" : "requests"} ${name.replace(`-${field}`, "")}`;
    const left = windows.get(window) ?? {};
    windows.set(window, left);
    take(left, field, value.trim(), nowMs);
  }
  const requests = tightest(windows, "requests");
  const tokens = tightest(windows, "tokens");
  if (requests === undefined && tokens === undefined) return undefined;
  return { ...(requests !== undefined && { requests }), ...(tokens !== undefined && { tokens }) };
}

const COUNT = /^\d{1,15}(?:\.\d{1,15})?$/;
const MS_PER_SECOND = 1000;
/** A larger number is seconds, or milliseconds, since the epoch. */
const EPOCH_SECONDS = 1_000_000_000;
const EPOCH_MS = EPOCH_SECONDS * MS_PER_SECOND;

function take(left: LimitLeft, field: string, value: string, nowMs: number): void {
  if (field === "reset") {
    const resetMs = readReset(value, nowMs);
    if (resetMs !== undefined) left.resetMs = Math.max(0, resetMs);
  } else if (COUNT.test(value)) {
    if (field === "limit") left.limit = Number(value);
    else left.remaining = Number(value);
  }
}

/** `6m0s`, `0.5` (seconds), `1767225600` (an instant), `2026-11-30T21:00:00Z`. */
function readReset(value: string, nowMs: number): number | undefined {
  if (COUNT.test(value)) {
    const number = Number(value);
    if (number >= EPOCH_MS) return number - nowMs;
    return number >= EPOCH_SECONDS ? number * MS_PER_SECOND - nowMs : number * MS_PER_SECOND;
  }
  const durationMs = parseDuration(value);
  if (durationMs !== undefined) return durationMs;
  const at = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? undefined : at - nowMs;
}

function tightest(windows: ReadonlyMap<string, LimitLeft>, kind: string): LimitLeft | undefined {
  let found: LimitLeft | undefined;
  for (const [window, left] of windows) {
    if (!window.startsWith(kind) || left.remaining === undefined) continue;
    if (found?.remaining === undefined || left.remaining < found.remaining) found = left;
  }
  return found;
}
