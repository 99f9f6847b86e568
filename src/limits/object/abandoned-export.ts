/**
 * Exports the traces of requests whose Worker died to where the Worker would have sent them: the tenant's store and
 * destinations, and the operator's destination. They go through the outboxes, which retry for a day and count. Rare, so
 * its cost does not matter.
 */

import type { TraceDestination } from "../../telemetry/export/destination.ts";
import { createTraceEncoder } from "../../telemetry/export/export-encode.ts";
import type { ExportCounts } from "../../telemetry/export/export-counters.ts";
import {
  createEnvelope,
  fillEnvelope,
  joinResourceSpans,
  type OtlpResource,
} from "../../telemetry/otlp/otlp.ts";
import { OPERATOR_NAME, OPERATOR_OUTBOX, STORE_NAME } from "../../telemetry/export/outbox-port.ts";
import type { HandedBatch, TraceOutboxPort, Push } from "../../telemetry/export/outbox-port.ts";
import { shouldKeep, type SamplingPolicy } from "../../telemetry/trace/sampling.ts";
import type { Retention, TraceStorePort } from "../../telemetry/store/stored-trace.ts";
import { summarize } from "../../telemetry/trace/summary.ts";
import { encodeText } from "../../bytes/digest.ts";
import type { FinishedTrace } from "../../telemetry/trace/trace.ts";

export interface AbandonedPorts {
  readonly tenantId: string;
  readonly resource: OtlpResource;
  readonly hasOperator: boolean;
  readonly store: TraceStorePort;
  readonly outboxOf: (tenantId: string) => TraceOutboxPort;
  /** The tenant's newest settings; undefined where the tenant no longer exists. */
  readonly readTracing: () => Promise<Tracing | undefined>;
  readonly newId: () => string;
}

type Plain = Pick<TraceDestination, "name" | "preset">;
/** What is read of a tenant's `tracing`. */
type Tracing = SamplingPolicy & { readonly destinations: readonly Plain[] };

/** Never rejects. `retention` is absent where the tenant keeps no traces. */
export async function exportAbandoned(
  traces: readonly FinishedTrace[],
  retention: Retention | undefined,
  ports: AbandonedPorts,
): Promise<void> {
  const { tenantId, store, outboxOf, hasOperator } = ports;
  const envelope = createEnvelope(ports.resource);

  /** Three attempts under one id: it counts once. */
  async function push(outbox: string, counts: Push["counts"], batch?: HandedBatch): Promise<void> {
    const isolate = `queue ${tenantId}`;
    const message: Push = { id: ports.newId(), isolate, tenantId: outbox, counts, ...(batch && { batch }) };
    const send = (): Promise<unknown> => outboxOf(outbox).push(message);
    await send()
      .catch(send)
      .catch(send)
      .catch(() => {});
  }

  function handOver(outbox: string, { name, preset }: Plain, left: readonly FinishedTrace[]): Promise<void> {
    const spans = left.map((trace) =>
      createTraceEncoder(trace, undefined).forDestination({ preset, content: "off" }),
    );
    const body = encodeText(joinResourceSpans([fillEnvelope(envelope, spans.join(","))]));
    const counts = { [name]: { ...NOTHING, enqueued: left.length, handedOver: left.length } };
    return push(outbox, counts, {
      destination: name,
      traces: left.length,
      body,
      isGzip: false,
      content: "off",
    });
  }

  /** Returns the requests whose traces had arrived after all: only their settlement was lost. */
  async function keep(kept: readonly FinishedTrace[], limits: Retention): Promise<ReadonlySet<string>> {
    const rows = kept.map((trace) => ({
      ...summarize(trace),
      otlp: fillEnvelope(envelope, createTraceEncoder(trace, undefined).forStore("off")),
    }));
    const known = await store.add(rows, limits).catch(() => undefined);
    const settled =
      known === undefined ? { dropped: { store_error: rows.length } } : { delivered: rows.length };
    await push(tenantId, { [STORE_NAME]: { ...NOTHING, enqueued: rows.length, ...settled } });
    return new Set(known);
  }

  const tracing = await ports.readTracing().catch(() => undefined);
  const kept = traces.filter((trace) => tracing === undefined || shouldKeep(trace, tracing));
  const isStored = retention !== undefined && kept.length > 0;
  const known = isStored ? await keep(kept, retention) : new Set<string>();
  const isNew = ({ root }: FinishedTrace): boolean =>
    !known.has(String(root.attributes["gateway.request.id"]));
  const [added, keptAdded] = [traces.filter(isNew), kept.filter(isNew)];
  const sendings: Promise<void>[] = [];
  if (hasOperator && added.length > 0) sendings.push(handOver(OPERATOR_OUTBOX, OPERATOR, added));
  if (keptAdded.length > 0) {
    for (const destination of tracing?.destinations ?? [])
      sendings.push(handOver(tenantId, destination, keptAdded));
  }
  await Promise.all(sendings);
}

const OPERATOR: Plain = { name: OPERATOR_NAME, preset: "otlp" };
const NOTHING: ExportCounts = { enqueued: 0, delivered: 0, handedOver: 0, dropped: {}, retries: 0 };
