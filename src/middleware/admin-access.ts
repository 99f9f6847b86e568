/** Refuses callers of the admin plane what their role may not do, by one table: a route without a row is refused to all. */

import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { AppEnv } from "../app-types.ts";
import { GatewayError } from "../errors.ts";
import { type AccessTable, type AdminCaller, isAllowed } from "../tenants/admin/roles.ts";

/** What comes before the routes; a path that only these match is not one. */
const BEFORE_ROUTES: ReadonlySet<string> = new Set(["/*", "/admin/*", "/metrics/*", "/jaeger/*"]);

/** Behind middleware/admin-auth.ts. Throws `permission_denied`. */
export function adminAccess(table: AccessTable): MiddlewareHandler<AppEnv> {
  return async function adminAccess(c, next) {
    // All that match, and not only the one that answers: two templates may take the same path.
    for (const { method, path } of matchedRoutes(c)) {
      if (!BEFORE_ROUTES.has(path))
        check(table, `${method} ${path}`, c.get("admin"), tenantIn(path, c.req.path));
    }
    await next();
  };
}

function check(table: AccessTable, route: string, caller: AdminCaller, tenant: string | undefined): void {
  const access = table[route];
  if (access !== undefined && isAllowed(access, caller, tenant)) return;
  throw new GatewayError("permission_denied", "This token does not allow this: see GET /admin/me.");
}

/** The segment of the path in place of the template's `:tenant`, undecoded: a name needs no escapes. */
function tenantIn(template: string, path: string): string | undefined {
  const at = template.split("/").indexOf(":tenant");
  return at === -1 ? undefined : path.split("/")[at];
}
