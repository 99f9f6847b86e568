// What a cache hit, a coalesced follower and a choice of target cost: CPU of the whole process in multiples of the bare Worker's.
// Made by `npm run bench:cache`, which writes CACHE.md; `--rounds N` (default 10), `--quick` for one round that writes nothing.
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildWorker } from "../../src/local/generate/build-worker.ts";
import { cacheReport, type CacheCase } from "./reports/cache.ts";
import { CASES, PACED, PACED_BODY } from "./cases.ts";
import type { LoadJob, LoadResult } from "./processes/load.ts";
import { planCosts } from "./plan-cost.ts";
import { spawnScript, workerdVersion } from "./processes/process.ts";
import { inTurn } from "./rounds.ts";
import { startFloor, startVariant, type Target } from "./targets.ts";

const { values: options } = parseArgs({
  options: { rounds: { type: "string", default: "10" }, quick: { type: "boolean", default: false } },
});
const rounds = options.quick ? 1 : Number(options.rounds);

const ALL_TRACES = { sampleRatio: 1, store: { enabled: true } };
const EXPORTED = { sampleRatio: 1, store: { enabled: false } };
const NO_TRACES = { sampleRatio: 0, alwaysKeep: [], store: { enabled: false } };
const CACHED = { enabled: true };
const VARIANTS = [
  { name: "miss, traced", isTraced: true, onDisk: false, record: { tracing: ALL_TRACES } },
  { name: "hit, traced", isTraced: true, onDisk: false, record: { cache: CACHED, tracing: ALL_TRACES } },
  {
    name: "hit, exported only",
    isTraced: true,
    onDisk: false,
    record: { cache: CACHED, tracing: EXPORTED },
  },
  { name: "hit, untraced", isTraced: false, onDisk: false, record: { cache: CACHED, tracing: NO_TRACES } },
  {
    name: "coalesced, traced",
    isTraced: true,
    onDisk: false,
    record: { cache: { coalesce: true }, tracing: ALL_TRACES },
  },
];
const CONNECTIONS = 16;
const LOAD_MS = 400;
/** Until V8 has compiled the most of it, and the trace store's ring is full. */
const WARM_UP_MS = 3000;
/** Sixteen clients at a time, each for a stream of some 130 ms. */
const PACED_MS = 1000;
const SETTLE_MS = 150;
const MANY = 100_000;
/** The bench keeps more children than Node expects of a program. */
process.setMaxListeners(50);

const dir = mkdtempSync(join(tmpdir(), "headgate-bench-cache-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const bundle = join(dir, "bundle", "worker.js");
await buildWorker({ file: bundle, isMinified: true });
const mock = spawnScript(join(import.meta.dirname, "processes/mock.ts"));
const load = spawnScript(join(import.meta.dirname, "processes/load.ts"));
const { url: mockUrl } = await next<{ readonly url: string }>(mock);
const targets: Target[] = [await startFloor("bare", dir, mockUrl)];
for (const variant of VARIANTS) targets.push(await startVariant(variant, dir, bundle, mockUrl));

const cases = [
  ...CASES.filter(({ name }) => name !== "100 KB prompt").map((each) => ({ ...each, durationMs: LOAD_MS })),
  { name: PACED.model, body: PACED_BODY, durationMs: PACED_MS },
];
const measured: CacheCase[] = [];
for (const { name, body, durationMs } of cases) {
  const micros = new Map<string, number[]>(targets.map((target) => [target.name, []]));
  // The first round warms up, and fills the cache.
  for (let round = 0; round <= rounds; round += 1) {
    for (const target of inTurn(targets, round)) {
      // What the mock sends piece by piece has no finish reason, so it is never stored.
      if (name === PACED.model && target.name.startsWith("hit")) continue;
      const used = await measure(target, name, body, round === 0 ? WARM_UP_MS : durationMs);
      if (round > 0) micros.get(target.name)?.push(used);
    }
  }
  measured.push({ name, micros });
}
for (const target of targets) target.process?.stop();
for (const child of [mock, load]) child.disconnect();

const text = cacheReport(measured, planCosts(), {
  rounds,
  date: new Date().toISOString().slice(0, 10),
  machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}`,
  versions: `Node ${process.versions.node}, workerd ${workerdVersion}`,
});
console.log(text);
if (!options.quick) {
  const path = join(import.meta.dirname, "CACHE.md");
  writeFileSync(path, text + handWritten(readFileSync(path, "utf8")));
}

/** The last section of the report, which no run measures. */
function handWritten(report: string): string {
  const at = report.indexOf("\n<!-- By hand from here on");
  return at === -1 ? "" : report.slice(at);
}

/** Microseconds of CPU a request. Throws where an answer is wrong. */
async function measure(
  { name, url, authorizations, process: own }: Target,
  caseName: string,
  body: string,
  durationMs: number,
): Promise<number> {
  const before = own?.cpuSeconds() ?? 0;
  const job: LoadJob = {
    url,
    caseName,
    body,
    connections: CONNECTIONS,
    durationMs,
    maxRequests: MANY,
    ...(authorizations !== undefined && { authorization: authorizations.plain }),
  };
  load.send(job);
  const { requests, problems } = await next<LoadResult>(load);
  if (problems.length > 0) throw new Error(`${name}, ${caseName}: ${problems.join("; ")}`);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return (((own?.cpuSeconds() ?? 0) - before) / requests) * 1_000_000;
}

/** The next IPC message of a child; the sender's type is fixed by its file, which this one starts. */
function next<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve) => child.once("message", (message) => resolve(message as T)));
}
