// What each step of a trace's way costs, in microseconds of CPU a trace: made, encoded, packed with others, compressed. The
// gateway's own code in this process, without network; what a POST costs is in the whole process's CPU (targets.ts).
import { createEnvelope, encodeTrace, type Envelope } from "../../src/telemetry/otlp/otlp.ts";
import { createPacker } from "../../src/telemetry/export/export-pack.ts";
import { toPayload } from "../../src/telemetry/export/otlp-send.ts";
import { createBatchPacker } from "../../src/telemetry/store/stored-batch.ts";
import type { FinishedTrace } from "../../src/telemetry/trace/trace.ts";
import { fallbackTrace } from "../support/builders/sample-traces.ts";
import { median } from "./reports/statistics.ts";

export type StepCosts = {
  readonly spans: number;
  /** Spans made, given their attributes, ended, checked against the allow-list. */
  readonly makeMicros: number;
  readonly encodeMicros: number;
  /** The embedded store's part: its traces packed, a batch of PACKED at a time. */
  readonly storeMicros: number;
  readonly batches: readonly BatchCosts[];
};

export type BatchCosts = {
  /** In one body. */
  readonly traces: number;
  readonly bytesEach: number;
  readonly gzipBytesEach: number;
  readonly packMicros: number;
  readonly gzipMicros: number;
};

const BATCH_SIZES = [1, 4, 16, 64, 128] as const;
const PACKED = 64;
const TRACES_A_RUN = 1024;
const RUNS = 5;
/** Until V8 has compiled what is measured. */
const WARM_UPS = 3;
/** No back end's limit splits these bodies: what is compared is their size. */
const NO_LIMIT = 64 * 1024 * 1024;

export async function measureExport(): Promise<StepCosts> {
  const envelope = createEnvelope({ serviceName: "headgate", serviceVersion: "bench" });
  const traces: FinishedTrace[] = [];
  const makeMicros = await microsEach(async () => {
    traces.length = 0;
    for (let at = 0; at < TRACES_A_RUN; at += 1) traces.push(await fallbackTrace());
  });
  // A thing at a time, as in the gateway: thousands of texts kept at once would measure the garbage collector.
  let made = 0;
  const encodeMicros = await microsEach(() => {
    for (const trace of traces) made += encodeTrace(trace).spans.length;
  });
  const texts = traces.map((trace) => encodeTrace(trace).spans);
  const storeMicros = await microsEach(() => {
    for (let at = 0; at < texts.length; at += PACKED) {
      const packer = createBatchPacker(undefined, envelope);
      for (const text of texts.slice(at, at + PACKED)) packer.append(0, text);
      made += packer.take().length;
    }
  });
  if (made === 0) throw new Error("nothing was encoded");
  const batches: BatchCosts[] = [];
  for (const size of BATCH_SIZES) batches.push(await batchCosts(size, texts, envelope));
  return { spans: traces[0]?.spans.length ?? 0, makeMicros, encodeMicros, storeMicros, batches };
}

async function batchCosts(size: number, encoded: readonly string[], envelope: Envelope): Promise<BatchCosts> {
  const groups = Array.from({ length: TRACES_A_RUN / size }, (_, at) =>
    encoded.slice(at * size, (at + 1) * size),
  );
  const send = async (wantsGzip: boolean): Promise<number> => {
    let bytes = 0;
    for (const group of groups) {
      const packer = createPacker(envelope, NO_LIMIT);
      for (const text of group) packer.append(text);
      for (const packed of packer.take()) bytes += (await toPayload(packed.bytes, wantsGzip)).body.byteLength;
    }
    return bytes / TRACES_A_RUN;
  };
  const [bytesEach, gzipBytesEach] = [await send(false), await send(true)];
  const packMicros = await microsEach(() => send(false));
  return {
    traces: size,
    bytesEach,
    gzipBytesEach,
    packMicros,
    gzipMicros: (await microsEach(() => send(true))) - packMicros,
  };
}

/** Median CPU of all threads, a trace. */
async function microsEach(run: () => unknown): Promise<number> {
  for (let count = 0; count < WARM_UPS; count += 1) await run();
  const micros: number[] = [];
  for (let count = 0; count < RUNS; count += 1) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    micros.push((user + system) / TRACES_A_RUN);
  }
  return median(micros);
}
