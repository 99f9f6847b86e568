/** `GET /admin/tenants/{tenant}/queue`: who waits, who holds a slot, and what is left of the limits, at this moment. */

import { Hono } from "hono";
import type { AppEnv } from "../../src/app.ts";
import { GatewayError } from "../../src/errors.ts";

export const adminQueue = new Hono<AppEnv>().get("/tenants/:tenant/queue", async (c) => {
  const { services } = c.var;
  const tenantId = c.req.param("tenant");
  if (!(await services.tenants.load(tenantId))) {
    throw new GatewayError("not_found", `There is no tenant '${tenantId}'.`, { param: "tenant" });
  }
  return c.json(await services.queueOf(tenantId).snapshot());
});
