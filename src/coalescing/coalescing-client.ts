/**
 * The pipeline's side of request coalescing: which object has a key's flight, and a new stub for each call. A key
 * begins with the hex of its hash, by whose first digit a tenant's flights are spread over sixteen objects.
 */

import { flightObject } from "../tenants/storage-keys.ts";
import type { InflightRpc } from "./protocol.ts";

/** One for an isolate; `objectOf` gives a new stub each time: a broken one stays broken. */
export function createInflightClient(
  objectOf: (name: string) => InflightRpc,
): (tenantId: string) => InflightRpc {
  return (tenantId) => {
    const at = (key: string): InflightRpc => objectOf(flightObject(tenantId, key));
    return {
      join: (ask) => at(ask.key).join(ask),
      lead: (key, flightId, progress, own) => at(key).lead(key, flightId, progress, own),
      leave: (key, requestId) => at(key).leave(key, requestId),
      hasFailed: (key, flightId, requestId) => at(key).hasFailed(key, flightId, requestId),
    };
  };
}
