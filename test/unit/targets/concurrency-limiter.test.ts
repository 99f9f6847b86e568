import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createQueueMachine } from "../../../src/limits/queue/queue-machine.ts";
import { type Cooldown, createCooldowns, MAX_COOLDOWN_MS } from "../../../src/targets/cooldowns.ts";
import { createConcurrencyLimiter } from "../../../src/targets/concurrency-limiter.ts";
import { asAdmitted, askOf, START_AT } from "../../support/builders/admission.ts";

const TARGET = "openai/gpt-4o-mini";

function setup() {
  const sent: Cooldown[] = [];
  const limiter = createConcurrencyLimiter((cooldown) => sent.push(cooldown));
  return { limiter, sent };
}

describe("a target's limiter", () => {
  test("cooldowns with the upstream's own Retry-After, for this target only, and tells the others", () => {
    const { limiter, sent } = setup();
    limiter.enter(TARGET, START_AT)({ kind: "limited", retryAfterMs: 7000 }, START_AT + 100);
    expect(limiter.waitMs(TARGET, START_AT + 100)).toBe(7000);
    expect(limiter.waitMs(TARGET, START_AT + 7099)).toBe(1);
    expect(limiter.waitMs(TARGET, START_AT + 7100)).toBe(0);
    expect(limiter.waitMs("other/model", START_AT + 100)).toBe(0);
    expect(sent).toEqual([{ target: TARGET, forMs: 7000 }]);
  });

  test("stays open where the upstream names no time, and never cooldowns for longer than ten minutes", () => {
    const { limiter, sent } = setup();
    limiter.enter(TARGET, START_AT)({ kind: "limited" }, START_AT);
    expect([limiter.waitMs(TARGET, START_AT), sent]).toEqual([0, []]);
    limiter.enter(TARGET, START_AT)({ kind: "limited", retryAfterMs: 86_400_000 }, START_AT);
    expect(limiter.waitMs(TARGET, START_AT)).toBe(MAX_COOLDOWN_MS);
  });

  test("does not open sooner because a later refusal names a shorter time", () => {
    const { limiter } = setup();
    limiter.enter(TARGET, START_AT)({ kind: "limited", retryAfterMs: 9000 }, START_AT);
    limiter.enter(TARGET, START_AT)({ kind: "limited", retryAfterMs: 10 }, START_AT);
    expect(limiter.waitMs(TARGET, START_AT)).toBe(9000);
  });

  test("is left alone by faults that are not about limits", () => {
    const { limiter, sent } = setup();
    limiter.enter(TARGET, START_AT)({ kind: "other" }, START_AT);
    expect([limiter.waitMs(TARGET, START_AT), sent]).toEqual([0, []]);
  });

  test("lets fewer calls through at once after a refusal, and slowly more with each that goes well", () => {
    const { limiter } = setup();
    const open = Array.from({ length: 10 }, () => limiter.enter(TARGET, START_AT));
    open.pop()?.({ kind: "limited", retryAfterMs: 1000 }, START_AT);
    const now = START_AT + 1000;
    // Nine are under way, seven of ten may be.
    expect(limiter.waitMs(TARGET, now)).toBeGreaterThan(0);
    for (let n = 0; n < 2; n += 1) open.pop()?.({ kind: "other" }, now);
    expect(limiter.waitMs(TARGET, now)).toBeGreaterThan(0);
    open.pop()?.({ kind: "other" }, now);
    expect(limiter.waitMs(TARGET, now)).toBe(0);
    for (const end of open) end({ kind: "other" }, now);
    let room = 0;
    for (let round = 0; round < 40; round += 1) {
      const calls = [];
      while (limiter.waitMs(TARGET, now) === 0 && calls.length < 100) calls.push(limiter.enter(TARGET, now));
      room = Math.max(room, calls.length);
      for (const end of calls) end({ kind: "ok" }, now);
    }
    expect(room).toBeGreaterThan(20);
  });

  test.each([100, undefined])("counts many refusals at once as one: Retry-After %s", (retryAfterMs) => {
    const { limiter } = setup();
    const open = Array.from({ length: 20 }, () => limiter.enter(TARGET, START_AT));
    for (const end of open) end({ kind: "limited", retryAfterMs }, START_AT);
    let room = 0;
    while (limiter.waitMs(TARGET, START_AT + 100) === 0) {
      limiter.enter(TARGET, START_AT + 100);
      room += 1;
    }
    expect(room).toBe(14);
  });

  test("always lets one call through, and forgets calls whose request died", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }), (bursts) => {
        const { limiter } = setup();
        let now = START_AT;
        for (const size of bursts) {
          const open = Array.from({ length: size }, () => limiter.enter(TARGET, now));
          for (const end of open) end({ kind: "limited", retryAfterMs: 1 }, now);
          now += 10;
          expect(limiter.waitMs(TARGET, now)).toBe(0);
        }
      }),
    );
    const { limiter } = setup();
    limiter.enter(TARGET, START_AT)({ kind: "limited", retryAfterMs: 1 }, START_AT);
    limiter.enter(TARGET, START_AT + 10);
    expect(limiter.waitMs(TARGET, START_AT + 20)).toBeGreaterThan(0);
    expect(limiter.waitMs(TARGET, START_AT + 10 + 600_000)).toBe(0);
  });
});

describe("limiter that one isolate saw close", () => {
  test("stand in every answer of the object until they are open", () => {
    const admission = createQueueMachine(START_AT);
    const cooldowns = [{ target: TARGET, forMs: 3000 }];
    admission.settle([], START_AT, { starts: [], unused: [], cooldowns });
    expect(asAdmitted(admission.admit(askOf("a"), START_AT + 1000)).cooldowns).toEqual([
      { target: TARGET, forMs: 2000 },
    ]);
    expect(admission.renew([], START_AT + 2999).cooldowns).toHaveLength(1);
    expect(asAdmitted(admission.admit(askOf("b"), START_AT + 3000))).not.toHaveProperty("cooldowns");
  });

  test("are bounded in number", () => {
    const cooldowns = createCooldowns();
    for (let n = 0; n < 1000; n += 1) cooldowns.start({ target: `t${n}`, forMs: 1000 }, START_AT);
    expect(cooldowns.list(START_AT)?.length).toBeLessThanOrEqual(100);
    cooldowns.start({ target: "later", forMs: 1000 }, START_AT + 1000);
    expect(cooldowns.list(START_AT + 1000)).toEqual([{ target: "later", forMs: 1000 }]);
  });
});

describe("requests that wait for a free call", () => {
  /** A limiter with one call at a time, and that one under way. */
  function full() {
    const { limiter } = setup();
    const [first, second] = [limiter.enter(TARGET, START_AT), limiter.enter(TARGET, START_AT)];
    second({ kind: "limited" }, START_AT);
    return { limiter, end: () => first({ kind: "other" }, START_AT) };
  }

  test("are let through in the order in which they came, and no other passes them", () => {
    const { limiter, end } = full();
    const waiters = [{}, {}, {}];
    for (const waiter of waiters) expect(limiter.waitMs(TARGET, START_AT, waiter)).toBeGreaterThan(0);
    end();
    expect(limiter.waitMs(TARGET, START_AT + 1)).toBeGreaterThan(0);
    for (const waiter of waiters.slice(1).toReversed())
      expect(limiter.waitMs(TARGET, START_AT + 1, waiter)).toBeGreaterThan(0);
    for (const waiter of waiters) {
      expect(limiter.waitMs(TARGET, START_AT + 2, waiter)).toBe(0);
      const leave = limiter.enter(TARGET, START_AT + 2);
      expect(limiter.waitMs(TARGET, START_AT + 2)).toBeGreaterThan(0);
      leave({ kind: "other" }, START_AT + 3);
    }
  });

  test("make room for those behind them when they leave, or die without a word", () => {
    const { limiter, end } = full();
    const [left, dead, last] = [{}, {}, {}];
    for (const waiter of [left, dead, last]) limiter.waitMs(TARGET, START_AT, waiter);
    end();
    limiter.leaveLine(TARGET, left);
    expect(limiter.waitMs(TARGET, START_AT + 900, last)).toBeGreaterThan(0);
    expect(limiter.waitMs(TARGET, START_AT + 1001, last)).toBe(0);
  });
});
