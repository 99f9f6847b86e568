// What is measured: the mock itself, two floor Workers and the gateway in its variants, each in its own workerd. A variant is a
// row of VARIANTS: what it changes of the environment and of the tenant record.
import { join } from "node:path";
import { adminPlane } from "../support/clients/admin-client.ts";
import { makeTenant } from "../support/clients/test-tenant.ts";
import { BENCH_TENANTS, type BenchTenant, CASES, PACED, upstreamModel } from "./cases.ts";
import { median } from "./reports/statistics.ts";
import { startWorkerd, type WorkerdProcess } from "./processes/process.ts";
import { writeFloorConfig, writeGatewayConfig } from "./processes/worker-folder.ts";

export type Target = {
  readonly name: string;
  readonly url: string;
  /** Of a gateway's tenants. */
  readonly authorizations?: Readonly<Record<BenchTenant, string>>;
  /** Whether it is measured in the cases that the floors don't have. */
  readonly hasDetails?: boolean;
  /** Absent for the mock, whose CPU is not measured. */
  readonly process?: WorkerdProcess;
};

type Variant = {
  readonly name: string;
  /** Whether the operator has an OTLP endpoint. */
  readonly isTraced: boolean;
  /** Fields of the tenant record, over the ones of EVERYTHING_ON. */
  readonly record: Readonly<Record<string, unknown>>;
  readonly onDisk: boolean;
};

/** Far above what the bench can reach, so that every limit is checked and none refuses. */
const EVERYTHING_ON = {
  limits: {
    requestsPerMinute: 10_000_000,
    burst: 10_000_000,
    concurrency: 10_000,
    queue: { maxDepth: 1000 },
  },
  tracing: { sampleRatio: 1, store: { enabled: true } },
};
const NO_TRACES = { sampleRatio: 0, alwaysKeep: [], store: { enabled: false } };
/** As a tenant would set it: errors and what was slow are kept, and the bench has none. */
const SAMPLED_OUT = { sampleRatio: 0, store: { enabled: true } };

/** What each tenant has that the variant's record doesn't say. */
const TENANT_RECORDS: Readonly<Record<BenchTenant, Readonly<Record<string, unknown>>>> = {
  plain: {},
  cached: { cache: { enabled: true } },
  refused: { limits: { requestsPerMinute: 1, burst: 1, queue: { maxWaitMs: 0 } } },
};

/** The first is what the bars are about. */
export const VARIANTS: readonly [Variant, ...Variant[]] = [
  { name: "gateway", isTraced: true, record: {}, onDisk: false },
  { name: "operator-only", isTraced: true, record: { tracing: SAMPLED_OUT }, onDisk: false },
  { name: "store-only", isTraced: false, record: {}, onDisk: false },
  { name: "sampled-out", isTraced: false, record: { tracing: SAMPLED_OUT }, onDisk: false },
  { name: "untraced", isTraced: false, record: { tracing: NO_TRACES }, onDisk: false },
  { name: "unlimited", isTraced: true, record: { limits: {} }, onDisk: false },
  { name: "on-disk", isTraced: true, record: {}, onDisk: true },
];

/** Starts a floor Worker (`bare` or `parse`). */
export async function startFloor(name: "bare" | "parse", dir: string, mockUrl: string): Promise<Target> {
  const process = await startWorkerd(writeFloorConfig(join(dir, name), name, { UPSTREAM: mockUrl }));
  return { name, url: process.url, process };
}

/** Starts the built gateway and makes its tenant through the admin API: one provider, one route a case. */
export async function startVariant(
  variant: Variant,
  dir: string,
  bundle: string,
  mockUrl: string,
): Promise<Target> {
  const vars = variant.isTraced ? { OTLP_ENDPOINT: mockUrl } : {};
  const configFile = writeGatewayConfig(join(dir, variant.name), bundle, { vars, onDisk: variant.onDisk });
  const process = await startWorkerd(configFile);
  const names = [...CASES.map(({ model }) => model), PACED.model];
  const routes = Object.fromEntries(
    names.map((name) => [name, { targets: [{ provider: "up", model: upstreamModel(name) }] }]),
  );
  const keyOf = async (tenant: BenchTenant): Promise<readonly [BenchTenant, string]> => {
    const record = { ...EVERYTHING_ON, ...TENANT_RECORDS[tenant], ...variant.record };
    const { key } = await makeTenant(adminPlane(process.url), { upstreamUrl: mockUrl, record, routes });
    return [tenant, `Bearer ${key}`];
  };
  try {
    const keys = await Promise.all(BENCH_TENANTS.map(keyOf));
    // One for each of them.
    const authorizations = Object.fromEntries(keys) as Record<BenchTenant, string>;
    return { name: variant.name, url: process.url, authorizations, process };
  } catch (error) {
    process.stop();
    throw error;
  }
}

/** Median CPU seconds from a cold process to its first answer, of a target that was configured in `dir` before. */
export async function startUpCpuSeconds(name: string, dir: string, times: number): Promise<number> {
  const seconds: number[] = [];
  for (let count = 0; count < times; count += 1) {
    const process = await startWorkerd(join(dir, name, "config.capnp"));
    const response = await fetch(`${process.url}/healthz`);
    await response.arrayBuffer();
    seconds.push(process.cpuSeconds());
    process.stop();
  }
  return median(seconds);
}
