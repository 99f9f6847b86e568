/** `start`: the gateway on this machine, as `npm start` runs it; its options are wrangler's. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import type { RunCommand } from "./command.ts";

const SCRIPT = join(import.meta.dirname, "../../local/start.ts");

export const startCommand: RunCommand = ({ positionals }) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [SCRIPT, ...positionals], { stdio: "inherit" });
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
    child.once("exit", (code) => resolve(code ?? 1));
  });
