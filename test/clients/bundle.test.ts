// What is in the Worker that is deployed: the packages that the gateway runs, and nothing else of what they pull in.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { bundleWorker } from "../support/servers/worker-bundle.ts";

let code: string;
beforeAll(async () => {
  code = readFileSync(join(await bundleWorker(), "worker.js"), "utf8");
});

/** The bundler names the file that each part of the bundle comes from. */
const filesOf = (text: string): readonly string[] =>
  [...text.matchAll(/^ *\/\/ ((?:\.\.\/)*(?:src|routes|node_modules)\/\S+)$/gm)].map(([, file = ""]) => file);

test("holds these packages only: no exporter, no protobufjs, which the tracing package pulls in", () => {
  const files = filesOf(code);
  expect(files.filter((file) => file.includes("src/")).length).toBeGreaterThan(200);
  const packages = files.flatMap(
    (file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(file)?.[1] ?? [],
  );
  expect([...new Set(packages)].toSorted()).toEqual([
    "@microlabs/otel-cf-workers",
    "@opentelemetry/api",
    "@opentelemetry/core",
    "@opentelemetry/sdk-trace",
    "@opentelemetry/semantic-conventions",
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
