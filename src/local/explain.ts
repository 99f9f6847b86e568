/** `npm run explain -- TRACE [TENANT]`: why a stored request took its time. Reads the gateway at GATEWAY with ADMIN_TOKEN. */

import { explanationText } from "../telemetry/explain/explanation.ts";
import { explainTrace } from "./explain-trace.ts";

const { GATEWAY = "http://localhost:8787", ADMIN_TOKEN = "" } = process.env;
const [, , traceId = "", tenant] = process.argv;

const found = await explainTrace(
  async (path) => {
    const response = await fetch(GATEWAY + path, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    if (response.status === 401) throw new Error("The admin token was refused. Set ADMIN_TOKEN.");
    return response.ok ? response.json() : undefined;
  },
  traceId.toLowerCase(),
  tenant,
);
console.log(
  found.length === 0
    ? "No stored trace has this id. It may still be running, or it was not kept."
    : found.map(explanationText).join("\n\n"),
);
if (found.length === 0) process.exitCode = 1;
