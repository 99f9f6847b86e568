// The layer rules of src/README.md, on all imports, types included: no circle of files, no import of a higher layer, no crowded
// folder (in test/ too), no exported name twice.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { circlesOf, parseSource, readSourceFiles } from "./source-graph.ts";

const ROOT = join(import.meta.dirname, "../../..");

/**
 * Top to bottom. A file belongs to the longest entry that its path begins with, and may import from its own entry and from those
 * below. Inside an entry the rule against circles is all there is.
 */
const LAYERS: readonly (readonly string[])[] = [
  ["test/"],
  ["src/cli/"],
  ["src/local/"],
  ["src/worker.ts", "src/grafana/", "src/console/"],
  ["routes/"],
  ["src/middleware/"],
  ["src/http/"],
  ["src/services.ts"],
  ["src/tracing.ts"],
  ["src/app-types.ts"],
  ["src/gateway.ts"],
  ["src/pipeline/operations/"],
  ["src/pipeline/sharing/"],
  ["src/pipeline/lease.ts", "src/pipeline/end.ts", "src/pipeline/routed.ts"],
  ["src/pipeline/caching/"],
  // An attempt and its answer: what an attempt came to is read while it runs.
  ["src/pipeline/attempts/", "src/pipeline/answers/", "src/pipeline/"],
  ["src/cache/", "src/coalescing/", "src/vendor-objects/"],
  ["src/telemetry/explain/"],
  ["src/limits/object/", "src/limits/isolate/"],
  ["src/limits/queue/"],
  ["src/limits/leases/", "src/limits/usage/"],
  [
    "src/limits/structures/",
    "src/limits/protocol.ts",
    "src/limits/alert-protocol.ts",
    "src/limits/budget-protocol.ts",
    "src/limits/usage-protocol.ts",
  ],
  ["src/routing/"],
  ["src/targets/"],
  ["src/upstream/"],
  ["src/providers/"],
  ["src/wires/"],
  ["src/telemetry/waterfall/", "src/telemetry/jaeger/"],
  ["src/telemetry/metrics/"],
  ["src/telemetry/export/"],
  ["src/telemetry/store/"],
  ["src/telemetry/usual/"],
  ["src/telemetry/otlp/"],
  ["src/telemetry/content/"],
  ["src/telemetry/trace/"],
  ["src/tenants/source.ts"],
  ["src/tenants/directory/", "src/tenants/bundle.ts"],
  ["src/tenants/"],
  ["src/pricing/"],
  ["src/config.ts"],
  ["src/bytes/", "src/json/"],
  ["src/schema/"],
  ["src/runtime/"],
  ["src/errors.ts", "src/version.ts"],
];

/** Imports of a higher layer that stay: src/decisions/003-rooms-by-layer-and-wire.md names them, with the reason. */
const ALLOWED_IMPORTS: ReadonlySet<string> = new Set([
  "src/tenants/records/queue-limits.ts -> src/limits/protocol.ts",
  "src/tenants/directory/publisher.ts -> src/limits/protocol.ts",
  "src/tenants/records/open-records.ts -> src/wires/upstream-wire.ts",
  "src/local/generate/write-matrix.ts -> test/unit/matrix/render.ts",
]);

/** Names that two files may declare, each with its reason. */
const ALLOWED_NAMES: Readonly<Record<string, string>> = {
  ATTRIBUTE_NAMES: "a generator holds the text of the file that it writes",
  SIMULATORS: "one of the two files is in the Worker",
  PRICES_AS_OF: "a generator holds the text of the file that it writes",
  PRICE_TABLE: "a generator holds the text of the file that it writes",
};

const MAX_FILES_IN_FOLDER = 20;

const FILES = readSourceFiles("src", "routes");

function layerOf(path: string): number {
  const belongs = (entry: string): boolean =>
    path === entry || (entry.endsWith("/") && path.startsWith(entry));
  const longest = LAYERS.flat()
    .filter(belongs)
    .toSorted((a, b) => b.length - a.length)[0];
  return longest === undefined ? -1 : LAYERS.findIndex((entries) => entries.includes(longest));
}

function importsOfHigherLayers(): readonly string[] {
  return FILES.flatMap(({ path, imports }) =>
    imports
      .filter((imported) => layerOf(imported) < layerOf(path))
      .map((imported) => `${path} -> ${imported}`)
      .filter((arrow) => !ALLOWED_IMPORTS.has(arrow)),
  );
}

function namesDeclaredTwice(): readonly string[] {
  const places = new Map<string, string[]>();
  for (const { path, declares } of FILES)
    if (path.startsWith("src/"))
      for (const name of declares) places.set(name, [...(places.get(name) ?? []), path]);
  return [...places]
    .filter(([name, paths]) => paths.length > 1 && !(name in ALLOWED_NAMES))
    .map(([name, paths]) => `${name}: ${paths.join(", ")}`);
}

/** The folders that hold more files than a folder may, directly in them. */
function crowdedFolders(paths: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const folder = path.slice(0, path.lastIndexOf("/"));
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count > MAX_FILES_IN_FOLDER).map(([folder]) => folder);
}

/** Every file of the tests, fixtures included. */
function testFiles(): readonly string[] {
  return readdirSync(join(ROOT, "test"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

describe("src and routes", () => {
  it("have no circle of imports, types included", () => {
    expect(circlesOf(FILES).map((files) => files.join(" "))).toEqual([]);
  });
  it("import nothing from a higher layer, but what a decision allows", () => {
    expect(importsOfHigherLayers()).toEqual([]);
  });
  it("have a layer for each file, and a file for each layer", () => {
    expect(FILES.map(({ path }) => path).filter((path) => layerOf(path) < 0)).toEqual([]);
    const entries = LAYERS.flat();
    expect(entries.filter((entry) => !existsSync(join(ROOT, entry)))).toEqual([]);
  });
  it(`keep at most ${MAX_FILES_IN_FOLDER} files in a folder`, () => {
    expect(crowdedFolders(FILES.map(({ path }) => path))).toEqual([]);
  });
  it("declare each exported name once in src", () => {
    expect(namesDeclaredTwice()).toEqual([]);
  });
});

describe("test", () => {
  it(`keeps at most ${MAX_FILES_IN_FOLDER} files in a folder, fixtures included`, () => {
    expect(crowdedFolders(testFiles())).toEqual([]);
  });
  it("finds a folder with one file too many, and no folder of folders", () => {
    const files = Array.from({ length: MAX_FILES_IN_FOLDER + 1 }, (_, index) => `a/b/${index}.json`);
    expect(crowdedFolders(files)).toEqual(["a/b"]);
    expect(crowdedFolders(files.slice(1))).toEqual([]);
  });
});

describe("the reader of source files", () => {
  it("sees imports of types, over several lines, passed on, bare and dynamic, and no package", () => {
    const text = [
      'import type { A } from "./a.ts";',
      'import {\n  type B,\n  b,\n} from "../b.ts";',
      'export { c } from "./c/c.ts";',
      'export type { D } from "./d.ts";',
      'import "./e.ts";',
      'const f = await import("./f.ts");',
      'import { Hono } from "hono";',
    ].join("\n");
    const { imports, declares } = parseSource("src/x/y.ts", text);
    expect(imports).toEqual([
      "src/x/a.ts",
      "src/b.ts",
      "src/x/c/c.ts",
      "src/x/d.ts",
      "src/x/e.ts",
      "src/x/f.ts",
    ]);
    expect(declares).toEqual([]);
  });
  it("sees what a file declares", () => {
    const text = "export async function f() {}\nexport type T = 1;\nconst a = 1;\nexport { a, b as c };\n";
    expect(parseSource("src/x.ts", text).declares).toEqual(["f", "T", "a", "c"]);
  });
  it("finds each circle once, a round-about one too", () => {
    const file = (path: string, ...imports: readonly string[]) => ({ path, imports, declares: [] });
    const files = [file("a", "b"), file("b", "c", "d"), file("c", "a"), file("d", "e"), file("e", "e")];
    expect(circlesOf(files)).toEqual([["a", "b", "c"], ["e"]]);
  });
});
