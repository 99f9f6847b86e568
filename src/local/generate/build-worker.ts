/**
 * Bundles the Worker into one module, `dist/worker/worker.js`, which wrangler serves and deploys as it is. Rolldown's is 11 KiB
 * (gzipped) smaller than wrangler's own bundle (decision 006). Wrangler runs it before each build; `WRANGLER_COMMAND` says for what.
 */

import { writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative } from "node:path";
import { SemanticAttributes } from "@opentelemetry/semantic-conventions";
import { rolldown, type Plugin } from "rolldown";

const ROOT = join(import.meta.dirname, "../../..");
const ENTRY = join(ROOT, "src/worker.ts");
const BUNDLE = join(ROOT, "dist/worker/worker.js");

/** The library's default file is CommonJS, of which a bundler can leave nothing out. */
const ALIAS = {
  "@opentelemetry/api": join(ROOT, "node_modules/@opentelemetry/api/build/esm/index.js"),
};

/**
 * The tracing package reads three names from a table of two hundred, which a bundler keeps whole (1.6 KiB): the names themselves
 * are put in its place.
 */
const INLINED_NAMES: Plugin = {
  name: "inlined-names",
  transform: {
    filter: { id: /@microlabs\/otel-cf-workers/ },
    handler: (code) =>
      code.replaceAll(/\bSemanticAttributes\d*\.([A-Z_]+)\b/g, (whole, name: string) =>
        name in SemanticAttributes
          ? JSON.stringify(SemanticAttributes[name as keyof typeof SemanticAttributes])
          : whole,
      ),
  },
};

/** A deployed Worker carries no test server, unless it is built for a trial (src/docs/deployment.md). */
const WITHOUT_SIMULATOR = {
  "./sim/simulators.ts": join(ROOT, "src/providers/sim/no-simulators.ts"),
};

export interface WorkerBuild {
  /** The module that exports the handler and the Durable Object classes; default: the gateway's. */
  readonly entry?: string;
  /** Where the one module is written; its source map lies beside it where it is readable. */
  readonly file: string;
  /** As deployed; otherwise readable, with a source map for the debugger. */
  readonly isMinified: boolean;
  /** Whether records may have the kind `sim`; default: no. */
  readonly hasSimulator?: boolean;
}

/** Returns the paths of the modules it is made of. Rejects with the bundler's message where the source can't be bundled. */
export async function buildWorker({
  entry = ENTRY,
  file,
  isMinified,
  hasSimulator = false,
}: WorkerBuild): Promise<readonly string[]> {
  const bundle = await rolldown({
    cwd: ROOT,
    input: entry,
    // The tracing packages name parts of Node that nothing here reaches: they fall away.
    external: [/^cloudflare:/, /^node:/, ...builtinModules],
    platform: "neutral",
    plugins: [INLINED_NAMES],
    resolve: {
      alias: { ...ALIAS, ...(!hasSimulator && WITHOUT_SIMULATOR) },
      conditionNames: ["workerd", "worker", "browser", "import"],
      mainFields: ["module", "main"],
    },
  });
  try {
    const { output } = await bundle.write({
      file,
      format: "esm",
      minify: isMinified,
      sourcemap: !isMinified,
      ...(isMinified && { comments: false }),
    });
    return Object.entries(output[0].modules).flatMap(([path, { renderedLength }]) =>
      renderedLength > 0 ? [path] : [],
    );
  } finally {
    await bundle.close();
  }
}

if (import.meta.main) {
  const isLocal = process.env["WRANGLER_COMMAND"] === "dev";
  const hasSimulator = isLocal || process.env["HEADGATE_SIMULATOR"] === "true";
  await buildWorker({ file: BUNDLE, isMinified: !isLocal, hasSimulator });
  writeTypes();
}

/** `wrangler types` names the classes by the module in `main`: this leads it to the source. */
function writeTypes(): void {
  const source = relative(dirname(BUNDLE), ENTRY);
  writeFileSync(BUNDLE.replace(/\.js$/, ".d.ts"), `export * from "${source}";\n`);
}
