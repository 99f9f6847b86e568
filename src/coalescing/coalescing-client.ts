/**
 * The pipeline's side of request coalescing: which object has a key's flight, and a new stub for each call. A key
 * begins with the hex of its hash, by whose first digit a tenant's flights are spread over sixteen objects.
 */

import { flightObject } from "../tenants/storage-keys.ts";
import type { CallBreaker } from "../runtime/call-breaker.ts";
import type { InflightRpc } from "./protocol.ts";

/** One for an isolate, by tenant and generation; `objectOf` gives a new stub each time: a broken one stays broken. */
export function createInflightClient(
  objectOf: (name: string) => InflightRpc,
  { guarded, alive }: CallBreaker,
): (owner: string) => InflightRpc {
  return (owner) => {
    const nameOf = (key: string): string => flightObject(owner, key);
    const at = (key: string): InflightRpc => objectOf(nameOf(key));
    // Asked of no flight, it only shows that the object lives.
    const probe = (key: string) => () => at(key).hasFailed(key, "", "");
    return {
      join: (ask) => alive(nameOf(ask.key), () => at(ask.key).join(ask), probe(ask.key)),
      lead: (key, flightId, progress, own) =>
        alive(nameOf(key), () => at(key).lead(key, flightId, progress, own), probe(key)),
      leave: (key, requestId) => guarded(nameOf(key), () => at(key).leave(key, requestId)),
      hasFailed: (key, flightId, requestId) =>
        guarded(nameOf(key), () => at(key).hasFailed(key, flightId, requestId)),
    };
  };
}
