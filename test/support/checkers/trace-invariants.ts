// The one checker of what every request's trace must be, whatever happened to the request: tree, ids, times, names, outcome.
// It judges the spans of one request, flat or as OTLP/JSON; the encoding itself is otlp-proto.ts's business. Runs in Node and in
// workerd; used by every test that makes a request.
import { EVENTS, isListed, LINKS } from "../../../src/telemetry/trace/attributes.ts";
import { CONTENT_ATTRIBUTES } from "../../../src/telemetry/content/content.ts";
import { PRESET_ATTRIBUTES } from "../../../src/telemetry/export/preset-attributes.ts";
import { AFTER_RESPONSE, SPANS } from "../../../src/telemetry/trace/spans.ts";
import { flattenSpans, type Attributes, type AttributeValue, type FlatSpan } from "./otlp-spans.ts";

export type TraceCheck = {
  /** Spans of other requests that links may point at; without them only the links' form is checked. */
  readonly others?: readonly FlatSpan[];
  /** What the place that got these spans may have beyond the allow-list; nothing where absent. */
  readonly gets?: readonly ("content" | keyof typeof PRESET_ATTRIBUTES)[];
};

/** `SpanFlags` of trace.proto: the parent lives in another process. */
const REMOTE_PARENT = 0x2_00;
const KIND_INTERNAL = 1;
const KIND_SERVER = 2;
const KIND_CLIENT = 3;
const KIND_NUMBERS: Readonly<Record<string, number>> = {
  internal: KIND_INTERNAL,
  server: KIND_SERVER,
  client: KIND_CLIENT,
};
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;
const SPAN_ID = /^(?!0{16})[0-9a-f]{16}$/;
const ROOT_NAME = /^[A-Z]+( \/\S*)?$/;
/** Clocks count milliseconds; more digits would be made up. */
const WHOLE_MS = /^[1-9]\d*0{6}$/;

/** What is wrong with one request's spans, each as `span: fault`; empty when nothing is. */
export function checkTrace(
  input: readonly FlatSpan[] | object,
  { others, gets = [] }: TraceCheck = {},
): string[] {
  const spans = isFlat(input) ? input : flattenSpans(input);
  const faults: string[] = [];
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === undefined || !ids.has(parentSpanId));
  const [root] = roots;
  if (root === undefined) return ["the trace has no root"];

  const report = (span: FlatSpan, fault: string): void => void faults.push(`${span.name}: ${fault}`);
  for (const span of roots.slice(1)) report(span, "is a second root, or its parent is missing");
  if (root.parentSpanId !== undefined && (flagsOf(root) & REMOTE_PARENT) === 0) {
    report(root, `its parent ${root.parentSpanId} is missing and not marked as remote`);
  }
  if (ids.size !== spans.length) report(root, "two spans have one id");
  for (const span of spans) {
    checkIdentity(span, root, report);
    checkTimes(span, byId.get(span.parentSpanId ?? ""), root, report);
    checkName(span, root, report);
    checkValues(span, gets, report);
    checkLinks(span, others === undefined ? undefined : [...spans, ...others], report);
  }
  checkOutcome(spans, root, report);
  checkOrder(spans, byId, report);
  return faults;
}

/** The requests among spans, each with its own: overlapping requests may share a trace id. */
export function splitRequests(spans: readonly FlatSpan[]): readonly (readonly FlatSpan[])[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const rootOf = (span: FlatSpan): FlatSpan => {
    const parent = byId.get(span.parentSpanId ?? "");
    return parent === undefined || parent === span ? span : rootOf(parent);
  };
  return [...Map.groupBy(spans, rootOf).values()];
}

type Report = (span: FlatSpan, fault: string) => void;

function checkIdentity(span: FlatSpan, root: FlatSpan, report: Report): void {
  if (!TRACE_ID.test(span.traceId)) report(span, `'${span.traceId}' is no trace id`);
  if (!SPAN_ID.test(span.spanId)) report(span, `'${span.spanId}' is no span id`);
  if (span.traceId !== root.traceId) report(span, "has another trace id than its root");
}

function checkTimes(span: FlatSpan, parent: FlatSpan | undefined, root: FlatSpan, report: Report): void {
  const { startTimeUnixNano: startAt, endTimeUnixNano: endAt } = span;
  if (!WHOLE_MS.test(startAt)) report(span, `'${startAt}' is no time in whole milliseconds`);
  // A span of no time ends a nanosecond after its start.
  const isInstant = BigInt(endAt) === BigInt(startAt) + 1n;
  if (!WHOLE_MS.test(endAt) && !isInstant) report(span, `'${endAt}' is no time in whole milliseconds`);
  if (BigInt(startAt) >= BigInt(endAt)) report(span, "ends before it starts, or with it");
  if (parent === undefined) return;
  if (startOf(span) < startOf(parent)) report(span, `starts before its parent ${parent.name}`);
  const mayOutlive =
    span.attributes["gateway.span.truncated"] === true || (AFTER_RESPONSE.has(span.name) && parent === root);
  if (endOf(span) > endOf(parent) && !mayOutlive) report(span, `ends after its parent ${parent.name}`);
}

function checkName(span: FlatSpan, root: FlatSpan, report: Report): void {
  const listed: { readonly kind: string } | undefined = Object.entries(SPANS).find(
    ([name]) => name === span.name,
  )?.[1];
  const isRequest = span === root && listed === undefined;
  const isAttempt = span.attributes["gateway.attempt.number"] !== undefined;
  if (isRequest) {
    if (!ROOT_NAME.test(span.name)) report(span, "is no name of a root");
    if (span.kind !== KIND_SERVER) report(span, "is a root, but not SERVER");
  } else if (isAttempt) {
    const { "http.request.method": method, ...about } = span.attributes;
    const named = [about["gen_ai.operation.name"], about["gen_ai.request.model"]];
    // A call of a vendor's own API (/proxy) is named by its method and the provider's kind.
    const isNative = typeof method === "string" && span.name.startsWith(`${method} `);
    const expected = named.join(" ");
    if (!isNative && span.name !== expected) report(span, `should be named '${expected}'`);
    if (span.kind !== KIND_CLIENT) report(span, "is an upstream call, but not CLIENT");
  } else if (listed === undefined) report(span, "is not a listed span name");
  else if (span.kind !== KIND_NUMBERS[listed.kind]) report(span, `should be of kind ${listed.kind}`);
  for (const { name, timeUnixNano } of span.events) {
    if (!Object.hasOwn(EVENTS, name)) report(span, `the event '${name}' is not listed`);
    const at = BigInt(timeUnixNano);
    if (at < startOf(span) || at > endOf(span)) report(span, `the event '${name}' is outside of it`);
  }
}

function checkValues(span: FlatSpan, gets: NonNullable<TraceCheck["gets"]>, report: Report): void {
  const extra = new Set(
    gets.flatMap((what) => Object.keys(what === "content" ? CONTENT_ATTRIBUTES : PRESET_ATTRIBUTES[what])),
  );
  const all = [
    span.attributes,
    ...span.events.map((event) => event.attributes),
    ...span.links.map((link) => link.attributes),
  ];
  for (const [name, value] of all.flatMap((attributes: Attributes) => Object.entries(attributes))) {
    if (!isListed(name) && !extra.has(name)) report(span, `the attribute '${name}' is not listed`);
    if (isEmpty(value)) report(span, `the attribute '${name}' has an empty value`);
    if (Object.hasOwn(CONTENT_ATTRIBUTES, name) && extra.has(name) && !isJson(value)) {
      report(span, `the attribute '${name}' is not JSON`);
    }
  }
}

function checkLinks(span: FlatSpan, known: readonly FlatSpan[] | undefined, report: Report): void {
  for (const { traceId, spanId, attributes } of span.links) {
    const type = attributes["gateway.link.type"];
    if (typeof type !== "string" || !Object.hasOwn(LINKS, type))
      report(span, `a link has the type '${String(type)}'`);
    if (!TRACE_ID.test(traceId) || !SPAN_ID.test(spanId))
      report(span, `a link points at '${traceId}/${spanId}'`);
    // The caller's span is in the caller's hands.
    if (known === undefined || type === "client_parent") continue;
    if (!known.some((other) => other.traceId === traceId && other.spanId === spanId)) {
      report(span, `the ${String(type)} link points at a span that does not exist`);
    }
  }
}

function checkOutcome(spans: readonly FlatSpan[], root: FlatSpan, report: Report): void {
  // A span that an operator sent to try a destination stands for no request.
  if (root.name === "gateway.destination.test") return;
  const withOutcome = spans.filter(({ attributes }) => attributes["gateway.outcome"] !== undefined);
  if (withOutcome.length !== 1 || withOutcome[0] !== root) {
    report(root, `gateway.outcome should be on the root alone, it is on ${withOutcome.length} spans`);
  }
}

/** Where times are equal, `gateway.span.seq` is all that tells the order. */
function checkOrder(spans: readonly FlatSpan[], byId: ReadonlyMap<string, FlatSpan>, report: Report): void {
  const seen = new Set<number>();
  for (const span of spans) {
    const seq = seqOf(span);
    if (seq === undefined) {
      report(span, "has no gateway.span.seq");
      continue;
    }
    if (seen.has(seq)) report(span, `gateway.span.seq ${seq} occurs twice`);
    seen.add(seq);
    const parent = byId.get(span.parentSpanId ?? "");
    if (parent !== undefined && seq <= (seqOf(parent) ?? -1))
      report(span, "its gateway.span.seq is not above its parent's");
  }
}

function seqOf({ attributes }: FlatSpan): number | undefined {
  const seq = attributes["gateway.span.seq"];
  return typeof seq === "number" ? seq : undefined;
}

function startOf({ startTimeUnixNano }: FlatSpan): bigint {
  return BigInt(startTimeUnixNano);
}

/** In whole milliseconds, as nanoseconds: the nanosecond of a span of no time may be one after its parent's end. */
function endOf({ endTimeUnixNano }: FlatSpan): bigint {
  const end = BigInt(endTimeUnixNano);
  return end - (end % NANOS_PER_MS);
}

const NANOS_PER_MS = 1_000_000n;

function flagsOf(span: FlatSpan): number {
  const flags: unknown = Reflect.get(span, "flags");
  return typeof flags === "number" ? flags : 0;
}

function isEmpty(value: AttributeValue): boolean {
  return (
    value === null || value === "" || Number.isNaN(value) || (Array.isArray(value) && value.length === 0)
  );
}

function isJson(value: AttributeValue): boolean {
  try {
    JSON.parse(String(value));
    return true;
  } catch {
    return false;
  }
}

function isFlat(input: readonly FlatSpan[] | object): input is readonly FlatSpan[] {
  return Array.isArray(input);
}
