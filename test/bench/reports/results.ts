// Turns what was measured into the Markdown of RESULTS.md: ratios are taken inside each round and then their median, so that a
// busy moment of the machine hits both sides. Pure.
import { BUNDLE_BAR_KIB, CASES, DETAIL_CASES, type MockCounts, TTFT_BAR_MS, TTFT_GOAL_MS } from "../cases.ts";
import type { StepCosts } from "../export-cost.ts";
import { format, table } from "./markdown.ts";
import { tracingChapter } from "./tracing.ts";
import type { Measured, Sample, StreamSample } from "../rounds.ts";
import { median } from "./statistics.ts";

export type Facts = {
  readonly machine: string;
  readonly versions: string;
  readonly date: string;
  readonly effort: string;
  readonly bundleKib: number;
  readonly bundleGzipKib: number;
  /** Median CPU milliseconds of a cold process up to and with its first answer. */
  readonly startUpCpuMs: Readonly<Record<string, number>>;
  readonly rssIdleMib: Readonly<Record<string, number>>;
  readonly rssMib: Readonly<Record<string, number>>;
  readonly counts: MockCounts;
  /** Requests that should each have left one trace. */
  readonly tracedRequests: number;
  readonly steps: StepCosts;
};

/** The measured target that the bars are about, and what it is compared with. */
const GATEWAY = "gateway";
const FLOOR = "bare";
const DIRECT = "mock, direct";

export function report(measured: Measured, facts: Facts): string {
  const targets = [...new Set(measured.samples.map(({ target }) => target))];
  return `# Benchmark results

Made by \`npm run bench\`; do not edit. ${facts.date}, ${facts.machine}, ${facts.versions}.

Method: plain \`workerd serve\`, ${facts.effort}. CPU time is that of the
whole workerd process, from \`/proc/PID/stat\`; the gateway's has its Durable Objects (on a disk in memory) and its KV (a Map) in it. Ratios
are taken per round against the bare pass-through Worker, then their median: requests per second and milliseconds depend on what else
the machine does, ratios much less. "gateway" has everything on: key check, tenant record, queue object with limits, all spans exported by
OTLP and kept in the trace store, the cache at its default (bypass); what the others leave out is in the chapter on tracing. Bodies differ from
request to request, unless a case says otherwise, and the target's model has another name than the route. The collector got
${facts.counts.traces} traces in ${facts.counts.exports} posts for ${facts.tracedRequests} traced requests.

## Bars

More than what is allowed is a fault; the goal is what the gateway is to come to. CPU is compared with the bare Worker's at the same size.

${table(["bar", "allowed", "goal", "measured", ""], bars(measured, facts))}

## Load, 16 connections

${CASES.map(({ name }) => caseTable(name, measured.samples, targets)).join("\n\n")}

## Other answers, 16 connections

What the bare Worker can't do: the ratio is to its pass-through of the same size.

${detailTable(measured.samples, targets)}

## Streaming latency, one connection (first chunk at 20 ms, then one each 10 ms)

${streamTable(measured.streams, targets)}

${tracingChapter(measured.samples, facts.steps, facts.counts.traces / facts.counts.exports)}

## Size, start, memory

${table(
  ["", "value"],
  [
    ["bundle, minified", `${facts.bundleKib.toFixed(0)} KiB`],
    ["bundle, minified and gzipped", `${facts.bundleGzipKib.toFixed(1)} KiB`],
    ...Object.entries(facts.startUpCpuMs).map(([name, ms]) => [
      `CPU of a cold start and first answer, ${name}`,
      `${ms.toFixed(0)} ms`,
    ]),
    ...Object.entries(facts.rssIdleMib).map(([name, mib]) => [
      `RSS before the load, ${name}`,
      `${mib.toFixed(0)} MiB`,
    ]),
    ...Object.entries(facts.rssMib).map(([name, mib]) => [
      `RSS after the load, ${name}`,
      `${mib.toFixed(0)} MiB`,
    ]),
  ],
)}
`;
}

/** The rows of the bars' table: what, allowed, goal, measured, how it stands. */
export function bars(measured: Measured, facts: Facts): string[][] {
  const times = (value: number): string => `${value.toFixed(2)}×`;
  const cpuBars = CASES.map(({ name, bar, goal }) => {
    const ratio = medianRatio(measured.samples, [name, GATEWAY], [name, FLOOR]);
    return verdict(`CPU, ${name}`, ratio, { bar, goal }, times);
  });
  const detailBars = DETAIL_CASES.map(({ name, floor, bar, goal }) => {
    const ratio = medianRatio(measured.samples, [name, GATEWAY], [floor, FLOOR]);
    return verdict(`CPU, ${name}`, ratio, { bar, goal }, times);
  });
  const missing = facts.tracedRequests - facts.counts.traces;
  const added = medianDifference(measured.streams, GATEWAY, FLOOR);
  const toFirst = { bar: TTFT_BAR_MS, goal: TTFT_GOAL_MS };
  const size = { bar: BUNDLE_BAR_KIB, goal: BUNDLE_BAR_KIB };
  return [
    ...cpuBars,
    ...detailBars,
    verdict("time to first token, added to the bare Worker's", added, toFirst, (ms) => `${ms.toFixed(2)} ms`),
    verdict("traces missing or doubled at the collector", Math.abs(missing), { bar: 0, goal: 0 }, String),
    verdict("bundle, gzipped", facts.bundleGzipKib, size, (kib) => `${kib.toFixed(1)} KiB`),
  ];
}

function verdict(
  name: string,
  value: number,
  { bar, goal }: { readonly bar: number; readonly goal: number },
  format: (value: number) => string,
): string[] {
  const stands = value <= goal ? "goal reached" : value <= bar ? "allowed" : "**FAIL**";
  return [name, `≤ ${format(bar)}`, `≤ ${format(goal)}`, format(value), stands];
}

function detailTable(samples: readonly Sample[], targets: readonly string[]): string {
  const rows = DETAIL_CASES.flatMap(({ name, floor }) =>
    targets
      .map((target) => ({ target, own: samples.filter(isOf(name, target)) }))
      .filter(({ own }) => own.length > 0)
      .map(({ target, own }) => [
        name,
        target,
        format(median(own.map(({ cpuPer1k }) => cpuPer1k)), 3),
        `${medianRatio(samples, [name, target], [floor, FLOOR]).toFixed(2)}×`,
        format(median(own.map(({ requestsPerSecond }) => requestsPerSecond)), 0),
        format(median(own.map(({ p50AloneMs }) => p50AloneMs)), 2),
      ]),
  );
  return table(["", "", "CPU s / 1,000", "× bare", "requests/s", "p50 ms, one connection"], rows);
}

function isOf(caseName: string, target: string): (sample: Sample) => boolean {
  return (sample) => sample.target === target && sample.caseName === caseName;
}

function caseTable(caseName: string, samples: readonly Sample[], targets: readonly string[]): string {
  const rows = targets.map((target) => {
    const own = samples.filter(isOf(caseName, target));
    const middle = (pick: (sample: Sample) => number): number => median(own.map(pick));
    const ratio = medianRatio(samples, [caseName, target], [caseName, FLOOR]);
    return [
      target,
      format(
        middle(({ cpuPer1k }) => cpuPer1k),
        3,
      ),
      Number.isNaN(ratio) ? "" : `${ratio.toFixed(2)}×`,
      format(
        middle(({ requestsPerSecond }) => requestsPerSecond),
        0,
      ),
      format(
        middle(({ p50Ms }) => p50Ms),
        2,
      ),
      format(
        middle(({ p50AloneMs }) => p50AloneMs),
        2,
      ),
    ];
  });
  const head = [caseName, "CPU s / 1,000", "× bare", "requests/s", "p50 ms", "p50 ms, one connection"];
  return table(head, rows);
}

function streamTable(streams: readonly StreamSample[], targets: readonly string[]): string {
  const rows = targets.map((target) => {
    const own = streams.filter((sample) => sample.target === target);
    const middle = (pick: (sample: StreamSample) => number): string => format(median(own.map(pick)), 2);
    return [
      target,
      middle(({ firstTokenMs }) => firstTokenMs),
      format(medianDifference(streams, target, DIRECT), 2),
      middle(({ firstChunkDelayMs }) => firstChunkDelayMs),
      middle(({ laterChunkDelayMs }) => laterChunkDelayMs),
    ];
  });
  const head = ["", "time to first token ms", "added ms", "first chunk's delay ms", "later chunks' delay ms"];
  return table(head, rows);
}

type Measurand = readonly [caseName: string, target: string];

function medianRatio(samples: readonly Sample[], one: Measurand, other: Measurand): number {
  const cpuOf = ([caseName, target]: Measurand, round: number): number =>
    samples.filter(isOf(caseName, target)).find((sample) => sample.round === round)?.cpuPer1k ?? Number.NaN;
  return median(roundsOf(samples).map((round) => cpuOf(one, round) / cpuOf(other, round)));
}

function medianDifference(streams: readonly StreamSample[], target: string, base: string): number {
  const timeOf = (name: string, round: number): number =>
    streams.find((one) => one.target === name && one.round === round)?.firstTokenMs ?? Number.NaN;
  return median(roundsOf(streams).map((round) => timeOf(target, round) - timeOf(base, round)));
}

function roundsOf(samples: readonly { readonly round: number }[]): number[] {
  return [...new Set(samples.map(({ round }) => round))];
}
