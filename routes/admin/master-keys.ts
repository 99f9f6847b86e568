/** `GET /admin/master-keys`: how far a change of MASTER_KEY is. Never a key: only ids and numbers. */

import { Hono } from "hono";
import type { AppEnv } from "../../src/app-types.ts";

export const adminMasterKeys = new Hono<AppEnv>().get("/master-keys", async (c) =>
  c.json(await c.var.directory.getMasterKeys()),
);
