// What is in the Worker that is deployed: the packages that the gateway runs, and nothing else of what they pull in. And it is what
// wrangler ships, byte for byte.
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildWorker } from "../../src/local/generate/build-worker.ts";

const ROOT = join(import.meta.dirname, "../..");
const dir = mkdtempSync(join(tmpdir(), "headgate-readable-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let files: readonly string[];
/** With the names that minifying shortens. */
let code: string;
beforeAll(async () => {
  const file = join(dir, "worker.js");
  files = await buildWorker({ file, isMinified: false });
  code = readFileSync(file, "utf8");
});

test("is what wrangler deploys", async () => {
  // In a copy: wrangler's own build would replace what a gateway of another test serves.
  const copy = join(dir, "copy");
  for (const name of ["src", "routes", "package.json", "wrangler.toml", "tsconfig.json"]) {
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false" };
  const options = { cwd: copy, env };
  await promisify(execFile)("npx", ["wrangler", "deploy", "--dry-run", "--outdir", "shipped"], options);
  const measured = join(dir, "measured.js");
  await buildWorker({ file: measured, isMinified: true });
  const [ours, shipped] = [measured, join(copy, "shipped/worker.js")].map((file) =>
    readFileSync(file, "utf8"),
  );
  expect(shipped === ours).toBe(true);
});

test("holds the simulator only where it is asked for", async () => {
  expect(files.filter((file) => file.includes("/providers/sim/"))).toEqual([
    join(ROOT, "src/providers/sim/no-simulators.ts"),
  ]);
  const withIt = await buildWorker({ file: join(dir, "trial.js"), isMinified: true, hasSimulator: true });
  expect(withIt).toContain(join(ROOT, "src/providers/sim/server.ts"));
});

test("holds these packages only: no exporter, no protobufjs, which the tracing package pulls in", () => {
  expect(files.filter((file) => file.includes("/src/")).length).toBeGreaterThan(200);
  const packages = files.flatMap(
    (file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(file)?.[1] ?? [],
  );
  expect([...new Set(packages)].toSorted()).toEqual([
    "@microlabs/otel-cf-workers",
    "@opentelemetry/api",
    "@opentelemetry/core",
    "@opentelemetry/sdk-trace",
    "aws4fetch",
    "hono",
    "zod",
  ]);
});

test.each([
  "OTLPTraceExporter",
  "OTLPExporterBase",
  "protobuf.min",
  "BatchSpanProcessor",
  "ProtobufTraceSerializer",
])("holds no %s", (name) => {
  expect(code).not.toContain(name);
});
