import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  adjust,
  createRateLimiter,
  createRateLimitRule,
  giveBack,
  opensAt,
  rescale,
  take,
  windowOf,
} from "../../../../src/limits/usage/rate-limiter.ts";
import { START_AT } from "../../../support/builders/admission.ts";

describe("a rate limiter", () => {
  test("lets a burst pass at once and then one each interval", () => {
    const limiter = createRateLimiter();
    const rule = createRateLimitRule(60, 3);
    for (let n = 0; n < 3; n += 1) {
      expect(opensAt(limiter, rule, 1)).toBeLessThanOrEqual(START_AT);
      take(limiter, rule, 1, START_AT);
    }
    expect(opensAt(limiter, rule, 1)).toBe(START_AT + 1000);
    expect(opensAt(limiter, rule, 1, 4)).toBe(START_AT + 5000);
  });

  test("has ten seconds' worth as its burst where none is set, and at least one", () => {
    expect(createRateLimitRule(60).burst).toBe(10);
    expect(createRateLimitRule(1).burst).toBe(1);
  });

  test("tells what is left and when all of it is back", () => {
    const limiter = createRateLimiter();
    const rule = createRateLimitRule(60, 3);
    expect(windowOf(limiter, rule, START_AT)).toEqual({ limit: 60, remaining: 3, resetMs: 0 });
    take(limiter, rule, 1, START_AT);
    take(limiter, rule, 1, START_AT);
    expect(windowOf(limiter, rule, START_AT + 1)).toEqual({ limit: 60, remaining: 1, resetMs: 1999 });
  });

  test("lets more than its burst pass when it is full, and carries the debt", () => {
    const limiter = createRateLimiter();
    const rule = createRateLimitRule(600, 100);
    expect(opensAt(limiter, rule, 250)).toBeLessThanOrEqual(START_AT);
    take(limiter, rule, 250, START_AT);
    expect(opensAt(limiter, rule, 100)).toBe(START_AT + 25_000);
    expect(windowOf(limiter, rule, START_AT).remaining).toBe(0);
  });

  test("carries the debt of an estimate that was too low and returns a credit", () => {
    const limiter = createRateLimiter();
    const rule = createRateLimitRule(600, 100);
    take(limiter, rule, 100, START_AT);
    adjust(limiter, rule, 50, START_AT);
    expect(opensAt(limiter, rule, 100)).toBe(START_AT + 15_000);
    adjust(limiter, rule, -100, START_AT);
    expect(opensAt(limiter, rule, 100)).toBe(START_AT + 5000);
  });

  test("counts a debt from the time it is known when it was idle before", () => {
    const limiter = createRateLimiter();
    const rule = createRateLimitRule(600, 100);
    adjust(limiter, rule, 10, START_AT);
    expect(opensAt(limiter, rule, 100)).toBe(START_AT + 1000);
  });

  test("takes its last admissions back as if they had never been", () => {
    const limiter = createRateLimiter();
    const rule = createRateLimitRule(60, 2);
    take(limiter, rule, 1, START_AT);
    const before = { ...limiter };
    const second = take(limiter, rule, 1, START_AT);
    const third = take(limiter, rule, 1, opensAt(limiter, rule, 1));
    giveBack(limiter, rule, third, START_AT);
    giveBack(limiter, rule, second, START_AT);
    expect(limiter.fullAt).toBe(before.fullAt);
  });

  test("keeps the units used when its rule changes, and owes no more than a burst", () => {
    const limiter = createRateLimiter();
    const slow = createRateLimitRule(6, 6);
    for (let n = 0; n < 6; n += 1) take(limiter, slow, 1, START_AT);
    rescale(limiter, slow, createRateLimitRule(600, 10), START_AT);
    expect(windowOf(limiter, createRateLimitRule(600, 10), START_AT).remaining).toBe(4);
    rescale(limiter, createRateLimitRule(600, 10), createRateLimitRule(6, 2), START_AT);
    expect(opensAt(limiter, createRateLimitRule(6, 2), 1)).toBe(START_AT + 10_000);
  });

  test("never lets more pass in any window than rate × window + burst, whatever is taken back", () => {
    const step = fc.record({
      afterMs: fc.oneof(fc.constant(0), fc.nat(50), fc.nat(5000)),
      takesBack: fc.option(fc.nat(20), { nil: undefined }),
      sleeps: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 1, max: 8 }),
        fc.array(step, { maxLength: 60, size: "max" }),
        (perMinute, burst, steps) => {
          const rule = createRateLimitRule(perMinute, burst);
          const limiter = createRateLimiter();
          const passed: { at: number; ticket: ReturnType<typeof take> | undefined }[] = [];
          let now = START_AT;
          for (const { afterMs, takesBack, sleeps } of steps) {
            now += afterMs;
            const at = Math.max(now, opensAt(limiter, rule, 1));
            if (at === now || (sleeps && at - now < 2000))
              passed.push({ at, ticket: take(limiter, rule, 1, at) });
            const undone = takesBack === undefined ? undefined : passed[passed.length - 1 - takesBack];
            if (undone?.ticket === undefined) continue;
            giveBack(limiter, rule, undone.ticket, now);
            undone.ticket = undefined;
          }
          const times = passed
            .filter(({ ticket }) => ticket !== undefined)
            .map(({ at }) => at)
            .toSorted((one, other) => one - other);
          for (const [from, first] of times.entries())
            for (let to = from; to < times.length; to += 1) {
              const windowMs = (times[to] ?? 0) - first;
              expect(to - from + 1).toBeLessThanOrEqual(burst + windowMs / rule.unitMs + 0.001);
            }
        },
      ),
      { numRuns: 1000 },
    );
  });
});
