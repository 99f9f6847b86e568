/**
 * `GET /admin/tenants/{tenant}/usage` and `GET /admin/usage` over all tenants: requests, tokens and money by the hour, day or in
 * all. As JSON, or by `accept` as CSV (`text/csv`) or a line of JSON for each item (`application/x-ndjson`).
 */

import type { Context } from "hono";
import type { AppEnv } from "../../src/app-types.ts";
import { requireTenant } from "../../src/http/admin-http.ts";
import { createRouter } from "../../src/http/router.ts";
import { answerUsage, parseUsageQuery, usageCsv } from "../../src/limits/usage/usage-query.ts";

export const adminUsage = createRouter()
  .get("/usage", (c) => answer(c))
  .get("/tenants/:tenant/usage", async (c) => answer(c, (await requireTenant(c)).id));

async function answer(c: Context<AppEnv>, tenantId?: string): Promise<Response> {
  const { now, readUsage } = c.var.services;
  const query = parseUsageQuery(new URL(c.req.url).searchParams, now(), tenantId === undefined);
  const read = await readUsage(tenantId, query.ask, (work) => c.executionCtx.waitUntil(work));
  const usage = answerUsage(query, read);
  const accept = c.req.header("accept") ?? "";
  if (accept.includes("text/csv"))
    return c.body(usageCsv(usage, query.groups), 200, { "content-type": "text/csv; charset=utf-8" });
  if (!accept.includes("application/x-ndjson")) return c.json(usage);
  const lines = usage.items.map((item) => `${JSON.stringify(item)}\n`).join("");
  return c.body(lines, 200, { "content-type": "application/x-ndjson" });
}
