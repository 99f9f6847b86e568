// The chapter of RESULTS.md on what a trace costs, and what was done to lower it. Pure.
import { CASES } from "../cases.ts";
import type { StepCosts } from "../export-cost.ts";
import { format, table } from "./markdown.ts";
import type { Sample } from "../rounds.ts";
import { median } from "./statistics.ts";

/** The variants of targets.ts that differ in nothing but tracing, from everything to nothing. */
const ROWS = [
  ["gateway", "on: operator's OTLP, tenant's store"],
  ["operator-only", "sampled out by the tenant, operator's OTLP"],
  ["store-only", "on: tenant's store, no OTLP"],
  ["sampled-out", "sampled out by the tenant, no OTLP"],
  ["untraced", "off: nothing is exported, stored or kept"],
] as const;
const OFF = "untraced";
/** CPU seconds per 1,000 requests are milliseconds a request. */
const MICROS_PER_MS = 1000;

export function tracingChapter(samples: readonly Sample[], steps: StepCosts, tracesAPost: number): string {
  const names = CASES.map(({ name }) => name);
  const measured = ROWS.filter(([target]) => samples.some((sample) => sample.target === target));
  const isCompared = measured.some(([target]) => target === OFF);
  const rows = measured.map(([target, what]) => [
    what,
    ...names.map((name) => {
      const micros = format(microsOf(samples, target, name), 0);
      return isCompared ? `${micros} (${signed(addedMicros(samples, target, name))})` : micros;
    }),
  ]);
  const added = isCompared ? ", and in brackets what it adds to no tracing," : "";
  return `## Tracing

CPU in µs a request of the whole process${added} by the medians of the rounds. Spans are made for
every request, since what is kept is decided at its end and metrics are read off them: the last row makes them too.

${table(["", ...names], rows)}

The steps of a trace's export, in µs of CPU a trace in Node (${steps.spans} spans, a fallback behind a queue): made and finished
${format(steps.makeMicros, 1)}, encoded ${format(steps.encodeMicros, 1)} (once, for all places that get it without content), its row for the store
${format(steps.storeMicros, 1)}. In the load above a POST had ${format(tracesAPost, 0)} traces on average; what sharing a body saves, where traces differ in
nothing but their ids (real ones are packed less tightly by gzip):

${batchTable(steps)}

What was done to lower this:

- **The library's span alone** ([decision 040](../../src/decisions/040-tracing-library.md)): \`instrument()\` with our processor cost 490 µs a request;
  its span class under a root of our own, with parents that are passed and not looked up, 28 µs with all encoding.
- **One POST for all requests of 50 ms**, not one each (90 µs): the first request that ends gathers, in its own \`waitUntil\`. The store gets its rows, and
  the outbox its sums, in the same way ([041](../../src/decisions/041-outbox.md)).
- **Encoded once**, straight to text, for every place that gets the same; a trace without a destination is not encoded.
- **gzip only where a destination asks for it**, and from 4 KB: for a single trace it is the most expensive step.
- **Metrics are read off the finished spans** and sent every 5 s: nothing is counted twice on the request's path
  ([042](../../src/decisions/042-metrics.md)).
- **No JavaScript per chunk** ([050](../../src/decisions/050-streams.md)): a stream is piped natively, and read beside for its spans at most every 250 ms. A
  smaller first read buffer took 90 µs off a stream, leaving out the names of inner functions 20 µs off a request, the platform's own timers 6 % off a
  small one.
- **What a request has used is piggybacked** on the isolate's next call to the queue's object: \`gateway.usage.record\` is a span, not a call.`;
}

function batchTable({ batches }: StepCosts): string {
  const rows = batches.map(({ traces, bytesEach, gzipBytesEach, packMicros, gzipMicros }) => [
    String(traces),
    format(packMicros, 1),
    format(bytesEach, 0),
    format(gzipMicros, 1),
    format(gzipBytesEach, 0),
  ]);
  return table(["traces in a body", "pack µs", "bytes", "gzip µs", "bytes, gzipped"], rows);
}

function microsOf(samples: readonly Sample[], target: string, caseName: string): number {
  return median(ownOf(samples, target, caseName).map(({ cpuPer1k }) => cpuPer1k * MICROS_PER_MS));
}

/** Taken inside each round, since a busy moment of the machine hits both. */
function addedMicros(samples: readonly Sample[], target: string, caseName: string): number {
  const off = new Map(ownOf(samples, OFF, caseName).map(({ round, cpuPer1k }) => [round, cpuPer1k]));
  return median(
    ownOf(samples, target, caseName).map(
      ({ round, cpuPer1k }) => (cpuPer1k - (off.get(round) ?? Number.NaN)) * MICROS_PER_MS,
    ),
  );
}

function ownOf(samples: readonly Sample[], target: string, caseName: string): readonly Sample[] {
  return samples.filter((sample) => sample.target === target && sample.caseName === caseName);
}

function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${format(Math.abs(value), 0)}`;
}
