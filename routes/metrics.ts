/** `GET /metrics`: the metrics of all tenants, or of `?tenant=`, in Prometheus' text format. */

import type { Context } from "hono";
import type { AppEnv } from "../src/app-types.ts";
import { PROMETHEUS_CONTENT_TYPE, renderPrometheus } from "../src/telemetry/metrics/prometheus.ts";
import { readTenantFilter } from "../src/http/admin-http.ts";

export async function metrics(c: Context<AppEnv>): Promise<Response> {
  const owners = await c.var.services.metrics.read(readTenantFilter(c));
  return c.body(renderPrometheus(owners), 200, { "content-type": PROMETHEUS_CONTENT_TYPE });
}
