/**
 * `npm start`: the whole gateway on this machine, without an account, a key or the network. Gathers the
 * settings, starts wrangler's local runtime, creates the demo tenant, and prints what to do next. Runs in Node.
 */

import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describeGateway } from "./banner.ts";
import { ensureDemoTenant } from "./demo-tenant.ts";
import { prepareSettings } from "./local-settings.ts";

const DEFAULT_PORT = 8787;
/** A first start compiles the Worker; a slow machine takes some ten seconds. */
const START_TIMEOUT_MS = 90_000;
const POLL_MS = 200;
/**
 * Wrangler's own view of the storage needs no token, and its own store of requests keeps their URLs, which may hold a gateway
 * key (`?key=`). The environment may set either to true.
 */
const CLOSED = { X_LOCAL_EXPLORER: "false", X_LOCAL_OBSERVABILITY: "false" };
/** No network access: no usage statistics, no sample of a real request's properties. */
const OFFLINE = { WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" };

const wranglerArgs = process.argv.slice(2);
const port = Number(optionOf("--port") ?? process.env["PORT"] ?? DEFAULT_PORT);
if (!Number.isInteger(port) || port < 1 || port > 65_535) {
  fail(`PORT must be a whole number from 1 to 65535, not '${process.env["PORT"]}'.`);
}
const url = `http://localhost:${port}`;
if (!(await isFree(port))) {
  fail(`Port ${port} is in use. Stop what uses it, or choose another: npm start -- --port ${port + 1}`);
}
// 0: the system chooses one that is free.
const inspectorPort = Number(optionOf("--inspector-port") ?? 0) || (await freePort());
const stateDir = optionOf("--persist-to") ?? ".wrangler/state";
const settings = prepareSettings(stateDir, process.env);
for (const name of settings.unknownNames) console.warn(`.dev.vars: ${name} is not a setting, and ignored.`);

console.log(`Headgate is starting on ${url} …`);
const wrangler = startWrangler();
const stopped = new Promise<number>((resolve) => wrangler.once("exit", (code) => resolve(code ?? 1)));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => wrangler.kill(signal));

if (!(await isUp())) {
  wrangler.kill();
  fail(`Headgate did not come up on ${url} within ${START_TIMEOUT_MS / 1000} s. The lines above say why.`);
}
const demo = await ensureDemoTenant({ url, stateDir, settings }).catch((error: unknown) => {
  wrangler.kill();
  return fail(
    `The demo tenant could not be created: ${error instanceof Error ? error.message : String(error)}`,
  );
});
const adminToken = settings.values["ADMIN_TOKEN"] ?? "";
console.log(describeGateway({ url, demo, adminToken, inspectorPort }));
process.exitCode = await stopped;

function startWrangler(): ChildProcess {
  const own = ["--port", String(port), "--persist-to", stateDir, "--env-file", settings.envFile];
  const quiet = ["--log-level", "warn", "--show-interactive-dev-session=false"];
  const local = ["--ip", "localhost", "--inspector-port", String(inspectorPort)];
  return spawn("wrangler", ["dev", ...local, ...quiet, ...own, ...passedOn()], {
    stdio: "inherit",
    env: { ...CLOSED, ...process.env, ...OFFLINE },
    shell: process.platform === "win32",
  });
}

async function isUp(): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && wrangler.exitCode === null) {
    try {
      const response = await fetch(`${url}/healthz`);
      if (response.ok) return true;
      if (response.status === 503) fail((await response.text()).slice(0, 2_000));
    } catch {
      // Not listening yet.
    }
    await sleep(POLL_MS);
  }
  return false;
}

/** Whether nothing listens on the port, by either address of localhost. */
async function isFree(wanted: number): Promise<boolean> {
  const tried = await Promise.all(["127.0.0.1", "::1"].map((host) => listen(wanted, host)));
  return tried.every((result) => result !== "in use");
}

async function freePort(): Promise<number> {
  const found = await listen(0, "127.0.0.1");
  return typeof found === "number" ? found : 0;
}

/** Listens for a moment; "no address" on a machine without IPv6. */
function listen(wanted: number, host: string): Promise<number | "in use" | "no address"> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code === "EADDRINUSE" ? "in use" : "no address"),
    );
    server.listen(wanted, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : wanted));
    });
  });
}

function optionOf(name: string): string | undefined {
  const at = wranglerArgs.indexOf(name);
  if (at >= 0) return wranglerArgs[at + 1];
  return wranglerArgs.find((arg) => arg.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** The options that this script has read itself are not given twice. */
function passedOn(): string[] {
  const own = ["--port", "--persist-to", "--inspector-port"];
  return wranglerArgs.filter(
    (arg, index) =>
      !own.some((name) => arg === name || arg.startsWith(`${name}=`)) &&
      !own.includes(wranglerArgs[index - 1] ?? ""),
  );
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
