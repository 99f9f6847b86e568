/**
 * In a local run the gateway answers only to the names of this machine, on every path and whatever the credential: a web
 * page elsewhere can point a name of its own at 127.0.0.1 (DNS rebinding), and would be same-origin then. No check when
 * deployed, where the platform decides which names lead here.
 */

import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-types.ts";
import { GatewayError } from "../errors.ts";

const LOCAL_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

export const localHost: MiddlewareHandler<AppEnv> = async (c, next) => {
  if (c.get("settings").isLocal && !(isLocalUrl(c.req.url) && isLocalHost(c.req.header("host")))) {
    throw new GatewayError(
      "permission_denied",
      "A local run answers to localhost, 127.0.0.1 and [::1] only. Use one of them in the URL.",
      { param: "host" },
    );
  }
  await next();
};

/** The platform takes the URL's host from the header; both are checked in case one does not. */
function isLocalHost(header: string | undefined): boolean {
  return header === undefined || isLocalUrl(`http://${header}`);
}

function isLocalUrl(url: string): boolean {
  return URL.canParse(url) && LOCAL_HOSTS.has(new URL(url).hostname);
}
