import { describe, expect, test } from "vitest";
import { createQueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import {
  asAdmitted,
  askOf,
  asRefused,
  limitsOf,
  settlementOf,
  START_AT,
} from "../../../support/builders/admission.ts";

const ONE_SLOT = { concurrency: 1 };

describe("limits that an operator has raised", () => {
  test("admit the waiting at once, and hold no longer than the operator said", () => {
    const admission = createQueueMachine(START_AT);
    asAdmitted(admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT));
    expect(admission.admit(askOf("b", { limits: ONE_SLOT }), START_AT)).toBeUndefined();
    admission.raise({ concurrency: 2 }, START_AT + 5000, START_AT);
    expect(admission.takeWakeUps()).toMatchObject([{ requestId: "b", answer: { kind: "admitted" } }]);
    expect(admission.snapshot(START_AT + 4999).limits["concurrency"]?.limit).toBe(2);
    expect(admission.snapshot(START_AT + 5000)).toMatchObject({ limits: { concurrency: { limit: 1 } } });
    expect(admission.snapshot(START_AT + 5000)).not.toHaveProperty("orders");
  });

  test("that lowered a limit wake the waiting when they end", () => {
    const admission = createQueueMachine(START_AT);
    const limits = { concurrency: 2 };
    asAdmitted(admission.admit(askOf("a", { limits }), START_AT));
    admission.raise({ concurrency: 1 }, START_AT + 5000, START_AT);
    expect(admission.admit(askOf("b", { limits }), START_AT)).toBeUndefined();
    expect(admission.nextWakeAt()).toBe(START_AT + 5000);
    admission.expire(START_AT + 5000);
    expect(admission.takeWakeUps()).toMatchObject([{ requestId: "b", answer: { kind: "admitted" } }]);
  });

  test("hold over records that change meanwhile, whose own come into force after it", () => {
    const admission = createQueueMachine(START_AT);
    admission.setLimits(1, limitsOf({ concurrency: 1, requestsPerMinute: 60 }), START_AT);
    admission.raise({ concurrency: 9 }, START_AT + 5000, START_AT);
    admission.setLimits(2, limitsOf({ concurrency: 3, requestsPerMinute: 600 }), START_AT + 1);
    expect(admission.snapshot(START_AT + 2).limits).toMatchObject({
      concurrency: { limit: 9 },
      requestsPerMinute: { limit: 600 },
    });
    expect(admission.snapshot(START_AT + 5000).limits["concurrency"]?.limit).toBe(3);
  });

  test("keep over a restart what they would have been, and end when they would have ended", () => {
    const admission = createQueueMachine(START_AT);
    admission.setLimits(1, limitsOf({ requestsPerMinute: 60, burst: 10 }), START_AT);
    admission.raise({ requestsPerMinute: 600, burst: 100 }, START_AT + 5000, START_AT);
    for (let n = 0; n < 50; n += 1) asAdmitted(admission.admit(askOf(`r${n}`), START_AT));
    const { overrides } = admission;
    const after = createQueueMachine(START_AT + 1, structuredClone(admission.checkpoint(START_AT)));
    after.restoreOverrides(structuredClone(overrides), START_AT + 1);
    expect(after.snapshot(START_AT + 1).limits["requestsPerMinute"]).toMatchObject({
      limit: 600,
      remaining: 50,
    });
    const late = createQueueMachine(START_AT + 6000, structuredClone(admission.checkpoint(START_AT)));
    late.restoreOverrides(structuredClone(overrides), START_AT + 6000);
    expect(late.snapshot(START_AT + 6000).limits["requestsPerMinute"]?.limit).toBe(60);
  });
});

describe("a drained queue", () => {
  test("refuses newcomers until it ends, says when that is, and lets those who wait finish", () => {
    const admission = createQueueMachine(START_AT);
    const holder = asAdmitted(admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT));
    expect(admission.admit(askOf("b"), START_AT)).toBeUndefined();
    admission.drain(START_AT + 60_000, "finish", START_AT);
    const refused = asRefused(admission.admit(askOf("c"), START_AT + 1000));
    expect(refused).toMatchObject({
      code: "queue_full",
      limit: { name: "queue_depth", value: 0, remaining: 0 },
      retryAfterMs: 59_000,
    });
    admission.settle([settlementOf(holder, "a")], START_AT + 2000);
    expect(admission.takeWakeUps()).toMatchObject([{ requestId: "b", answer: { kind: "admitted" } }]);
    asAdmitted(
      admission.admit(askOf("d", { limits: { concurrency: 5 }, configVersion: 2 }), START_AT + 60_000),
    );
  });

  test("refuses the waiting where the operator says so, each with a reply", () => {
    const admission = createQueueMachine(START_AT);
    asAdmitted(admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT));
    for (const id of ["b", "c"]) expect(admission.admit(askOf(id), START_AT)).toBeUndefined();
    admission.drain(START_AT + 1000, "drop", START_AT);
    expect(admission.takeWakeUps()).toMatchObject([
      { requestId: "b", answer: { kind: "refused", code: "queue_full", retryAfterMs: 1000 } },
      { requestId: "c", answer: { kind: "refused" } },
    ]);
    expect(admission.snapshot(START_AT)).toMatchObject({ depth: 0, leases: 1 });
  });

  test("ends at once when the operator says so", () => {
    const admission = createQueueMachine(START_AT);
    admission.drain(START_AT + 60_000, "finish", START_AT);
    asRefused(admission.admit(askOf("a"), START_AT + 1));
    admission.drain(START_AT + 2, "drop", START_AT + 2);
    expect(asAdmitted(admission.admit(askOf("b"), START_AT + 2)).goInMs).toBe(0);
  });
});
