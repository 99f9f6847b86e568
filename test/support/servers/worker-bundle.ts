// Builds the Worker once, as a deployment would, into a folder the gateway processes of one test run share. Beside it
// lies what wrangler.toml says for Miniflare: importing wrangler takes a gateway's process longer than all the rest of its start.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWorker } from "../../../src/local/generate/build-worker.ts";
import type { unstable_getMiniflareWorkerOptions, unstable_readConfig } from "wrangler";

const ROOT = join(import.meta.dirname, "../../..");
/** Tells the test files of a run where its bundle is; vitest's workers inherit it. */
const BUNDLE_VARIABLE = "HEADGATE_TEST_BUNDLE";

let building: Promise<string> | undefined;

/** The folder with the built Worker (`worker.js`); built at the first call where the run has none yet. */
export function bundleWorker(): Promise<string> {
  const existing = process.env[BUNDLE_VARIABLE];
  if (existing !== undefined) return Promise.resolve(existing);
  building ??= build(makeBundleDir()).then(writeWorkerConfig);
  return building;
}

export interface WorkerConfig {
  readonly vars: ReturnType<typeof unstable_readConfig>["vars"];
  readonly workerOptions: ReturnType<typeof unstable_getMiniflareWorkerOptions>["workerOptions"];
}

/** What wrangler.toml says of the bundle. */
export function readWorkerConfig(bundleDir: string): WorkerConfig {
  // Written by `writeWorkerConfig`.
  return JSON.parse(readFileSync(configFileOf(bundleDir), "utf8")) as WorkerConfig;
}

async function writeWorkerConfig(bundleDir: string): Promise<string> {
  const { unstable_getMiniflareWorkerOptions: optionsOf, unstable_readConfig: readConfig } =
    await import("wrangler");
  const config = readConfig({ config: join(ROOT, "wrangler.toml") }, { hideWarnings: true });
  const { workerOptions } = optionsOf(config);
  writeFileSync(configFileOf(bundleDir), JSON.stringify({ vars: config.vars, workerOptions }));
  return bundleDir;
}

function configFileOf(bundleDir: string): string {
  return `${bundleDir}.json`;
}

function makeBundleDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "headgate-bundle-"));
  process.once("exit", () => {
    for (const path of [dir, configFileOf(dir)]) rmSync(path, { recursive: true, force: true });
  });
  return dir;
}

/** Builds the Worker as it is deployed, and the simulator, into `outDir` (`worker.js`) and returns the folder. */
async function build(outDir: string): Promise<string> {
  await buildWorker({ file: join(outDir, "worker.js"), isMinified: true, hasSimulator: true });
  return outDir;
}

/** Vitest global set-up: builds before the first client test; the bundle goes when vitest's main process ends. */
export default async function setup(): Promise<void> {
  process.env[BUNDLE_VARIABLE] = await bundleWorker();
}
