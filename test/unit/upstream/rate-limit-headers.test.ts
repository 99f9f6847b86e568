// What upstreams say of their rate limits, in each vendor's form, and what is made of it.
import { describe, expect, test } from "vitest";
import { createRateLimitStats } from "../../../src/targets/rate-limits-left.ts";
import { readRateLimits, type RateLimitsLeft } from "../../../src/upstream/rate-limit-headers.ts";

const NOW = Date.UTC(2026, 10, 30, 21, 0, 0);
const read = (headers: Readonly<Record<string, string>>): RateLimitsLeft | undefined =>
  readRateLimits(Object.entries(headers), NOW);

test.each<[string, Readonly<Record<string, string>>, RateLimitsLeft | undefined]>([
  [
    "OpenAI",
    {
      "x-ratelimit-limit-requests": "60",
      "x-ratelimit-remaining-requests": "59",
      "x-ratelimit-reset-requests": "1s",
      "x-ratelimit-limit-tokens": "150000",
      "x-ratelimit-remaining-tokens": "149984",
      "x-ratelimit-reset-tokens": "6m0s",
    },
    {
      requests: { limit: 60, remaining: 59, resetMs: 1000 },
      tokens: { limit: 150_000, remaining: 149_984, resetMs: 360_000 },
    },
  ],
  [
    "Anthropic, of several windows the tightest",
    {
      "anthropic-ratelimit-requests-limit": "50",
      "anthropic-ratelimit-requests-remaining": "0",
      "anthropic-ratelimit-requests-reset": "2026-11-30T21:00:30Z",
      "anthropic-ratelimit-input-tokens-remaining": "20000",
      "anthropic-ratelimit-output-tokens-remaining": "3000",
      "anthropic-ratelimit-output-tokens-reset": "2026-11-30T21:00:05Z",
    },
    {
      requests: { limit: 50, remaining: 0, resetMs: 30_000 },
      tokens: { remaining: 3000, resetMs: 5000 },
    },
  ],
  [
    "Cerebras",
    {
      "x-ratelimit-remaining-requests-day": "99",
      "x-ratelimit-remaining-tokens-minute": "900",
      "x-ratelimit-reset-tokens-minute": "5.5",
    },
    { requests: { remaining: 99 }, tokens: { remaining: 900, resetMs: 5500 } },
  ],
  [
    "one without a kind, with an instant in ms",
    { "x-ratelimit-limit": "20", "x-ratelimit-remaining": "19", "x-ratelimit-reset": String(NOW + 1500) },
    { requests: { limit: 20, remaining: 19, resetMs: 1500 } },
  ],
  [
    "an instant in seconds, and one that is over",
    { "x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": String(NOW / 1000 - 5) },
    { requests: { remaining: 1, resetMs: 0 } },
  ],
  ["a limit alone", { "x-ratelimit-limit-requests": "60" }, undefined],
  ["nonsense", { "x-ratelimit-remaining-requests": "many", "x-ratelimit-foo": "1" }, undefined],
])("%s", (_, headers, expected) => {
  expect(read(headers)).toEqual(expected);
});

describe("a target", () => {
  const used = (left: RateLimitsLeft, tokens: number, laterMs = 0, calls = 0): boolean => {
    const stats = createRateLimitStats();
    stats.note("t", "a/m", left, NOW);
    for (let n = 0; n < calls; n += 1) stats.take("t", "a/m");
    expect(stats.isUsedUp("other", "a/m", () => tokens, NOW)).toBe(false);
    return stats.isUsedUp("t", "a/m", () => tokens, NOW + laterMs);
  };

  test("is used up where no request is left, until the limit is whole again", () => {
    const left = { requests: { remaining: 0, resetMs: 2000 } };
    expect(used(left, 0)).toBe(true);
    expect(used(left, 0, 1999)).toBe(true);
    expect(used(left, 0, 2000)).toBe(false);
  });

  test("is used up by the calls that have begun since", () => {
    const left = { requests: { remaining: 2, resetMs: 2000 } };
    expect(used(left, 0, 0, 1)).toBe(false);
    expect(used(left, 0, 0, 2)).toBe(true);
  });

  test("is used up for a request of more tokens than are left", () => {
    const left = { tokens: { remaining: 100, resetMs: 2000 } };
    expect(used(left, 100)).toBe(false);
    expect(used(left, 101)).toBe(true);
    expect(used(left, 101, 2000)).toBe(false);
  });

  test("is not kept out for long by a wrong header", () => {
    expect(used({ requests: { remaining: 0, resetMs: 86_400_000 } }, 0, 600_000)).toBe(false);
    expect(used({ requests: { remaining: 0 } }, 0, 5000)).toBe(false);
  });
});
