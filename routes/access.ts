/**
 * WHO MAY CALL WHAT: every route of the admin plane and the access it asks for (src/tenants/admin/roles.ts). A route without a
 * row is refused to all, and a test fails.
 */

import type { AccessTable } from "../src/tenants/admin/roles.ts";

export const ACCESS: AccessTable = {
  "GET /admin/me": "list",
  "POST /admin/session": "list",
  "DELETE /admin/session": "list",
  "GET /admin/tokens": "observe",
  "POST /admin/tokens": "operate",
  "DELETE /admin/tokens/:id": "operate",

  // A tenant's record holds what the operator allows it: its limits and its budget.
  "GET /admin/tenants": "list",
  "PUT /admin/tenants/:tenant": "operate",
  "GET /admin/tenants/:tenant": "inspect",
  "PATCH /admin/tenants/:tenant": "operate",
  "DELETE /admin/tenants/:tenant": "operate",
  "GET /admin/erasures/:id": "observe",
  "POST /admin/tenants/:tenant/cache/purge": "manage",

  "GET /admin/tenants/:tenant/keys": "inspect",
  "POST /admin/tenants/:tenant/keys": "manage",
  "PATCH /admin/tenants/:tenant/keys/:id": "manage",
  "DELETE /admin/tenants/:tenant/keys/:id": "manage",
  "POST /admin/tenants/:tenant/keys/:id/rotate": "manage",

  "GET /admin/tenants/:tenant/providers": "inspect",
  "PUT /admin/tenants/:tenant/providers/:name": "manage",
  "GET /admin/tenants/:tenant/providers/:name": "inspect",
  "DELETE /admin/tenants/:tenant/providers/:name": "manage",

  "GET /admin/tenants/:tenant/routes": "inspect",
  "PUT /admin/tenants/:tenant/routes/:name": "manage",
  "GET /admin/tenants/:tenant/routes/:name": "inspect",
  "DELETE /admin/tenants/:tenant/routes/:name": "manage",
  "POST /admin/tenants/:tenant/routes/:name/dry-run": "inspect",
  "GET /admin/tenants/:tenant/health": "inspect",

  "GET /admin/tenants/:tenant/queue": "inspect",
  "GET /admin/tenants/:tenant/queue/live": "inspect",
  // These may be above the limits of the record.
  "POST /admin/tenants/:tenant/queue/limits": "operate",
  "POST /admin/tenants/:tenant/queue/drain": "manage",

  "GET /admin/traces": "list",
  "GET /admin/traces/:traceId": "list",
  "GET /admin/usage": "observe",
  "GET /admin/tenants/:tenant/usage": "inspect",
  "GET /admin/tenants/:tenant/sessions": "inspect",
  "GET /admin/tenants/:tenant/sessions/:session{.+}": "inspect",
  "GET /admin/traces/:traceId/surroundings": "list",
  "GET /admin/export": "observe",
  "GET /admin/tenants/:tenant/export": "inspect",
  "POST /admin/tenants/:tenant/destinations/:name/test": "manage",
  "GET /admin/audit": "list",
  "GET /admin/master-keys": "observe",

  "GET /metrics": "list",
  "GET /jaeger/api/services": "list",
  "GET /jaeger/api/services/:service/operations": "list",
  "GET /jaeger/api/operations": "list",
  "GET /jaeger/api/traces": "list",
  "GET /jaeger/api/traces/:traceId": "list",
  "GET /jaeger/api/dependencies": "list",
  "ALL /jaeger/api/v3/*": "list",
};
