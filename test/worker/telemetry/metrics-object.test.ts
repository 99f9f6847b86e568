// A tenant's metrics in their real Durable Object: what is added stays, once, over evictions, at few writes.
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import type { SavedMetricsLedger } from "../../../src/telemetry/metrics/ledger.ts";
import type { MetricsBatch, MetricsPort } from "../../../src/telemetry/metrics/metrics-port.ts";
import { createSeriesTable } from "../../../src/telemetry/metrics/series.ts";

let tenants = 0;

function openMetrics() {
  const tenantId = `metrics-test-${++tenants}`;
  const stub = env.TENANT_METRICS.getByName(tenantId);
  const port: MetricsPort = stub;
  const sumOf = async (instrument: string): Promise<number> =>
    (await port.read(tenantId))
      .filter((series) => series.instrument === instrument)
      .reduce((sum, series) => sum + series.sum, 0);
  /** What a new life of the object would find. */
  const saved = (): Promise<SavedMetricsLedger | undefined> =>
    runInDurableObject(stub, (_, state) => state.storage.kv.get<SavedMetricsLedger>("ledger"));
  return { tenantId, stub, port, sumOf, saved, add: (batch: MetricsBatch) => port.add(tenantId, [batch]) };
}

function attempts(id: string, count = 1): MetricsBatch {
  const table = createSeriesTable();
  table.record("gateway.attempts", { "gateway.attempt.outcome": "ok" }, 1, Date.now(), count);
  table.record("gateway.queue.wait", { "gateway.queue.limit": "concurrency" }, 400, Date.now(), count);
  return { id, series: table.list() };
}

const sumIn = (ledger: SavedMetricsLedger | undefined): number =>
  (ledger?.series ?? []).find(({ instrument }) => instrument === "gateway.attempts")?.sum ?? 0;

describe("a tenant's metrics", () => {
  test("add up what isolates bring, histograms too", async () => {
    const { port, add, tenantId } = openMetrics();
    await add(attempts("a", 3));
    await add(attempts("b", 4));
    const series = await port.read(tenantId);
    expect(series.map(({ instrument, sum }) => [instrument, sum])).toEqual([
      ["gateway.attempts", 7],
      ["gateway.queue.wait", 2800],
      ["gateway.queue.depth", 0],
    ]);
    expect(series[1]?.buckets.reduce((sum, count) => sum + count, 0)).toBe(7);
  });

  test("take a batch once, however often it comes, also after an eviction", async () => {
    const { stub, add, sumOf } = openMetrics();
    await add(attempts("a"));
    await add(attempts("a"));
    expect(await sumOf("gateway.attempts")).toBe(1);
    await evictDurableObject(stub);
    await add(attempts("a"));
    expect(await sumOf("gateway.attempts")).toBe(1);
  });

  test("are there again after an eviction: what was read was saved", async () => {
    const { stub, add, sumOf } = openMetrics();
    await add(attempts("a"));
    await add(attempts("b"));
    expect(await sumOf("gateway.attempts")).toBe(2);
    await evictDurableObject(stub);
    expect(await sumOf("gateway.attempts")).toBe(2);
    await add(attempts("c"));
    expect(await sumOf("gateway.attempts")).toBe(3);
  });

  test("are written at once the first time, and then at most every few seconds", async () => {
    const { add, saved } = openMetrics();
    await add(attempts("first"));
    expect(sumIn(await saved())).toBe(1);
    for (let n = 0; n < 20; n++) await add(attempts(`more-${n}`));
    expect(sumIn(await saved())).toBe(1);
  });

  test("say how deep the queue is at this moment", async () => {
    const { tenantId, port, add } = openMetrics();
    await add(attempts("a"));
    const queue = env.TENANT_QUEUE.getByName(tenantId);
    const limits = { concurrency: 1, maxDepth: 100, maxWaitMs: 30_000 };
    const ask = {
      traceId: "a".repeat(32),
      spanId: "b".repeat(16),
      keyId: "key_1",
      lane: "interactive",
      limits,
      configVersion: 1,
      maxWaitMs: 30_000,
      estimate: { inputTokens: 1, outputTokens: 1 },
      settles: [],
    } as const;
    await queue.admit({ ...ask, requestId: "holder" });
    const waiting = [1, 2].map((n) => queue.admit({ ...ask, requestId: `waiting-${n}` }));
    await expect.poll(async () => (await queue.snapshot()).depth).toBe(2);
    const depth = (await port.read(tenantId)).find(({ instrument }) => instrument === "gateway.queue.depth");
    expect(depth?.sum).toBe(2);
    for (const n of [1, 2]) await queue.cancel(`waiting-${n}`);
    await Promise.all(waiting);
  });

  test("of an unknown tenant are empty, and write nothing", async () => {
    const { port, tenantId, saved } = openMetrics();
    expect(await port.read(tenantId)).toEqual([]);
    expect(await saved()).toBeUndefined();
  });
});
