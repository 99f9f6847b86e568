/** `GET /admin/master-keys`: how far a change of MASTER_KEY is. Never a key: only ids and numbers. */

import { createRouter } from "../../src/http/router.ts";

export const adminMasterKeys = createRouter().get("/master-keys", async (c) =>
  c.json(await c.var.directory.getMasterKeys()),
);
