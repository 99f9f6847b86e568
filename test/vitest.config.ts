// Four test projects: `unit` (pure code, Node), `worker` (inside workerd, with KV and Durable Objects), `clients` (official SDKs and raw
// HTTP against the built gateway in its own process) and `timing`, those of them that compare milliseconds. Run by `npm test`; one
// project alone with `--project NAME`.
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { LongFirst } from "./support/long-first.ts";
import { TEST_VARS } from "./support/clients/admin-client.ts";

const ROOT = join(import.meta.dirname, "..");
const CONFIG_PATH = join(ROOT, "wrangler.toml");
/** They compare milliseconds: one file at a time, after everything else. All other client tests run beside each other. */
const TIMING = [
  "test/clients/limits/{crowd,queue-fairness,queue-peers}.test.ts",
  "test/clients/routing/routing-requests.test.ts",
  "test/clients/telemetry/export-overhead.test.ts",
  "test/clients/why/planted.test.ts",
];
/** More than there are cores: most of the time they wait for a lease, a pause or an outage to end. */
const WAITING_WORKERS = 4;
/** Generous, since two cores do all of it at once and a timeout here only says that something hangs. */
const TIMEOUT_MS = 60_000;

export default defineConfig({
  root: ROOT,
  test: {
    sequence: { sequencer: LongFirst },
    projects: [
      {
        test: {
          name: "unit",
          setupFiles: ["test/support/property-seed.ts"],
          include: ["test/unit/**/*.test.ts", "test/support/**/*.test.ts"],
          testTimeout: TIMEOUT_MS,
          // Pure code without module state, globals or mocks: files may share what they import, which halves the time.
          isolate: false,
        },
      },
      {
        plugins: [
          cloudflareTest({
            main: join(ROOT, "src/worker.ts"),
            wrangler: { configPath: CONFIG_PATH },
            miniflare: { bindings: { ...TEST_VARS } },
          }),
        ],
        test: {
          name: "worker",
          include: ["test/worker/**/*.test.ts"],
          testTimeout: TIMEOUT_MS,
          // Beside the clients: both wait most of the time, and the pure code has the cores to itself before.
          sequence: { groupOrder: 1 },
          maxWorkers: WAITING_WORKERS,
        },
      },
      {
        test: {
          name: "clients",
          setupFiles: ["test/support/property-seed.ts"],
          include: ["test/clients/**/*.test.ts"],
          exclude: TIMING,
          globalSetup: ["test/support/servers/worker-bundle.ts"],
          testTimeout: TIMEOUT_MS,
          hookTimeout: TIMEOUT_MS,
          sequence: { groupOrder: 1 },
          maxWorkers: WAITING_WORKERS,
          // Each file has a gateway of its own; what they import is the same.
          isolate: false,
          maxConcurrency: 8,
        },
      },
      {
        test: {
          name: "timing",
          include: TIMING,
          globalSetup: ["test/support/servers/worker-bundle.ts"],
          testTimeout: TIMEOUT_MS,
          hookTimeout: TIMEOUT_MS,
          sequence: { groupOrder: 2 },
          maxWorkers: 1,
        },
      },
    ],
  },
});
