/** `/admin/tenants/{tenant}/keys`: gateway keys. Only the answers of POST hold the key itself. */

import { createRouter } from "../../src/http/router.ts";
import {
  answerNothing,
  answerRecord,
  NOT_KEPT,
  readJson,
  readOptionalJson,
  readPage,
} from "../../src/http/admin-http.ts";

export const adminKeys = createRouter()
  .get("/tenants/:tenant/keys", async (c) => {
    const page = readPage(c);
    return c.json(await c.var.directory.listKeys(c.req.param("tenant"), page));
  })
  .post("/tenants/:tenant/keys", async (c) => {
    const body = await readJson(c);
    return c.json(await c.var.directory.createKey(c.req.param("tenant"), body), 201, NOT_KEPT);
  })
  .patch("/tenants/:tenant/keys/:id", async (c) => {
    const patch = await readJson(c);
    const { tenant, id } = c.req.param();
    return answerRecord(c, await c.var.directory.patchKey(tenant, id, patch, c.req.header("if-match")));
  })
  .delete("/tenants/:tenant/keys/:id", async (c) => {
    await c.var.directory.deleteKey(c.req.param("tenant"), c.req.param("id"));
    return answerNothing(c);
  })
  .post("/tenants/:tenant/keys/:id/rotate", async (c) => {
    const body = await readOptionalJson(c);
    const { directory } = c.var;
    return c.json(await directory.rotateKey(c.req.param("tenant"), c.req.param("id"), body), 200, NOT_KEPT);
  });
