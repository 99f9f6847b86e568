/**
 * Durable Object `VendorObjects`, one per tenant and generation: which responses, files and batches at a vendor are the tenant's. An account may be shared, so that
 * no list and no id of the vendor's says whose an object is. It holds no file and no answer. What it keeps, and for how long: storage.md.
 */

import { DurableObject } from "cloudflare:workers";
import { eraseObject } from "../runtime/erase-object.ts";
import type { Collection, ObjectPage, ObjectPageAsk, VendorObject, VendorObjectsRpc } from "./protocol.ts";

/** Of files and batches together: more are refused, since one that is forgotten could never be deleted. */
const MAX_OBJECTS = 20_000;
/** Of responses: the oldest go first. A vendor keeps them for 30 days (https://platform.openai.com/docs/guides/your-data, seen 2026-11). */
const MAX_RESPONSES = 50_000;
const RESPONSE_LIFE_MS = 31 * 86_400_000;
/** No vendor keeps the results of a batch for longer. */
const GONE_LIFE_MS = 60 * 86_400_000;
/** Responses that are kept between two sweeps. */
const SWEEP_EVERY = 256;
/** A longer description is read from the vendor each time. */
const MAX_BODY_CHARS = 16_384;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, address TEXT NOT NULL,
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, kept_at INTEGER NOT NULL, models TEXT, batch TEXT, body TEXT,
    billed INTEGER NOT NULL DEFAULT 0, is_gone INTEGER NOT NULL DEFAULT 0,
    UNIQUE (collection, id)
  );
  CREATE INDEX IF NOT EXISTS objects_by_collection ON objects (collection, seq)`;

const KEEP = `
  INSERT INTO objects (collection, id, account, address, trace_id, span_id, kept_at, models, batch, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (collection, id) DO UPDATE SET body = coalesce(excluded.body, body)
  WHERE account = excluded.account AND address = excluded.address`;

const SELECT = "SELECT * FROM objects WHERE collection = ? AND is_gone = 0";

type Row = {
  readonly collection: string;
  readonly id: string;
  readonly account: string;
  readonly address: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly models: string | null;
  readonly batch: string | null;
  readonly body: string | null;
};

export class VendorObjects extends DurableObject<Env> implements VendorObjectsRpc {
  readonly #sql: SqlStorage;
  #count: number;
  #untilSweep = 1;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#sql = state.storage.sql;
    this.#sql.exec(SCHEMA);
    this.#sql.exec("DELETE FROM objects WHERE is_gone = 1 AND kept_at < ?", Date.now() - GONE_LIFE_MS);
    const counting = "SELECT count(*) AS n FROM objects WHERE collection <> 'responses'";
    this.#count = this.#sql.exec<{ n: number }>(counting).one().n;
  }

  async keep(objects: readonly VendorObject[]): Promise<void> {
    for (const object of objects) {
      const { collection, id, accountName, address, trace, models, batchId, body } = object;
      const isResponse = collection === "responses";
      const isKnown = !isResponse && this.#find(collection, id) !== undefined;
      this.#sql.exec(
        KEEP,
        collection,
        id,
        accountName,
        address,
        trace.traceId,
        trace.spanId,
        Date.now(),
        models === undefined ? null : JSON.stringify(models),
        batchId ?? null,
        body === undefined || body.length > MAX_BODY_CHARS ? null : body,
      );
      if (isResponse) this.#sweep();
      else if (!isKnown) this.#count += 1;
    }
  }

  async hasRoom(): Promise<boolean> {
    return this.#count < MAX_OBJECTS;
  }

  async find(collection: Collection, id: string): Promise<VendorObject | undefined> {
    const row = this.#find(collection, id);
    return row && toObject(row);
  }

  async page({
    collection,
    limit,
    after,
    before,
    isOldestFirst = false,
    purpose,
  }: ObjectPageAsk): Promise<ObjectPage> {
    const bindings: (string | number)[] = [collection];
    let where = SELECT;
    const add = (condition: string, ...values: readonly string[]): void => {
      where += ` AND ${condition}`;
      bindings.push(...values);
    };
    const seqOf = "(SELECT seq FROM objects WHERE collection = ? AND id = ?)";
    if (after !== undefined) add(`seq ${isOldestFirst ? ">" : "<"} ${seqOf}`, collection, after);
    if (before !== undefined) add(`seq ${isOldestFirst ? "<" : ">"} ${seqOf}`, collection, before);
    if (purpose !== undefined) add("json_extract(body, '$.purpose') = ?", purpose);
    // What comes before an object is nearest to it: read backwards, and turned round.
    const isBackwards = before !== undefined && after === undefined;
    const order = isOldestFirst === isBackwards ? "DESC" : "ASC";
    const rows = this.#sql
      .exec<Row>(`${where} ORDER BY seq ${order} LIMIT ?`, ...bindings, limit + 1)
      .toArray();
    const items = rows.slice(0, limit).map(toObject);
    return { items: isBackwards ? items.toReversed() : items, hasMore: rows.length > limit };
  }

  /** What was billed stays known: the same id is never billed again. */
  async forget(collection: Collection, id: string): Promise<void> {
    const found = "collection = ? AND id = ?";
    const { rowsWritten } = this.#sql.exec(
      `DELETE FROM objects WHERE ${found} AND billed = 0 AND batch IS NULL`,
      collection,
      id,
    );
    if (rowsWritten === 0)
      this.#sql.exec(`UPDATE objects SET is_gone = 1, body = NULL WHERE ${found}`, collection, id);
    else if (collection !== "responses") this.#count -= 1;
  }

  async claim(collection: Collection, id: string, count: number): Promise<number> {
    const place = [collection, id] as const;
    const reading = "SELECT billed FROM objects WHERE collection = ? AND id = ?";
    const [row] = this.#sql.exec<{ billed: number }>(reading, ...place).toArray();
    // One that was forgotten meanwhile was another request's to bill.
    const before = row?.billed ?? count;
    if (before < count)
      this.#sql.exec("UPDATE objects SET billed = ? WHERE collection = ? AND id = ?", count, ...place);
    return Math.min(before, count);
  }

  /** Of a tenant that was deleted. */
  erase(): Promise<void> {
    return eraseObject(this.ctx);
  }

  #find(collection: Collection, id: string): Row | undefined {
    return this.#sql.exec<Row>(`${SELECT} AND id = ?`, collection, id).toArray()[0];
  }

  #sweep(): void {
    if (--this.#untilSweep > 0) return;
    this.#untilSweep = SWEEP_EVERY;
    const newest =
      "SELECT seq FROM objects WHERE collection = 'responses' ORDER BY seq DESC LIMIT 1 OFFSET ?";
    this.#sql.exec(
      `DELETE FROM objects WHERE collection = 'responses' AND (kept_at < ? OR seq <= (${newest}))`,
      Date.now() - RESPONSE_LIFE_MS,
      MAX_RESPONSES,
    );
  }
}

function toObject(row: Row): VendorObject {
  return {
    // Rows are written by `keep` alone.
    collection: row.collection as Collection,
    id: row.id,
    accountName: row.account,
    address: row.address,
    trace: { traceId: row.trace_id, spanId: row.span_id },
    ...(row.models !== null && { models: JSON.parse(row.models) as readonly string[] }),
    ...(row.batch !== null && { batchId: row.batch }),
    ...(row.body !== null && { body: row.body }),
  };
}
