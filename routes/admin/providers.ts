/** `/admin/tenants/{tenant}/providers`: upstream accounts. Credentials are write-only: GET shows masks. */

import { GatewayError } from "../../src/errors.ts";
import { recordOf } from "../../src/json/fields.ts";
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
    const { directory, admin } = c.var;
    if (admin.tenant !== undefined) refuseBinding(body);
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

/** What is called by the deployment's own `AI` binding is on its operator's bill: a tenant's token can't open it. */
function refuseBinding(body: unknown): void {
  const { kind, options } = recordOf(body);
  const { binding, accountId } = recordOf(options);
  if (kind !== "workers-ai" || (accountId !== undefined && binding !== true)) return;
  const message =
    "Only an operator can let a tenant use the deployment's AI binding. Name your own account: options.accountId.";
  throw new GatewayError("permission_denied", message, { param: "options.accountId" });
}
