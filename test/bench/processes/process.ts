// Child processes of the bench: pinned to a CPU where `taskset` is there, measured through /proc (Linux), ended without fail.
import { spawn, spawnSync, type ChildProcess, type StdioOptions } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** Clock ticks a second in /proc/PID/stat: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/PID/stat after the command's closing parenthesis: utime and stime are the 12th and 13th. */
const UTIME_FIELD = 11;
const STIME_FIELD = 12;
const KIB_PER_MIB = 1024;
const START_TIMEOUT_MS = 10_000;

/** CPU 0 is for what is measured, CPU 1 for what makes load: they must not fight for one. */
export const MEASURED_CPU = 0;
export const LOAD_CPU = 1;

export const isPinned = spawnSync("taskset", ["-p", String(process.pid)]).status === 0;

/** None outlives this process. */
const running = new Set<ChildProcess>();
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")));

export function spawnPinned(cpu: number, command: readonly string[], stdio: StdioOptions): ChildProcess {
  const [file = "", ...rest] = isPinned ? ["taskset", "-c", String(cpu), ...command] : command;
  const child = spawn(file, rest, { stdio });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Starts a TypeScript file of the bench in a process of its own with an IPC channel. */
export function spawnScript(file: string, cpu = LOAD_CPU): ChildProcess {
  return spawnPinned(cpu, [process.execPath, file], ["ignore", "inherit", "inherit", "ipc"]);
}

export type WorkerdProcess = {
  readonly url: string;
  /** User and system CPU time of the whole process so far, in seconds (10 ms grain). */
  cpuSeconds(): number;
  rssMib(): number;
  /** Where V8's inspector listens, where it was asked for: `http://127.0.0.1:port`. */
  readonly inspectorUrl: string | undefined;
  isRunning(): boolean;
  stop(): void;
};

/** Starts `workerd serve` with a configuration file and resolves once its socket listens. */
export async function startWorkerd(
  configFile: string,
  { withInspector = false }: { readonly withInspector?: boolean } = {},
): Promise<WorkerdProcess> {
  const control = 3;
  const command = [workerdBinary(), "serve", configFile, "config", `--control-fd=${control}`];
  if (withInspector) command.push("--inspector-addr=127.0.0.1:0");
  const child = spawnPinned(MEASURED_CPU, command, ["ignore", "inherit", "inherit", "pipe"]);
  const { port, inspectorPort } = await readPorts(child, control);
  const stat = (): string => readFileSync(`/proc/${child.pid}/stat`, "utf8");
  return {
    url: `http://127.0.0.1:${port}`,
    cpuSeconds: () => {
      const fields = stat().split(") ").at(-1)?.split(" ") ?? [];
      return (Number(fields[UTIME_FIELD]) + Number(fields[STIME_FIELD])) / TICKS_PER_SECOND;
    },
    rssMib: () => {
      const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"));
      return Number(line?.[1]) / KIB_PER_MIB;
    },
    inspectorUrl: inspectorPort === undefined ? undefined : `http://127.0.0.1:${inspectorPort}`,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    stop: () => void child.kill("SIGKILL"),
  };
}

type Ports = { readonly port: string; readonly inspectorPort: string | undefined };

/** workerd writes `{"event":"listen","socket":"http","port":N}` to its control descriptor when a socket is open; the inspector first. */
function readPorts(child: ChildProcess, descriptor: number): Promise<Ports> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error("workerd did not listen in time")), START_TIMEOUT_MS);
    child.stdio[descriptor]?.on("data", (chunk) => {
      text += String(chunk);
      const port = /"socket":"http","port":(\d+)/.exec(text)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve({ port, inspectorPort: /"event":"listen-inspector","port":(\d+)/.exec(text)?.[1] });
    });
    child.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`workerd ended with code ${code} before it listened`));
    });
  });
}

/** The workerd that wrangler brings: the package exports its version, and as default the binary for this platform. */
const workerdPackage: unknown = createRequire(
  createRequire(import.meta.url).resolve("wrangler/package.json"),
)("workerd");

export const workerdVersion = readExport("version");

function workerdBinary(): string {
  return readExport("default");
}

function readExport(name: "version" | "default"): string {
  const value: unknown = Object(workerdPackage)[name];
  if (typeof value !== "string") throw new Error("there is no workerd for this platform");
  return value;
}
