/** Which endpoints a key may call: `endpoints` of its record. Which models, and how often, is the pipeline's. */

import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-types.ts";
import { GatewayError } from "../errors.ts";
import type { Endpoint, KeyRecord } from "../tenants/records/records.ts";

/** To be put before the handlers of an endpoint, after `authenticate`. Throws `permission_denied`. */
export function endpoint(name: Endpoint): MiddlewareHandler<AppEnv> {
  return (c, next) => {
    checkEndpoint(c.get("caller").key, name);
    return next();
  };
}

function checkEndpoint({ endpoints, allowedModels }: KeyRecord, name: Endpoint): void {
  if (endpoints?.includes(name)) return;
  if (endpoints !== undefined) {
    const allowed = endpoints.length === 0 ? "none" : endpoints.join(", ");
    throw new GatewayError(
      "permission_denied",
      `This key may not call the endpoint '${name}'. Its endpoints: ${allowed}.`,
    );
  }
  // The models of a native call are not known, so a list of models can't hold there.
  if (name === "native" && allowedModels !== undefined) {
    throw new GatewayError(
      "permission_denied",
      "Keys with `allowedModels` can't use /proxy, unless their `endpoints` name `native`.",
    );
  }
}
