// The source files of the repository, what each imports (types included) and what each exports, read from their text. It knows no
// rule; layers.test.ts has them.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const ROOT = join(import.meta.dirname, "../../..");

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string;
  /** Paths of our own files, each once. */
  readonly imports: readonly string[];
  /** Names that are declared here; what is passed on from another file is not. */
  readonly declares: readonly string[];
}

/** All TypeScript files under these folders, declaration files apart. */
export function readSourceFiles(...folders: readonly string[]): readonly SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name).replaceAll("\\", "/"))
      .filter((path) => /\.tsx?$/.test(path) && !path.endsWith(".d.ts"))
      .toSorted()
      .map((path) => parseSource(path, readFileSync(join(ROOT, path), "utf8"))),
  );
}

const IMPORT =
  /^(?:import|export)\b[^;"']*?\bfrom\s*"(\.[^"]+)"|^import\s*"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"\s*\)/gm;
const DECLARATION =
  /^export (?:declare |abstract |async )*(?:function\*?|const|let|class|type|interface|enum) +(\w+)/gm;
const EXPORT_LIST = /^export (?:type )?\{([^}]*)\}(?!\s*from)/gm;

export function parseSource(path: string, text: string): SourceFile {
  const imports = [...text.matchAll(IMPORT)].map(([, from, bare, dynamic]) =>
    normalize(join(dirname(path), from ?? bare ?? dynamic ?? "")).replaceAll("\\", "/"),
  );
  const declared = [...text.matchAll(DECLARATION)].map(([, name = ""]) => name);
  const listed = [...text.matchAll(EXPORT_LIST)].flatMap(([, list = ""]) =>
    list.split(",").flatMap((item) => /(\w+)\s*$/.exec(item)?.[1] ?? []),
  );
  return { path, imports: [...new Set(imports)], declares: [...new Set([...declared, ...listed])] };
}

/** Groups of files that import each other, directly or round about; each group sorted, none for files that are in no circle. */
export function circlesOf(files: readonly SourceFile[]): readonly (readonly string[])[] {
  const importsOf = new Map(files.map(({ path, imports }) => [path, imports]));
  const reached = new Map(files.map(({ path }) => [path, reachableFrom(path, importsOf)]));
  const circles = new Map<string, readonly string[]>();
  for (const [path, others] of reached) {
    if (!others.has(path)) continue;
    const circle = [...others].filter((other) => reached.get(other)?.has(path)).toSorted();
    circles.set(circle.join(), circle);
  }
  return [...circles.values()];
}

function reachableFrom(
  start: string,
  importsOf: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<string> {
  const reached = new Set<string>();
  const pending = [...(importsOf.get(start) ?? [])];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    pending.push(...(importsOf.get(path) ?? []));
  }
  return reached;
}
