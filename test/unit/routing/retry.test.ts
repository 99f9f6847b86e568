import { describe, expect, test } from "vitest";
import { type ErrorCode, type ErrorDetails, GatewayError } from "../../../src/errors.ts";
import { type RetryContext, nextStep } from "../../../src/routing/retry.ts";
import { DEFAULT_RETRIES } from "../../../src/tenants/records/route-record.ts";

function fault(code: ErrorCode, details: ErrorDetails = {}): GatewayError {
  return new GatewayError(code, "it failed", details);
}

const OVERLOADED = fault("upstream_overloaded", { upstreamStatus: 503 });

function step(failed: Partial<RetryContext> = {}) {
  return nextStep({
    error: OVERLOADED,
    attemptsOfTarget: 1,
    hasNextTarget: false,
    remainingMs: 600_000,
    rules: DEFAULT_RETRIES,
    random: () => 0.5,
    takeRetry: () => true,
    ...failed,
  });
}

describe("whose fault it was", () => {
  test.each<[ErrorCode, number]>([
    ["upstream_rejected", 400],
    ["upstream_rejected", 404],
    ["upstream_rejected", 422],
    // Even where a route's `on` lists the caller's own status.
    ["upstream_rejected", 429],
  ])("the caller's own (%s %i) is tried nowhere again", (code, upstreamStatus) => {
    expect(step({ error: fault(code, { upstreamStatus }), hasNextTarget: true })).toEqual({
      kind: "give_up",
    });
  });

  test.each<ErrorCode>(["client_disconnected", "internal_error", "invalid_request", "unavailable"])(
    "%s is tried nowhere again",
    (code) => {
      expect(step({ error: fault(code), hasNextTarget: true })).toEqual({ kind: "give_up" });
    },
  );

  test("a refused credential is not shown to the same target twice, only to the next one", () => {
    const error = fault("upstream_auth", { upstreamStatus: 401 });
    expect(step({ error, hasNextTarget: true })).toEqual({ kind: "fallback" });
    expect(step({ error })).toEqual({ kind: "give_up" });
  });

  test.each([408, 429, 500, 502, 503, 504, 529])("a %i is retried by default", (upstreamStatus) => {
    expect(step({ error: fault("upstream_error", { upstreamStatus }), hasNextTarget: true }).kind).toBe(
      "retry",
    );
  });

  test("a status that the route does not list goes to the next target at once", () => {
    const rules = { ...DEFAULT_RETRIES, on: [429] };
    expect(step({ rules, hasNextTarget: true })).toEqual({ kind: "fallback" });
    expect(step({ rules })).toEqual({ kind: "give_up" });
  });

  test.each(["first_byte", "idle", "total"] as const)(
    "a call that ran into our %s limit is asked of the next target only, unless the route lists time-outs",
    (timeout) => {
      const error = fault("upstream_timeout", { timeout });
      expect(step({ error })).toEqual({ kind: "give_up" });
      expect(step({ error, hasNextTarget: true })).toEqual({ kind: "fallback" });
      const rules = { ...DEFAULT_RETRIES, on: ["timeout" as const] };
      expect(step({ error, rules }).kind).toBe("retry");
    },
  );

  test.each<ErrorCode>(["upstream_error", "upstream_malformed"])(
    "%s without a status (network, garbage) is retried whatever the route lists",
    (code) => {
      expect(step({ error: fault(code), rules: { ...DEFAULT_RETRIES, on: [] } }).kind).toBe("retry");
    },
  );
});

describe("how often", () => {
  test("maxAttempts is per target, the first call included", () => {
    const kinds = [1, 2, 3].map((attemptsOfTarget) => step({ attemptsOfTarget }).kind);
    expect(kinds).toEqual(["retry", "retry", "give_up"]);
  });

  test("maxAttempts 1 still falls back", () => {
    const rules = { ...DEFAULT_RETRIES, maxAttempts: 1 };
    expect(step({ rules, hasNextTarget: true })).toEqual({ kind: "fallback" });
    expect(step({ rules })).toEqual({ kind: "give_up" });
  });

  test("with no time left there is neither a retry nor a fallback", () => {
    for (const remainingMs of [0, -5]) {
      expect(step({ remainingMs, hasNextTarget: true })).toEqual({ kind: "give_up" });
    }
  });
});

describe("how long", () => {
  test("a pause is drawn from nothing up to twice the last one's ceiling", () => {
    const delays = (draw: number) =>
      [1, 2, 3, 4].map((attemptsOfTarget) =>
        step({ attemptsOfTarget, random: () => draw, rules: { ...DEFAULT_RETRIES, maxAttempts: 10 } }),
      );
    expect(delays(0)).toEqual([0, 0, 0, 0].map((delayMs) => ({ kind: "retry", delayMs })));
    expect(delays(0.5)).toEqual([125, 250, 500, 1000].map((delayMs) => ({ kind: "retry", delayMs })));
    expect(delays(0.999_999)).toEqual([250, 500, 1000, 2000].map((delayMs) => ({ kind: "retry", delayMs })));
  });

  test("no drawn pause is longer than ten seconds", () => {
    const rules = { ...DEFAULT_RETRIES, maxAttempts: 10, baseDelayMs: 60_000 };
    expect(step({ rules, attemptsOfTarget: 9, random: () => 0.999_999 })).toEqual({
      kind: "retry",
      delayMs: 10_000,
    });
  });

  test("a pause that does not fit into the remaining time is not taken", () => {
    expect(step({ remainingMs: 125 })).toEqual({ kind: "give_up" });
    expect(step({ remainingMs: 125, hasNextTarget: true })).toEqual({ kind: "fallback" });
    expect(step({ remainingMs: 126 })).toEqual({ kind: "retry", delayMs: 125 });
  });
});

describe("Retry-After", () => {
  const limited = (retryAfterMs: number) =>
    fault("upstream_rate_limited", { upstreamStatus: 429, retryAfterMs });

  test("is waited for exactly, in place of a drawn pause", () => {
    expect(step({ error: limited(1500) })).toEqual({ kind: "retry", delayMs: 1500 });
    expect(step({ error: limited(0) })).toEqual({ kind: "retry", delayMs: 0 });
  });

  test("is waited for up to ten seconds where no other target can be asked", () => {
    expect(step({ error: limited(10_000) })).toEqual({ kind: "retry", delayMs: 10_000 });
    expect(step({ error: limited(10_001) })).toEqual({ kind: "give_up" });
  });

  test("is waited for as long as the route allows, within the request's time", () => {
    const rules = { ...DEFAULT_RETRIES, maxRetryAfterMs: 60_000 };
    const ask = (ms: number) => step({ error: limited(ms), remainingMs: 60_000, rules });
    expect(ask(59_999)).toEqual({ kind: "retry", delayMs: 59_999 });
    expect(ask(60_000)).toEqual({ kind: "give_up" });
    expect(step({ error: limited(1), rules: { ...rules, maxRetryAfterMs: 0 } })).toEqual({ kind: "give_up" });
  });

  test("is not slept through when the next target would answer sooner", () => {
    expect(step({ error: limited(2000), hasNextTarget: true })).toEqual({ kind: "retry", delayMs: 2000 });
    expect(step({ error: limited(2001), hasNextTarget: true })).toEqual({ kind: "fallback" });
    expect(step({ error: limited(60_000), remainingMs: 60_000, hasNextTarget: true })).toEqual({
      kind: "fallback",
    });
  });

  test("does not buy another attempt beyond maxAttempts", () => {
    expect(step({ error: limited(1), attemptsOfTarget: 3 })).toEqual({ kind: "give_up" });
  });
});

describe("the budget", () => {
  test("used up means the next target, or the end, and says why", () => {
    const takeRetry = (): boolean => false;
    expect(step({ takeRetry, hasNextTarget: true })).toEqual({ kind: "fallback", isOverBudget: true });
    expect(step({ takeRetry })).toEqual({ kind: "give_up", isOverBudget: true });
  });

  test("is not touched by what would not be retried anyway", () => {
    const takeRetry = (): never => {
      throw new Error("taken");
    };
    expect(step({ takeRetry, error: fault("upstream_rejected") })).toEqual({ kind: "give_up" });
    expect(step({ takeRetry, error: fault("upstream_auth"), hasNextTarget: true })).toEqual({
      kind: "fallback",
    });
    expect(step({ takeRetry, attemptsOfTarget: 3 })).toEqual({ kind: "give_up" });
  });
});
