import { describe, expect, test } from "vitest";
import { createQueueMachine, type QueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import { createPrefetchedLeases } from "../../../../src/limits/isolate/prefetched-leases.ts";
import { leaseIdOf } from "../../../../src/limits/leases/lease-table.ts";
import {
  PREFETCH_TTL_MS,
  LEASE_TTL_MS,
  UNSTARTED_TTL_MS,
  type Admitted,
  type LeaseGrant,
  type LeaseStart,
} from "../../../../src/limits/protocol.ts";
import { asAdmitted, askOf, asRefused, settlementOf, START_AT } from "../../../support/builders/admission.ts";

const ROOMY = { requestsPerMinute: 6000, burst: 1000, concurrency: 1000 };
const NO_UPDATES = { starts: [], unused: [], cooldowns: [] };

function grant(
  admission: QueueMachine,
  fields: Parameters<typeof askOf>[1],
  prefetchCount: number,
): { readonly own: Admitted; readonly prefetched: LeaseGrant | undefined } {
  const own = asAdmitted(admission.admit({ ...askOf("own", fields), prefetchCount }, START_AT));
  return { own, prefetched: own.prefetched };
}

function startOf(prefetched: LeaseGrant | undefined, n: number): LeaseStart {
  const requestId = `leased-${n}`;
  const leaseId = leaseIdOf((prefetched?.firstToken ?? 0) + n);
  return { leaseId, requestId, traceId: `trace-${requestId}`, spanId: `span-${requestId}` };
}

describe("a batch of leases", () => {
  test.each([
    ["what is wanted", ROOMY, 20, 20],
    ["a tenth of the requests that remain", { requestsPerMinute: 6000, burst: 101 }, 50, 10],
    ["a tenth of the free slots", { concurrency: 81 }, 50, 8],
    ["a hundred", {}, 5000, 100],
    ["nothing where limits are small", { concurrency: 9 }, 50, undefined],
  ] as const)("is as large as %s", (_, limits, prefetchCount, count) => {
    expect(grant(createQueueMachine(START_AT), { limits }, prefetchCount).prefetched?.count).toBe(count);
  });

  test("is no larger than a tenth of the tokens and of the money left, each lease with the estimate reserved", () => {
    const estimate = { inputTokens: 90, outputTokens: 10, costMicroUsd: 1000 };
    const tokens = grant(createQueueMachine(START_AT), { limits: { tokensPerMinute: 60_600 }, estimate }, 50);
    expect(tokens.prefetched).toMatchObject({ count: 10, maxTokens: 100 });
    const budget = { microUsd: 51_000, period: "day", onExceeded: "reject" } as const;
    const money = grant(createQueueMachine(START_AT), { limits: { budget }, estimate }, 50);
    expect(money.prefetched).toMatchObject({ count: 5, maxMicroUsd: 1000 });
  });

  test("counts as used at once, within the limits of key and tenant", () => {
    const admission = createQueueMachine(START_AT);
    grant(admission, { limits: ROOMY }, 20);
    expect(admission.snapshot(START_AT)).toMatchObject({
      leases: 21,
      batched: 20,
      limits: { requestsPerMinute: { remaining: 979 }, concurrency: { remaining: 979 } },
    });
  });

  test("is not given while a request waits", () => {
    const admission = createQueueMachine(START_AT);
    const limits = { concurrency: 1000, requestsPerMinute: 60, burst: 1 };
    asAdmitted(admission.admit(askOf("a", { limits }), START_AT));
    expect(
      asAdmitted(admission.admit({ ...askOf("b", { limits }), prefetchCount: 9 }, START_AT)).prefetched,
    ).toBeUndefined();
  });

  test("is the same again for a repeated ask", () => {
    const admission = createQueueMachine(START_AT);
    const ask = { ...askOf("own", { limits: ROOMY }), prefetchCount: 5 };
    const first = admission.admit(ask, START_AT);
    expect(admission.admit(ask, START_AT + 10)).toEqual(first);
    expect(admission.snapshot(START_AT + 10).leases).toBe(6);
  });

  test("turns into ordinary leases as its isolate reports who uses them", () => {
    const admission = createQueueMachine(START_AT);
    const { prefetched } = grant(admission, { limits: ROOMY }, 3);
    const updates = { ...NO_UPDATES, starts: [startOf(prefetched, 0), startOf(prefetched, 1)] };
    admission.settle([], START_AT + 500, updates);
    admission.settle([], START_AT + 501, updates);
    const snapshot = admission.snapshot(START_AT + 600);
    expect(snapshot).toMatchObject({ leases: 4, batched: 1 });
    expect(snapshot.holding.map(({ requestId }) => requestId)).toEqual(["own", "leased-0", "leased-1"]);
    // They live a whole lease time from then on, the unreported one does not.
    expect(admission.snapshot(START_AT + UNSTARTED_TTL_MS)).toMatchObject({ leases: 3, batched: 0 });
    expect(admission.snapshot(START_AT + 500 + LEASE_TTL_MS - 1).leases).toBe(2);
  });

  test("takes back what was not used: it has cost nothing", () => {
    const admission = createQueueMachine(START_AT);
    const { prefetched } = grant(admission, { limits: ROOMY }, 4);
    const unused = [1, 2, 3].map((n) => startOf(prefetched, n).leaseId);
    admission.settle([], START_AT, { ...NO_UPDATES, starts: [startOf(prefetched, 0)], unused });
    admission.settle([], START_AT, { ...NO_UPDATES, unused: [...unused, startOf(prefetched, 0).leaseId] });
    expect(admission.snapshot(START_AT)).toMatchObject({
      leases: 2,
      batched: 0,
      limits: { requestsPerMinute: { remaining: 998 } },
    });
  });

  test("ends a lease whose settlement overtakes the word that it is used, and ignores that word", () => {
    const admission = createQueueMachine(START_AT);
    const { own, prefetched } = grant(admission, { limits: ROOMY }, 1);
    const start = startOf(prefetched, 0);
    const settlement = { ...settlementOf(own, start.requestId), leaseId: start.leaseId, costMicroUsd: 7 };
    admission.settle([settlement], START_AT);
    admission.settle([settlement], START_AT, { ...NO_UPDATES, starts: [start] });
    expect(admission.snapshot(START_AT)).toMatchObject({ leases: 1, batched: 0 });
    expect(admission.takeAbandoned()).toEqual([]);
  });

  test("of an isolate that died is free after its time, and leaves no trace of a request", () => {
    const admission = createQueueMachine(START_AT);
    const { own } = grant(admission, { limits: { concurrency: 20 } }, 50);
    admission.settle([settlementOf(own, "own")], START_AT);
    expect(admission.snapshot(START_AT + UNSTARTED_TTL_MS - 1).leases).toBe(1);
    expect(admission.snapshot(START_AT + UNSTARTED_TTL_MS).leases).toBe(0);
    expect(admission.takeAbandoned()).toEqual([]);
  });

  test("never lets more in than the limits, however many isolates hold one", () => {
    const admission = createQueueMachine(START_AT);
    const limits = { concurrency: 100, maxDepth: 0 };
    let admitted = 0;
    for (let n = 0; ; n += 1) {
      const answer = admission.admit(
        { ...askOf(`r${n}`, { limits, maxWaitMs: 0 }), prefetchCount: 100 },
        START_AT,
      );
      if (answer?.kind !== "admitted") break;
      admitted += 1 + (answer.prefetched?.count ?? 0);
    }
    expect(admitted).toBe(100);
    expect(asRefused(admission.admit(askOf("last", { limits, maxWaitMs: 0 }), START_AT)).limit.name).toBe(
      "concurrency",
    );
  });
});

describe("an isolate's batches", () => {
  const GRANT: Admitted = {
    kind: "admitted",
    lease: { id: leaseIdOf(100), token: 100, expiresAt: 0 },
    goInMs: 0,
    wait: { waitMs: 0, position: 0, depth: 0, queuedBehind: [] },
    canDeferSettle: true,
    requests: { limit: 600, remaining: 90, resetMs: 5 },
    configVersion: 1,
    epoch: 1,
    prefetched: { firstToken: 101, count: 3 },
  };

  test("admit requests by themselves, each by a lease of its own, until none is left", () => {
    const batches = createPrefetchedLeases();
    batches.keep("key", GRANT, START_AT);
    const taken = [1, 2, 3].map((n) => batches.take(askOf(`r${n}`), START_AT + n));
    expect(taken.map((answer) => answer?.lease.token)).toEqual([101, 102, 103]);
    expect(taken.map((answer) => answer?.requests?.remaining)).toEqual([89, 88, 87]);
    expect(batches.take(askOf("r4"), START_AT + 4)).toBeUndefined();
    expect(batches.takeUnused(START_AT + 9999)).toEqual([]);
  });

  test("hold for one key, one second, one version of the records, and no dearer request", () => {
    const batches = createPrefetchedLeases();
    batches.keep("key", { ...GRANT, prefetched: { firstToken: 101, count: 3, maxTokens: 50 } }, START_AT);
    expect(batches.take(askOf("a", { keyId: "other" }), START_AT)).toBeUndefined();
    expect(batches.take(askOf("b", { tokens: 51 }), START_AT)).toBeUndefined();
    expect(batches.take(askOf("c", { tokens: 50 }), START_AT + PREFETCH_TTL_MS - 1)).toBeDefined();
    expect(batches.take(askOf("d"), START_AT + PREFETCH_TTL_MS)).toBeUndefined();
    expect(batches.takeUnused(START_AT + PREFETCH_TTL_MS)).toEqual([leaseIdOf(102), leaseIdOf(103)]);
    batches.keep("key", GRANT, START_AT);
    expect(batches.take(askOf("e", { configVersion: 2 }), START_AT)).toBeUndefined();
    expect(batches.takeUnused(START_AT)).toHaveLength(3);
  });

  test("want as many as the last second brought, and none for a few", () => {
    const batches = createPrefetchedLeases();
    for (let n = 0; n < 3; n += 1) batches.take(askOf(`a${n}`), START_AT + n);
    expect(batches.prefetchCount("key")).toBe(0);
    for (let n = 0; n < 17; n += 1) batches.take(askOf(`b${n}`), START_AT + 10 + n);
    expect(batches.prefetchCount("key")).toBe(20);
    batches.take(askOf("c"), START_AT + 1100);
    expect(batches.prefetchCount("key")).toBe(20);
    batches.take(askOf("d"), START_AT + 9000);
    expect(batches.prefetchCount("key")).toBe(0);
  });
});
