/** What the admin routes share: reading a JSON body and paging parameters, answering with a record and its etag. */

import type { Context } from "hono";
import type { AppEnv } from "../app-types.ts";
import { GatewayError } from "../errors.ts";
import { parseTenantName } from "../telemetry/store/trace-query.ts";
import type { TraceReader } from "../telemetry/store/trace-reader.ts";
import type { PageAsk, Versioned, Written } from "../tenants/directory/directory-api.ts";
import { tenantNotFound } from "../tenants/bundle.ts";
import { toEtag } from "../tenants/directory/etag.ts";
import type { TenantBundle } from "../tenants/records/records.ts";
import { parseWithinBounds } from "../bytes/json-bounds.ts";
import { holdFor } from "./open-call.ts";
import { DEFAULT_MAX_BODY_BYTES, readBodyText } from "./read-body.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;
const MAX_CURSOR_CHARS = 200;

/** No cache may keep an answer with a secret in it. */
export const NOT_KEPT = { "cache-control": "no-store" };

/** The body as JSON. Throws `invalid_request` for anything else, an empty one too. */
export async function readJson(c: Context<AppEnv>): Promise<unknown> {
  return parseJson(await readBodyText(c.req.raw, DEFAULT_MAX_BODY_BYTES, holdFor(c)));
}

/** As `readJson`, but an empty body is undefined. */
export async function readOptionalJson(c: Context<AppEnv>): Promise<unknown> {
  const text = await readBodyText(c.req.raw, DEFAULT_MAX_BODY_BYTES, holdFor(c));
  return text.trim() === "" ? undefined : parseJson(text);
}

function parseJson(text: string): unknown {
  try {
    return parseWithinBounds(text, JSON.parse);
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    throw new GatewayError("invalid_request", "The body is not valid JSON.", { param: "body" });
  }
}

/** `?limit&cursor`. Throws `invalid_request` that names the parameter. */
export function readPage(c: Context<AppEnv>): PageAsk {
  const limit = Number(c.req.query("limit") ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new GatewayError("invalid_request", `limit: must be a whole number from 1 to ${MAX_LIMIT}.`, {
      param: "limit",
    });
  }
  const cursor = c.req.query("cursor");
  if (cursor === undefined || cursor === "") return { limit };
  if (cursor.length > MAX_CURSOR_CHARS) throw badCursor();
  return { limit, cursor };
}

/** A cursor that no page has returned. */
export function badCursor(): GatewayError {
  return new GatewayError("invalid_request", "cursor: invalid. Use the cursor of the page before, or none.", {
    param: "cursor",
  });
}

/** The same for a list of all tenants' things, of which the roles of a tenant get their own. */
export function readOwnPage(c: Context<AppEnv>): PageAsk {
  const { tenant } = c.get("admin");
  return { ...readPage(c), ...(tenant !== undefined && { tenant }) };
}

/**
 * `?tenant=`: a tenant's name, or `-` for unknown tenants; undefined means all, which the roles of a tenant never get. Throws
 * `invalid_request` and `permission_denied`.
 */
export function readTenantFilter(c: Context<AppEnv>): string | undefined {
  const tenant = c.req.query("tenant");
  return ownTenant(c, tenant === undefined ? undefined : parseTenantName(tenant, "tenant"));
}

/** The trace store as the caller may read it: a tenant's role asks the store of its tenant and no other. */
export function tracesOf(c: Context<AppEnv>): Pick<TraceReader, "search" | "get" | "explain"> {
  const { traces } = c.get("services");
  return {
    search: (query) => traces.search({ ...query, tenant: ownTenant(c, query.tenant) }),
    get: (traceId, tenant) => traces.get(traceId, ownTenant(c, tenant)),
    explain: (traceId, tenant) => traces.explain(traceId, ownTenant(c, tenant)),
  };
}

/** The tenant to read where `asked` is wanted. Throws `permission_denied` where it is another than the caller's. */
function ownTenant(c: Context<AppEnv>, asked: string | undefined): string | undefined {
  const { tenant } = c.get("admin");
  if (tenant === undefined || asked === tenant) return asked;
  if (asked === undefined) return tenant;
  throw new GatewayError("permission_denied", "This token is for another tenant.", { param: "tenant" });
}

/** The records of the URL's tenant as they are now. Throws `not_found`. */
export async function requireTenant(c: Context<AppEnv>): Promise<TenantBundle> {
  const tenantId = c.req.param("tenant") ?? "";
  const loaded = await c.var.services.tenants.reload(tenantId);
  if (loaded === undefined) throw tenantNotFound(tenantId);
  return loaded.bundle;
}

/** 200 with the record's etag, or 201 where it was made. */
export function answerRecord(c: Context<AppEnv>, record: Versioned<object> | Written<object>): Response {
  const status = "created" in record && record.created ? 201 : 200;
  return c.json(record.value, status, { etag: toEtag(record.revision) });
}

export function answerNothing(c: Context<AppEnv>): Response {
  return c.body(null, 204);
}
