/**
 * Delivery of exported traces: `GET /admin/tenants/{tenant}/export`, `GET /admin/export` for the operator's own destination
 * and the store of requests without a tenant, and `POST /admin/tenants/{tenant}/destinations/{name}/test`, which sends a
 * span and reports what the back end answered.
 */

import { createRouter } from "../../src/http/router.ts";
import { GatewayError } from "../../src/errors.ts";
import type { ExportStatus } from "../../src/telemetry/export/export-counters.ts";
import { UNKNOWN_TENANT } from "../../src/telemetry/store/stored-trace.ts";
import { requireTenant } from "../../src/http/admin-http.ts";

export const adminExport = createRouter()
  .get("/export", async (c) => {
    const { exportStatusOf } = c.var.services;
    const [own, unknown] = await Promise.all([exportStatusOf(undefined), exportStatusOf(UNKNOWN_TENANT)]);
    return c.json({ items: [...own, ...unknown] });
  })
  .get("/tenants/:tenant/export", async (c) => {
    const { tenant, id } = await requireTenant(c);
    const items = await c.var.services.exportStatusOf(id);
    const known = new Set(items.map(({ destination }) => destination));
    const untouched = tenant.tracing.destinations.filter(({ name }) => !known.has(name));
    return c.json({ items: [...untouched.map(({ name }) => idle(name)), ...items] });
  })
  .post("/tenants/:tenant/destinations/:name/test", async (c) => {
    const bundle = await requireTenant(c);
    const name = c.req.param("name");
    const report = await c.var.services.testDestination(bundle, name);
    if (report !== undefined) return c.json(report);
    throw new GatewayError("not_found", `The tenant has no trace destination '${name}'.`, {
      param: "name",
    });
  });

/** A destination that has not been sent a trace yet. */
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
