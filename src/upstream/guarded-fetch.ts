/** The last check before a call leaves: the final URL, whatever made it. The rules are runtime/public-url.ts. */

import { GatewayError } from "../errors.ts";
import type { UpstreamPorts } from "./send.ts";
import { createBoundedMap } from "../runtime/bounded-map.ts";
import { refuseUrl } from "../runtime/public-url.ts";

/** Addresses that passed: an isolate calls the same few again and again. */
const MAX_PASSED = 500;
/** Longer ones hold what a client wrote, and come once. */
const MAX_PASSED_CHARS = 512;

/**
 * `fetch` that refuses an address before anything is sent to it, whatever the address was made of: a record's base URL,
 * its options, a kind's default. Throws `upstream_error`, so that the next target is tried.
 */
export function createGuardedFetch(
  send: UpstreamPorts["fetch"],
  options: { readonly allowPrivate: boolean },
): UpstreamPorts["fetch"] {
  const passed = createBoundedMap<string, true>(MAX_PASSED);
  return async (input, init) => {
    const url = typeof input === "string" ? input : input instanceof URL ? input.href : input.url;
    if (passed.get(url) === true) return send(input, init);
    const refusal = refuseUrl(url, options);
    if (refusal === undefined) {
      if (url.length <= MAX_PASSED_CHARS) passed.set(url, true);
      return send(input, init);
    }
    throw new GatewayError(
      "upstream_error",
      `The gateway may not call this provider: its address ${refusal}. Correct the provider's record.`,
    );
  };
}
