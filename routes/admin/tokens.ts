/** `/admin/tokens`: the tokens of the admin plane, each shown once; and `GET /admin/me`: who calls, and what that role may do. */

import { createRouter } from "../../src/http/router.ts";
import { answerNothing, NOT_KEPT, readJson, readPage } from "../../src/http/admin-http.ts";
import { type AdminCaller, isRoleAllowed } from "../../src/tenants/admin/roles.ts";
import { ACCESS } from "../access.ts";

export const adminTokens = createRouter()
  .get("/me", (c) => {
    const caller = c.get("admin");
    return c.json({ tenant: null, expiresAt: null, ...caller, routes: routesFor(caller) });
  })
  .get("/tokens", async (c) => c.json(await c.get("directory").tokens.list(readPage(c))))
  .post("/tokens", async (c) =>
    c.json(await c.get("directory").tokens.create(await readJson(c)), 201, NOT_KEPT),
  )
  .delete("/tokens/:id", async (c) => {
    await c.get("directory").tokens.delete(c.req.param("id"));
    return answerNothing(c);
  });

/** As the documents write them: `GET /admin/tenants/acme/keys/{id}`. */
function routesFor({ role, tenant = "{tenant}" }: AdminCaller): readonly string[] {
  return Object.entries(ACCESS)
    .filter(([, access]) => isRoleAllowed(access, role))
    .map(([route]) => route.replace(":tenant", tenant).replaceAll(/:(\w+)/g, "{$1}"));
}
