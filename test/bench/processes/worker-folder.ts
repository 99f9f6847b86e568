// Writes the folder plain `workerd serve` starts a Worker from: its configuration, its module and what the module is bound to.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unstable_readConfig } from "wrangler";
import { TEST_VARS } from "../../support/clients/admin-client.ts";
import { workerdConfig, type WorkerConfig } from "./workerd-config.ts";

/** A file system in memory (Linux): a shared machine's disk would drown what is measured. */
const MEMORY_DISK = "/dev/shm";
const OBJECTS_PREFIX = "headgate-bench-objects-";
const ROOT = join(import.meta.dirname, "../../..");
const WORKERS = join(import.meta.dirname, "../workers");

export type GatewayFolder = {
  /** Environment of the Worker, over the test defaults. */
  readonly vars: Readonly<Record<string, string>>;
  /** Durable Objects on the disk the folder is on, instead of in memory. */
  readonly onDisk?: boolean;
  readonly v8Flags?: readonly string[];
};

/** The built gateway with all that wrangler.toml binds; gives the configuration file. Its objects go when this process ends. */
export function writeGatewayConfig(
  dir: string,
  bundle: string,
  { vars, onDisk = false, v8Flags = [] }: GatewayFolder,
): string {
  const config = readWranglerConfig();
  mkdirSync(dir, { recursive: true });
  const objects = mkdtempSync(join(onDisk || !existsSync(MEMORY_DISK) ? dir : MEMORY_DISK, OBJECTS_PREFIX));
  process.once("exit", () => rmSync(objects, { recursive: true, force: true }));
  return writeConfig(dir, bundle, {
    ...config,
    vars: { ...TEST_VARS, ...vars },
    durableObjectDir: objects,
    v8Flags,
  });
}

/** A Worker of `workers/` that needs no binding. */
export function writeFloorConfig(
  dir: string,
  name: "bare" | "parse",
  vars: Readonly<Record<string, string>>,
): string {
  const { compatibilityDate } = readWranglerConfig();
  return writeConfig(dir, join(WORKERS, `${name}.js`), {
    compatibilityDate,
    compatibilityFlags: [],
    vars,
    kvBindings: [],
    durableObjects: [],
  });
}

function readWranglerConfig(): Pick<
  WorkerConfig,
  "compatibilityDate" | "compatibilityFlags" | "kvBindings" | "durableObjects"
> {
  const config = unstable_readConfig({ config: join(ROOT, "wrangler.toml") }, { hideWarnings: true });
  return {
    compatibilityDate: config.compatibility_date ?? "",
    compatibilityFlags: config.compatibility_flags,
    kvBindings: config.kv_namespaces.map((namespace: { readonly binding: string }) => namespace.binding),
    durableObjects: config.durable_objects.bindings.map(
      (object: { readonly name: string; readonly class_name: string }) => ({
        binding: object.name,
        className: object.class_name,
      }),
    ),
  };
}

/** Writes a configuration beside copies of the modules it embeds, since `embed` takes no path outside its folder. */
function writeConfig(dir: string, module: string, config: Omit<WorkerConfig, "module">): string {
  mkdirSync(dir, { recursive: true });
  copyFileSync(module, join(dir, "worker.js"));
  copyFileSync(join(WORKERS, "kv.js"), join(dir, "kv.js"));
  const configFile = join(dir, "config.capnp");
  writeFileSync(configFile, workerdConfig({ ...config, module: "worker.js" }));
  return configFile;
}
