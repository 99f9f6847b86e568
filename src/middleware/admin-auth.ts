/**
 * Access to the admin plane: ADMIN_TOKEN as `Bearer`, or as the password of `Basic` (for Grafana's Jaeger data source).
 * Without a token the admin plane is closed, except in local development.
 */

import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-types.ts";
import type { Settings } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { sha256 } from "../bytes/digest.ts";

/** The token of a local run that sets none: src/docs/http-api.md. */
const LOCAL_TOKEN = "dev";
/** The name that the client used: a web page elsewhere can't use one of its own (DNS rebinding). */
const LOCAL_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

export const adminAuth: MiddlewareHandler<AppEnv> = async (c, next) => {
  const expected = adminToken(c.var.settings, c.req.url);
  const given = readToken(c.req.header("authorization"));
  if (given === undefined) throw refused("The admin plane needs 'authorization: Bearer <ADMIN_TOKEN>'.");
  if (!(await isSameSecret(given, expected))) throw refused("The admin token is wrong.");
  await next();
};

/** Throws `unavailable` where none is set. */
function adminToken(settings: Settings, url: string): string {
  if (settings.adminToken !== undefined) return settings.adminToken;
  if (settings.isLocal && LOCAL_HOSTS.includes(new URL(url).hostname)) return LOCAL_TOKEN;
  throw new GatewayError(
    "unavailable",
    "The admin plane is closed: ADMIN_TOKEN is not set. Set it as a secret of the deployment.",
    {
      param: "ADMIN_TOKEN",
    },
  );
}

function readToken(header: string | undefined): string | undefined {
  const [, scheme, value] = /^(bearer|basic) +(\S+)$/i.exec(header ?? "") ?? [];
  if (value === undefined) return undefined;
  return scheme?.toLowerCase() === "bearer" ? value : passwordOf(value);
}

/** The password of `base64(user:password)`. */
function passwordOf(credentials: string): string | undefined {
  try {
    const pair = atob(credentials);
    const colon = pair.indexOf(":");
    return colon === -1 ? undefined : pair.slice(colon + 1);
  } catch {
    return undefined;
  }
}

/** Compares digests, and all of them: neither the length nor the first difference shows in the time it takes. */
async function isSameSecret(given: string, expected: string): Promise<boolean> {
  const [left, right] = await Promise.all([sha256(given), sha256(expected)]);
  let difference = 0;
  for (const [at, byte] of left.entries()) difference |= byte ^ (right[at] ?? 0);
  return difference === 0;
}

function refused(message: string): GatewayError {
  return new GatewayError("invalid_api_key", message, {
    param: "authorization",
    headers: { "www-authenticate": "Bearer" },
  });
}
