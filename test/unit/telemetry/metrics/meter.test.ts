// The isolate's side: what many requests leave goes to each tenant's object in one call, once, and is not lost when that fails.
import { describe, expect, test } from "vitest";
import { createMeter, METRICS_GATHER_MS, RESEND_AFTER_MS } from "../../../../src/telemetry/metrics/meter.ts";
import { createMetricsLedger, type MetricsLedger } from "../../../../src/telemetry/metrics/ledger.ts";
import { UNKNOWN_TENANT } from "../../../../src/telemetry/store/stored-trace.ts";
import type { FinishedTrace } from "../../../../src/telemetry/trace/trace.ts";
import { NOON } from "../../../support/fakes/fake-trace.ts";
import { plainTrace } from "../../../support/builders/sample-traces.ts";

function startMeter() {
  let nowMs = NOON;
  let ids = 0;
  let fail: "before" | "after" | undefined;
  const calls: string[] = [];
  const ledgers = new Map<string, MetricsLedger>();
  const sleeps: { readonly ms: number; readonly wake: () => void }[] = [];
  const work: Promise<unknown>[] = [];
  const meter = createMeter({
    clock: () => nowMs,
    sleep: (ms) => new Promise((wake) => sleeps.push({ ms, wake })),
    newId: () => `batch-${++ids}`,
    isPriced: () => true,
    metricsOf: () => ({
      async add(tenantId, batches) {
        calls.push(tenantId);
        if (fail === "before") throw new Error("unreachable");
        let ledger = ledgers.get(tenantId);
        if (ledger === undefined) ledgers.set(tenantId, (ledger = createMetricsLedger()));
        ledger.add(batches, nowMs);
        if (fail === "after") throw new Error("the answer was lost");
      },
      read: async () => [],
    }),
  });
  return {
    meter,
    calls,
    sleeps,
    note: (trace: FinishedTrace): void => meter.note(trace, (promise) => work.push(promise)),
    pass: (ms: number) => void (nowMs += ms),
    failing: (how: typeof fail) => void (fail = how),
    /** Lets the gathering request go on and do its work. */
    async gathered(): Promise<void> {
      for (const { wake } of sleeps.splice(0)) wake();
      await Promise.all(work.splice(0));
    },
    requestsOf: (tenantId: string): number =>
      (ledgers.get(tenantId)?.list() ?? [])
        .filter(({ instrument }) => instrument === "gateway.requests")
        .reduce((sum, series) => sum + series.sum, 0),
  };
}

const of = async (tenantId: string | undefined): Promise<FinishedTrace> => ({
  ...(await plainTrace()),
  tenantId,
});

describe("the meter", () => {
  test("takes what many requests left to each tenant's object in one call", async () => {
    const setup = startMeter();
    for (const tenantId of ["acme", "globex", "acme", undefined]) setup.note(await of(tenantId));
    expect([setup.calls, setup.sleeps.map(({ ms }) => ms)]).toEqual([[], [METRICS_GATHER_MS]]);
    await setup.gathered();
    expect(setup.calls.toSorted()).toEqual([UNKNOWN_TENANT, "acme", "globex"]);
    expect(["acme", "globex", UNKNOWN_TENANT].map(setup.requestsOf)).toEqual([2, 1, 1]);
  });

  test("sends at once for a reader, and then nothing twice", async () => {
    const setup = startMeter();
    setup.note(await of("acme"));
    await setup.meter.flush();
    expect(setup.requestsOf("acme")).toBe(1);
    await setup.gathered();
    expect(setup.calls).toEqual(["acme"]);
  });

  test("finds another request to send when the one that meant to has died", async () => {
    const setup = startMeter();
    setup.note(await of("acme"));
    setup.sleeps.length = 0;
    setup.pass(METRICS_GATHER_MS);
    setup.note(await of("acme"));
    expect(setup.sleeps).toHaveLength(0);
    setup.pass(3 * METRICS_GATHER_MS);
    setup.note(await of("acme"));
    for (const { wake } of setup.sleeps.splice(0)) wake();
    await setup.meter.flush();
    expect(setup.requestsOf("acme")).toBe(3);
  });

  test("keeps what an object could not be sent, and sends it later", async () => {
    const setup = startMeter();
    setup.failing("before");
    setup.note(await of("acme"));
    await setup.gathered();
    expect(setup.requestsOf("acme")).toBe(0);
    setup.failing(undefined);
    setup.pass(RESEND_AFTER_MS);
    setup.note(await of("acme"));
    await setup.gathered();
    expect(setup.requestsOf("acme")).toBe(2);
  });

  test("counts once what arrived though its answer was lost", async () => {
    const setup = startMeter();
    setup.failing("after");
    setup.note(await of("acme"));
    await setup.gathered();
    setup.failing(undefined);
    setup.pass(RESEND_AFTER_MS);
    await setup.meter.flush();
    expect([setup.requestsOf("acme"), setup.calls.length]).toEqual([1, 2]);
  });

  test("holds a bounded number of batches for an object that is gone", async () => {
    const setup = startMeter();
    setup.failing("before");
    for (let n = 0; n < 50; n++) {
      setup.note(await of("acme"));
      await setup.gathered();
    }
    setup.failing(undefined);
    setup.pass(RESEND_AFTER_MS);
    await setup.meter.flush();
    expect(setup.requestsOf("acme")).toBe(8);
  });
});
