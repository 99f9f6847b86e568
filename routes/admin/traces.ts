/**
 * `GET /admin/traces` and `GET /admin/traces/{traceId}`: the embedded trace store. One trace comes as OTLP/JSON, or, with
 * `accept: text/plain`, drawn for a terminal (`?width=` columns). `?download=1` makes a browser save it.
 */

import { createRouter } from "../../src/http/router.ts";
import { readTenantFilter, tracesOf } from "../../src/http/admin-http.ts";
import { GatewayError } from "../../src/errors.ts";
import { joinResourceSpans } from "../../src/telemetry/otlp/otlp.ts";
import { markTenants, readResourceSpans } from "../../src/telemetry/otlp/otlp-read.ts";
import type { TraceSummary } from "../../src/telemetry/trace/summary.ts";
import { drawTraceList } from "../../src/telemetry/waterfall/trace-list.ts";
import { formatCursor, parseTraceQuery } from "../../src/telemetry/store/trace-query.ts";
import {
  DEFAULT_WIDTH,
  drawWaterfall,
  MAX_WIDTH,
  MIN_WIDTH,
} from "../../src/telemetry/waterfall/waterfall.ts";

const TRACE_ID = /^[0-9a-f]{32}$/;

export const adminTraces = createRouter()
  .get("/traces", async (c) => {
    const query = parseTraceQuery(new URL(c.req.url).searchParams, c.var.services.now());
    const { items, cursor } = await tracesOf(c).search(query);
    if (wantsText(c.req.header("accept"))) return c.text(drawTraceList(items));
    return c.json({
      items: items.map(toListItem),
      cursor: cursor === undefined ? null : formatCursor(cursor),
    });
  })
  .get("/traces/:traceId", async (c) => {
    const traceId = c.req.param("traceId").toLowerCase();
    if (!TRACE_ID.test(traceId)) {
      throw new GatewayError("invalid_request", "A trace id has 32 hexadecimal digits.", {
        param: "traceId",
      });
    }
    const tenant = readTenantFilter(c);
    const width = parseWidth(c.req.query("width"));
    const elements = await tracesOf(c).get(traceId, tenant);
    if (elements.length === 0) {
      const message =
        "No stored trace has this id. The request may still be running, or its trace was not kept (tracing.sampleRatio, tracing.store).";
      throw new GatewayError("not_found", message, { param: "traceId" });
    }
    if (wantsText(c.req.header("accept")))
      return c.text(drawWaterfall(elements.map(readResourceSpans), width));
    if (c.req.query("download") === "1")
      c.header("content-disposition", `attachment; filename="trace-${traceId}.json"`);
    return c.body(joinResourceSpans(markTenants(elements)), 200, { "content-type": "application/json" });
  });

/** src/docs/admin-api.md, "Trace list item"; null where the request has no such value. */
export function toListItem(summary: TraceSummary) {
  // `isError` and `isData` are there to be filtered by; undefined members are not written.
  return {
    ...summary,
    startedAt: new Date(summary.startedAt).toISOString(),
    isError: undefined,
    isData: undefined,
  };
}

/** Whether plain text is named, and JSON is not named before it; a wildcard means JSON. */
function wantsText(accept = ""): boolean {
  const text = accept.indexOf("text/plain");
  const json = accept.indexOf("application/json");
  return text !== -1 && (json === -1 || text < json);
}

function parseWidth(text: string | undefined): number {
  if (text === undefined) return DEFAULT_WIDTH;
  const width = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (width >= MIN_WIDTH && width <= MAX_WIDTH) return width;
  const message = `width: must be a whole number from ${MIN_WIDTH} to ${MAX_WIDTH}.`;
  throw new GatewayError("invalid_request", message, { param: "width" });
}
