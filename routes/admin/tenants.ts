/** `/admin/tenants`: tenant records, their erasure, and the purge of a tenant's cache. */

import { createRouter } from "../../src/http/router.ts";
import { answerRecord, readJson, readOwnPage } from "../../src/http/admin-http.ts";

export const adminTenants = createRouter()
  .get("/tenants", async (c) => {
    const page = readOwnPage(c);
    return c.json(await c.var.directory.listTenants(page));
  })
  .put("/tenants/:tenant", async (c) => {
    const body = await readJson(c);
    const { directory } = c.var;
    return answerRecord(c, await directory.putTenant(c.req.param("tenant"), body, c.req.header("if-match")));
  })
  .get("/tenants/:tenant", async (c) => {
    return answerRecord(c, await c.var.directory.getTenant(c.req.param("tenant")));
  })
  .patch("/tenants/:tenant", async (c) => {
    const patch = await readJson(c);
    const { directory } = c.var;
    return answerRecord(
      c,
      await directory.patchTenant(c.req.param("tenant"), patch, c.req.header("if-match")),
    );
  })
  .delete("/tenants/:tenant", async (c) => {
    const { directory } = c.var;
    const erasure = await directory.deleteTenant(c.req.param("tenant"), c.req.header("if-match"));
    return c.json({ erasure }, 202);
  })
  .get("/erasures/:id", async (c) => c.json(await c.var.directory.getErasure(c.req.param("id"))))
  .post("/tenants/:tenant/cache/purge", async (c) => {
    return c.json({ epoch: await c.var.directory.purgeCache(c.req.param("tenant")) });
  });
