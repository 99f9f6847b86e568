/** `POST /admin/session` begins a console session with the token that this request has in `authorization`; `DELETE` ends it. */

import { createRouter } from "../../src/http/router.ts";
import { bearerOf } from "../../src/middleware/admin-auth.ts";
import { GatewayError } from "../../src/errors.ts";
import { beginConsoleSession, endConsoleSession } from "../../src/http/console-session.ts";

export const adminSession = createRouter()
  .post("/session", async (c) => {
    const token = bearerOf(c.req.header("authorization"));
    if (token === undefined) {
      throw new GatewayError("invalid_request", "Send the admin token in 'authorization: Bearer …'.", {
        param: "authorization",
      });
    }
    c.header("set-cookie", await beginConsoleSession(token, c.var.settings, Date.now()));
    return c.body(null, 204);
  })
  .delete("/session", (c) => {
    c.header("set-cookie", endConsoleSession(c.var.settings.isLocal));
    return c.body(null, 204);
  });
