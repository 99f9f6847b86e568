/**
 * The trace of a request whose Worker died: its queue object saw the lease end without a settlement and writes the span
 * that says so, under the root's own ids, so that links of others still lead somewhere. Called by tenant-queue.ts.
 */

import { encodeTrace, type createEnvelope } from "../telemetry/otlp.ts";
import type { TraceRow } from "../telemetry/stored-trace.ts";
import { summarize } from "../telemetry/summary.ts";
import type { FinishedSpan, FinishedTrace } from "../telemetry/trace.ts";
import type { Entry } from "./entry.ts";

/** Row of the tenant's trace store. The store keeps the first row of a request: a trace that did arrive stays. */
export function abandonedRow(
  entry: Entry,
  tenantId: string,
  wrap: ReturnType<typeof createEnvelope>,
  now: number,
): TraceRow {
  const { traceId, spanId, requestId, flow, arrivedAt, lease, heldBy } = entry;
  const root: FinishedSpan = {
    traceId,
    spanId,
    name: "gateway.abandoned",
    kind: "server",
    startAt: Math.floor(arrivedAt),
    endAt: Math.floor(now),
    attributes: {
      "gateway.outcome": "abandoned",
      "gateway.tenant.id": tenantId,
      "gateway.key.id": flow.id,
      "gateway.request.id": requestId,
      "gateway.queue.lane": entry.lane,
      "gateway.queue.wait_ms": Math.max(0, (lease?.goAt ?? arrivedAt) - arrivedAt),
      "gateway.queue.depth": entry.depth,
      ...(heldBy === undefined ? {} : { "gateway.queue.limit": heldBy }),
      "error.type": "abandoned",
    },
    events: [],
    links: [],
    isError: true,
  };
  const trace: FinishedTrace = { traceId, tenantId, root, spans: [root], hasRemoteParent: false };
  return { ...summarize(trace), otlp: wrap(encodeTrace(trace).spans) };
}
