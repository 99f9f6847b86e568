/**
 * Who calls the admin plane: ADMIN_TOKEN or a token made by `POST /admin/tokens`, as `Bearer` or in the console's session cookie;
 * on read-only paths for Grafana also as the password of `Basic`. A web page of another site is refused whatever it sends, since a
 * browser may add credentials by itself. What the caller may do is admin-access.ts.
 */

import type { Context, MiddlewareHandler } from "hono";
import type { AppEnv } from "../app-types.ts";
import type { Settings } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { clientAddress } from "../http/client-address.ts";
import { readConsoleSession } from "../http/console-session.ts";
import { clientNetwork } from "../runtime/client-network.ts";
import { sha256 } from "../bytes/digest.ts";
import { createFailureLimiter } from "../runtime/failure-limiter.ts";
import type { AdminCaller } from "../tenants/admin/roles.ts";

/** For /admin: `Bearer` alone, and JSON bodies alone, neither of which a form or an image can send. */
export const adminAuth: MiddlewareHandler<AppEnv> = async (c, next) => {
  refuseOtherSites(c);
  await identify(c, "bearer");
  refuseOtherBodies(c);
  await next();
};

/** For /metrics and /jaeger, which are only read: also `Basic`, with any user name. */
export const adminReadAuth: MiddlewareHandler<AppEnv> = async (c, next) => {
  refuseOtherSites(c);
  await identify(c, isRead(c) ? "basic" : "bearer");
  await next();
};

/** ADMIN_TOKEN itself. */
const OPERATOR: AdminCaller = { actor: "admin", name: "ADMIN_TOKEN", role: "operator" };

async function identify(c: Context<AppEnv>, mostAllowed: "bearer" | "basic"): Promise<void> {
  const { settings, services } = c.var;
  const expected = adminToken(settings);
  const header = c.req.header("authorization");
  // A header that is there decides, wrong or not.
  const given =
    header === undefined
      ? await readConsoleSession(c.req.header("cookie"), settings, Date.now())
      : readToken(header, mostAllowed);
  if (given === undefined) throw refused("The admin plane needs 'authorization: Bearer <token>'.");
  // Without an address all would share one wait, and a stranger could keep the operator out.
  const client = clientAddress(c.req.raw.headers, settings.isLocal);
  const address = client && clientNetwork(client);
  if (address !== undefined) checkWait(address);
  const caller = (await isSameSecret(given, expected)) ? OPERATOR : await services.findAdmin(given);
  if (caller === undefined) {
    if (address !== undefined && failures.noteFailure(address)) {
      const directory = services.directoryFor({ actor: "" });
      c.executionCtx.waitUntil(directory.noteOrder("", "admin.refused", address));
    }
    throw refused("The admin token is wrong, expired or revoked.");
  }
  if (address !== undefined) failures.noteSuccess(address);
  c.set("admin", caller);
  c.set("directory", services.directoryFor({ actor: caller.actor }));
}

const failures = createFailureLimiter(Date.now);

/** Before the token is compared: a guess that has to wait tells nothing. */
function checkWait(address: string): void {
  const retryAfterMs = failures.waitMs(address);
  if (retryAfterMs === 0) return;
  const message = "Too many wrong admin tokens from this address. Wait before the next attempt.";
  throw new GatewayError("rate_limited", message, { param: "authorization", retryAfterMs });
}

/** Throws `unavailable` where none is set. */
function adminToken({ adminToken: token }: Settings): string {
  if (token !== undefined) return token;
  throw new GatewayError(
    "unavailable",
    "The admin plane is closed: ADMIN_TOKEN is not set. Set it as a secret of the deployment.",
    { param: "ADMIN_TOKEN" },
  );
}

/** Fetch Metadata and the Origin header (https://www.w3.org/TR/fetch-metadata/, seen 2026-11); clients that are not browsers send neither. */
function refuseOtherSites(c: Context<AppEnv>): void {
  const site = c.req.header("sec-fetch-site") ?? "none";
  const origin = c.req.header("origin");
  // By host: behind a proxy that ends TLS the scheme differs.
  const isOwn = origin === undefined || hostOf(origin) === new URL(c.req.url).host;
  if (isOwn && (site === "none" || site === "same-origin")) return;
  throw new GatewayError("permission_denied", "The admin plane can't be used by web pages of other sites.", {
    param: "origin",
  });
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function refuseOtherBodies(c: Context<AppEnv>): void {
  if (isRead(c)) return;
  const type = c.req.header("content-type")?.toLowerCase();
  const hasBody =
    (c.req.header("content-length") ?? "0") !== "0" || c.req.header("transfer-encoding") !== undefined;
  if (type === undefined && !hasBody) return;
  if (type !== undefined && /^application\/(?:[\w.-]{1,60}\+)?json(?:$|[ ;])/.test(type)) return;
  throw new GatewayError("invalid_request", "Send the body as JSON, with 'content-type: application/json'.", {
    param: "content-type",
  });
}

function isRead(c: Context<AppEnv>): boolean {
  return c.req.method === "GET" || c.req.method === "HEAD";
}

/** The token of `Bearer`; undefined where the header has none. */
export function bearerOf(header: string | undefined): string | undefined {
  return readToken(header, "bearer");
}

function readToken(header: string | undefined, mostAllowed: "bearer" | "basic"): string | undefined {
  const [, scheme, value] = /^(bearer|basic) +(\S+)$/i.exec(header ?? "") ?? [];
  if (value === undefined) return undefined;
  if (scheme?.toLowerCase() === "bearer") return value;
  return mostAllowed === "basic" ? passwordOf(value) : undefined;
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
