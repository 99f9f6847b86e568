/** Reads what a stored request is compared with: what is usual, its neighbours, the requests its links lead to. Reads only. */

import { readResourceSpans } from "../otlp/otlp-read.ts";
import type { FinishedSpan } from "../trace/trace.ts";
import { measure, msOf, type MeasuredRequest } from "../usual/measure.ts";
import type { StoredBaselines } from "./store-baselines.ts";
import { SLOTS_PER_MS } from "./store-query.ts";
import type { LinkedRequest, TraceContext } from "./stored-trace.ts";

/** Callers choose trace ids, and an agent's may hold hundreds of requests. */
const MAX_REQUESTS = 20;
const NEAR_MS = 300_000;
/** On each side; reading one costs some 0.1 ms. */
const MAX_NEIGHBOURS = 20;

const BEFORE =
  "SELECT otlp FROM traces WHERE id < ? AND id >= ? AND model = ? AND trace_id != ? ORDER BY id DESC LIMIT ?";
const AFTER =
  "SELECT otlp FROM traces WHERE id > ? AND id < ? AND model = ? AND trace_id != ? ORDER BY id LIMIT ?";
const LAST_LIKE =
  "SELECT otlp FROM traces WHERE id < ? AND route = ? AND outcome = 'ok' AND trace_id != ? ORDER BY id DESC LIMIT 1";
const OVERTAKING =
  "SELECT count(*) AS n FROM traces WHERE id > ? AND id < ? AND attempts > 0 AND started_at + coalesce(queue_ms, 0) < ?";

type Texts = { otlp: string };

export function readContexts(
  sql: SqlStorage,
  baselines: StoredBaselines,
  texts: readonly string[],
): readonly TraceContext[] {
  return texts.slice(0, MAX_REQUESTS).flatMap((otlp) => {
    const { spans } = readResourceSpans(otlp);
    const own = measure(spans);
    return own === undefined ? [] : [readContext(sql, baselines, otlp, spans, own)];
  });
}

function readContext(
  sql: SqlStorage,
  baselines: StoredBaselines,
  otlp: string,
  spans: readonly FinishedSpan[],
  own: MeasuredRequest,
): TraceContext {
  const at = own.startedAt * SLOTS_PER_MS;
  const near = NEAR_MS * SLOTS_PER_MS;
  const read = (query: string, ...bindings: readonly (string | number)[]): readonly MeasuredRequest[] =>
    sql
      .exec<Texts>(query, ...bindings)
      .toArray()
      .flatMap((row) => measure(readResourceSpans(row.otlp).spans) ?? []);
  const isAlike = ({ target, outcome }: MeasuredRequest): boolean =>
    target === own.target && outcome === "ok";
  const around = (query: string, end: number): readonly MeasuredRequest[] =>
    own.model === null ? [] : read(query, at, end, own.model, own.traceId, MAX_NEIGHBOURS).filter(isAlike);
  const before = around(BEFORE, at - near);
  const source = linksOf(spans).find(({ type }) => type === "cached_from" || type === "coalesced_into");
  const [partner = before.find(({ route }) => route === own.route)] =
    source === undefined ? [] : read("SELECT otlp FROM traces WHERE trace_id = ? LIMIT 1", source.traceId);
  const queueMs = msOf(own.parts, "queue");
  const admittedAt = own.startedAt + queueMs;
  return {
    otlp,
    usual: baselines.usualFor(own),
    neighbours: [...before, ...around(AFTER, at + near)],
    partner: partner ?? read(LAST_LIKE, at, own.route, own.traceId)[0],
    linked: readLinked(sql, [...new Set(linksOf(spans).map(({ traceId }) => traceId))]),
    overtakenBy:
      queueMs === 0
        ? 0
        : sql.exec<{ n: number }>(OVERTAKING, at + SLOTS_PER_MS, admittedAt * SLOTS_PER_MS, admittedAt).one()
            .n,
  };
}

function linksOf(spans: readonly FinishedSpan[]) {
  return spans.flatMap(({ links }) =>
    links.map(({ traceId, attributes }) => ({ traceId, type: attributes["gateway.link.type"] })),
  );
}

function readLinked(sql: SqlStorage, traceIds: readonly string[]): readonly LinkedRequest[] {
  type Row = {
    trace_id: string;
    key_id: string | null;
    route: string | null;
    started_at: number;
    duration_ms: number;
  };
  const places = traceIds.map(() => "?").join(", ");
  return sql
    .exec<Row>(
      `SELECT trace_id, key_id, route, started_at, duration_ms FROM traces WHERE trace_id IN (${places})`,
      ...traceIds,
    )
    .toArray()
    .map((row) => ({
      traceId: row.trace_id,
      keyId: row.key_id,
      route: row.route,
      startedAt: row.started_at,
      durationMs: row.duration_ms,
    }));
}
