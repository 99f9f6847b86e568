/**
 * The store's table of traces: one row per request, its summary in columns, in the order of their starts. Knows
 * rows and columns, not spans.
 */

import { buildCondition, NEWEST, SLOTS_PER_MS } from "./store-query.ts";
import type { FoundTrace, SessionSums, TraceFilters, TraceRow } from "./stored-trace.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS traces (
    id INTEGER PRIMARY KEY,
    trace_id TEXT NOT NULL, request_id TEXT NOT NULL,
    started_at INTEGER NOT NULL, duration_ms INTEGER NOT NULL,
    tenant TEXT, key_id TEXT, route TEXT, model TEXT, provider TEXT,
    status INTEGER, is_error INTEGER NOT NULL, outcome TEXT,
    ttfb_ms INTEGER, queue_ms INTEGER, attempts INTEGER, cache TEXT,
    input_tokens INTEGER, output_tokens INTEGER, cost_usd REAL,
    otlp TEXT NOT NULL, session TEXT, end_user TEXT, is_data INTEGER, cost_basis TEXT,
    UNIQUE (trace_id, request_id)
  )`;

const SUMMARY_COLUMNS =
  "id, trace_id, request_id, started_at, duration_ms, tenant, key_id, route, model, provider, status, is_error, " +
  "outcome, ttfb_ms, queue_ms, attempts, cache, input_tokens, output_tokens, cost_usd, session, end_user, is_data, " +
  "cost_basis";

/** Columns that older stores don't have. */
const NEW_COLUMNS = ["session TEXT", "end_user TEXT", "is_data INTEGER", "cost_basis TEXT"];

const MICRO_USD_PER_USD = 1_000_000;

const INSERT = `
  INSERT INTO traces (${SUMMARY_COLUMNS}, otlp)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
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
  session: string | null;
  end_user: string | null;
  is_data: number | null;
  cost_basis: string | null;
};

type SessionColumns = {
  position: number;
  session: string;
  started_at: number;
  ended_at: number;
  requests: number;
  errors: number;
  models: string;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
  partial_costs: number;
};

export class TraceTable {
  readonly #sql: SqlStorage;
  #count: number;
  /** No row of the table has a greater id. */
  #newestId: number;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
    const names = sql.exec<{ name: string }>("SELECT name FROM pragma_table_info('traces')").toArray();
    for (const column of NEW_COLUMNS) {
      if (!names.some(({ name }) => column.startsWith(`${name} `)))
        sql.exec(`ALTER TABLE traces ADD COLUMN ${column}`);
    }
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
      row.session,
      row.endUser,
      row.isData ? 1 : 0,
      row.costBasis,
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

  /** A conversation is where its newest request is. */
  sessions(filters: TraceFilters, before: number, limit: number): readonly SessionSums[] {
    const { where, bindings } = buildCondition(filters, NEWEST);
    const sql = `
      SELECT session, max(id) AS position, min(started_at) AS started_at, max(started_at + duration_ms) AS ended_at,
        count(*) AS requests, sum(is_error) AS errors,
        json_group_array(DISTINCT model) FILTER (WHERE model IS NOT NULL) AS models,
        coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
        coalesce(sum(cost_usd), 0) AS cost_usd, coalesce(sum(cost_basis = 'partial'), 0) AS partial_costs
      FROM traces WHERE session IS NOT NULL AND ${where}
      GROUP BY session HAVING max(id) < ? ORDER BY position DESC LIMIT ?`;
    return this.#sql
      .exec<SessionColumns>(sql, ...bindings, before, limit)
      .toArray()
      .map(readSession);
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
      costBasis: row.cost_basis,
      session: row.session,
      endUser: row.end_user,
      isData: row.is_data !== 0,
    },
  };
}

function readSession(row: SessionColumns): SessionSums {
  return {
    session: row.session,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    requests: row.requests,
    errors: row.errors,
    // Made by the query.
    models: JSON.parse(row.models) as string[],
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    costUsd: Math.round(row.cost_usd * MICRO_USD_PER_USD) / MICRO_USD_PER_USD,
    partialCosts: row.partial_costs,
    position: row.position,
  };
}
