// `npm start` as a developer runs it: on a free port, with a throw-away state folder, up when its demo tenant is there.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../../..");

export interface LocalRun {
  readonly url: string;
  readonly adminToken: string;
  readonly demoKey: string;
  /** The link that signs in, as it is printed. */
  readonly consoleUrl: string;
  stop(): Promise<void>;
}

/** Rejects with what was printed when it ends before it is up. */
export async function startLocalRun(): Promise<LocalRun> {
  const stateDir = mkdtempSync(join(tmpdir(), "headgate-local-"));
  const port = await freePort();
  const adminToken = "local-run-test-admin-token";
  const child = spawn("npm", ["start", "--", "--persist-to", stateDir], {
    cwd: ROOT,
    env: { ...process.env, PORT: String(port), ADMIN_TOKEN: adminToken, OTLP_ENDPOINT: "" },
    detached: true,
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const printed = await new Promise<string>((resolve, reject) => {
    let text = "";
    const read = (chunk: Buffer): void => {
      text += chunk.toString();
      if (text.includes("Stop with Ctrl-C.")) resolve(text);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.once("exit", () => reject(new Error(`npm start ended:\n${text}`)));
  });
  const found = (pattern: RegExp): string => pattern.exec(printed)?.[1] ?? "";
  return {
    url: `http://localhost:${port}`,
    adminToken,
    demoKey: found(/demo key +(\S+)/),
    consoleUrl: found(/console +(\S+)/),
    stop: async () => {
      // The whole group: npm, the start script, wrangler and workerd.
      if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
      await ended;
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
