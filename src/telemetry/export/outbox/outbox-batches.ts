/**
 * The batches waiting in an outbox: bodies in SQLite, everything else in memory too, so that finding what to
 * send reads no row.
 */

import type { ContentMode } from "../../content/content.ts";
import type { HandedBatch } from "../outbox-port.ts";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS batches (
    id INTEGER PRIMARY KEY, destination TEXT NOT NULL, traces INTEGER NOT NULL, bytes INTEGER NOT NULL,
    is_gzip INTEGER NOT NULL, content TEXT NOT NULL, enqueued_at INTEGER NOT NULL, body BLOB NOT NULL
  )`;

export interface WaitingBatch {
  readonly id: number;
  readonly destination: string;
  readonly traces: number;
  readonly bytes: number;
  readonly isGzip: boolean;
  readonly content: ContentMode;
  /** Ms since the epoch. */
  readonly enqueuedAt: number;
}

export interface BatchTable {
  add(batch: HandedBatch, now: number): void;
  remove(batch: WaitingBatch): void;
  /** Oldest first. */
  of(destination: string): readonly WaitingBatch[];
  bytesOf(destination: string): number;
  /** Destinations with waiting batches. */
  destinations(): readonly string[];
  bodyOf(batch: WaitingBatch): Uint8Array<ArrayBuffer>;
}

type Row = {
  id: number;
  destination: string;
  traces: number;
  bytes: number;
  is_gzip: number;
  content: ContentMode;
  enqueued_at: number;
};

export function createBatchTable(sql: SqlStorage): BatchTable {
  sql.exec(SCHEMA);
  const waiting = new Map<string, WaitingBatch[]>();
  const bytes = new Map<string, number>();
  let lastId = 0;
  const rows = sql.exec<Row>(
    "SELECT id, destination, traces, bytes, is_gzip, content, enqueued_at FROM batches ORDER BY id",
  );
  for (const { is_gzip: isGzip, enqueued_at: enqueuedAt, ...rest } of rows) {
    list({ ...rest, isGzip: isGzip === 1, enqueuedAt });
  }

  function list(batch: WaitingBatch): void {
    const { id, destination } = batch;
    lastId = id;
    const batches = waiting.get(destination);
    if (batches === undefined) waiting.set(destination, [batch]);
    else batches.push(batch);
    bytes.set(destination, (bytes.get(destination) ?? 0) + batch.bytes);
  }

  return {
    add({ destination, traces, body, isGzip, content }, now) {
      const id = lastId + 1;
      const { byteLength } = body;
      sql.exec(
        "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        id,
        destination,
        traces,
        byteLength,
        isGzip ? 1 : 0,
        content,
        now,
        body,
      );
      list({ id, destination, traces, bytes: byteLength, isGzip, content, enqueuedAt: now });
    },
    remove(batch) {
      const { id, destination } = batch;
      sql.exec("DELETE FROM batches WHERE id = ?", id);
      const batches = waiting.get(destination) ?? [];
      const at = batches.indexOf(batch);
      if (at !== -1) batches.splice(at, 1);
      if (batches.length === 0) {
        waiting.delete(destination);
        bytes.delete(destination);
      } else bytes.set(destination, (bytes.get(destination) ?? 0) - batch.bytes);
    },
    of: (destination) => waiting.get(destination) ?? [],
    bytesOf: (destination) => bytes.get(destination) ?? 0,
    destinations: () => [...waiting.keys()],
    bodyOf({ id }) {
      const { body } = sql.exec<{ body: ArrayBuffer }>("SELECT body FROM batches WHERE id = ?", id).one();
      return new Uint8Array(body);
    },
  };
}
