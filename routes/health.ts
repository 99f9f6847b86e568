/** `GET /healthz`: whether the Worker runs and its settings are right. Touches no storage, needs no key, leaves no trace. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";

export function health(c: Context<AppEnv>): Response {
  return c.json({ status: "ok", service: c.var.settings.serviceName });
}
