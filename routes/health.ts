/** `GET /healthz`: whether the Worker runs and its settings are valid. Reads no storage, needs no key, writes no trace. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { VERSION } from "../src/version.ts";

export function health(c: Context<AppEnv>): Response {
  return c.json({ status: "ok", service: c.var.settings.serviceName, version: VERSION });
}
