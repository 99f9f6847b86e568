import { describe, expect, test } from "vitest";
import { parseRetryAfter } from "../../../src/runtime/retry-after.ts";

describe("an upstream that names no Retry-After but when its limits are reset", () => {
  test.each([
    ["120ms", 120],
    ["1s", 1000],
    ["6m0s", 360_000],
    ["1h2m3.5s", 3_723_500],
  ])("is believed: %s", (reset, ms) => {
    const headers = new Headers({
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": reset,
    });
    expect(parseRetryAfter(headers)).toBe(ms);
  });

  test("is asked for what is used up only, and for the longer of two", () => {
    const headers = new Headers({
      "x-ratelimit-remaining-requests": "12",
      "x-ratelimit-reset-requests": "9s",
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset-tokens": "4s",
    });
    expect(parseRetryAfter(headers)).toBe(4000);
    headers.set("x-ratelimit-remaining-requests", "0");
    expect(parseRetryAfter(headers)).toBe(9000);
  });

  test("says nothing in words that are not a duration, or where a Retry-After speaks", () => {
    const reset = { "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon" };
    expect(parseRetryAfter(new Headers(reset))).toBeUndefined();
    const both = { ...reset, "x-ratelimit-reset-tokens": "4s", "retry-after": "2" };
    expect(parseRetryAfter(new Headers(both))).toBe(2000);
  });
});
