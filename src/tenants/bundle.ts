/**
 * A tenant's bundle as its readers get it: parsed, or reported missing. What is in one is records.ts; where copies are
 * kept, and for how long, is source.ts.
 */

import { GatewayError } from "../errors.ts";
import type { DirectoryRpc } from "./directory/directory-api.ts";
import { effectiveLimits, type LimitRules, NO_LIMIT_RULES } from "./records/limit-rules.ts";
import type { TenantBundle } from "./records/records.ts";

/** The limits are those in force. `providers` and `routes` get no prototype: a name like `constructor` is only found if a record has it. */
export function parseBundle(text: string, limitRules: LimitRules = NO_LIMIT_RULES): TenantBundle {
  // Only the directory writes bundles, from records that were checked when they were written.
  const bundle = JSON.parse(text) as TenantBundle;
  const { id } = limitRules;
  return {
    ...bundle,
    ...(id !== undefined && {
      tenant: { ...bundle.tenant, limits: effectiveLimits(bundle.tenant.limits, limitRules) },
      limitRulesId: id,
    }),
    providers: Object.assign(Object.create(null), bundle.providers),
    routes: Object.assign(Object.create(null), bundle.routes),
  };
}

/** The bundle as the directory has it now; undefined where there is no such tenant. */
export async function readBundle(
  directory: Pick<DirectoryRpc, "readBundle">,
  tenantId: string,
): Promise<TenantBundle | undefined> {
  const text = await directory.readBundle(tenantId);
  return text === undefined ? undefined : parseBundle(text);
}

export function tenantNotFound(tenantId: string): GatewayError {
  return new GatewayError("not_found", `There is no tenant "${tenantId}".`, { param: "tenant" });
}
