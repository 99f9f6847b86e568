import { expect, test } from "vitest";
import { createMetricsLedger } from "../../../../src/telemetry/metrics/ledger.ts";
import type { MetricsBatch } from "../../../../src/telemetry/metrics/metrics-port.ts";
import { NOON } from "../../../support/fakes/fake-trace.ts";

function batch(id: string, sum = 1): MetricsBatch {
  const series = { labels: {}, sum, buckets: [], startAt: NOON, touchedAt: NOON };
  return { id, series: [{ ...series, instrument: "gateway.attempts" }] };
}

test("a batch that comes twice counts once, in one call, in two, and after a restart", () => {
  const ledger = createMetricsLedger();
  expect(ledger.add([batch("a"), batch("b")], NOON)).toBe(true);
  expect(ledger.add([batch("a"), batch("b")], NOON)).toBe(false);
  const reopened = createMetricsLedger(structuredClone(ledger.save()));
  expect(reopened.add([batch("b"), batch("c")], NOON)).toBe(true);
  expect(reopened.list().map(({ sum }) => sum)).toEqual([3]);
});

test("the same batch twice in one call counts once", () => {
  const ledger = createMetricsLedger();
  ledger.add([batch("a"), batch("a")], NOON);
  expect(ledger.list().map(({ sum }) => sum)).toEqual([1]);
});

test("remembers a bounded number of batches", () => {
  const ledger = createMetricsLedger();
  for (let n = 0; n < 1000; n++) ledger.add([batch(`batch-${n}`)], NOON);
  const { batchIds } = ledger.save();
  expect([batchIds.length, batchIds.at(-1)]).toEqual([256, "batch-999"]);
});
