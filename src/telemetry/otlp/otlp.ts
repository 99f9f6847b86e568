/**
 * Finished traces as OTLP/JSON (opentelemetry-proto 1.11, "JSON Protobuf Encoding"): hex ids, enum numbers, 64-bit
 * integers as decimal strings. Written as text directly: one trace is encoded once and its text shared by each
 * destination and the store. Pure.
 */

import { ATTRIBUTE_NAMES } from "../trace/attribute-names.ts";
import { isDouble, type AttributeValue, type LinkType } from "../trace/attributes.ts";
import { FLAG_REMOTE_PARENT, FLAGS_LOCAL_PARENT, SPAN_KIND_NUMBER } from "../trace/protocol-numbers.ts";
import { STATUS_ERROR } from "../trace/span-recorder.ts";
import type { FinishedSpan, FinishedTrace } from "../trace/trace.ts";

/**
 * The GenAI names are those of semantic conventions 1.41, the last release before they moved to a repository of
 * their own; the HTTP names we use mean the same there. A newer schema URL would claim names that are not sent.
 */
export const SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0";
const SCOPE_NAME = "headgate";

/** The text around the elements of an ExportTraceServiceRequest. */
export const REQUEST_HEAD = '{"resourceSpans":[';
export const REQUEST_TAIL = "]}";

export interface OtlpResource {
  readonly serviceName: string;
  readonly serviceVersion: string;
}

/** A trace's spans as comma-separated JSON, in the two forms that destinations need. */
export interface EncodedTrace {
  /** Unchanged: a remote parent stays the root's parent. For the tenant, which may have the caller's spans. */
  readonly spans: string;
  /**
   * A remote parent becomes a `client_parent` link, or each trace in the operator's back end would miss its
   * root.
   */
  readonly rootedSpans: string;
}

/** Encodes all spans of a trace. */
export function encodeTrace({ root, spans, hasRemoteParent }: FinishedTrace): EncodedTrace {
  // The root is the first.
  const texts = spans.map((span) => encodeSpan(span, FLAGS_LOCAL_PARENT));
  if (!hasRemoteParent) {
    const all = texts.join(",");
    return { spans: all, rootedSpans: all };
  }
  const withRoot = (text: string): string => texts.with(0, text).join(",");
  return {
    spans: withRoot(encodeSpan(root, FLAGS_LOCAL_PARENT | FLAG_REMOTE_PARENT)),
    rootedSpans: withRoot(encodeSpan(turnParentIntoLink(root), FLAGS_LOCAL_PARENT)),
  };
}

function turnParentIntoLink(root: FinishedSpan): FinishedSpan {
  const { parentSpanId, ...rootless } = root;
  if (parentSpanId === undefined) return root;
  const type: LinkType = "client_parent";
  const link = { traceId: root.traceId, spanId: parentSpanId, attributes: { "gateway.link.type": type } };
  return { ...rootless, links: [...root.links, link] };
}

/** The text around the spans in one element of `resourceSpans`. */
export interface Envelope {
  readonly head: string;
  readonly tail: string;
}

/** The same for all spans of a resource, so it is made once. */
export function createEnvelope({ serviceName, serviceVersion }: OtlpResource): Envelope {
  const resource = encodeAttributes({
    "service.name": serviceName,
    "service.version": serviceVersion,
    "telemetry.sdk.name": "@microlabs/otel-cf-workers",
    "telemetry.sdk.language": "js",
    "telemetry.sdk.version": "1.0.0-rc.52",
  });
  const schema = `"schemaUrl":${JSON.stringify(SCHEMA_URL)}`;
  const scope = `{"name":"${SCOPE_NAME}","version":${JSON.stringify(serviceVersion)}}`;
  return {
    head: `{"resource":{"attributes":${resource}},"scopeSpans":[{"scope":${scope},"spans":[`,
    tail: `],${schema}}],${schema}}`,
  };
}

/** One element of `resourceSpans` from comma-separated spans. */
export function fillEnvelope({ head, tail }: Envelope, spans: string): string {
  return head + spans + tail;
}

/** An ExportTraceServiceRequest (and a TracesData, which has the same shape) of such elements. */
export function joinResourceSpans(elements: readonly string[]): string {
  return REQUEST_HEAD + elements.join(",") + REQUEST_TAIL;
}

function encodeSpan(span: FinishedSpan, flags: number): string {
  const parent = span.parentSpanId === undefined ? "" : `"parentSpanId":"${span.parentSpanId}",`;
  let json =
    `{"traceId":"${span.traceId}","spanId":"${span.spanId}",${parent}"flags":${flags},` +
    `"name":${quote(span.name)},"kind":${SPAN_KIND_NUMBER[span.kind]},` +
    `"startTimeUnixNano":"${toNanos(span.startAt)}","endTimeUnixNano":"${toEndNanos(span)}",` +
    `"attributes":${encodeAttributes(span.attributes)}`;
  if (span.events.length > 0) json += `,"events":[${span.events.map(encodeEvent).join(",")}]`;
  if (span.links.length > 0) json += `,"links":[${span.links.map(encodeLink).join(",")}]`;
  if (span.isError) json += `,"status":{"code":${STATUS_ERROR}}`;
  if (span.dropped !== undefined) {
    const { attributes, events, links } = span.dropped;
    json += `,"droppedAttributesCount":${attributes},"droppedEventsCount":${events},"droppedLinksCount":${links}`;
  }
  return `${json}}`;
}

function encodeEvent({ name, at, attributes }: FinishedSpan["events"][number]): string {
  return `{"timeUnixNano":"${toNanos(at)}","name":${quote(name)},"attributes":${encodeAttributes(attributes)}}`;
}

function encodeLink({ traceId, spanId, attributes }: FinishedSpan["links"][number]): string {
  return `{"traceId":"${traceId}","spanId":"${spanId}","attributes":${encodeAttributes(attributes)}}`;
}

/** The last time that was written: most spans of a request begin and end in the same few milliseconds. */
let lastMs = 0;
let lastNanos = "0000000";

/** Integer milliseconds as nanoseconds, in decimal: beyond what a double holds, so as text. */
function toNanos(ms: number): string {
  if (ms !== lastMs) {
    lastMs = ms;
    lastNanos = `${ms}000000`;
  }
  return lastNanos;
}

/** A span of no time ends a nanosecond after its start: Jaeger 2 warns of one that doesn't, as of clocks that run backwards. */
function toEndNanos({ startAt, endAt }: FinishedSpan): string {
  return endAt > startAt ? toNanos(endAt) : `${startAt}000001`;
}

/** The text of a KeyValue around its value, one for each type of value. */
interface KeyForms {
  readonly text: string;
  readonly integer: string;
  readonly double: string;
  readonly list: string;
  /** With the value. */
  readonly yes: string;
  readonly no: string;
  readonly isDouble: boolean;
}

/** Each begins with a comma, so that a span's attributes are joined without a look at what came before. */
function keyFormsOf(name: string): KeyForms {
  const head = `,{"key":${JSON.stringify(name)},"value":{`;
  return {
    text: `${head}"stringValue":`,
    integer: `${head}"intValue":"`,
    double: `${head}"doubleValue":`,
    list: `${head}"arrayValue":{"values":[`,
    yes: `${head}"boolValue":true}}`,
    no: `${head}"boolValue":false}}`,
    isDouble: isDouble(name),
  };
}

/** Of listed names: written once per isolate and not once per span, in as few pieces as can be. */
const KEY_FORMS: ReadonlyMap<string, KeyForms> = new Map(
  ATTRIBUTE_NAMES.map((name) => [name, keyFormsOf(name)]),
);

function encodeAttributes(attributes: Readonly<Record<string, AttributeValue | undefined>>): string {
  let json = "";
  for (const name in attributes) {
    const value = attributes[name];
    if (value !== undefined) json += encodeAttribute(KEY_FORMS.get(name) ?? keyFormsOf(name), value);
  }
  return `[${json.slice(1)}]`;
}

function encodeAttribute(key: KeyForms, value: AttributeValue): string {
  if (typeof value === "string") return `${key.text}${quote(value)}}}`;
  if (typeof value === "boolean") return value ? key.yes : key.no;
  if (typeof value !== "number") return `${key.list}${value.map(encodeString).join(",")}]}}}`;
  return Number.isSafeInteger(value) && !key.isDouble
    ? `${key.integer}${value}"}}`
    : `${key.double}${value}}}`;
}

function encodeString(text: string): string {
  return `{"stringValue":${quote(text)}}`;
}

/** Whatever JSON may have to escape; most texts of a trace are plain ASCII, and JSON.stringify is a call out of compiled code. */
const MAY_NEED_ESCAPE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;

function quote(text: string): string {
  return MAY_NEED_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}
