// The measuring: interleaved rounds over all targets and cases, each round's order turned and every second one reversed, so that
// no target always runs first or after the same neighbour. How the numbers become a table is report.ts.
import type { ChildProcess } from "node:child_process";
import {
  type BenchTenant,
  CASES,
  type CaseName,
  DETAIL_CASES,
  type FloorCase,
  PACED,
  PACED_BODY,
} from "./cases.ts";
import type { LoadJob, LoadResult } from "./processes/load.ts";
import { quantile } from "./reports/statistics.ts";
import type { Target } from "./targets.ts";

export type Sample = {
  readonly round: number;
  readonly target: string;
  readonly caseName: CaseName;
  /** CPU seconds of the whole target process per 1,000 requests; NaN for the mock. */
  readonly cpuPer1k: number;
  readonly requestsPerSecond: number;
  /** At the load's concurrency, and at one connection. */
  readonly p50Ms: number;
  readonly p50AloneMs: number;
};

export type StreamSample = {
  readonly round: number;
  readonly target: string;
  /** Median time to the first body byte, and median delay of first and later chunks since the mock wrote them. */
  readonly firstTokenMs: number;
  readonly firstChunkDelayMs: number;
  readonly laterChunkDelayMs: number;
};

export type Measured = {
  readonly samples: readonly Sample[];
  readonly streams: readonly StreamSample[];
  /** All requests of the run by target, warm-up included. */
  readonly requests: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
};

export type Effort = {
  readonly rounds: number;
  /** One timed load of one target and case. */
  readonly loadMs: number;
  readonly aloneRequests: number;
  readonly pacedStreams: number;
};

const CONNECTIONS = 16;
const WARM_UP_MS = 500;
/** A bound that no load of a second or two reaches. */
const MANY_REQUESTS = 100_000;
const ALONE_LIMIT_MS = 2_000;
const PACED_LIMIT_MS = 10_000;
/** Time for work after the last answer (exports, settlements) to end before the CPU clock is read. */
const SETTLE_MS = 120;

export async function measure(
  load: ChildProcess,
  targets: readonly Target[],
  effort: Effort,
): Promise<Measured> {
  const samples: Sample[] = [];
  const streams: StreamSample[] = [];
  const problems: string[] = [];
  const requests: Record<string, number> = {};

  async function drive(target: Target, { tenant, ...job }: TargetJob): Promise<LoadResult> {
    const { url, authorizations } = target;
    const authorization = authorizations?.[tenant];
    const result = await ask(load, { ...job, url, ...(authorization !== undefined && { authorization }) });
    requests[target.name] = (requests[target.name] ?? 0) + result.requests;
    problems.push(...result.problems.map((problem) => `${target.name}, ${job.caseName}: ${problem}`));
    return result;
  }

  for (const target of targets) {
    for (const benchCase of [...CASES, ...(target.hasDetails ? DETAIL_CASES : [])])
      await drive(target, jobOf(benchCase, WARM_UP_MS));
  }
  for (let round = 0; round < effort.rounds && problems.length === 0; round += 1) {
    for (const benchCase of inTurn(CASES, round)) {
      for (const target of inTurn(targets, round)) samples.push(await sampleOf(round, target, benchCase));
    }
    for (const benchCase of inTurn(DETAIL_CASES, round)) {
      for (const target of inTurn(targets, round))
        if (target.hasDetails) samples.push(await sampleOf(round, target, benchCase));
    }
    for (const target of inTurn(targets, round)) streams.push(await streamSampleOf(round, target));
  }
  return { samples, streams, requests, problems };

  async function sampleOf(round: number, target: Target, benchCase: DrivenCase): Promise<Sample> {
    const before = target.process?.cpuSeconds() ?? Number.NaN;
    const result = await drive(target, jobOf(benchCase, effort.loadMs));
    await pause(SETTLE_MS);
    const cpuSeconds = (target.process?.cpuSeconds() ?? Number.NaN) - before;
    const single = {
      ...jobOf(benchCase, ALONE_LIMIT_MS),
      connections: 1,
      maxRequests: effort.aloneRequests,
    };
    const alone = await drive(target, single);
    return {
      round,
      target: target.name,
      caseName: benchCase.name,
      cpuPer1k: (cpuSeconds / result.requests) * 1000,
      requestsPerSecond: (result.requests / result.elapsedMs) * 1000,
      p50Ms: quantile(result.totalsMs, 0.5),
      p50AloneMs: quantile(alone.totalsMs, 0.5),
    };
  }

  async function streamSampleOf(round: number, target: Target): Promise<StreamSample> {
    const paced = { ...PACED_CASE, name: PACED.model, body: PACED_BODY };
    const job = { ...jobOf(paced, PACED_LIMIT_MS), connections: 1 };
    const result = await drive(target, { ...job, maxRequests: effort.pacedStreams });
    return {
      round,
      target: target.name,
      firstTokenMs: quantile(result.firstBytesMs, 0.5),
      firstChunkDelayMs: quantile(result.firstChunkDelaysMs, 0.5),
      laterChunkDelayMs: quantile(result.laterChunkDelaysMs, 0.5),
    };
  }
}

type DrivenCase = Pick<FloorCase, "path" | "body" | "isVaried" | "tenant"> & { readonly name: CaseName };
type TargetJob = Omit<LoadJob, "url" | "authorization"> & { readonly tenant: BenchTenant };

const PACED_CASE = { path: "/v1/chat/completions", isVaried: true, tenant: "plain" } as const;

function jobOf(
  { name, path, body, isVaried, tenant }: Omit<DrivenCase, "name"> & { readonly name: string },
  durationMs: number,
): TargetJob {
  const limits = { connections: CONNECTIONS, durationMs, maxRequests: MANY_REQUESTS };
  return { caseName: name, path, body, isVaried, tenant, ...limits };
}

/** The list started at another place each round, and backwards every second round. */
export function inTurn<T>(list: readonly T[], round: number): readonly T[] {
  const start = round % list.length;
  const turned = [...list.slice(start), ...list.slice(0, start)];
  return round % 2 === 0 ? turned : turned.toReversed();
}

function ask(load: ChildProcess, job: LoadJob): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error("the load generator ended"));
    load.once("exit", ended);
    load.once("message", (result: LoadResult) => {
      load.off("exit", ended);
      resolve(result);
    });
    load.send(job);
  });
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
