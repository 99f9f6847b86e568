/** `GET /admin/audit`: who changed what, newest first. */

import { createRouter } from "../../src/http/router.ts";
import { badCursor, readOwnPage } from "../../src/http/admin-http.ts";

export const adminAudit = createRouter().get("/audit", async (c) => {
  const page = readOwnPage(c);
  if (page.cursor !== undefined && !/^\d{1,15}$/.test(page.cursor)) throw badCursor();
  return c.json(await c.var.directory.listAudit(page));
});
