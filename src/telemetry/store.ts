/**
 * The embedded trace store: a SQLite Durable Object per tenant, one row a request, a ring bounded by count and age. It
 * knows rows and columns, not spans. exporter.ts adds, trace-reader.ts searches; worker.ts exports the class.
 */

import { DurableObject } from "cloudflare:workers";
import { buildCondition, SLOTS_PER_MS } from "./store-query.ts";
import type { FoundTrace, Retention, TraceFilters, TraceRow, TraceStorePort } from "./stored-trace.ts";

/** Old rows are looked for this often; a row may outlive its age by as much. */
const PRUNE_INTERVAL_MS = 3_600_000;
const MS_PER_HOUR = 3_600_000;
/** The ring may run over by a fiftieth before it is cut, so that not every insert deletes. */
const SLACK_DIVISOR = 50;

const RETENTION_KEY = "retention";

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

export class TraceStore extends DurableObject<Env> implements TraceStorePort {
  readonly #sql: SqlStorage;
  #rowCount: number;
  /** No row of the store has a greater id. */
  #newestId: number;
  #retention: Retention | undefined;
  #hasAlarm = false;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#sql = state.storage.sql;
    this.#sql.exec(SCHEMA);
    // Counted once per life of the object, over the narrow index; from then on by what is written.
    const { n, newest } = this.#sql
      .exec<{ n: number; newest: number | null }>("SELECT count(*) AS n, max(id) AS newest FROM traces")
      .one();
    this.#rowCount = n;
    this.#newestId = newest ?? 0;
    this.#retention = state.storage.kv.get<Retention>(RETENTION_KEY);
  }

  async add(rows: readonly TraceRow[], retention: Retention): Promise<readonly string[]> {
    this.#keepRetention(retention);
    const known: string[] = [];
    for (const row of rows) {
      if (this.#insert(row)) this.#rowCount += 1;
      else known.push(row.requestId);
    }
    this.#cutToCount(retention.maxTraces);
    await this.#keepAlarm();
    return known;
  }

  async search(filters: TraceFilters, before: number, limit: number): Promise<readonly FoundTrace[]> {
    const { where, bindings } = buildCondition(filters, before);
    const sql = `SELECT ${SUMMARY_COLUMNS} FROM traces WHERE ${where} ORDER BY id DESC LIMIT ?`;
    return this.#sql
      .exec<SummaryColumns>(sql, ...bindings, limit)
      .toArray()
      .map(readRow);
  }

  async get(traceId: string): Promise<readonly string[]> {
    return this.#sql
      .exec<{ otlp: string }>("SELECT otlp FROM traces WHERE trace_id = ? ORDER BY id", traceId)
      .toArray()
      .map(({ otlp }) => otlp);
  }

  /** Deletes what is too old. The object sleeps for good once it is empty. */
  override async alarm(): Promise<void> {
    this.#hasAlarm = false;
    if (this.#retention === undefined) return;
    const oldestAt = Date.now() - this.#retention.maxAgeHours * MS_PER_HOUR;
    const deleted = this.#sql.exec(
      "DELETE FROM traces WHERE id < ? RETURNING id",
      Math.floor(oldestAt) * SLOTS_PER_MS,
    );
    this.#rowCount -= deleted.toArray().length;
    if (this.#rowCount > 0) await this.#keepAlarm();
  }

  /** Whether it was not there before; what is written says so, at a fifth less than a RETURNING. */
  #insert(row: TraceRow): boolean {
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
    return rowsWritten > 0;
  }

  /** The next free position in the row's millisecond; a full one runs over into the next. */
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

  #cutToCount(maxTraces: number): void {
    if (this.#rowCount <= maxTraces + Math.floor(maxTraces / SLACK_DIVISOR)) return;
    this.#sql.exec(
      "DELETE FROM traces WHERE id IN (SELECT id FROM traces ORDER BY id LIMIT ?)",
      this.#rowCount - maxTraces,
    );
    this.#rowCount = maxTraces;
  }

  #keepRetention(retention: Retention): void {
    const known = this.#retention;
    if (known?.maxTraces === retention.maxTraces && known.maxAgeHours === retention.maxAgeHours) return;
    this.#retention = { maxTraces: retention.maxTraces, maxAgeHours: retention.maxAgeHours };
    this.ctx.storage.kv.put(RETENTION_KEY, this.#retention);
  }

  async #keepAlarm(): Promise<void> {
    if (this.#hasAlarm) return;
    this.#hasAlarm = true;
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + PRUNE_INTERVAL_MS);
    }
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
