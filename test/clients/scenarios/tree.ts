// A request's trace as lines a person can read and a test can compare: a span a line, in the order in which they began, indented
// under its parent, with what tells something of it. What is the same in every sound request is left out.
import { CONTENT_ATTRIBUTES } from "../../../src/telemetry/content/content.ts";
import type { Attributes, FlatSpan } from "../../support/checkers/otlp-spans.ts";

/** Attributes that tell something, in the order they are drawn in, under short names. */
const TELLING = {
  "gateway.outcome": "",
  "http.response.status_code": "",
  "gateway.decision": "decision",
  "gateway.limit.name": "limit",
  "gateway.limit.value": "limit_value",
  "gateway.auth.result": "result",
  "gateway.route.strategy": "strategy",
  "gateway.route.reason": "reason",
  "gateway.route.rejected": "rejected",
  "gateway.cache.status": "cache",
  "gateway.cache.kind": "kind",
  "gateway.cache.source": "from",
  "gateway.cache.similarity": "similarity",
  "gateway.cache.reason": "cache_reason",
  "gateway.cache.indexed": "indexed",
  "gateway.cache.inputs": "inputs",
  "gateway.cache.inputs_found": "found",
  "gateway.coalesce.status": "coalesce",
  "gateway.coalesce.reason": "coalesce_reason",
  "gateway.idempotency.status": "key",
  "gateway.admission.number": "number",
  "gateway.queue.outcome": "queue",
  "gateway.queue.leased": "leased",
  "gateway.queue.lane": "lane",
  "gateway.queue.limit": "held_by",
  "gateway.queue.position": "position",
  "gateway.queue.depth": "depth",
  "gateway.attempt.reason": "reason",
  "gateway.attempt.outcome": "",
  "gateway.circuit.state": "circuit",
  "gateway.attempt.target": "target",
  "gateway.attempt.left_for": "left_for",
  "gateway.retry.refused": "retry_refused",
  "gateway.retry_after_s": "retry_after_s",
  "gateway.timeout.kind": "timeout",
  "gateway.stream.outcome": "stream",
  "gateway.realtime.closed_by": "closed_by",
  "gateway.realtime.close_code": "close_code",
  "gen_ai.response.finish_reasons": "finish",
  "gateway.fallback.used": "fallback",
  "gateway.usage.source": "usage",
  "gateway.dialect.client": "client",
  "gateway.dialect.upstream": "upstream",
  "gateway.refusals.count": "count",
  "gateway.hedge.after_ms": "after_ms",
  "langfuse.observation.type": "observation",
  "error.type": "error",
} as const;

/** What is so in every sound request, and goes without saying. */
const USUAL: ReadonlySet<string> = new Set([
  "gateway.auth.result=ok",
  "gateway.cache.kind=exact",
  "gateway.route.strategy=direct",
  "gateway.route.reason=named by the client",
  "gateway.queue.outcome=admitted",
  "gateway.queue.lane=interactive",
  "gateway.queue.position=0",
  "gateway.queue.depth=0",
  "gateway.attempt.reason=initial",
  "gateway.stream.outcome=complete",
  "gen_ai.response.finish_reasons=stop",
  "gateway.fallback.used=false",
  "langfuse.observation.type=span",
]);

const STATUS_ERROR = 2;

export function drawTree(spans: readonly FlatSpan[], aliases: ReadonlyMap<string, string>): string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const depthOf = ({ parentSpanId = "" }: FlatSpan): number => {
    const parent = byId.get(parentSpanId);
    return parent === undefined ? 0 : depthOf(parent) + 1;
  };
  return (
    spans
      .toSorted((one, other) => seqOf(one) - seqOf(other))
      .map((span) => "  ".repeat(depthOf(span)) + drawSpan(span, depthOf(span) === 0))
      // How long a circuit is open, and what is left of its pause, depends on how fast the test is.
      .map((line) => line.replaceAll(/\b(for|in) \d+ s\b/g, "$1 … s"))
      .map((line) => line.replace(/\bfound by trace [0-9a-f]{32}\b/, "found by trace …"))
      .map((line) => [...aliases].reduce((text, [name, alias]) => text.replaceAll(name, alias), line))
  );
}

function drawSpan(span: FlatSpan, isRoot: boolean): string {
  const { name, attributes, events, links, status } = span;
  const notes = [
    name.replace(/^gateway\./, ""),
    ...drawAttributes(isRoot ? ofRoot(attributes) : ofChild(span)),
    ...(Number(attributes["gateway.queue.wait_ms"] ?? 0) > 0 ? ["waited"] : []),
    ...drawContent(attributes),
    ...(status.code === STATUS_ERROR ? ["ERROR"] : []),
    ...events.map((event) => drawEvent(event.name, event.attributes)),
    ...drawLinks(links),
    ...(isRoot && span.parentSpanId !== undefined ? ["←remote_parent"] : []),
  ];
  return notes.join(" ");
}

/** What the root repeats of its spans stands there. */
const ROOT_ONLY: ReadonlySet<string> = new Set([
  "gateway.outcome",
  "http.response.status_code",
  "gateway.decision",
  "gateway.limit.name",
  "gateway.limit.value",
  "gateway.cache.status",
  "gateway.stream.outcome",
  "gateway.fallback.used",
  "gateway.refusals.count",
  "error.type",
]);

function ofRoot(attributes: Attributes): Attributes {
  const told = Object.entries(attributes).filter(([name]) => ROOT_ONLY.has(name));
  return Object.fromEntries(told.filter(([, value]) => value !== "bypass" && value !== "miss"));
}

/** An attempt is named by its model, which its target repeats. */
function ofChild({ attributes }: FlatSpan): Attributes {
  const isAttempt = attributes["gateway.attempt.number"] !== undefined;
  const { "gateway.attempt.target": _, ...rest } = attributes;
  const { "error.type": error, ...sound } = rest;
  // The error is the outcome or the status, which stand there already.
  const isSaid = [rest["gateway.attempt.outcome"], String(rest["http.response.status_code"])].includes(
    String(error),
  );
  return isAttempt && isSaid ? sound : rest;
}

function drawAttributes(attributes: Attributes): string[] {
  return Object.entries(TELLING).flatMap(([name, short]) => {
    const value = attributes[name];
    if (value === undefined || USUAL.has(`${name}=${String(value)}`)) return [];
    const text = Array.isArray(value) ? value.join(", ") : String(value);
    const shown = /\s/.test(text) ? `'${text}'` : text;
    return [short === "" ? shown : `${short}=${shown}`];
  });
}

function drawContent(attributes: Attributes): string[] {
  const kinds = Object.keys(CONTENT_ATTRIBUTES).filter((name) => attributes[name] !== undefined);
  return kinds.length === 0 ? [] : [`content×${kinds.length}`];
}

function drawEvent(name: string, attributes: Attributes): string {
  const details = drawAttributes(attributes).join(" ");
  const short = name.replace(/^gateway\./, "");
  return details === "" ? `+${short}` : `+${short}(${details})`;
}

function drawLinks(links: FlatSpan["links"]): string[] {
  const byType = Map.groupBy(links, ({ attributes }) => String(attributes["gateway.link.type"]));
  return [...byType].map(([type, all]) => (all.length === 1 ? `→${type}` : `→${type}×${all.length}`));
}

function seqOf({ attributes }: FlatSpan): number {
  return Number(attributes["gateway.span.seq"]);
}
