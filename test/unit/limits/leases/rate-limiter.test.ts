import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  adjust,
  createGate,
  createRule,
  giveBack,
  opensAt,
  rescale,
  take,
  windowOf,
} from "../../../../src/limits/leases/rate-limiter.ts";
import { START_AT } from "../../../support/builders/admission.ts";

describe("a rate gate", () => {
  test("lets a burst pass at once and then one each interval", () => {
    const gate = createGate();
    const rule = createRule(60, 3);
    for (let n = 0; n < 3; n += 1) {
      expect(opensAt(gate, rule, 1)).toBeLessThanOrEqual(START_AT);
      take(gate, rule, 1, START_AT);
    }
    expect(opensAt(gate, rule, 1)).toBe(START_AT + 1000);
    expect(opensAt(gate, rule, 1, 4)).toBe(START_AT + 5000);
  });

  test("has ten seconds' worth as its burst where none is set, and at least one", () => {
    expect(createRule(60).burst).toBe(10);
    expect(createRule(1).burst).toBe(1);
  });

  test("tells what is left and when all of it is back", () => {
    const gate = createGate();
    const rule = createRule(60, 3);
    expect(windowOf(gate, rule, START_AT)).toEqual({ limit: 60, remaining: 3, resetMs: 0 });
    take(gate, rule, 1, START_AT);
    take(gate, rule, 1, START_AT);
    expect(windowOf(gate, rule, START_AT + 1)).toEqual({ limit: 60, remaining: 1, resetMs: 1999 });
  });

  test("lets more than its burst pass when it is full, and carries the debt", () => {
    const gate = createGate();
    const rule = createRule(600, 100);
    expect(opensAt(gate, rule, 250)).toBeLessThanOrEqual(START_AT);
    take(gate, rule, 250, START_AT);
    expect(opensAt(gate, rule, 100)).toBe(START_AT + 25_000);
    expect(windowOf(gate, rule, START_AT).remaining).toBe(0);
  });

  test("carries the debt of an estimate that was too low and returns a credit", () => {
    const gate = createGate();
    const rule = createRule(600, 100);
    take(gate, rule, 100, START_AT);
    adjust(gate, rule, 50, START_AT);
    expect(opensAt(gate, rule, 100)).toBe(START_AT + 15_000);
    adjust(gate, rule, -100, START_AT);
    expect(opensAt(gate, rule, 100)).toBe(START_AT + 5000);
  });

  test("counts a debt from the moment it is known when it was idle before", () => {
    const gate = createGate();
    const rule = createRule(600, 100);
    adjust(gate, rule, 10, START_AT);
    expect(opensAt(gate, rule, 100)).toBe(START_AT + 1000);
  });

  test("takes its last admissions back as if they had never been", () => {
    const gate = createGate();
    const rule = createRule(60, 2);
    take(gate, rule, 1, START_AT);
    const before = { ...gate };
    const second = take(gate, rule, 1, START_AT);
    const third = take(gate, rule, 1, opensAt(gate, rule, 1));
    giveBack(gate, rule, third, START_AT);
    giveBack(gate, rule, second, START_AT);
    expect(gate.fullAt).toBe(before.fullAt);
  });

  test("keeps the units used when its rule changes, and owes no more than a burst", () => {
    const gate = createGate();
    const slow = createRule(6, 6);
    for (let n = 0; n < 6; n += 1) take(gate, slow, 1, START_AT);
    rescale(gate, slow, createRule(600, 10), START_AT);
    expect(windowOf(gate, createRule(600, 10), START_AT).remaining).toBe(4);
    rescale(gate, createRule(600, 10), createRule(6, 2), START_AT);
    expect(opensAt(gate, createRule(6, 2), 1)).toBe(START_AT + 10_000);
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
          const rule = createRule(perMinute, burst);
          const gate = createGate();
          const passed: { at: number; ticket: ReturnType<typeof take> | undefined }[] = [];
          let now = START_AT;
          for (const { afterMs, takesBack, sleeps } of steps) {
            now += afterMs;
            const at = Math.max(now, opensAt(gate, rule, 1));
            if (at === now || (sleeps && at - now < 2000))
              passed.push({ at, ticket: take(gate, rule, 1, at) });
            const undone = takesBack === undefined ? undefined : passed[passed.length - 1 - takesBack];
            if (undone?.ticket === undefined) continue;
            giveBack(gate, rule, undone.ticket, now);
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
