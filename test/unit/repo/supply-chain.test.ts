// What `npm ci` installs: exactly what the lock names, whose run-time part is listed in src/decisions/002-dependencies.md. What
// of it gets into the Worker is test/clients/bundle.test.ts.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");

interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
interface Lock {
  readonly lockfileVersion: number;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

const lock = JSON.parse(read("package-lock.json")) as Lock;
const manifest = JSON.parse(read("package.json")) as LockedPackage;
const root = lock.packages[""] ?? {};
const KINDS = ["dependencies", "devDependencies", "optionalDependencies"] as const;

/** Where Node finds a package from another: in its own folder, or in one around it. */
function resolve(from: string, name: string): string | undefined {
  for (let folder = from; ;) {
    const place = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    if (lock.packages[place] !== undefined) return place;
    if (folder === "") return undefined;
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")));
  }
}

/** Names and versions of the dependencies, theirs, and so on. */
function runtimeClosure(): readonly string[] {
  const seen = new Set<string>();
  const walk = (place: string): void => {
    for (const name of Object.keys(lock.packages[place]?.dependencies ?? {})) {
      const found = resolve(place, name);
      if (found === undefined || seen.has(found)) continue;
      seen.add(found);
      walk(found);
    }
  };
  walk("");
  const named = [...seen].map(
    (place) => `${place.replace(/^.*node_modules\//, "")} ${lock.packages[place]?.version}`,
  );
  return [...new Set(named)].toSorted();
}

test("the lock says what package.json says, so that an installation does not change it", () => {
  expect(lock.lockfileVersion).toBe(3);
  for (const kind of KINDS) expect(root[kind], kind).toEqual(manifest[kind]);
});

test("every dependency is named by one exact version", () => {
  const ranges = KINDS.flatMap((kind) => Object.entries(manifest[kind] ?? {}));
  expect(ranges.length).toBeGreaterThan(20);
  expect(ranges.filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))).toEqual([]);
});

test("every locked package has its digest, and none is a link", () => {
  const packages = Object.entries(lock.packages).filter(([place]) => place !== "");
  const loose = packages.filter(([, { integrity = "", link }]) => !integrity.startsWith("sha512-") || link);
  expect(loose.map(([place]) => place)).toEqual([]);
});

test("what is installed is what is locked", () => {
  const installed = JSON.parse(read("node_modules/.package-lock.json")) as Lock;
  const other = Object.entries(installed.packages).filter(
    ([place, { version, integrity }]) =>
      lock.packages[place]?.version !== version || lock.packages[place]?.integrity !== integrity,
  );
  expect(other.map(([place]) => place)).toEqual([]);
  const missing = Object.keys(manifest.dependencies ?? {}).filter(
    (name) => !existsSync(join(ROOT, "node_modules", name, "package.json")),
  );
  expect(missing).toEqual([]);
});

test("only these have a script that runs at installation", () => {
  const scripted = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript);
  const names = scripted.map(([place]) => place.replace(/^.*node_modules\//, ""));
  expect([...new Set(names)].toSorted()).toEqual(["@google/genai", "esbuild", "protobufjs", "workerd"]);
});

test("the run-time dependencies and all that they pull in are listed in decision 002", () => {
  const [, list = ""] =
    /<!-- closure -->\n([\s\S]*?)<!-- end of closure -->/.exec(read("src/decisions/002-dependencies.md")) ??
    [];
  const listed = [...list.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  expect(listed.toSorted()).toEqual(runtimeClosure());
});

test("the SBOM names each of them with its digest, and what needs it", () => {
  const script = join(ROOT, "src/local/generate/write-sbom.ts");
  // What is wrong with its form fails the assertions.
  const { components, dependencies } = JSON.parse(
    execFileSync(process.execPath, [script], { encoding: "utf8" }),
  ) as {
    components: readonly {
      name: string;
      version: string;
      purl: string;
      hashes: readonly { content: string }[];
    }[];
    dependencies: readonly { ref: string; dependsOn: readonly string[] }[];
  };
  expect(components.map(({ name, version }) => `${name} ${version}`).toSorted()).toEqual(runtimeClosure());
  for (const { hashes } of components) expect(hashes[0]?.content).toMatch(/^[0-9a-f]{128}$/);
  const needed = new Set(dependencies.flatMap(({ dependsOn }) => dependsOn));
  expect(components.filter(({ purl }) => !needed.has(purl))).toEqual([]);
});
