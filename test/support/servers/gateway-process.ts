// Starts the real gateway (the built Worker in real workerd, with local KV and Durable Objects) as an HTTP server on a free port.
// The host process (gateway-host.ts) runs Miniflare and hands out the Worker's *direct* socket. Measured here (2026-11, wrangler
// 4.155, one chunk each 25 ms, client leaves after the first):
//   createTestHarness (wrangler)   chunk delay p50 0.9 ms; the Worker sees the disconnect, but its outbound fetches go through
//                                  Node's fetch, so the upstream never learns that they were aborted; state can't be kept.
//   Miniflare, entry socket        chunk delay 0.8 ms; disconnect reaches Worker (signal and pipe) and upstream; adds cf headers.
//   Miniflare, direct socket       the same with 0.65 ms and nothing between client and Worker: chosen.
import { fork, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { adminPlane, TEST_VARS, type AdminPlane } from "../clients/admin-client.ts";
import { bundleWorker } from "./worker-bundle.ts";

export interface Gateway extends AdminPlane {
  /** `http://127.0.0.1:port`, without a trailing slash. */
  readonly url: string;
  /**
   * The same gateway behind a client that leaves: a POST here with `x-leave-after-ms` is passed on and abandoned after that time,
   * answered or not (then with 499). For disconnects before the first byte, which plain workerd does not notice.
   */
  readonly leaverUrl: string;
  /** Another isolate of the same gateway; empty unless asked for. */
  readonly twinUrl: string;
  /** Everything the Worker and the runtime have printed so far. */
  logs(): string;
  /** Ends workerd and its host at once, as a crash would: no clean-up, no last write. State in `persistTo` stays. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export type GatewayOptions = {
  /** Environment of the Worker (src/docs/records.md), over the test defaults. */
  readonly vars?: Readonly<Record<string, string>>;
  /** Folder that keeps KV and Durable Objects beyond this process; a throw-away one where absent. */
  readonly persistTo?: string;
  /** Whether there is to be a second isolate: the same code with memory of its own, over the same KV and objects. */
  readonly hasTwin?: boolean;
  /** What the second isolate's environment has otherwise, as while a change of settings spreads. */
  readonly twinVars?: Readonly<Record<string, string>>;
  /** Gives the Worker the platform's own `AI` binding, whose calls come out at this URL: https in, plain HTTP out. */
  readonly aiUrl?: string;
};

/** What the host gets; see gateway-host.ts. */
export type HostStart = {
  readonly bundleDir: string;
  readonly vars: Readonly<Record<string, string>>;
  readonly persistTo: string;
  readonly hasTwin: boolean;
  readonly twinVars: Readonly<Record<string, string>>;
  readonly aiUrl?: string;
};
type Ready = {
  readonly type: "ready";
  readonly url: string;
  readonly leaverUrl: string;
  readonly twinUrl: string;
};
export type HostMessage = Ready | { readonly type: "log"; readonly text: string };

/** In memory where the system has such a folder: a Durable Object's answer waits for its writes, and a shared disk may take 50 ms. */
const STATE_ROOT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const HOST_FILE = join(import.meta.dirname, "gateway-host.ts");
/** Up in about 0.5 s; a loaded two-core machine may need much more. */
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;

export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const throwAwayDir =
    options.persistTo === undefined ? mkdtempSync(join(STATE_ROOT, "headgate-test-")) : undefined;
  const start: HostStart = {
    bundleDir: await bundleWorker(),
    vars: { ...TEST_VARS, ...options.vars },
    persistTo: options.persistTo ?? throwAwayDir ?? "",
    hasTwin: options.hasTwin ?? false,
    twinVars: options.twinVars ?? {},
    ...(options.aiUrl !== undefined && { aiUrl: options.aiUrl }),
  };
  let log = "";
  // A process group of its own, so that a kill takes workerd along; the host ends by itself when this process is gone.
  const host = fork(HOST_FILE, { detached: true, stdio: ["ignore", "pipe", "pipe", "ipc"], env: hostEnv() });
  host.stdout?.on("data", (chunk) => (log += String(chunk)));
  host.stderr?.on("data", (chunk) => (log += String(chunk)));
  host.on("message", (message: HostMessage) => {
    if (message.type === "log") log += `${message.text}\n`;
  });
  const exited = new Promise<void>((resolve) => host.once("exit", () => resolve()));
  const discardState = (): void => {
    if (throwAwayDir !== undefined) rmSync(throwAwayDir, { recursive: true, force: true });
  };
  const kill = async (): Promise<void> => {
    killGroup(host);
    await exited;
    discardState();
  };

  host.send(start);
  const { url, leaverUrl, twinUrl } = await waitForReady(host, exited, () => log).catch(
    async (error: unknown) => {
      await kill();
      throw error;
    },
  );
  return {
    url,
    leaverUrl,
    twinUrl,
    ...adminPlane(url),
    logs: () => log,
    kill,
    stop: async () => {
      const timer = setTimeout(() => killGroup(host), STOP_TIMEOUT_MS);
      if (host.connected) host.disconnect();
      await exited;
      clearTimeout(timer);
      discardState();
    },
  };
}

function waitForReady(host: ChildProcess, exited: Promise<void>, log: () => string): Promise<Ready> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => reject(new Error(`The gateway ${reason}. It printed:\n${log()}`));
    const timer = setTimeout(() => fail(`was not up after ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
    host.on("message", (message: HostMessage) => {
      if (message.type !== "ready") return;
      clearTimeout(timer);
      resolve(message);
    });
    void exited.then(() => {
      clearTimeout(timer);
      fail("ended before it was up");
    });
  });
}

function killGroup(host: ChildProcess): void {
  if (host.pid === undefined || host.exitCode !== null || host.signalCode !== null) return;
  try {
    process.kill(-host.pid, "SIGKILL");
  } catch {
    host.kill("SIGKILL");
  }
}

/** The environment less what would change how the Worker is built or what it is bound to. */
function hostEnv(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_OPTIONS: "", WRANGLER_SEND_METRICS: "false" };
}
