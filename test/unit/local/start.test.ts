// `npm start` where its port is in use: it says so and what to do, before it has sent, printed or stored anything else.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const SCRIPT = join(import.meta.dirname, "../../../src/local/start.ts");
const dir = mkdtempSync(join(tmpdir(), "headgate-start-"));
const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Listens and counts who connects. */
async function occupy(): Promise<{ readonly port: number; readonly connections: () => number }> {
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    socket.destroy();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("The server has no port.");
  return { port: address.port, connections: () => count };
}

function start(args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ code: unknown; output: string }> {
  const all = [SCRIPT, ...args, "--persist-to", join(dir, "state")];
  return new Promise((resolve) => {
    execFile(process.execPath, all, { cwd: dir, env: { ...process.env, ...env } }, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    );
  });
}

test.each(["--port", "PORT"])("a port in use, named by %s, ends it before anything else", async (by) => {
  const { port, connections } = await occupy();
  const named = String(port);
  const { code, output } = await (by === "PORT" ? start([], { PORT: named }) : start([by, named], {}));
  expect(output).toBe(
    `Port ${port} is in use. Stop what uses it, or choose another: npm start -- --port ${port + 1}\n`,
  );
  expect(code).toBe(1);
  expect(connections()).toBe(0);
  expect(existsSync(join(dir, "state"))).toBe(false);
});
