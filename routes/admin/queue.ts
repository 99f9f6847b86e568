/**
 * A tenant's queue: waiting requests, held slots and remaining limits, once or live over a WebSocket; and the operator's
 * temporary overrides (raised limits, drain).
 */

import type { Context } from "hono";
import { createRouter } from "../../src/http/router.ts";
import type { AppEnv } from "../../src/app-types.ts";
import { GatewayError } from "../../src/errors.ts";
import { parseDrain, parseRaise } from "../../src/tenants/records/parse-record.ts";
import { toRaisedLimits } from "../../src/tenants/records/queue-limits.ts";
import { readJson, requireTenant } from "../../src/http/admin-http.ts";

const MS_PER_SECOND = 1000;
const SWITCHING_PROTOCOLS = 101;
const UPGRADE_REQUIRED = 426;

export const adminQueue = createRouter()
  .get("/tenants/:tenant/queue", async (c) => c.json(await (await queueOf(c)).snapshot()))
  .get("/tenants/:tenant/queue/live", async (c) => {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
      throw new GatewayError(
        "invalid_request",
        "The live view is a WebSocket. Connect with 'upgrade: websocket'.",
        {
          status: UPGRADE_REQUIRED,
          headers: { upgrade: "websocket" },
        },
      );
    }
    const { actor } = c.get("admin");
    const watching = new Request(`https://queue/live?actor=${encodeURIComponent(actor)}`, {
      headers: { upgrade: "websocket" },
    });
    const { webSocket } = await (await queueOf(c)).fetch(watching);
    // A new response: the middlewares set headers, which the object's own response does not allow.
    return new Response(null, { status: SWITCHING_PROTOCOLS, webSocket });
  })
  .post("/tenants/:tenant/queue/limits", async (c) => {
    const { limits, forSeconds } = parseRaise(await readJson(c), c.var.services.limitRules);
    const queue = await queueOf(c);
    const answer = await queue.raiseLimits(toRaisedLimits(limits), forSeconds * MS_PER_SECOND);
    await c.var.directory.noteOrder(c.req.param("tenant"), "queue.limits");
    return c.json(answer);
  })
  .post("/tenants/:tenant/queue/drain", async (c) => {
    const { waiting, forSeconds } = parseDrain(await readJson(c));
    const queue = await queueOf(c);
    const answer = await queue.drain(forSeconds * MS_PER_SECOND, waiting);
    await c.var.directory.noteOrder(c.req.param("tenant"), "queue.drain");
    return c.json(answer);
  });

/** The queue object of the URL's tenant. Throws `not_found`. */
async function queueOf(c: Context<AppEnv>) {
  const { id } = await requireTenant(c);
  return c.var.services.queueOf(id);
}
