/**
 * `GET /admin/traces`, `GET /admin/traces/{traceId}` and its `/surroundings`: the embedded trace store. One trace comes as OTLP/JSON, or, with
 * `accept: text/plain`, drawn for a terminal (`?width=` columns). `?download=1` makes a browser save it.
 */

import { createRouter } from "../../src/http/router.ts";
import { readTenantFilter, tracesOf } from "../../src/http/admin-http.ts";
import { GatewayError } from "../../src/errors.ts";
import { readTraceId, requireStored, wantsText } from "../../src/http/trace-http.ts";
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

export const adminTraces = createRouter()
  .get("/traces", async (c) => {
    const query = parseTraceQuery(new URL(c.req.url).searchParams, c.var.services.now());
    const { items, cursor } = await tracesOf(c).search(query);
    if (wantsText(c)) return c.text(drawTraceList(items));
    return c.json({
      items: items.map(toListItem),
      cursor: cursor === undefined ? null : formatCursor(cursor),
    });
  })
  .get("/traces/:traceId/surroundings", async (c) => {
    const traceId = readTraceId(c);
    const items = requireStored(await tracesOf(c).explain(traceId, readTenantFilter(c)));
    return c.json({ items: items.map(({ otlp, ...around }) => ({ trace: JSON.parse(otlp), ...around })) });
  })
  .get("/traces/:traceId", async (c) => {
    const traceId = readTraceId(c);
    const tenant = readTenantFilter(c);
    const width = parseWidth(c.req.query("width"));
    const elements = requireStored(await tracesOf(c).get(traceId, tenant));
    if (wantsText(c)) return c.text(drawWaterfall(elements.map(readResourceSpans), width));
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

function parseWidth(text: string | undefined): number {
  if (text === undefined) return DEFAULT_WIDTH;
  const width = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (width >= MIN_WIDTH && width <= MAX_WIDTH) return width;
  const message = `width: must be a whole number from ${MIN_WIDTH} to ${MAX_WIDTH}.`;
  throw new GatewayError("invalid_request", message, { param: "width" });
}
