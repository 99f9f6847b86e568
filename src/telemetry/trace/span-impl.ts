/**
 * The only file that imports @microlabs/otel-cf-workers: its exported SpanImpl is the object that holds a span's data,
 * under our own root and explicit parents. Not used: instrument(), its processor, exporter and context (decision 040).
 * Loads in workerd only (the package imports cloudflare:workers); worker.ts hands `createSpan` to request-trace.ts.
 */

import { SpanImpl } from "@microlabs/otel-cf-workers";
import { SpanKind as OtelSpanKind } from "@opentelemetry/api";
import { SAMPLED_FLAG, type CreateSpan } from "./span-recorder.ts";
import type { SpanKind } from "./trace.ts";

/** OpenTelemetry API's own numbers (not those of the protocol, which are one higher). */
const KIND: Readonly<Record<SpanKind, OtelSpanKind>> = {
  internal: OtelSpanKind.INTERNAL,
  server: OtelSpanKind.SERVER,
  client: OtelSpanKind.CLIENT,
};

type SpanImplInit = ConstructorParameters<typeof SpanImpl>[0];

/** SpanImpl only carries its resource along; ours is written once per export by otlp.ts. */
// The type asks for a Resource object that nothing here ever reads.
const NO_RESOURCE = {} as SpanImplInit["resource"];

/**
 * A span in the package's own object. Two of its traps are avoided by the callers: `undefined` would become an empty
 * attribute, and a time of 0 would become now, so times are always given as pairs.
 */
export const createSpan: CreateSpan = ({ name, kind, traceId, spanId, parentSpanId, startTime, onEnd }) => {
  const init: SpanImplInit = {
    name,
    attributes: undefined,
    onEnd,
    resource: NO_RESOURCE,
    spanContext: { traceId, spanId, traceFlags: SAMPLED_FLAG },
    spanKind: KIND[kind],
    startTime,
  };
  if (parentSpanId !== undefined) init.parentSpanId = parentSpanId;
  return new SpanImpl(init);
};
