import { describe, expect, test } from "vitest";
import { createQueueMachine, type QueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import { LEASE_TTL_MS } from "../../../../src/limits/protocol.ts";
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
