/**
 * The store's table of traces: one row per request, its summary in columns, in the order of their starts. Knows
 * rows and columns, not spans.
 */

import { buildCondition, SLOTS_PER_MS } from "./store-query.ts";
import type { FoundTrace, TraceFilters, TraceRow } from "./stored-trace.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS traces (
    id INTEGER PRIMARY KEY,
    trace_id TEXT NOT NULL, request_id TEXT NOT NULL,
    started_at INTEGER NOT NULL, duration_ms INTEGER NOT NULL,
    tenant TEXT, key_id TEXT, route TEXT, model TEXT, provider TEXT,
    status INTEGER, is_error INTEGER NOT NULL, outcome TEXT,
    ttfb_ms INTEGER, queue_ms INTEGER, attempts INTEGER, cache TEXT,
    input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL,
    otlp TEXT NOT NULL,
    UNIQUE (trace_id, request_id)
  )`;

const SUMMARY_COLUMNS =
  "id, trace_id, request_id, started_at, duration_ms, tenant, key_id, route, model, provider, status, is_error, " +
  "outcome, ttfb_ms, queue_ms, attempts, cache, input_tokens, output_tokens, cost_usd";

const INSERT = `
  INSERT INTO traces (${SUMMARY_COLUMNS}, otlp)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (trace_id, request_id) DO NOTHING`;

type SummaryColumns = {
  id: number;
  trace_id: string;
  request_id: string;
  started_at: number;
  duration_ms: number;
  tenant: string | null;
  key_id: string | null;
  route: string | null;
  model: string | null;
  provider: string | null;
  status: number | null;
  is_error: number;
  outcome: string | null;
  ttfb_ms: number | null;
  queue_ms: number | null;
  attempts: number | null;
  cache: string | null;
  input_tokens: number | null;
  output_tokens: number | null;
  cost_usd: number | null;
};

export class TraceTable {
  readonly #sql: SqlStorage;
  #count: number;
  /** No row of the table has a greater id. */
  #newestId: number;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
    // Counted once per life of the object, over the narrow index; from then on by what is written.
    const { n, newest } = sql
      .exec<{ n: number; newest: number | null }>("SELECT count(*) AS n, max(id) AS newest FROM traces")
      .one();
    this.#count = n;
    this.#newestId = newest ?? 0;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether the row was new, by the rows written: a fifth cheaper than RETURNING. */
  insert(row: TraceRow): boolean {
    const { rowsWritten } = this.#sql.exec(
      INSERT,
      this.#freeId(row.startedAt),
      row.traceId,
      row.requestId,
      row.startedAt,
      row.durationMs,
      row.tenant,
      row.keyId,
      row.route,
      row.model,
      row.provider,
      row.status,
      row.isError ? 1 : 0,
      row.outcome,
      row.ttfbMs,
      row.queueMs,
      row.attempts,
      row.cache,
      row.inputTokens,
      row.outputTokens,
      row.costUsd,
      row.otlp,
    );
    if (rowsWritten === 0) return false;
    this.#count += 1;
    return true;
  }

  /** The next free position in the row's millisecond; a full one continues in the next. */
  #freeId(startedAt: number): number {
    const id = this.#findFreeId(startedAt);
    this.#newestId = Math.max(this.#newestId, id);
    return id;
  }

  #findFreeId(startedAt: number): number {
    const first = startedAt * SLOTS_PER_MS;
    if (first > this.#newestId) return first;
    const isNewestMs = first + SLOTS_PER_MS > this.#newestId + 1;
    return isNewestMs ? this.#newestId + 1 : this.#searchFreeId(startedAt);
  }

  #searchFreeId(startedAt: number): number {
    for (let first = startedAt * SLOTS_PER_MS; ; first += SLOTS_PER_MS) {
      const { id } = this.#sql
        .exec<{ id: number | null }>(
          "SELECT max(id) AS id FROM traces WHERE id >= ? AND id < ?",
          first,
          first + SLOTS_PER_MS,
        )
        .one();
      if (id === null) return first;
      if (id + 1 < first + SLOTS_PER_MS) return id + 1;
    }
  }

  search(filters: TraceFilters, before: number, limit: number): readonly FoundTrace[] {
    const { where, bindings } = buildCondition(filters, before);
    const sql = `SELECT ${SUMMARY_COLUMNS} FROM traces WHERE ${where} ORDER BY id DESC LIMIT ?`;
    return this.#sql
      .exec<SummaryColumns>(sql, ...bindings, limit)
      .toArray()
      .map(readRow);
  }

  /** The requests of a trace, oldest first. */
  textsOf(traceId: string): readonly string[] {
    return this.#sql
      .exec<{ otlp: string }>("SELECT otlp FROM traces WHERE trace_id = ? ORDER BY id", traceId)
      .toArray()
      .map(({ otlp }) => otlp);
  }

  deleteOldest(count: number): void {
    if (this.#count === 0) return;
    const deleted = this.#sql.exec(
      "DELETE FROM traces WHERE id IN (SELECT id FROM traces ORDER BY id LIMIT ?) RETURNING id",
      count,
    );
    this.#count -= deleted.toArray().length;
  }

  /** Deletes what started before, in ms since the epoch. */
  deleteBefore(startedAt: number): void {
    const deleted = this.#sql.exec(
      "DELETE FROM traces WHERE id < ? RETURNING id",
      Math.floor(startedAt) * SLOTS_PER_MS,
    );
    this.#count -= deleted.toArray().length;
  }
}

function readRow(row: SummaryColumns): FoundTrace {
  return {
    position: row.id,
    summary: {
      traceId: row.trace_id,
      requestId: row.request_id,
      startedAt: row.started_at,
      durationMs: row.duration_ms,
      tenant: row.tenant,
      keyId: row.key_id,
      route: row.route,
      model: row.model,
      provider: row.provider,
      status: row.status,
      isError: row.is_error === 1,
      outcome: row.outcome,
      ttfbMs: row.ttfb_ms,
      queueMs: row.queue_ms,
      attempts: row.attempts,
      cache: row.cache,
      inputTokens: row.input_tokens,
      outputTokens: row.output_tokens,
      costUsd: row.cost_usd,
    },
  };
}
