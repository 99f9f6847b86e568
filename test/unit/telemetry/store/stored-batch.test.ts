/** Traces packed for the store come out of it as they went in, and no batch is larger than a row may be. */
import { describe, expect, test } from "vitest";
import { createEnvelope, encodeTrace, fillEnvelope } from "../../../../src/telemetry/otlp/otlp.ts";
import {
  createBatchPacker,
  MAX_STORED_CHARS,
  unpackBatch,
} from "../../../../src/telemetry/store/stored-batch.ts";
import { summarize } from "../../../../src/telemetry/trace/summary.ts";
import type { FinishedTrace } from "../../../../src/telemetry/trace/trace.ts";
import { startTrace } from "../../../support/fakes/fake-trace.ts";
import { fallbackTrace } from "../../../support/builders/sample-traces.ts";

const ENVELOPE = createEnvelope({ serviceName: "headgate", serviceVersion: "0.1.0" });
/** A row of SQLite on Workers. */
const ROW_BYTES = 2_000_000;

async function wordyTrace(): Promise<FinishedTrace> {
  const setup = startTrace({ attributes: { "gateway.request.id": "req_wörter", "url.path": "/v1/😀/界" } });
  setup.trace.root.set({ "http.response.status_code": 502, "gateway.cost.usd": 1e-7 }).fail("upstream_error");
  setup.trace.root.end();
  return setup.trace.finished;
}

describe("a batch", () => {
  test("gives each trace's text and summary back, whatever is in them", async () => {
    const remote = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const traces = [await fallbackTrace(), await wordyTrace(), await fallbackTrace(remote)];
    const packer = createBatchPacker("acme", ENVELOPE);
    for (const trace of traces) packer.append(trace.root.startAt, encodeTrace(trace).spans);
    const [batch, ...others] = packer.take();
    expect(others).toEqual([]);
    expect(batch?.traces).toBe(3);
    expect(batch?.newestAt).toBe(Math.max(...traces.map(({ root }) => root.startAt)));
    expect(batch && unpackBatch(batch).map(({ row }) => row)).toEqual(
      traces.map((trace) => ({
        ...summarize({ ...trace, tenantId: "acme" }),
        otlp: fillEnvelope(ENVELOPE, encodeTrace(trace).spans),
      })),
    );
  });

  test("without a tenant takes the one that its root names", async () => {
    const packer = createBatchPacker(undefined, ENVELOPE);
    packer.append(0, encodeTrace(await wordyTrace()).spans);
    packer.append(0, encodeTrace(await fallbackTrace()).spans);
    const rows = packer.take().flatMap(unpackBatch);
    expect(rows.map(({ row: { tenant } }) => tenant)).toEqual([null, "acme"]);
  });

  test("is never more than a row holds, and none comes of nothing", () => {
    expect(createBatchPacker("acme", ENVELOPE).take()).toEqual([]);
    for (const letter of ["x", "ü", "界"]) {
      const packer = createBatchPacker("acme", ENVELOPE);
      const lengths = [MAX_STORED_CHARS, 1, MAX_STORED_CHARS, 400_000, 400_000, MAX_STORED_CHARS];
      for (const length of lengths) packer.append(0, letter.repeat(length));
      const batches = packer.take();
      for (const { spans } of batches) expect(spans.byteLength).toBeLessThan(ROW_BYTES);
      const kept = batches.flatMap((batch) => JSON.parse(batch.lengths) as readonly number[]);
      expect(kept).toEqual(lengths.map((length) => length * Buffer.byteLength(letter)));
      expect(batches.reduce((sum, { traces }) => sum + traces, 0)).toBe(lengths.length);
    }
  });
});
