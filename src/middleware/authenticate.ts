/**
 * Reads the gateway key, finds its tenant, and refuses keys that are unknown, revoked, expired, paused or of a suspended tenant.
 * A malformed key is refused by its checksum, before any look-up.
 */

import type { MiddlewareHandler } from "hono";
import type { AppEnv, Caller, RequestScope, Services } from "../app-types.ts";
import { clientAddress } from "../http/client-address.ts";
import { keyInSubprotocols } from "../wires/openai-realtime/handshake.ts";
import { KEY_HEADERS } from "../wires/registry.ts";
import { GatewayError, toGatewayError } from "../errors.ts";
import { unqueuedPerMinute } from "../limits/isolate/unqueued-rate.ts";
import { findValidKey, hashKey, isUsableKey, isWellFormed, KEY_HEADER } from "../tenants/key-format.ts";
import type { KeyRecord } from "../tenants/records/records.ts";
import type { LoadedTenant } from "../tenants/source.ts";

export const authenticate: MiddlewareHandler<AppEnv> = async (c, next) => {
  const [services, scope] = [c.get("services"), c.get("scope")];
  const caller = await identify(c.req.raw, scope, services, c.get("settings").isLocal);
  scope.trace.setTenant(caller.bundle.id);
  scope.facts.tenantId = caller.bundle.id;
  scope.facts.keyId = caller.key.id;
  // What is refused for this rate is traced like a stranger's refusal, a sample of it; all after it by the tenant's own rules.
  const refusal = refusalOf(caller);
  checkUnqueuedRate(caller, scope, services, refusal === undefined ? Infinity : STOPPED_PER_MINUTE);
  c.set("caller", caller);
  if (refusal !== undefined) throw refusal;
  await next();
};

/** Refusals a minute of a key that is stopped, where its records allow more: each may leave a trace. */
const STOPPED_PER_MINUTE = 600;

function refusalOf({ bundle, key }: Caller): GatewayError | undefined {
  if (bundle.tenant.status === "suspended") {
    return new GatewayError("tenant_suspended", "This tenant is suspended. Contact the gateway's operator.");
  }
  if (isUsableKey(key)) return undefined;
  return new GatewayError("permission_denied", "This gateway key is paused. Contact the gateway's operator.");
}

const MS_PER_SECOND = 1000;

/** Whether it will go to the queue is not known yet: there it is given back. Throws `rate_limited`. */
function checkUnqueuedRate(
  { bundle, key }: Caller,
  { facts }: RequestScope,
  { unqueued, now }: Pick<Services, "unqueued" | "now">,
  mostPerMinute: number,
): void {
  const value = Math.min(unqueuedPerMinute(bundle.tenant.limits, key.limits), mostPerMinute);
  const retryAfterMs = unqueued.take(facts, key.id, value, now());
  if (retryAfterMs === 0) return;
  const message =
    `This key's limit of requests that no model answers (cache hits, replays, lists, counts: ${value} per minute) is reached. ` +
    `Try again in ${Math.round(retryAfterMs) / MS_PER_SECOND} s.`;
  throw new GatewayError("rate_limited", message, {
    limit: { name: "unqueued_requests_per_minute", value, remaining: 0 },
    retryAfterMs,
  });
}

async function identify(
  request: Request,
  scope: RequestScope,
  { tenants, now: clock }: Pick<Services, "tenants" | "now">,
  isLocal: boolean,
): Promise<Caller> {
  const now = clock();
  const span = scope.trace.root.child("gateway.auth");
  try {
    const secret = readKey(request);
    if (!isWellFormed(secret)) {
      span.set({ "gateway.auth.source": "checksum" });
      throw unknownKey();
    }
    const hash = await hashKey(secret);
    const address = clientAddress(request.headers, isLocal);
    const pointer = await tenants.findKey(hash, address);
    span.set({ "gateway.auth.source": pointer?.source ?? "directory" });
    if (!pointer) throw unknownKey();
    const find = (keys: readonly KeyRecord[]) => findValidKey(keys, pointer.keyId, hash, now);
    let bundle = await load(scope, () => tenants.load(pointer.tenantId));
    // A key younger than the isolate's copy works at once: the newest records are read before a refusal.
    if (bundle && !isUsableKey(find(bundle.keys)))
      bundle = await load(scope, () => tenants.reload(pointer.tenantId));
    const key = bundle && find(bundle.keys);
    if (!bundle || !key) {
      tenants.noteInvalidKey(hash, address);
      throw unknownKey();
    }
    span.set({
      "gateway.auth.result": isUsableKey(key) ? "ok" : "permission_denied",
      "gateway.key.id": key.id,
    });
    // During an overlap the record has the new key's hash: what was presented decides how long a stream may go on.
    return { bundle, key: key.hash === hash ? key : { ...key, hash } };
  } catch (thrown) {
    span.set({ "gateway.auth.result": toGatewayError(thrown).code });
    throw thrown;
  } finally {
    span.end();
  }
}

async function load(scope: RequestScope, read: () => Promise<LoadedTenant | undefined>) {
  const span = scope.trace.root.child("gateway.config.load", { kind: "client" });
  try {
    const loaded = await read();
    span.set({
      "gateway.config.source": loaded?.source,
      "gateway.config.age_ms": loaded?.ageMs,
      "gateway.config.version": loaded?.bundle.version,
    });
    return loaded?.bundle;
  } catch (thrown) {
    span.fail(toGatewayError(thrown).code);
    throw thrown;
  } finally {
    span.end();
  }
}

/**
 * Each vendor's SDK has a header of its own; where two are sent, `authorization` is used, unless there is `x-headgate-key`: then
 * `authorization` is the client's own at the vendor. A browser's WebSocket can't set
 * headers and sends the key among its subprotocols.
 */
function readKey(request: Request): string {
  const own = request.headers.get(KEY_HEADER);
  if (own !== null) return own;
  const bearer = request.headers.get("authorization");
  if (bearer !== null) {
    // One token and nothing behind it: RFC 6750, section 2.1.
    const [, token] = /^bearer +([^ ]+) *$/i.exec(bearer) ?? [];
    if (token !== undefined) return token;
    throw new GatewayError("invalid_api_key", "The authorization header must be 'Bearer hg_…'.", {
      param: "authorization",
    });
  }
  const other =
    keyInHeaders(request.headers) ?? keyInQuery(request.url) ?? keyInSubprotocols(request.headers);
  if (other !== null) return other;
  throw new GatewayError(
    "invalid_api_key",
    "This request has no gateway key. Send 'authorization: Bearer hg_…'.",
  );
}

function keyInHeaders(headers: Headers): string | null {
  for (const name of KEY_HEADERS) {
    const key = headers.get(name);
    if (key !== null) return key;
  }
  return null;
}

/** `?key=` as in Google's own examples; on other paths a key in a URL, which proxies log, is not accepted. */
function keyInQuery(url: string): string | null {
  const { pathname, searchParams } = new URL(url);
  return pathname.startsWith("/v1beta/") ? searchParams.get("key") : null;
}

function unknownKey(): GatewayError {
  return new GatewayError(
    "invalid_api_key",
    "This gateway key is not valid: it is unknown, revoked, or expired.",
  );
}
