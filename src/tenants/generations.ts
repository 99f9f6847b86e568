/**
 * Which generation of a tenant an isolate has seen last: tenants of one name follow each other. What the isolate has gathered
 * of an earlier one is forgotten when a later one is seen, and what still ends of an earlier one is dropped.
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";
import type { TenantBundle } from "./records/records.ts";

/** Only tenants whose name was given again count. */
const MAX_TENANTS = 1000;

/** Returns whether the bundle is of the last generation seen; `forget` is called with the id before a new one is used. */
export function createGenerationCheck(
  forget: (tenantId: string) => void,
): (bundle: Pick<TenantBundle, "id" | "generation">) => boolean {
  const newest = createBoundedMap<string, number>(MAX_TENANTS);
  return ({ id, generation = 0 }) => {
    const known = newest.get(id) ?? 0;
    if (generation <= known) return generation === known;
    newest.set(id, generation);
    forget(id);
    return true;
  };
}
