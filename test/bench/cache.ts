// What a cache hit, a coalesced follower and a choice of target cost: CPU per request of the whole process, in multiples of the bare
// Worker's. `npm run bench` measures the plain path; this one is run by hand (node test/bench/cache.ts [--rounds N]).
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createLatencyBook } from "../../src/routing/latency.ts";
import { createTurns } from "../../src/routing/turns.ts";
import { planTargets, type PlanContext } from "../../src/routing/plan.ts";
import { fakeBundle } from "../support/fake-tenant.ts";
import { build } from "../support/worker-bundle.ts";
import { CASES } from "./cases.ts";
import type { LoadJob, LoadResult } from "./load.ts";
import { spawnScript } from "./process.ts";
import { inTurn } from "./rounds.ts";
import { median } from "./statistics.ts";
import { startFloor, startVariant, type Target } from "./targets.ts";

const { values: options } = parseArgs({ options: { rounds: { type: "string", default: "5" } } });
const NO_TRACES = { sampleRatio: 0, alwaysKeep: [], store: { enabled: false } };
const CACHED = { cache: { enabled: true } };
const VARIANTS = [
  { name: "gateway, miss", isTraced: true, onDisk: false, record: {} },
  { name: "hit, traced", isTraced: true, onDisk: false, record: CACHED },
  { name: "hit, untraced", isTraced: false, onDisk: false, record: { ...CACHED, tracing: NO_TRACES } },
  { name: "coalesced", isTraced: true, onDisk: false, record: { cache: { coalesce: true } } },
];
const CONNECTIONS = 16;
const LOAD_MS = 800;
const SETTLE_MS = 120;
const MANY = 100_000;
const PLANS = 200_000;

const dir = mkdtempSync(join(tmpdir(), "headgate-bench-cache-"));
process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
const bundle = join(await build(join(dir, "bundle"), ["--minify"]), "worker.js");
const mock = spawnScript(join(import.meta.dirname, "mock.ts"));
const load = spawnScript(join(import.meta.dirname, "load.ts"));
const { url: mockUrl } = await next<{ readonly url: string }>(mock);
const targets: Target[] = [await startFloor("bare", dir, mockUrl)];
for (const variant of VARIANTS) targets.push(await startVariant(variant, dir, bundle, mockUrl));

const cases = CASES.filter(
  ({ name }) => name === "1 KB" || name === "50-chunk stream" || name === "100 KB answer",
);
const cpu = new Map<string, number[]>();
for (let round = 0; round <= Number(options.rounds); round += 1) {
  for (const { name, body } of cases) {
    for (const target of inTurn(targets, round)) {
      const micros = await measure(target, name, body);
      // The first round warms up, and fills the cache.
      if (round > 0)
        cpu.set(`${target.name} ${name}`, [...(cpu.get(`${target.name} ${name}`) ?? []), micros]);
    }
  }
}
for (const target of targets) target.process?.stop();
for (const child of [mock, load]) child.disconnect();

for (const { name } of cases) {
  const floor = median(cpu.get(`bare ${name}`) ?? []);
  for (const target of targets) {
    const own = median(cpu.get(`${target.name} ${name}`) ?? []);
    console.log(
      `${name.padEnd(16)} ${target.name.padEnd(14)} ${own.toFixed(0)} µs CPU  ${(own / floor).toFixed(2)} × bare`,
    );
  }
}
for (const strategy of ["fallback", "weighted", "least-latency", "least-cost"] as const) {
  console.log(`a plan by ${strategy.padEnd(14)} ${planCost(strategy).toFixed(2)} µs (4 targets, Node)`);
}

async function measure(target: Target, caseName: string, body: string): Promise<number> {
  const before = target.process?.cpuSeconds() ?? 0;
  const job: LoadJob = {
    url: target.url,
    caseName,
    body,
    connections: CONNECTIONS,
    durationMs: LOAD_MS,
    maxRequests: MANY,
    ...(target.authorization !== undefined && { authorization: target.authorization }),
  };
  load.send(job);
  const result = await next<LoadResult>(load);
  if (result.problems.length > 0)
    throw new Error(`${target.name}, ${caseName}: ${result.problems.join("; ")}`);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return (((target.process?.cpuSeconds() ?? 0) - before) / result.requests) * 1_000_000;
}

function next<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve) => child.once("message", (message) => resolve(message as T)));
}

/** Microseconds a plan of four targets takes. */
function planCost(strategy: "fallback" | "weighted" | "least-latency" | "least-cost"): number {
  const book = createLatencyBook();
  const { next: takeTurn } = createTurns(() => 0);
  const models = ["m1", "m2", "m3", "m4"].map((model, at) => ({ provider: "a", model, weight: at + 1 }));
  for (const [at, { model }] of models.entries()) book.note("acme", `a/${model}`, 100 + at, 0);
  const context: PlanContext = {
    bundle: fakeBundle({ routes: { r: { strategy, targets: models } } }),
    key: {},
    traits: { promptTokens: 10, metadata: {}, at: 0, needs: () => new Set() },
    priceOf: ({ weight }) => weight,
    latencyOf: ({ label }) => book.of("acme", label, 0),
    claimTrial: () => false,
    circuitOf: () => ({ state: "closed", retryInMs: 0, failures: 0, calls: 0 }),
    takeTurn,
    sessionTargetOf: () => undefined,
  };
  for (let warm = 0; warm < PLANS / 10; warm += 1) planTargets("r", context);
  const startedAt = performance.now();
  for (let at = 0; at < PLANS; at += 1) planTargets("r", context);
  return ((performance.now() - startedAt) * 1000) / PLANS;
}
