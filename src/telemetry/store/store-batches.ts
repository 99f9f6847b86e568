/** The store's table of batches: traces as received, in order of arrival, not yet readable as rows. */

import { unpackBatch, type UnpackedTrace } from "./stored-batch.ts";
import type { TraceBatch } from "./stored-trace.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY,
    traces INTEGER NOT NULL, newest_at INTEGER NOT NULL,
    tenant TEXT, lengths TEXT NOT NULL, head TEXT NOT NULL, tail TEXT NOT NULL, spans BLOB NOT NULL
  );
  CREATE INDEX IF NOT EXISTS batches_by_age ON batches (newest_at, traces)`;

const INSERT =
  "INSERT INTO batches (traces, newest_at, tenant, lengths, head, tail, spans) VALUES (?, ?, ?, ?, ?, ?, ?)";

type BatchRow = {
  id: number;
  traces: number;
  tenant: string | null;
  lengths: string;
  head: string;
  tail: string;
  spans: ArrayBuffer;
};

export class StoredBatches {
  readonly #sql: SqlStorage;
  #traces: number;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(SCHEMA);
    // From the index, which covers the query: the rows themselves are long.
    this.#traces = sql.exec<{ n: number }>("SELECT coalesce(sum(traces), 0) AS n FROM batches").one().n;
  }

  /** Traces in all batches. */
  get traces(): number {
    return this.#traces;
  }

  append({ traces, newestAt, tenantId, lengths, spans, envelope: { head, tail } }: TraceBatch): void {
    this.#sql.exec(INSERT, traces, newestAt, tenantId ?? null, lengths, head, tail, spans);
    this.#traces += traces;
  }

  /**
   * Passes the traces of the oldest batch to `keep` and deletes the batch after that, so that a fault in between
   * loses nothing. False when there is no batch.
   */
  handOverOldest(keep: (traces: readonly UnpackedTrace[]) => void): boolean {
    const [batch] = this.#sql
      .exec<BatchRow>(
        "SELECT id, traces, tenant, lengths, head, tail, spans FROM batches ORDER BY id LIMIT 1",
      )
      .toArray();
    if (batch === undefined) return false;
    const { id, traces, tenant, lengths, head, tail, spans } = batch;
    const envelope = { head, tail };
    keep(unpackBatch({ tenantId: tenant ?? undefined, lengths, spans: new Uint8Array(spans), envelope }));
    this.#delete(id, traces);
    return true;
  }

  /** Deletes the oldest batches that together have at most this many traces. */
  deleteOldest(maxTraces: number): void {
    let left = maxTraces;
    while (left > 0) {
      const [oldest] = this.#sql
        .exec<{ id: number; traces: number }>("SELECT id, traces FROM batches ORDER BY id LIMIT 1")
        .toArray();
      if (oldest === undefined || oldest.traces > left) return;
      this.#delete(oldest.id, oldest.traces);
      left -= oldest.traces;
    }
  }

  /** Deletes batches whose newest trace started before, in ms since the epoch. */
  deleteBefore(startedAt: number): void {
    const deleted = this.#sql
      .exec<{ traces: number }>(
        "DELETE FROM batches WHERE newest_at < ? RETURNING traces",
        Math.floor(startedAt),
      )
      .toArray();
    for (const { traces } of deleted) this.#traces -= traces;
  }

  #delete(id: number, traces: number): void {
    this.#sql.exec("DELETE FROM batches WHERE id = ?", id);
    this.#traces -= traces;
  }
}
