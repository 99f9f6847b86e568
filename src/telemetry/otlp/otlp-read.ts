/**
 * OTLP/JSON back to plain spans, for what this gateway encoded itself: the store's rows. Not a general OTLP
 * reader. Pure.
 */

import type { AttributeValue } from "../trace/attributes.ts";
import { FLAG_REMOTE_PARENT, SPAN_KIND_NUMBER } from "../trace/protocol-numbers.ts";
import { STATUS_ERROR } from "../trace/span-recorder.ts";
import type { FinishedSpan, SpanKind } from "../trace/trace.ts";

type WireValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: readonly { readonly stringValue: string }[] } };

type WireAttributes = readonly { readonly key: string; readonly value: WireValue }[];

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly flags: number;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: WireAttributes;
  readonly events?: readonly {
    readonly name: string;
    readonly timeUnixNano: string;
    readonly attributes: WireAttributes;
  }[];
  readonly links?: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: WireAttributes;
  }[];
  readonly status?: { readonly code: number };
}

interface WireResourceSpans {
  readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
}

/** One stored request: its spans, root first. */
export interface ReadTrace {
  readonly spans: readonly FinishedSpan[];
  readonly hasRemoteParent: boolean;
}

/** Reads one `resourceSpans` element that `createEnvelope` of otlp.ts made. */
export function readResourceSpans(json: string): ReadTrace {
  // The text is our own encoder's, kept byte for byte in our own store.
  const { scopeSpans } = JSON.parse(json) as WireResourceSpans;
  const wire = scopeSpans.flatMap(({ spans }) => spans);
  return {
    spans: wire.map(readSpan),
    hasRemoteParent: wire.some(({ flags }) => (flags & FLAG_REMOTE_PARENT) !== 0),
  };
}

/** Whose request it is; `unknown` where none was known. Callers choose trace ids, so several tenants may share one. */
export function tenantOf({ spans: [root] }: ReadTrace): string {
  return String(root?.attributes["gateway.tenant.id"] ?? "unknown");
}

const RESOURCE_HEAD = '{"resource":{"attributes":[';

/** Elements of one trace id. Where they are several tenants', each gets its tenant as `gateway.tenant.id` of its resource. */
export function markTenants(elements: readonly string[]): readonly string[] {
  if (elements.length < 2) return elements;
  const tenants = elements.map((element) => tenantOf(readResourceSpans(element)));
  if (new Set(tenants).size === 1) return elements;
  return elements.map((element, at) => {
    const value = JSON.stringify(tenants[at]);
    const mark = `${RESOURCE_HEAD}{"key":"gateway.tenant.id","value":{"stringValue":${value}}},`;
    return element.replace(RESOURCE_HEAD, () => mark);
  });
}

/** Reads comma-separated spans as `encodeTrace` of otlp.ts made them. */
export function readSpans(json: string): readonly FinishedSpan[] {
  return (JSON.parse(`[${json}]`) as readonly WireSpan[]).map(readSpan);
}

const KINDS: ReadonlyMap<number, SpanKind> = new Map([
  [SPAN_KIND_NUMBER.internal, "internal"],
  [SPAN_KIND_NUMBER.server, "server"],
  [SPAN_KIND_NUMBER.client, "client"],
]);

function readSpan(span: WireSpan): FinishedSpan {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentSpanId !== undefined && { parentSpanId: span.parentSpanId }),
    name: span.name,
    kind: KINDS.get(span.kind) ?? "internal",
    startAt: readMs(span.startTimeUnixNano),
    endAt: readMs(span.endTimeUnixNano),
    attributes: readAttributes(span.attributes),
    events: (span.events ?? []).map(({ name, timeUnixNano, attributes }) => ({
      name,
      at: readMs(timeUnixNano),
      attributes: readAttributes(attributes),
    })),
    links: (span.links ?? []).map(({ traceId, spanId, attributes }) => ({
      traceId,
      spanId,
      attributes: readAttributes(attributes),
    })),
    isError: span.status?.code === STATUS_ERROR,
  };
}

const NANO_DIGITS = "000000".length;

function readMs(nanos: string): number {
  return Number(nanos.slice(0, -NANO_DIGITS));
}

function readAttributes(attributes: WireAttributes): Record<string, AttributeValue> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, readValue(value)]));
}

function readValue(value: WireValue): AttributeValue {
  if ("stringValue" in value) return value.stringValue;
  if ("boolValue" in value) return value.boolValue;
  if ("intValue" in value) return Number(value.intValue);
  if ("doubleValue" in value) return value.doubleValue;
  return value.arrayValue.values.map(({ stringValue }) => stringValue);
}
