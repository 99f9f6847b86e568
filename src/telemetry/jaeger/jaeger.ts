/** Stored traces in the JSON of Jaeger's query API, as Jaeger's own UI and Grafana read it. Pure. */

import { isDouble, type AttributeValue } from "../trace/attributes.ts";
import { type ReadTrace, tenantOf } from "../otlp/otlp-read.ts";
import type { FinishedSpan } from "../trace/trace.ts";

interface JaegerTag {
  readonly key: string;
  readonly type: "string" | "bool" | "int64" | "float64";
  readonly value: string | number | boolean;
}

interface JaegerReference {
  readonly refType: "CHILD_OF" | "FOLLOWS_FROM";
  readonly traceID: string;
  readonly spanID: string;
}

interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly references: readonly JaegerReference[];
  /** Microseconds since the epoch. */
  readonly startTime: number;
  readonly duration: number;
  readonly tags: readonly JaegerTag[];
  readonly logs: readonly { readonly timestamp: number; readonly fields: readonly JaegerTag[] }[];
  readonly processID: string;
  readonly warnings: readonly string[] | null;
}

export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<
    Record<string, { readonly serviceName: string; readonly tags: readonly JaegerTag[] }>
  >;
  readonly warnings: null;
}

/** Every response of the API has this shape. */
export interface JaegerAnswer {
  readonly data: unknown;
  readonly total: number;
  readonly limit: number;
  readonly offset: number;
  readonly errors: readonly { readonly code: number; readonly msg: string }[] | null;
}

/** Attributes of a span that is incomplete. */
const TRUNCATED = "gateway.span.truncated";
const DROPPED_COUNT = "gateway.span.dropped_count";
const US_PER_MS = 1000;

/** A list as a response. */
export function answerList(items: readonly unknown[]): JaegerAnswer {
  return { data: items, total: items.length, limit: 0, offset: 0, errors: null };
}

/** An error as a response. */
export function answerFault(code: number, msg: string): JaegerAnswer {
  return { data: null, total: 0, limit: 0, offset: 0, errors: [{ code, msg }] };
}

/**
 * All stored requests of one trace id as one trace. Where they are several tenants', each tenant is a process of its own, and
 * its requests hang on no span of another.
 */
export function toJaegerTrace(
  traceId: string,
  requests: readonly ReadTrace[],
  serviceName: string,
): JaegerTrace {
  const byTenant = [...Map.groupBy(requests, tenantOf)];
  const isShared = byTenant.length > 1;
  const processes = byTenant.map(([tenant], at) => {
    const tags: readonly JaegerTag[] = isShared
      ? [{ key: "gateway.tenant.id", type: "string", value: tenant }]
      : [];
    return [`p${at + 1}`, { serviceName, tags }] as const;
  });
  return {
    traceID: traceId,
    spans: byTenant.flatMap(([, own], at) =>
      own.flatMap(({ spans: [root, ...rest] }) => {
        if (root === undefined) return [];
        const { parentSpanId: _, ...apart } = root;
        return [isShared ? apart : root, ...rest].map((span) => toSpan(span, `p${at + 1}`));
      }),
    ),
    processes: Object.fromEntries(processes),
    warnings: null,
  };
}

function toSpan(span: FinishedSpan, processID: string): JaegerSpan {
  return {
    traceID: span.traceId,
    spanID: span.spanId,
    operationName: span.name,
    references: referencesOf(span),
    startTime: span.startAt * US_PER_MS,
    duration: (span.endAt - span.startAt) * US_PER_MS,
    tags: [...toTags(span.attributes), ...statusTags(span)],
    logs: [...span.events.map(toLog), ...span.links.map((link) => toLinkLog(link, span.startAt))],
    processID,
    warnings: warningsOf(span),
  };
}

/** The parent first, as Jaeger expects; links are FOLLOWS_FROM references. */
function referencesOf({ traceId, parentSpanId, links }: FinishedSpan): readonly JaegerReference[] {
  const followed = links.map((link): JaegerReference => ({
    refType: "FOLLOWS_FROM",
    traceID: link.traceId,
    spanID: link.spanId,
  }));
  if (parentSpanId === undefined) return followed;
  return [{ refType: "CHILD_OF", traceID: traceId, spanID: parentSpanId }, ...followed];
}

/** How Jaeger writes what OpenTelemetry has as fields: "OpenTelemetry to Jaeger Transformation". */
function statusTags({ kind, isError }: FinishedSpan): readonly JaegerTag[] {
  const kindTag: JaegerTag = { key: "span.kind", type: "string", value: kind };
  if (!isError) return [kindTag];
  return [
    kindTag,
    { key: "otel.status_code", type: "string", value: "ERROR" },
    { key: "error", type: "bool", value: true },
  ];
}

function toLog({ name, at, attributes }: FinishedSpan["events"][number]): JaegerSpan["logs"][number] {
  return {
    timestamp: at * US_PER_MS,
    fields: [{ key: "event", type: "string", value: name }, ...toTags(attributes)],
  };
}

/** A reference has no attributes, so a link's meaning is in a log of its span. */
function toLinkLog(
  { traceId, spanId, attributes }: FinishedSpan["links"][number],
  at: number,
): JaegerSpan["logs"][number] {
  return {
    timestamp: at * US_PER_MS,
    fields: [
      { key: "event", type: "string", value: "link" },
      { key: "traceID", type: "string", value: traceId },
      { key: "spanID", type: "string", value: spanId },
      ...toTags(attributes),
    ],
  };
}

function warningsOf({ attributes }: FinishedSpan): readonly string[] | null {
  const warnings: string[] = [];
  if (attributes[TRUNCATED] === true)
    warnings.push("This span was still open at export; its end time is the export time.");
  const dropped = attributes[DROPPED_COUNT];
  if (typeof dropped === "number") warnings.push(`${dropped} more spans of this request were dropped.`);
  return warnings.length === 0 ? null : warnings;
}

function toTags(attributes: Readonly<Record<string, AttributeValue | undefined>>): readonly JaegerTag[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [toTag(key, value)],
  );
}

function toTag(key: string, value: AttributeValue): JaegerTag {
  if (typeof value === "boolean") return { key, type: "bool", value };
  if (typeof value === "number")
    return { key, type: Number.isInteger(value) && !isDouble(key) ? "int64" : "float64", value };
  return { key, type: "string", value: typeof value === "string" ? value : JSON.stringify(value) };
}
