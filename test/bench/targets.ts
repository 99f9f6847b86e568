// What is measured: the mock itself, two floor Workers and the gateway in its variants, each in its own workerd. A variant is a
// row of VARIANTS: what it changes of the environment and of the tenant record. Called by run.ts.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unstable_readConfig } from "wrangler";
import { adminPlane, TEST_VARS } from "../support/admin-plane.ts";
import { makeTenant } from "../support/tenant-fixture.ts";
import { CASES, PACED } from "./cases.ts";
import { median } from "./statistics.ts";
import { startWorkerd, type WorkerdProcess } from "./process.ts";
import { workerdConfig, type WorkerConfig } from "./workerd-config.ts";

export type Target = {
  readonly name: string;
  readonly url: string;
  readonly authorization?: string;
  /** Absent for the mock, whose CPU is not measured. */
  readonly process?: WorkerdProcess;
};

type Variant = {
  readonly name: string;
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

/** The first is what the bars are about. */
export const VARIANTS: readonly Variant[] = [
  { name: "gateway", isTraced: true, record: {}, onDisk: false },
  { name: "untraced", isTraced: false, record: { tracing: NO_TRACES }, onDisk: false },
  { name: "unlimited", isTraced: true, record: { limits: {} }, onDisk: false },
  { name: "on-disk", isTraced: true, record: {}, onDisk: true },
];

/** A file system in memory (Linux): a shared machine's disk would drown what is measured. */
const MEMORY_DISK = "/dev/shm";
const OBJECTS_PREFIX = "headgate-bench-objects-";
const ROOT = join(import.meta.dirname, "../..");
const WORKERS = join(import.meta.dirname, "workers");

/** Starts a floor Worker (`bare` or `parse`). */
export async function startFloor(name: "bare" | "parse", dir: string, mockUrl: string): Promise<Target> {
  const { compatibilityDate } = readWranglerConfig();
  const configFile = writeConfig(join(dir, name), join(WORKERS, `${name}.js`), {
    compatibilityDate,
    compatibilityFlags: [],
    vars: { UPSTREAM: mockUrl },
    kvBindings: [],
    durableObjects: [],
  });
  const process = await startWorkerd(configFile);
  return { name, url: process.url, process };
}

/** Starts the built gateway and makes its tenant through the admin API: one provider, one route a case. */
export async function startVariant(
  variant: Variant,
  dir: string,
  bundle: string,
  mockUrl: string,
): Promise<Target> {
  const process = await startWorkerd(writeGatewayConfig(variant, join(dir, variant.name), bundle, mockUrl));
  const names = [...CASES.map(({ model }) => model), PACED.model];
  const tenant = await makeTenant(adminPlane(process.url), {
    upstreamUrl: mockUrl,
    record: { ...EVERYTHING_ON, ...variant.record },
    routes: Object.fromEntries(names.map((name) => [name, { targets: [{ provider: "up", model: name }] }])),
  }).catch((error: unknown) => {
    process.stop();
    throw error;
  });
  return { name: variant.name, url: process.url, authorization: `Bearer ${tenant.key}`, process };
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

function writeGatewayConfig(variant: Variant, dir: string, bundle: string, mockUrl: string): string {
  const config = readWranglerConfig();
  mkdirSync(dir, { recursive: true });
  const objects = mkdtempSync(
    join(variant.onDisk || !existsSync(MEMORY_DISK) ? dir : MEMORY_DISK, OBJECTS_PREFIX),
  );
  globalThis.process.once("exit", () => rmSync(objects, { recursive: true, force: true }));
  return writeConfig(dir, bundle, {
    ...config,
    vars: { ...TEST_VARS, ...(variant.isTraced && { OTLP_ENDPOINT: mockUrl }) },
    durableObjectDir: objects,
  });
}

function readWranglerConfig(): Pick<
  WorkerConfig,
  "compatibilityDate" | "compatibilityFlags" | "kvBindings" | "durableObjects"
> {
  const config = unstable_readConfig({ config: join(ROOT, "wrangler.toml") }, { hideWarnings: true });
  return {
    compatibilityDate: config.compatibility_date ?? "",
    compatibilityFlags: config.compatibility_flags,
    kvBindings: config.kv_namespaces.map((namespace: { readonly binding: string }) => namespace.binding),
    durableObjects: config.durable_objects.bindings.map(
      (object: { readonly name: string; readonly class_name: string }) => ({
        binding: object.name,
        className: object.class_name,
      }),
    ),
  };
}

/** Writes a configuration beside copies of the modules it embeds, since `embed` takes no path outside its folder. */
function writeConfig(dir: string, module: string, config: Omit<WorkerConfig, "module">): string {
  mkdirSync(dir, { recursive: true });
  copyFileSync(module, join(dir, "worker.js"));
  copyFileSync(join(WORKERS, "kv.js"), join(dir, "kv.js"));
  const configFile = join(dir, "config.capnp");
  writeFileSync(configFile, workerdConfig({ ...config, module: "worker.js" }));
  return configFile;
}
