/** `GET /admin/tenants/{tenant}/sessions` and `…/sessions/{session}`: the stored requests of a tenant's conversations, added up. */

import { createRouter } from "../../src/http/router.ts";
import { requireTenant } from "../../src/http/admin-http.ts";
import { GatewayError } from "../../src/errors.ts";
import type { SessionSums } from "../../src/telemetry/store/stored-trace.ts";
import { formatCursor, parseSessionQuery } from "../../src/telemetry/store/trace-query.ts";
import { toListItem } from "./traces.ts";

/** Requests that are shown of one conversation. */
const MAX_REQUESTS = 200;

export const adminSessions = createRouter()
  .get("/tenants/:tenant/sessions", async (c) => {
    const { id: tenant } = await requireTenant(c);
    const { now, traces } = c.var.services;
    const query = parseSessionQuery(new URL(c.req.url).searchParams, now());
    const { items, before } = await traces.sessions(tenant, query);
    return c.json({
      items: items.map(toSession),
      cursor: before === undefined ? null : formatCursor({ position: before, tenant }),
    });
  })
  .get("/tenants/:tenant/sessions/:session{.+}", async (c) => {
    const { id: tenant } = await requireTenant(c);
    const { now, traces } = c.var.services;
    const query = parseSessionQuery(new URLSearchParams(), now());
    const filters = { session: c.req.param("session") };
    const [sums] = (await traces.sessions(tenant, { ...query, filters })).items;
    if (sums === undefined) {
      const message =
        "No stored request has this session (x-headgate-session), or its traces were not kept (tracing.sampleRatio, tracing.store).";
      throw new GatewayError("not_found", message, { param: "session" });
    }
    const { items } = await traces.search({ tenant, filters, limit: MAX_REQUESTS, cursor: undefined });
    return c.json({ ...toSession(sums), items: items.map(toListItem) });
  });

function toSession({ startedAt, endedAt, ...sums }: SessionSums) {
  return {
    ...sums,
    startedAt: new Date(startedAt).toISOString(),
    endedAt: new Date(endedAt).toISOString(),
    // Undefined members are not written.
    position: undefined,
  };
}
