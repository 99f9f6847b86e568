/** `/admin/tenants/{tenant}/routes`: a tenant's named models. Targets may name providers that don't exist yet. */

import { createRouter } from "../../src/http/router.ts";
import { answerNothing, answerRecord, readJson, readPage } from "../../src/http/admin-http.ts";

export const adminRoutes = createRouter()
  .get("/tenants/:tenant/routes", async (c) => {
    const page = readPage(c);
    return c.json(await c.var.directory.listRoutes(c.req.param("tenant"), page));
  })
  .put("/tenants/:tenant/routes/:name", async (c) => {
    const body = await readJson(c);
    const { tenant, name } = c.req.param();
    const { directory } = c.var;
    return answerRecord(c, await directory.putRoute(tenant, name, body, c.req.header("if-match")));
  })
  .get("/tenants/:tenant/routes/:name", async (c) => {
    const { tenant, name } = c.req.param();
    return answerRecord(c, await c.var.directory.getRoute(tenant, name));
  })
  .delete("/tenants/:tenant/routes/:name", async (c) => {
    const { tenant, name } = c.req.param();
    await c.var.directory.deleteRoute(tenant, name, c.req.header("if-match"));
    return answerNothing(c);
  });
