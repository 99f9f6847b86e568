// Runs the Python clients (clients.py) against a gateway of its own. Skipped, with a message, where there is no Python with their packages.
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { makeTenant } from "../support/clients/test-tenant.ts";
import { startGateway } from "../support/servers/gateway-process.ts";

const PYTHON = process.env["PYTHON"] ?? "python3";
const SCRIPT = join(import.meta.dirname, "clients.py");

const found = spawnSync(PYTHON, [SCRIPT, "--versions"], { encoding: "utf8" });
if (found.status === 0) {
  process.stdout.write(found.stdout);
  process.exitCode = await runClients();
} else {
  const missing = found.error?.message ?? found.stderr.trim().split("\n").at(-1) ?? "";
  console.log(`Skipped: '${PYTHON}' can't run the clients (${missing}). See test/interop/README.md.`);
}

async function runClients(): Promise<number> {
  const gateway = await startGateway();
  try {
    const { key } = await makeTenant(gateway);
    const child = spawn(PYTHON, [SCRIPT], {
      stdio: "inherit",
      env: { ...process.env, HEADGATE_URL: gateway.url, HEADGATE_KEY: key },
    });
    return await new Promise((resolve, reject) => {
      child.once("exit", (code) => resolve(code ?? 1));
      child.once("error", reject);
    });
  } finally {
    await gateway.stop();
  }
}
