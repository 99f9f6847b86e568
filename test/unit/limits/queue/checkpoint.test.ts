import { describe, expect, test } from "vitest";
import { createQueueMachine, type QueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import { leaseIdOf } from "../../../../src/limits/leases/lease-table.ts";
import { LEASE_TTL_MS, UNSTARTED_TTL_MS } from "../../../../src/limits/protocol.ts";
import {
  asAdmitted,
  askOf,
  asRefused,
  limitsOf,
  settlementOf,
  START_AT,
} from "../../../support/builders/admission.ts";

/** As it goes to storage and comes back. */
function restart(admission: QueueMachine, at: number): QueueMachine {
  return createQueueMachine(at, structuredClone(admission.checkpoint(at)));
}

describe("a checkpoint", () => {
  test("brings leases, rates, limits and keys back", () => {
    const admission = createQueueMachine(START_AT);
    const limits = { concurrency: 1, requestsPerMinute: 60 };
    const holder = asAdmitted(admission.admit(askOf("a", { limits, configVersion: 7 }), START_AT));
    const before = admission.snapshot(START_AT + 100);
    const after = restart(admission, START_AT + 100);
    expect(after.snapshot(START_AT + 100)).toEqual(before);
    expect(after.configVersion()).toBe(7);
    expect(after.lastUsed()).toEqual({ key: START_AT });
    expect(asAdmitted(after.admit(askOf("a", { limits }), START_AT + 200)).lease).toEqual(holder.lease);
    asRefused(after.admit(askOf("b", { limits, maxWaitMs: 0 }), START_AT + 200));
    after.settle([settlementOf(holder, "a")], START_AT + 300);
    const next = asAdmitted(after.admit(askOf("b", { limits, maxWaitMs: 0 }), START_AT + 300));
    expect(next.lease.token).toBeGreaterThan(holder.lease.token);
  });

  test("frees the slot of a lease that expired meanwhile, until its holder is heard of", () => {
    const admission = createQueueMachine(START_AT);
    const limits = { concurrency: 1 };
    const holder = asAdmitted(admission.admit(askOf("a", { limits }), START_AT));
    const after = createQueueMachine(START_AT + LEASE_TTL_MS, admission.checkpoint(START_AT));
    asAdmitted(after.admit(askOf("b", { limits, maxWaitMs: 0 }), START_AT + LEASE_TTL_MS));
    expect(after.renew([holder.lease.id], START_AT + LEASE_TTL_MS, true).lost).toEqual([holder.lease.id]);
    expect(after.renew([holder.lease.id], START_AT + LEASE_TTL_MS).lost).toEqual([]);
    expect(after.snapshot(START_AT + LEASE_TTL_MS).leases).toBe(2);
  });

  test("lets a lease that it missed come back by its renewal, within ten minutes of the restart", () => {
    const admission = createQueueMachine(START_AT);
    const limits = { concurrency: 2 };
    asAdmitted(admission.admit(askOf("a", { limits }), START_AT));
    const checkpoint = admission.checkpoint(START_AT);
    const missed = asAdmitted(admission.admit(askOf("b", { limits }), START_AT + 500));
    const after = createQueueMachine(START_AT + 900, checkpoint);
    expect(after.snapshot(START_AT + 900).leases).toBe(1);
    expect(after.renew([missed.lease.id], START_AT + 1000).lost).toEqual([]);
    expect(after.snapshot(START_AT + 1000).leases).toBe(2);
    after.settle([settlementOf(missed, "b")], START_AT + 1100);
    expect(after.snapshot(START_AT + 1100).leases).toBe(1);

    const late = createQueueMachine(START_AT + 900, checkpoint);
    const tooLate = START_AT + 900 + 600_000;
    expect(late.renew([missed.lease.id], tooLate).lost).toEqual([missed.lease.id]);
  });

  test("does not take a lease for missed that had ended before it", () => {
    const admission = createQueueMachine(START_AT);
    const ended = asAdmitted(admission.admit(askOf("a", { limits: { concurrency: 2 } }), START_AT));
    admission.settle([settlementOf(ended, "a")], START_AT + 10);
    const after = restart(admission, START_AT + 20);
    expect(after.renew([ended.lease.id, "no lease"], START_AT + 30).lost).toEqual([
      ended.lease.id,
      "no lease",
    ]);
  });

  test("is due within a second once limits were used, and at leisure far below them", () => {
    const admission = createQueueMachine(START_AT);
    expect(admission.staleAfterMs()).toBe(Infinity);
    const light = asAdmitted(admission.admit(askOf("a", { limits: { concurrency: 20 } }), START_AT));
    expect(admission.staleAfterMs()).toBe(10_000);
    admission.settle([settlementOf(light, "a")], START_AT);
    expect(admission.staleAfterMs()).toBe(60_000);
    admission.setLimits(2, limitsOf({ concurrency: 4 }), START_AT);
    const holder = asAdmitted(admission.admit(askOf("b"), START_AT));
    expect(admission.staleAfterMs()).toBe(1000);
    admission.checkpoint(START_AT);
    expect(admission.staleAfterMs()).toBe(Infinity);
    admission.renew([holder.lease.id], START_AT + 1);
    expect(admission.staleAfterMs()).toBe(Infinity);
    admission.renew([holder.lease.id], START_AT + 15_000);
    expect(admission.staleAfterMs()).toBe(1000);
    admission.checkpoint(START_AT + 15_000);
    admission.settle([settlementOf(holder, "b")], START_AT + 15_001);
    expect(admission.staleAfterMs()).toBe(1000);
  });
});

describe("money of a request", () => {
  const COST = 5_000_000;
  const limits = { budget: { microUsd: 100_000_000, period: "day", onExceeded: "reject" } } as const;
  const estimate = { inputTokens: 1, outputTokens: 0, costMicroUsd: 2 * COST };
  const ask = (id: string) => askOf(id, { limits, estimate });
  const spent = (queue: QueueMachine, at: number): number => queue.snapshot(at).spentUsd.day;
  const NEWS = { starts: [], unused: [], cooldowns: [] };
  const expenseOf = (sender: string, number: number) => ({
    requestId: `${sender}-${number}`,
    keyId: "key",
    costMicroUsd: COST,
    sender,
    number,
  });

  test("is recorded once, however many restarts come before its settlement, and after", () => {
    const first = createQueueMachine(START_AT);
    const before = first.checkpoint(START_AT);
    const lost = asAdmitted(first.admit(askOf("a"), START_AT + 100));
    const settlement = { ...settlementOf(lost, "a"), costMicroUsd: COST };
    const second = createQueueMachine(START_AT + 1000, before);
    const third = restart(second, START_AT + 2000);
    third.settle([settlement], START_AT + 2100);
    expect(spent(third, START_AT + 2100)).toBe(5);
    third.settle([settlement], START_AT + 2200);
    const fourth = restart(third, START_AT + 3000);
    fourth.settle([settlement], START_AT + 3100);
    expect(spent(fourth, START_AT + 3100)).toBe(5);
  });

  test("is recorded once where its lease was adopted, and ran out before its settlement came", () => {
    const first = createQueueMachine(START_AT);
    const before = first.checkpoint(START_AT);
    const lost = asAdmitted(first.admit(askOf("a"), START_AT + 100));
    const settlement = { ...settlementOf(lost, "a"), costMicroUsd: COST };
    const second = createQueueMachine(START_AT + 1000, before);
    second.renew([lost.lease.id], START_AT + 1100);
    const later = START_AT + 1100 + LEASE_TTL_MS;
    second.settle([settlement], later);
    const third = restart(second, later + 1000);
    third.settle([settlement], later + 2000);
    expect(spent(third, later + 2000)).toBe(5);
  });

  test("without a lease is recorded once, told again to a restarted object too", () => {
    const first = createQueueMachine(START_AT);
    const expenses = [expenseOf("isolate", 1), expenseOf("isolate", 2)];
    first.settle([], START_AT, { ...NEWS, expenses });
    const second = restart(first, START_AT + 1000);
    second.settle([], START_AT + 2000, { ...NEWS, expenses });
    expect(spent(second, START_AT + 2000)).toBe(10);
  });

  test("without a lease is recorded once, whatever others spend before it arrives again, and in which order", () => {
    const queue = createQueueMachine(START_AT);
    const spend = (sender: string, numbers: readonly number[]): void =>
      void queue.settle([], START_AT, { ...NEWS, expenses: numbers.map((n) => expenseOf(sender, n)) });
    spend("quiet", [7]);
    for (let n = 1; n <= 5000; n += 1) spend("busy", [n]);
    // Calls overtake each other.
    spend("quiet", [9]);
    spend("quiet", [8, 6]);
    const after = restart(queue, START_AT + 1000);
    after.settle([], START_AT + 2000, {
      ...NEWS,
      expenses: [6, 7, 8, 9].map((n) => expenseOf("quiet", n)).concat(expenseOf("busy", 1)),
    });
    expect(spent(after, START_AT + 2000)).toBe(5 * 5004);
    // An isolate's state is one range, however much it has spent.
    expect(after.checkpoint(START_AT + 2000).senders).toEqual([
      ["busy", START_AT, [[1, 5000]]],
      ["quiet", START_AT, [[6, 9]]],
    ]);
  });

  test("whose Worker died is what was reserved, until its settlement comes after all", () => {
    const first = createQueueMachine(START_AT);
    const held = asAdmitted(first.admit(ask("a"), START_AT));
    const over = START_AT + LEASE_TTL_MS;
    first.expire(over);
    expect(first.takeAbandoned()).toMatchObject([{ requestId: "a", booked: { microUsd: 2 * COST } }]);
    expect(first.snapshot(over).spentUsd).toMatchObject({ day: 10, reserved: 0 });
    expect(first.staleAfterMs()).toBe(0);
    const second = restart(first, over + 1000);
    const settlement = { ...settlementOf(held, "a"), costMicroUsd: COST };
    second.settle([settlement, settlement], over + 2000);
    expect(spent(second, over + 2000)).toBe(5);
  });

  test("is reserved again where its holder lives on", () => {
    const queue = createQueueMachine(START_AT);
    const held = asAdmitted(queue.admit(ask("a"), START_AT));
    const over = START_AT + LEASE_TTL_MS;
    expect(spent(queue, over)).toBe(10);
    expect(queue.renew([held.lease.id], over + 1).lost).toEqual([]);
    expect(queue.snapshot(over + 1).spentUsd).toMatchObject({ day: 0, reserved: 10 });
  });

  describe("under prefetched leases whose isolate died before it reported them", () => {
    const cheap = { inputTokens: 1, outputTokens: 0, costMicroUsd: 1_000_000 };
    function granted() {
      const queue = createQueueMachine(START_AT);
      const own = asAdmitted(
        queue.admit({ ...askOf("own", { limits, estimate: cheap }), prefetchCount: 3 }, START_AT),
      );
      queue.settle([settlementOf(own, "own")], START_AT);
      const firstToken = own.prefetched?.firstToken ?? 0;
      const ids = Array.from({ length: own.prefetched?.count ?? 0 }, (_, n) => leaseIdOf(firstToken + n));
      return { queue, ids, first: ids[0] ?? "" };
    }
    const over = START_AT + UNSTARTED_TTL_MS;

    test("is what was reserved for them, since any of them may have been used", () => {
      const { queue, ids } = granted();
      expect(ids).toHaveLength(3);
      expect(queue.snapshot(over).spentUsd).toMatchObject({ day: 3, reserved: 0 });
      expect(queue.takeAbandoned()).toEqual([]);
      expect(spent(restart(queue, over + 1), over + 1)).toBe(3);
    });

    test("is none of it for a lease that is returned late, also over a restart", () => {
      const { queue, ids, first } = granted();
      queue.expire(over);
      queue.settle([], over + 1, { ...NEWS, unused: [first, first] });
      expect(spent(queue, over + 1)).toBe(2);
      const after = restart(queue, over + 2);
      after.settle([], over + 3, { ...NEWS, unused: ids });
      expect(spent(after, over + 3)).toBe(0);
    });

    test("is what the request cost where its start and its settlement come late", () => {
      const { queue, first } = granted();
      queue.expire(over);
      const start = { leaseId: first, requestId: "late", traceId: "trace", spanId: "span" };
      queue.settle([], over + 1, { ...NEWS, starts: [start] });
      expect(queue.snapshot(over + 1).spentUsd).toMatchObject({ day: 2, reserved: 1 });
      const settlement = { requestId: "late", keyId: "key", leaseId: first, inputTokens: 1, outputTokens: 1 };
      queue.settle([{ ...settlement, outcome: "ok", costMicroUsd: COST }], over + 2);
      expect(queue.snapshot(over + 2).spentUsd).toMatchObject({ day: 7, reserved: 0 });
    });
  });

  test("is none where its lease ran out and it is cancelled late: its caller had given up", () => {
    const queue = createQueueMachine(START_AT);
    asAdmitted(queue.admit(ask("a"), START_AT));
    const over = START_AT + LEASE_TTL_MS;
    expect(spent(queue, over)).toBe(10);
    queue.settle([], over + 1, { ...NEWS, cancels: ["a"] });
    expect(spent(queue, over + 1)).toBe(0);
  });

  test("counts at once where its lease is returned for a pause, and its limits are free", () => {
    const queue = createQueueMachine(START_AT);
    const roomy = { ...limits, concurrency: 1, requestsPerMinute: 60, burst: 1 };
    const held = asAdmitted(queue.admit(askOf("a", { limits: roomy, estimate }), START_AT));
    const settlement = { ...settlementOf(held, "a"), outcome: "returned" as const, costMicroUsd: COST };
    for (let times = 0; times < 2; times += 1) queue.settle([settlement], START_AT + 10);
    expect(queue.snapshot(START_AT + 10)).toMatchObject({ leases: 0, spentUsd: { day: 5, reserved: 0 } });
    const again = askOf("a.2", { limits: roomy, estimate, maxWaitMs: 0 });
    expect(asAdmitted(queue.admit(again, START_AT + 10)).goInMs).toBe(0);
  });

  test("stays with the day in which it was booked", () => {
    const queue = createQueueMachine(START_AT);
    const late = Date.parse("2026-11-25T23:59:00Z");
    const held = asAdmitted(queue.admit(ask("a"), late));
    queue.expire(late + LEASE_TTL_MS);
    const tomorrow = late + 120_000;
    const other = asAdmitted(queue.admit(ask("b"), tomorrow));
    queue.settle([{ ...settlementOf(other, "b"), costMicroUsd: COST }], tomorrow);
    queue.settle([{ ...settlementOf(held, "a"), costMicroUsd: COST }], tomorrow);
    expect(queue.snapshot(tomorrow).spentUsd).toMatchObject({ day: 10, month: 10 });
  });
});
