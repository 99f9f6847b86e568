// `npm run bench`: builds the Worker, serves it beside the floors on plain workerd, measures, prints the table and writes
// RESULTS.md. Exits 1 when any answer was wrong; a missed bar is shown in the table and does not fail the run.
//   --rounds N          rounds of the whole measurement (default 5)
//   --variants a,b      variants of the gateway to measure beside the full one (see targets.ts; default: those that differ in tracing), or `all`
//   --beside FILE       another built Worker, measured in the same rounds as "beside": what a change costs, seen in one run
//   --quick             one short round that writes no RESULTS.md: does the bench itself work?
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { buildWorker } from "../../src/local/generate/build-worker.ts";
import type { MockCounts } from "./cases.ts";
import { measureExport } from "./export-cost.ts";
import { isPinned, spawnScript, workerdVersion } from "./processes/process.ts";
import { report, type Facts } from "./reports/results.ts";
import { measure, type Effort } from "./rounds.ts";
import { startFloor, startUpCpuSeconds, startVariant, VARIANTS, type Target } from "./targets.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    variants: { type: "string", default: "operator-only,store-only,sampled-out,untraced" },
    beside: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});
const effort: Effort = options.quick
  ? { rounds: 1, loadMs: 400, aloneRequests: 50, pacedStreams: 3 }
  : { rounds: Number(options.rounds), loadMs: 700, aloneRequests: 200, pacedStreams: 12 };
const COLD_STARTS = 3;
/** Exports leave in batches after the responses; well over the time one batch is gathered. */
const LAST_EXPORT_MS = 3_000;
const KIB = 1024;

const dir = mkdtempSync(join(tmpdir(), "headgate-bench-"));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const bundle = join(dir, "bundle", "worker.js");
await buildWorker({ file: bundle, isMinified: true });
const mock = spawnScript(join(import.meta.dirname, "processes/mock.ts"));
const load = spawnScript(join(import.meta.dirname, "processes/load.ts"));
const { url: mockUrl } = await nextMessage<{ readonly url: string }>(mock);

const wanted = VARIANTS.filter(
  ({ name }, index) =>
    index === 0 || options.variants === "all" || options.variants.split(",").includes(name),
);
const targets: Target[] = [
  { name: "mock, direct", url: mockUrl },
  await startFloor("bare", dir, mockUrl),
  await startFloor("parse", dir, mockUrl),
];
const [everythingOn] = VARIANTS;
for (const variant of wanted) {
  const target = await startVariant(variant, dir, bundle, mockUrl);
  targets.push({ ...target, hasDetails: variant === everythingOn });
}
if (options.beside !== undefined) {
  const beside = await startVariant({ ...everythingOn, name: "beside" }, dir, options.beside, mockUrl);
  targets.push({ ...beside, hasDetails: true });
}
const rssIdleMib = rssOf(targets);

const measured = await measure(load, targets, effort);

await new Promise((resolve) => setTimeout(resolve, LAST_EXPORT_MS));
mock.send("counts");
const counts = await nextMessage<MockCounts>(mock);
const rssMib = rssOf(targets);
for (const target of targets) target.process?.stop();
const startUpCpuMs: Record<string, number> = {};
for (const name of ["bare", "gateway"])
  startUpCpuMs[name] = 1000 * (await startUpCpuSeconds(name, dir, COLD_STARTS));
for (const child of [mock, load]) child.disconnect();
const steps = await measureExport();

const code = readFileSync(bundle);
const facts: Facts = {
  machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}`,
  versions: `Node ${process.versions.node}, workerd ${workerdVersion}`,
  date: new Date().toISOString().slice(0, 10),
  effort: `${effort.rounds} interleaved rounds of ${effort.loadMs} ms a cell, ${isPinned ? "gateway and load pinned to different CPUs" : "processes not pinned"}`,
  bundleKib: code.length / KIB,
  bundleGzipKib: gzipSync(code, { level: 9 }).length / KIB,
  startUpCpuMs,
  rssIdleMib,
  rssMib,
  counts,
  tracedRequests: sumOf(
    [...wanted.filter(({ isTraced }) => isTraced).map(({ name }) => name), "beside"].map(
      (name) => measured.requests[name] ?? 0,
    ),
  ),
  steps,
};

const text = report(measured, facts);
console.log(text);
if (measured.problems.length > 0) {
  console.error(`Wrong answers, so nothing was measured:\n${measured.problems.join("\n")}`);
  process.exitCode = 1;
} else if (!options.quick) {
  writeFileSync(join(import.meta.dirname, "RESULTS.md"), text);
}

function rssOf(list: readonly Target[]): Record<string, number> {
  return Object.fromEntries(
    list.flatMap(({ name, process: own }) => (own === undefined ? [] : [[name, own.rssMib()]])),
  );
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, value) => sum + value, 0);
}

/** The next IPC message of a child; the sender's type is fixed by its file, which this one starts. */
function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as T));
    child.once("exit", (code) => reject(new Error(`a child process ended with ${code}`)));
  });
}
