/**
 * What became of exported traces: `GET /admin/tenants/{tenant}/export`, `GET /admin/export` for the operator's own
 * destination and the store of requests without a tenant, and `POST /admin/tenants/{tenant}/destinations/{name}/test`, which sends a span and says what came back.
 */

import { Hono } from "hono";
import type { Context } from "hono";
import type { AppEnv } from "../../src/app-types.ts";
import { GatewayError } from "../../src/errors.ts";
import type { ExportStatus } from "../../src/telemetry/export/export-counters.ts";
import { UNKNOWN_TENANT } from "../../src/telemetry/store/stored-trace.ts";
import type { TenantBundle } from "../../src/tenants/records/records.ts";

export const adminExport = new Hono<AppEnv>()
  .get("/export", async (c) => {
    const { exportStatusOf } = c.var.services;
    const [own, unknown] = await Promise.all([exportStatusOf(undefined), exportStatusOf(UNKNOWN_TENANT)]);
    return c.json({ items: [...own, ...unknown] });
  })
  .get("/tenants/:tenant/export", async (c) => {
    const { tenant, id } = await loadTenant(c, c.req.param("tenant"));
    const items = await c.var.services.exportStatusOf(id);
    const known = new Set(items.map(({ destination }) => destination));
    const untouched = tenant.tracing.destinations.filter(({ name }) => !known.has(name));
    return c.json({ items: [...untouched.map(({ name }) => idle(name)), ...items] });
  })
  .post("/tenants/:tenant/destinations/:name/test", async (c) => {
    const bundle = await loadTenant(c, c.req.param("tenant"));
    const name = c.req.param("name");
    const report = await c.var.services.testDestination(bundle, name);
    if (report !== undefined) return c.json(report);
    throw new GatewayError("not_found", `There is no trace destination '${name}'.`, { param: "name" });
  });

/** As it is now: what was just written is what is asked about. */
async function loadTenant(c: Context<AppEnv>, tenantId: string): Promise<TenantBundle> {
  const loaded = await c.var.services.tenants.reload(tenantId);
  if (loaded) return loaded.bundle;
  throw new GatewayError("not_found", `There is no tenant '${tenantId}'.`, { param: "tenant" });
}

/** A destination that no trace has been sent to so far. */
function idle(destination: string): ExportStatus {
  return {
    destination,
    enqueued: 0,
    delivered: 0,
    pending: 0,
    dropped: {},
    lastError: null,
    retries: 0,
    circuit: "closed",
  };
}
