/** The contract in src/docs/ names what the code has: each path, header, error, setting and alert. What it says of them is read by people. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { alertRules } from "../../../src/grafana/alert-rules.ts";

const ROOT = join(import.meta.dirname, "../../..");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");

function sourcesIn(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && name !== "worker-configuration.d.ts")
    .map((name) => `${folder}/${name}`);
}

/** First groups of all matches, each once. */
function found(pattern: RegExp, ...texts: readonly string[]): readonly string[] {
  return [...new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map(([, first = ""]) => first)))];
}

const withBraces = (path: string): string => path.replaceAll(/:(\w+)(?:\{\.\+\})?/g, "{$1}");

it("names every path of the route table", () => {
  const documented = read("src/docs/http-api.md") + read("src/docs/admin-api.md");
  const own = found(/app\.(?:get|post|put|patch|delete|all)\(\s*"([^"]+)"/g, read("routes/index.ts"));
  const admin = found(
    /\.(?:get|post|put|patch|delete)\(\s*"(\/[^"]*)"/g,
    ...sourcesIn("routes/admin").map(read),
  ).map((path) => `/admin${path}`);
  // Named by their methods: `POST /v1beta/models/{model}:generateContent`, …
  const byMethod = ["/v1beta/:call{.+}", "/v1/models/:call{.+}", "/proxy/:provider/:path{.+}"];
  const missing = [...own, ...admin]
    .filter((path) => !byMethod.includes(path))
    .map(withBraces)
    .filter((path) => !documented.includes(path));
  expect(own.length + admin.length).toBeGreaterThan(40);
  expect(missing).toEqual([]);
});

it("names every header of the gateway's own", () => {
  const names = found(
    /(x-headgate-[a-z][a-z-]*[a-z])/g,
    ...[...sourcesIn("src"), ...sourcesIn("routes")].map(read),
  );
  const documented = read("src/docs/http-api.md");
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !documented.includes(name))).toEqual([]);
});

it("gives every error code with its status", () => {
  const rules = [...read("src/errors.ts").matchAll(/^ {2}([a-z_]+): \{ status: (\d{3})/gm)];
  const documented = read("src/docs/errors.md");
  expect(rules.length).toBeGreaterThan(20);
  expect(
    rules
      .map(([, code, status]) => `| \`${code}\` | ${status}`)
      .filter((start) => !documented.includes(start)),
  ).toEqual([]);
});

it("names every setting", () => {
  const schema = /const settingsSchema = [\s\S]*?^\}\);/m.exec(read("src/config.ts"))?.[0] ?? "";
  const names = found(/^ {2}([A-Z][A-Z_]+):/gm, schema);
  const documented = read("src/docs/records.md");
  expect(names.length).toBeGreaterThan(5);
  expect(names.filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
});

it("has a runbook for every alert, and for no other", () => {
  const names = found(/"alert":"(\w+)"/g, JSON.stringify(alertRules));
  expect(names.length).toBeGreaterThan(5);
  expect(found(/^### (\w+)$/gm, read("src/docs/operations.md"))).toEqual(names);
});
