/**
 * The trace of a request whose Worker died: its queue object saw the lease end without a settlement and writes the span
 * that says so, under the root's own ids, so that links of other requests still resolve. Its cost is what its budget had
 * reserved for it. Pure; it is sent by abandoned-export.ts.
 */

import type { FinishedSpan, FinishedTrace } from "../../telemetry/trace/trace.ts";
import { usd } from "../../pricing/cost.ts";
import type { QueueEntry } from "../leases/queue-entry.ts";

/** A trace of one span; its remote parent is unknown, since the Worker died with it. */
export function abandonedTrace(entry: QueueEntry, tenantId: string, now: number): FinishedTrace {
  const { traceId, spanId, requestId, flow, arrivedAt, lease, heldBy, booked } = entry;
  const root: FinishedSpan = {
    traceId,
    spanId,
    name: "gateway.abandoned",
    kind: "server",
    startAt: Math.floor(arrivedAt),
    endAt: Math.floor(now),
    attributes: {
      "gateway.span.seq": 0,
      "gateway.outcome": "abandoned",
      "gateway.tenant.id": tenantId,
      "gateway.key.id": flow.id,
      "gateway.request.id": requestId,
      "gateway.queue.lane": entry.lane,
      "gateway.queue.wait_ms": Math.max(0, (lease?.goAt ?? arrivedAt) - arrivedAt),
      "gateway.queue.depth": entry.depth,
      ...(heldBy !== undefined && { "gateway.queue.limit": heldBy }),
      ...(booked !== undefined &&
        booked.microUsd > 0 && {
          "gateway.cost.usd": usd(booked.microUsd),
          "gateway.usage.source": "estimate",
        }),
      "error.type": "abandoned",
    },
    events: [],
    links: [],
    isError: true,
  };
  return { traceId, tenantId, root, spans: [root], hasRemoteParent: false };
}
