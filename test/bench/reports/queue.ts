// QUEUE.md from what queue.ts has measured: tables, and how each number came about. Pure.
import { table } from "./markdown.ts";
import type { CostResult } from "../simulate/queue-costs.ts";
import type { Outcome, Scenario } from "../simulate/regions.ts";

export interface Throughput {
  readonly name: string;
  readonly perSecond: number;
  /** Of the whole process, an admission and its settlement. */
  readonly cpuMicros: number;
  /** Median of one alone, over a request that does nothing. */
  readonly addedMs: number;
}

export interface Crowd {
  readonly size: number;
  readonly joinsPerSecond: number;
  readonly wakesPerSecond: number;
  readonly bytesEach: number;
}

export interface QueueFacts {
  readonly machine: string;
  readonly versions: string;
  readonly date: string;
  readonly parallel: number;
  readonly rounds: number;
  readonly throughput: readonly Throughput[];
  readonly crowds: readonly Crowd[];
  readonly costs: readonly CostResult[];
  readonly regions: readonly {
    readonly scenario: Scenario;
    readonly single: Outcome;
    readonly hierarchy: Outcome;
  }[];
}

export function queueReport(facts: QueueFacts): string {
  return `# The tenant's queue, measured

${facts.date}, ${facts.machine}, ${facts.versions}. Made by \`node --expose-gc test/bench/queue.ts\`.

## One object

The real object and the real client inside one Worker on plain \`workerd serve\`, its storage in memory, ${facts.parallel} requests side by side.
Medians of ${facts.rounds} rounds. A request is an admission and its settlement. CPU is that of the whole process. "Added" is the time of a
request alone, less that of one that does nothing.

${table(
  ["", "requests/s", "CPU µs", "added ms (p50)"],
  facts.throughput.map(({ name, perSecond, cpuMicros, addedMs }) => [
    name,
    perSecond.toFixed(0),
    cpuMicros.toFixed(0),
    addedMs.toFixed(2),
  ]),
)}

Requests that wait at the same time for one slot; each settlement admits the next one:

${table(
  ["waiting", "joined/s", "admitted/s", "bytes each (rules, Node heap)"],
  facts.crowds.map(({ size, joinsPerSecond, wakesPerSecond, bytesEach }) => [
    String(size),
    joinsPerSecond.toFixed(0),
    wakesPerSecond.toFixed(0),
    bytesEach.toFixed(0),
  ]),
)}

## What a request costs

The real client and the real rules in virtual time: one tenant, Poisson arrivals spread over
so many isolates, generations of 2 s. "Far below": every limit is far above what is used. "In use": a quarter of the slots are
taken, so the row is written each second and no leases are prefetched. Calls are the object's (heartbeats and alarms too), rows are written ones (alarms too). Dollars of a million
requests at Cloudflare's prices of 2026-11: $0.15 per million calls, $1.00 per million rows, and the object's time in memory, which
is most of it where requests are few.

${table(
  ["requests/s", "isolates", "limits", "design", "calls", "rows", "by prefetched leases", "$ per million"],
  facts.costs.map((cost) => [
    String(cost.requestsPerSecond),
    String(cost.isolates),
    cost.limitsAre,
    cost.design,
    cost.callsPerRequest.toFixed(2),
    cost.rowsPerRequest.toFixed(4),
    `${(100 * cost.leasedShare).toFixed(0)} %`,
    cost.usdPerMillion.toFixed(2),
  ]),
)}

## Beyond one object

A model, not the gateway: a limit of 200 requests a second, five regions, the object or the root in eastern North America. "Single" is
one object, as built. "Hierarchy" is a root that leases shares to one child in each region every second, by demand. Waits are from
arrival to admission with all round trips; over is the most above the limit in any second (a single object lets a burst of a tenth pass); lost are those not admitted
within ten seconds. The conclusion is [decision 024](../../src/decisions/024-one-object.md).

${table(
  ["", "design", "utilisation", "over", "mean ms", "p95 ms", "lost"],
  facts.regions.flatMap(({ scenario, single, hierarchy }) => [
    regionRow(scenario.name, "single", single),
    regionRow("", "hierarchy", hierarchy),
  ]),
)}
`;
}

function regionRow(name: string, design: string, outcome: Outcome): readonly string[] {
  return [
    name,
    design,
    `${(100 * Math.min(1, outcome.utilisation)).toFixed(1)} %`,
    `${outcome.overPercent.toFixed(1)} %`,
    outcome.meanMs.toFixed(0),
    outcome.p95Ms.toFixed(0),
    `${outcome.lostPercent.toFixed(1)} %`,
  ];
}
