/** What the routes of stored traces share: the trace's id, the form of the answer. */

import type { Context } from "hono";
import type { AppEnv } from "../app-types.ts";
import { GatewayError } from "../errors.ts";

const TRACE_ID = /^[0-9a-f]{32}$/;

/** Throws `invalid_request` that names the parameter. */
export function readTraceId(c: Context<AppEnv>): string {
  const traceId = (c.req.param("traceId") ?? "").toLowerCase();
  if (TRACE_ID.test(traceId)) return traceId;
  throw new GatewayError("invalid_request", "A trace id has 32 hexadecimal digits.", { param: "traceId" });
}

/** Throws `not_found` where nothing is stored. */
export function requireStored<T>(stored: readonly T[]): readonly T[] {
  if (stored.length > 0) return stored;
  const message =
    "No stored trace has this id. The request may still be running, or its trace was not kept (tracing.sampleRatio, tracing.store).";
  throw new GatewayError("not_found", message, { param: "traceId" });
}

/** Whether plain text is named, and JSON is not named before it; a wildcard means JSON. */
export function wantsText(c: Context<AppEnv>): boolean {
  const accept = c.req.header("accept") ?? "";
  const text = accept.indexOf("text/plain");
  const json = accept.indexOf("application/json");
  return text !== -1 && (json === -1 || text < json);
}
