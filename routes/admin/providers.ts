/** `/admin/tenants/{tenant}/providers`: upstream accounts. Credentials are write-only: GET shows masks. */

import { createRouter } from "../../src/http/router.ts";
import { answerNothing, answerRecord, readJson, readPage } from "../../src/http/admin-http.ts";

export const adminProviders = createRouter()
  .get("/tenants/:tenant/providers", async (c) => {
    const page = readPage(c);
    return c.json(await c.var.directory.listProviders(c.req.param("tenant"), page));
  })
  .put("/tenants/:tenant/providers/:name", async (c) => {
    const body = await readJson(c);
    const { tenant, name } = c.req.param();
    const { directory } = c.var;
    return answerRecord(c, await directory.putProvider(tenant, name, body, c.req.header("if-match")));
  })
  .get("/tenants/:tenant/providers/:name", async (c) => {
    const { tenant, name } = c.req.param();
    return answerRecord(c, await c.var.directory.getProvider(tenant, name));
  })
  .delete("/tenants/:tenant/providers/:name", async (c) => {
    const { tenant, name } = c.req.param();
    await c.var.directory.deleteProvider(tenant, name, c.req.header("if-match"));
    return answerNothing(c);
  });
