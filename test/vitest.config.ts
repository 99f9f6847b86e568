// Four test projects: `unit` (pure code, Node), `worker` (inside workerd, with KV and Durable Objects), `clients` (official SDKs
// and raw HTTP against the built gateway in its own process) and `patient`, those of them that wait. Run by `npm test`; one project
// alone with `--project NAME`.
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { TEST_VARS } from "./support/clients/admin-client.ts";

const ROOT = join(import.meta.dirname, "..");
const CONFIG_PATH = join(ROOT, "wrangler.toml");
/** Most of their time they wait for a lease or a pause to end, and none of them compares milliseconds: they may do so together. */
const PATIENT = [
  "test/clients/scenarios/**/*.test.ts",
  "test/clients/{limits/queue-crash,realtime/realtime-end,routing/shared-circuits}.test.ts",
];
/** Generous, since two cores do all of it at once and a timeout here only says that something hangs. */
const TIMEOUT_MS = 30_000;

export default defineConfig({
  root: ROOT,
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts", "test/support/**/*.test.ts"],
          testTimeout: TIMEOUT_MS,
          // Pure code without module state, globals or mocks: files may share what they import, which halves the time.
          isolate: false,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: CONFIG_PATH },
            miniflare: { bindings: { ...TEST_VARS } },
          }),
        ],
        test: { name: "worker", include: ["test/worker/**/*.test.ts"], testTimeout: TIMEOUT_MS },
      },
      {
        test: {
          name: "clients",
          include: ["test/clients/**/*.test.ts"],
          exclude: PATIENT,
          globalSetup: ["test/support/servers/worker-bundle.ts"],
          testTimeout: TIMEOUT_MS,
          hookTimeout: TIMEOUT_MS,
          // After the other projects and one file at a time: the waits these tests compare to the clock are real.
          sequence: { groupOrder: 1 },
          maxWorkers: 1,
        },
      },
      {
        test: {
          name: "patient",
          include: PATIENT,
          globalSetup: ["test/support/servers/worker-bundle.ts"],
          testTimeout: TIMEOUT_MS,
          hookTimeout: TIMEOUT_MS,
          sequence: { groupOrder: 2 },
          maxWorkers: 4,
        },
      },
    ],
  },
});
