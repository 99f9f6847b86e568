/** Answers Jaeger's queries from the trace store: traces by query, and operation names. Reads only. */

import type { AttributeValue } from "../trace/attributes.ts";
import { toJaegerTrace, type JaegerTrace } from "./jaeger.ts";
import type { JaegerQuery } from "./jaeger-query.ts";
import { readResourceSpans, type ReadTrace } from "../otlp/otlp-read.ts";
import { mapInParallel } from "../../runtime/parallel.ts";
import { SPANS } from "../trace/spans.ts";
import { UNKNOWN_TENANT } from "../store/stored-trace.ts";
import type { TraceSummary } from "../trace/summary.ts";
import type { FinishedSpan, SpanKind } from "../trace/trace.ts";
import type { TraceReader } from "../store/trace-reader.ts";
import type { Cursor } from "../store/trace-query.ts";

type Reader = Pick<TraceReader, "search" | "get">;

interface FoundRequests {
  readonly traceId: string;
  readonly requests: readonly ReadTrace[];
}

/** Summaries per page. */
const PAGE_SIZE = 200;
/** How many pages a search by tags or operation reads, and how many traces it opens. */
const MAX_PAGES = 10;
const MAX_OPENED = 200;
/** Opened at a time, so that a search ends soon after it found enough. */
const CHUNK_SIZE = 32;
/** Traces read for the models in use. */
const OPERATIONS_FROM = 20;

/** The newest traces that match. A search by tags or operation looks at no more than MAX_OPENED traces. */
export async function searchJaeger(
  query: JaegerQuery,
  reader: Reader,
  serviceName: string,
): Promise<readonly JaegerTrace[]> {
  if (query.service !== serviceName) return [];
  const found = await find(query, reader);
  return found.map(({ traceId, requests }) => toJaegerTrace(traceId, requests, serviceName));
}

/** More ids in one request are not looked up. */
const MAX_NAMED = 20;

/** The traces of these ids, without those that are not stored. */
export async function findTraces(
  traceIds: readonly string[],
  reader: Reader,
  serviceName: string,
): Promise<readonly JaegerTrace[]> {
  const wanted = [...new Set(traceIds)].slice(0, MAX_NAMED);
  const found = await mapInParallel(wanted, async (traceId) => {
    const elements = await reader.get(traceId);
    return { traceId, requests: elements.map(readResourceSpans) };
  });
  return found
    .filter(({ requests }) => requests.length > 0)
    .map(({ traceId, requests }) => toJaegerTrace(traceId, requests, serviceName));
}

export interface JaegerOperation {
  readonly name: string;
  readonly spanKind: SpanKind;
}

/** Every span name of the gateway, and those in the newest traces; sorted. */
export async function listOperations(reader: Reader): Promise<readonly JaegerOperation[]> {
  const { items } = await reader.search({
    tenant: undefined,
    filters: {},
    limit: OPERATIONS_FROM,
    cursor: undefined,
  });
  const opened = await mapInParallel(distinct(items, new Set()), (item) => open(item, undefined, reader));
  const kinds = new Map<string, SpanKind>(Object.entries(SPANS).map(([name, { kind }]) => [name, kind]));
  for (const { requests } of opened) {
    for (const { spans } of requests) for (const { name, kind } of spans) kinds.set(name, kind);
  }
  return [...kinds]
    .map(([name, spanKind]) => ({ name, spanKind }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function find(query: JaegerQuery, reader: Reader): Promise<readonly FoundRequests[]> {
  const { tenant, filters, limit } = query;
  const isByColumns = query.operation === undefined && query.tags.size === 0;
  const found = new Map<string, readonly ReadTrace[]>();
  const list = (): readonly FoundRequests[] =>
    [...found].slice(0, limit).map(([traceId, requests]) => ({ traceId, requests }));
  const seen = new Set<string>();
  let cursor: Cursor | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const pageSize = isByColumns ? limit : PAGE_SIZE;
    const listed = await reader.search({ tenant, filters, limit: pageSize, cursor });
    const candidates = distinct(
      listed.items.filter((item) => mayMatch(item, query)),
      seen,
    );
    for (let at = 0; at < candidates.length; at += CHUNK_SIZE) {
      const chunk = candidates.slice(at, at + CHUNK_SIZE);
      const opened = await mapInParallel(chunk, (item) => open(item, tenant, reader));
      for (const { traceId, requests } of opened)
        if (requests.length > 0 && matches(requests, query))
          found.set(traceId, [...(found.get(traceId) ?? []), ...requests]);
      if (found.size >= limit) return list();
    }
    if (listed.cursor === undefined || seen.size >= MAX_OPENED) return list();
    ({ cursor } = listed);
  }
  return list();
}

/** Each trace id once for each tenant that has it, so that none hides another's; without those seen before. */
function distinct(items: readonly TraceSummary[], seen: Set<string>): readonly TraceSummary[] {
  return items.filter(({ traceId, tenant }) => {
    const key = `${traceId} ${tenant}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

async function open(item: TraceSummary, tenant: string | undefined, reader: Reader): Promise<FoundRequests> {
  const { traceId } = item;
  const elements = await reader.get(traceId, tenant ?? item.tenant ?? UNKNOWN_TENANT);
  return { traceId, requests: elements.map(readResourceSpans) };
}

/** Tags of the root that are in its summary too: a trace they exclude is not opened. */
const SUMMARY_TAGS: Readonly<Record<string, (summary: TraceSummary) => string | null>> = {
  "gateway.request.id": ({ requestId }) => requestId,
  "gateway.key.id": ({ keyId }) => keyId,
  "gateway.outcome": ({ outcome }) => outcome,
};

function mayMatch(summary: TraceSummary, { tags }: JaegerQuery): boolean {
  for (const [name, value] of tags) {
    if (Object.hasOwn(SUMMARY_TAGS, name) && SUMMARY_TAGS[name]?.(summary) !== value) return false;
    if (name === "error" && value === String(!summary.isError)) return false;
  }
  return true;
}

function matches(requests: readonly ReadTrace[], { operation, tags }: JaegerQuery): boolean {
  const spans = requests.flatMap(({ spans }) => spans);
  if (operation !== undefined && !spans.some(({ name }) => name === operation)) return false;
  for (const [name, value] of tags) {
    if (name !== "error" && !spans.some((span) => hasTag(span, name, value))) return false;
  }
  return true;
}

function hasTag(span: FinishedSpan, name: string, value: string): boolean {
  if (name === "span.kind") return span.kind === value;
  const attributes: Readonly<Record<string, AttributeValue | undefined>> = span.attributes;
  const own = attributes[name];
  return Array.isArray(own) ? own.includes(value) : own !== undefined && String(own) === value;
}
