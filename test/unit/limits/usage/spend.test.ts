import { describe, expect, test } from "vitest";
import { createQueueMachine, type QueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import type { Budget } from "../../../../src/limits/budget-protocol.ts";
import {
  recordSpend,
  createSpend,
  isAffordable,
  periodEndsAt,
  spentIn,
} from "../../../../src/limits/usage/spend.ts";
import { asAdmitted, askOf, asRefused, settlementOf, START_AT } from "../../../support/builders/admission.ts";

const DAY_MS = 86_400_000;
const ONE_DOLLAR: Budget = { microUsd: 1_000_000, period: "day", onExceeded: "reject" };

const at = (iso: string): number => Date.parse(iso);

function ask(id: string, costMicroUsd: number, budget: Budget = ONE_DOLLAR) {
  return askOf(id, { limits: { budget }, estimate: { inputTokens: 1, outputTokens: 0, costMicroUsd } });
}

/** Lets a request in and settles it with that cost. */
function spend(admission: QueueMachine, id: string, costMicroUsd: number, now: number): void {
  const holder = asAdmitted(admission.admit(ask(id, 0), now));
  admission.settle([{ ...settlementOf(holder, id), costMicroUsd }], now);
}

describe("a period of a budget", () => {
  test.each([
    ["day", "2026-11-25T10:00:00Z", "2026-11-26T00:00:00Z"],
    ["day", "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"],
    ["week", "2026-11-25T10:00:00Z", "2026-11-30T00:00:00Z"],
    ["week", "2026-11-29T23:59:59Z", "2026-11-30T00:00:00Z"],
    ["week", "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"],
    ["month", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"],
    ["month", "2028-02-29T12:00:00Z", "2028-03-01T00:00:00Z"],
  ] as const)("is a UTC %s: from %s until %s", (period, now, end) => {
    expect(periodEndsAt(period, at(now))).toBe(at(end));
  });

  test("begins with nothing spent, while a longer one goes on", () => {
    const ledger = createSpend();
    recordSpend(ledger, 700, at("2026-11-25T23:59:59Z"));
    recordSpend(ledger, 5, at("2026-11-26T00:00:00Z"));
    const now = at("2026-11-26T00:00:01Z");
    expect([
      spentIn(ledger, "day", now),
      spentIn(ledger, "week", now),
      spentIn(ledger, "month", now),
    ]).toEqual([5, 705, 705]);
    expect(spentIn(ledger, "day", now + DAY_MS)).toBe(0);
  });
});

describe("a budget", () => {
  test("counts what is reserved, and lets one in that is dearer than all of it when nothing is spent", () => {
    const ledger = createSpend();
    expect(isAffordable(ledger, ONE_DOLLAR, 5_000_000, START_AT)).toBe(true);
    ledger.reserved = 600_000;
    expect(isAffordable(ledger, ONE_DOLLAR, 400_000, START_AT)).toBe(true);
    expect(isAffordable(ledger, ONE_DOLLAR, 400_001, START_AT)).toBe(false);
    ledger.reserved = 1_000_000;
    expect(isAffordable(ledger, ONE_DOLLAR, 0, START_AT)).toBe(false);
  });

  test("refuses once it is spent, with its facts, until the period's end", () => {
    const admission = createQueueMachine(START_AT);
    spend(admission, "a", 1_000_000, START_AT);
    const refused = asRefused(admission.admit(ask("b", 10), START_AT + 1000));
    expect(refused).toMatchObject({
      code: "budget_exceeded",
      limit: { name: "budget", value: 1_000_000, remaining: 0 },
      retryAfterMs: periodEndsAt("day", START_AT) - START_AT - 1000,
      wait: { waitMs: 0 },
    });
    const again = START_AT + 1000 + refused.retryAfterMs;
    expect(asRefused(admission.admit(ask("c", 10), again - 1)).code).toBe("budget_exceeded");
    asAdmitted(admission.admit(ask("d", 10), again));
  });

  test("refuses for a short time only where nothing but reservations blocks it", () => {
    const admission = createQueueMachine(START_AT);
    const holder = asAdmitted(admission.admit(ask("a", 900_000), START_AT));
    const refused = asRefused(admission.admit(ask("b", 200_000), START_AT));
    expect(refused.retryAfterMs).toBeLessThanOrEqual(1000);
    admission.settle([{ ...settlementOf(holder, "a"), costMicroUsd: 100 }], START_AT + 500);
    asAdmitted(admission.admit(ask("c", 200_000), START_AT + 500));
  });

  test("is alert: lets all in and shows that nothing is left", () => {
    const admission = createQueueMachine(START_AT);
    const budget: Budget = { ...ONE_DOLLAR, onExceeded: "alert" };
    const holder = asAdmitted(admission.admit(ask("a", 0, budget), START_AT));
    admission.settle([{ ...settlementOf(holder, "a"), costMicroUsd: 3_000_000 }], START_AT);
    asAdmitted(admission.admit(ask("b", 10, budget), START_AT));
    expect(admission.snapshot(START_AT).limits["budgetMicroUsd"]).toMatchObject({
      limit: 1_000_000,
      remaining: 0,
    });
  });

  test("of a key is nested in the tenant's", () => {
    const admission = createQueueMachine(START_AT);
    const keyLimits = { maxDepth: 10, maxWaitMs: 0, budget: { ...ONE_DOLLAR, microUsd: 500 } };
    const holder = asAdmitted(admission.admit({ ...ask("a", 0), keyLimits }, START_AT));
    admission.settle([{ ...settlementOf(holder, "a"), costMicroUsd: 500 }], START_AT);
    expect(asRefused(admission.admit({ ...ask("b", 1), keyLimits }, START_AT)).limit).toMatchObject({
      value: 500,
    });
    asAdmitted(admission.admit({ ...ask("c", 1), keyId: "other" }, START_AT));
  });

  test("set in the middle of a period knows what was spent before", () => {
    const admission = createQueueMachine(START_AT);
    const holder = asAdmitted(admission.admit(askOf("a"), START_AT));
    admission.settle([{ ...settlementOf(holder, "a"), costMicroUsd: 1_000_000 }], START_AT);
    admission.setLimits(2, { maxDepth: 9, maxWaitMs: 0, budget: ONE_DOLLAR }, START_AT);
    expect(asRefused(admission.admit(ask("b", 1), START_AT)).code).toBe("budget_exceeded");
  });

  test("refuses one that waited for a slot when its turn comes, if the money is gone by then", () => {
    const admission = createQueueMachine(START_AT);
    const limits = { budget: ONE_DOLLAR, concurrency: 1 };
    const holder = asAdmitted(admission.admit(askOf("a", { limits }), START_AT));
    expect(admission.admit(askOf("b", { limits }), START_AT)).toBeUndefined();
    admission.settle([{ ...settlementOf(holder, "a"), costMicroUsd: 1_000_000 }], START_AT + 50);
    const [wakeUp] = admission.takeWakeUps();
    expect(wakeUp).toMatchObject({ requestId: "b", answer: { kind: "refused", code: "budget_exceeded" } });
  });
});

describe("the ledger", () => {
  test("books a settlement once, though it comes twice, and one that comes after its lease ran out", () => {
    const admission = createQueueMachine(START_AT);
    const holder = asAdmitted(admission.admit(ask("a", 10), START_AT));
    const settlement = { ...settlementOf(holder, "a"), costMicroUsd: 250_000 };
    const late = START_AT + 60_000;
    admission.expire(late);
    for (let times = 0; times < 3; times += 1) admission.settle([settlement], late);
    expect(admission.snapshot(late).limits["budgetMicroUsd"]?.remaining).toBe(750_000);
  });

  test("shows what was spent in each period, and what is reserved", () => {
    const admission = createQueueMachine(START_AT);
    expect(admission.snapshot(START_AT).spentUsd).toEqual({ day: 0, week: 0, month: 0, reserved: 0 });
    spend(admission, "a", 1_250_000, START_AT);
    asAdmitted(admission.admit(ask("b", 700_000, { ...ONE_DOLLAR, microUsd: 9e6 }), START_AT + 32 * DAY_MS));
    spend(admission, "c", 3, START_AT + 32 * DAY_MS);
    expect(admission.snapshot(START_AT + 32 * DAY_MS).spentUsd).toEqual({
      day: 0.000003,
      week: 0.000003,
      month: 0.000003,
      reserved: 0.7,
    });
  });

  test("is whole after a crash once the settlements of the last seconds are sent again", () => {
    const admission = createQueueMachine(START_AT);
    const before = asAdmitted(admission.admit(ask("a", 0), START_AT));
    const kept = asAdmitted(admission.admit(ask("b", 0), START_AT));
    admission.settle([{ ...settlementOf(before, "a"), costMicroUsd: 100_000 }], START_AT);
    const checkpoint = structuredClone(admission.checkpoint(START_AT + 10));
    const missed = asAdmitted(admission.admit(ask("c", 0), START_AT + 20));
    const told = [
      { ...settlementOf(before, "a"), costMicroUsd: 100_000 },
      { ...settlementOf(kept, "b"), costMicroUsd: 20_000 },
      { ...settlementOf(missed, "c"), costMicroUsd: 3000 },
    ];
    admission.settle(told, START_AT + 30);
    const after = createQueueMachine(START_AT + 100, checkpoint);
    after.settle(told, START_AT + 110);
    after.settle(told, START_AT + 120);
    const { limits, leases } = after.snapshot(START_AT + 120);
    expect(limits["budgetMicroUsd"]?.remaining).toBe(1_000_000 - 123_000);
    expect(leases).toBe(0);
  });

  test("books a lease once that a crash forgot, its renewal brought back, and its settlement ended", () => {
    const checkpoint = structuredClone(createQueueMachine(START_AT).checkpoint(START_AT));
    const before = createQueueMachine(START_AT);
    const missed = asAdmitted(before.admit(ask("a", 0), START_AT + 10));
    const after = createQueueMachine(START_AT + 100, checkpoint);
    after.setLimits(1, { maxDepth: 1, maxWaitMs: 0, budget: ONE_DOLLAR }, START_AT + 100);
    expect(after.renew([missed.lease.id], START_AT + 110).lost).toEqual([]);
    const settlement = { ...settlementOf(missed, "a"), costMicroUsd: 1000 };
    for (let times = 0; times < 3; times += 1) after.settle([settlement], START_AT + 120);
    expect(after.snapshot(START_AT + 120).limits["budgetMicroUsd"]?.remaining).toBe(999_000);
  });

  test("records what was spent outside any lease, for tenant and key, once though it arrives twice", () => {
    const admission = createQueueMachine(START_AT);
    const limits = { budget: ONE_DOLLAR };
    const keyLimits = { maxDepth: 9, maxWaitMs: 0, budget: { ...ONE_DOLLAR, microUsd: 500 } };
    admission.admit(askOf("a", { limits, keyLimits }), START_AT);
    const expense = { requestId: "b", keyId: "key", costMicroUsd: 499.5, sender: "b", number: 1 };
    const updates = { starts: [], unused: [], cooldowns: [], expenses: [expense] };
    admission.settle([], START_AT, updates);
    admission.settle([], START_AT + 10, updates);
    expect(admission.snapshot(START_AT).limits["budgetMicroUsd"]?.remaining).toBe(999_500);
    const refused = asRefused(admission.admit({ ...ask("c", 1), keyLimits }, START_AT));
    expect(refused.limit.value).toBe(500);
    expect(admission.staleAfterMs()).toBe(0);
  });

  test("keeps over a crash what is reserved", () => {
    const admission = createQueueMachine(START_AT);
    asAdmitted(admission.admit(ask("a", 900_000), START_AT));
    const after = createQueueMachine(START_AT + 10, structuredClone(admission.checkpoint(START_AT)));
    expect(asRefused(after.admit(ask("b", 200_000), START_AT + 10)).code).toBe("budget_exceeded");
    asAdmitted(after.admit(ask("c", 100_000), START_AT + 10));
  });

  test("is saved before a refusal that rests on it is answered", () => {
    const admission = createQueueMachine(START_AT);
    const other = asAdmitted(admission.admit(ask("other", 0), START_AT));
    spend(admission, "a", 1_000_000, START_AT);
    // With its alerts, which are saved at once.
    admission.checkpoint(START_AT);
    admission.settle([{ ...settlementOf(other, "other"), costMicroUsd: 1 }], START_AT);
    expect(admission.staleAfterMs()).toBe(1000);
    asRefused(admission.admit(ask("b", 1), START_AT));
    expect(admission.staleAfterMs()).toBe(0);
    admission.checkpoint(START_AT);
    asRefused(admission.admit(ask("c", 1), START_AT));
    expect(admission.staleAfterMs()).toBe(Infinity);
  });
});
