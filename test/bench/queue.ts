// `node test/bench/queue.ts`: measures one queue object on plain workerd, simulates what a request costs and what several regions
// would gain from several objects, and writes QUEUE.md. About two minutes on two cores; `--quick` writes nothing.
import { mkdirSync, mkdtempSync, copyFileSync, existsSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildWorker } from "../../src/local/generate/build-worker.ts";
import { startWorkerd, workerdVersion, type WorkerdProcess } from "./processes/process.ts";
import { queueReport, type Crowd, type Throughput } from "./reports/queue.ts";
import { simulateCosts, type CostResult, type Design } from "./simulate/queue-costs.ts";
import { SCENARIOS, simulateRegions } from "./simulate/regions.ts";
import { median } from "./reports/statistics.ts";
import { workerdConfig } from "./processes/workerd-config.ts";

const { values: options } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const REQUESTS = options.quick ? 500 : 10_000;
const ROUNDS = options.quick ? 1 : 5;
const PARALLEL = 64;
/** With so many slots 64 in use are far below the limit; with fewer they are not, and no leases are given in advance. */
const ROOMY = 100_000;
const NARROW = 300;
const CROWDS = options.quick ? [500] : [1000, 10_000];
/** Late settlements have gone by then. */
const QUIET_MS = 1500;
const COMPATIBILITY_DATE = "2026-10-20";

const dir = mkdtempSync(join(tmpdir(), "headgate-queue-bench-"));
/** A file system in memory (Linux): a shared machine's disk would drown what is measured. */
const objects = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : dir, "headgate-queue-objects-"));
process.once("exit", () => [dir, objects].forEach((path) => rmSync(path, { recursive: true, force: true })));

const worker = await startWorker();
const throughput: Throughput[] = [];
for (const [name, path] of [
  ["a call to admit, a call to settle", `/calls?concurrency=${ROOMY}`],
  ["piggybacked settlements", `/client?concurrency=${NARROW}`],
  ["prefetched leases", `/client?concurrency=${ROOMY}`],
] as const)
  throughput.push({ name, ...(await measure(worker, path)) });
const crowds: Crowd[] = [];
for (const size of CROWDS) crowds.push(await crowd(worker, size));
worker.stop();

const RATES = [
  [1, 1],
  [50, 4],
  [200, 20],
  [1000, 50],
] as const;
const DESIGNS: readonly Design[] = ["plain", "piggyback", "prefetch"];
const costs: CostResult[] = [];
for (const [requestsPerSecond, isolates] of RATES) {
  for (const design of DESIGNS)
    costs.push(await simulateCosts({ design, limitsAre: "far below", requestsPerSecond, isolates }));
  costs.push(await simulateCosts({ design: "prefetch", limitsAre: "in use", requestsPerSecond, isolates }));
}
const regions = SCENARIOS.map((scenario) => ({
  scenario,
  single: simulateRegions(scenario, "single"),
  hierarchy: simulateRegions(scenario, "hierarchy"),
}));

const text = queueReport({
  machine: `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}`,
  versions: `Node ${process.versions.node}, workerd ${workerdVersion}`,
  date: new Date().toISOString().slice(0, 10),
  parallel: PARALLEL,
  rounds: ROUNDS,
  throughput,
  crowds,
  costs,
  regions,
});
console.log(text);
if (!options.quick) writeFileSync(join(import.meta.dirname, "QUEUE.md"), text);

async function startWorker(): Promise<WorkerdProcess> {
  mkdirSync(join(dir, "serve"));
  await buildWorker({
    entry: join(import.meta.dirname, "workers", "queue-worker.ts"),
    file: join(dir, "serve", "worker.js"),
    isMinified: true,
  });
  copyFileSync(join(import.meta.dirname, "workers", "kv.js"), join(dir, "serve", "kv.js"));
  const configFile = join(dir, "serve", "config.capnp");
  const config = workerdConfig({
    module: "worker.js",
    compatibilityDate: COMPATIBILITY_DATE,
    compatibilityFlags: [],
    vars: {},
    kvBindings: [],
    durableObjects: [{ binding: "TENANT_QUEUE", className: "TenantQueue" }],
    durableObjectDir: objects,
  });
  writeFileSync(configFile, config);
  return startWorkerd(configFile);
}

async function get(worker: WorkerdProcess, path: string): Promise<unknown> {
  const response = await fetch(worker.url + path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** Medians of several rounds: requests a second side by side, CPU of each, and what one alone adds to a request. */
async function measure(worker: WorkerdProcess, path: string): Promise<Omit<Throughput, "name">> {
  const tenant = `&tenant=${path.replaceAll(/\W/g, "-")}`;
  const rates: number[] = [];
  const cpus: number[] = [];
  const alone: number[] = [];
  await get(worker, `${path}${tenant}&parallel=${PARALLEL}&requests=${REQUESTS}`);
  for (let round = 0; round < ROUNDS; round += 1) {
    const cpuBefore = worker.cpuSeconds();
    const { ms } = Object(await get(worker, `${path}${tenant}&parallel=${PARALLEL}&requests=${REQUESTS}`));
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    rates.push((1000 * REQUESTS) / Number(ms));
    cpus.push((1e6 * (worker.cpuSeconds() - cpuBefore)) / REQUESTS);
    const one = await p50(worker, `${path}${tenant}&parallel=1&requests=1`);
    const nothing = await p50(worker, "/nothing");
    alone.push(one - nothing);
  }
  return { perSecond: median(rates), cpuMicros: median(cpus), addedMs: median(alone) };
}

async function p50(worker: WorkerdProcess, path: string): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < 300; n += 1) {
    const startedAt = performance.now();
    await get(worker, path);
    times.push(performance.now() - startedAt);
  }
  return median(times);
}

async function crowd(worker: WorkerdProcess, size: number): Promise<Crowd> {
  const { fillMs, wakeMs } = Object(await get(worker, `/crowd?tenant=crowd-${size}&requests=${size}`));
  return {
    size,
    joinsPerSecond: (1000 * size) / Number(fillMs),
    wakesPerSecond: (1000 * size) / Number(wakeMs),
    bytesEach: await bytesPerWaiter(size),
  };
}

/** Heap of the rules for each who waits, in this process; what an open RPC costs besides is the runtime's. */
async function bytesPerWaiter(size: number): Promise<number> {
  const { createQueueMachine } = await import("../../src/limits/queue/queue-machine.ts");
  const admission = createQueueMachine(0);
  const heap = (): number => (globalThis.gc?.(), process.memoryUsage().heapUsed);
  const ask = (n: number) => ({
    requestId: `req_${n}`,
    traceId: n.toString(16).padStart(32, "0"),
    spanId: n.toString(16).padStart(16, "0"),
    keyId: "key",
    lane: "interactive" as const,
    limits: { concurrency: 1, maxDepth: 100_000, maxWaitMs: 1e9 },
    configVersion: 1,
    maxWaitMs: 1e9,
    estimate: { inputTokens: 1, outputTokens: 1 },
    settles: [],
  });
  admission.admit(ask(0), 0);
  const before = heap();
  for (let n = 1; n <= size; n += 1) admission.admit(ask(n), 0);
  return (heap() - before) / size;
}
