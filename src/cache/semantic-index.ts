/**
 * A tenant's semantic index: a SQLite Durable Object that holds a vector for each stored answer and compares a request's
 * with all of its scope. Bounded by count for each route, by size for the tenant, and by age. It holds no texts and no
 * answers.
 */

import { DurableObject } from "cloudflare:workers";
import { eraseObject } from "../runtime/erase-object.ts";
import type { IndexEntry, NearestAnswer, NearestAsk, SemanticIndexRpc } from "./semantic-protocol.ts";
import type { SpanContextRef } from "../telemetry/trace/trace.ts";
import { nearest, type Expiring } from "./vectors.ts";

/** All vectors of a tenant, in memory as on disk: an eighth of what an isolate has, which several objects may share. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Expired entries are passed over by look-ups at once, and deleted this often. */
const SWEEP_INTERVAL_MS = 3_600_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS vectors (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL, key TEXT NOT NULL, route TEXT NOT NULL, epoch INTEGER NOT NULL,
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, expires_at INTEGER NOT NULL, vector BLOB NOT NULL,
    UNIQUE (scope, key)
  );
  CREATE INDEX IF NOT EXISTS vectors_by_route ON vectors (route, id)`;

const INSERT = `
  INSERT INTO vectors (scope, key, route, epoch, trace_id, span_id, expires_at, vector)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;

type Row = {
  readonly key: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly expires_at: number;
  readonly vector: ArrayBuffer;
};

type DeletedRow = {
  readonly scope: string;
  readonly key: string;
  readonly route: string;
  readonly bytes: number;
};

interface Candidate extends Expiring {
  readonly key: string;
  readonly trace: SpanContextRef;
}

export class SemanticIndex extends DurableObject<Env> implements SemanticIndexRpc {
  readonly #sql: SqlStorage;
  /** The scopes that were looked up since the object started; none is empty. */
  readonly #scopes = new Map<string, Candidate[]>();
  readonly #countByRoute = new Map<string, number>();
  #bytes = 0;
  #epoch = 0;
  #hasAlarm = false;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#sql = state.storage.sql;
    this.#sql.exec(SCHEMA);
    type Sum = { readonly route: string; readonly n: number; readonly bytes: number; readonly epoch: number };
    const sums = this.#sql.exec<Sum>(
      "SELECT route, count(*) AS n, sum(length(vector)) AS bytes, max(epoch) AS epoch FROM vectors GROUP BY route",
    );
    for (const { route, n, bytes, epoch } of sums) {
      this.#countByRoute.set(route, n);
      this.#bytes += bytes;
      this.#epoch = Math.max(this.#epoch, epoch);
    }
  }

  async nearest({ epoch, scope, vector }: NearestAsk): Promise<NearestAnswer> {
    if (!this.#isCurrent(epoch)) return { compared: 0 };
    const { row, similarity, compared } = nearest(this.#candidatesOf(scope), vector, Date.now());
    return row === undefined
      ? { compared }
      : { compared, best: { similarity, key: row.key, trace: row.trace } };
  }

  async add(entry: IndexEntry): Promise<void> {
    const { epoch, scope, key, route, trace, expiresAt, vector, maxEntries } = entry;
    if (!this.#isCurrent(epoch)) return;
    this.#delete("scope = ? AND key = ?", scope, key);
    const { traceId, spanId } = trace;
    this.#sql.exec(INSERT, scope, key, route, epoch, traceId, spanId, expiresAt, vector.buffer);
    this.#scopes.get(scope)?.push({ key, trace, expiresAt, vector });
    this.#bytes += vector.byteLength;
    const count = (this.#countByRoute.get(route) ?? 0) + 1;
    this.#countByRoute.set(route, count);
    const oldest = "id IN (SELECT id FROM vectors WHERE route = ? ORDER BY id LIMIT ?)";
    if (count > maxEntries) this.#delete(oldest, route, count - maxEntries);
    while (this.#bytes > MAX_BYTES) this.#delete("id = (SELECT min(id) FROM vectors)");
    await this.#keepAlarm();
  }

  async forget(scope: string, key: string): Promise<void> {
    this.#delete("scope = ? AND key = ?", scope, key);
  }

  /** Of a tenant that was deleted. */
  erase(): Promise<void> {
    return eraseObject(this.ctx);
  }

  /** An empty object sets no further alarm. */
  override async alarm(): Promise<void> {
    this.#hasAlarm = false;
    this.#delete("expires_at <= ?", Date.now());
    if (this.#bytes > 0) await this.#keepAlarm();
  }

  /** Whether that epoch is current. A newer one than known means that the cache was purged. */
  #isCurrent(epoch: number): boolean {
    if (epoch > this.#epoch) {
      this.#scopes.clear();
      this.#delete("epoch < ?", epoch);
      this.#epoch = epoch;
    }
    return epoch === this.#epoch;
  }

  #candidatesOf(scope: string): readonly Candidate[] {
    const known = this.#scopes.get(scope);
    if (known !== undefined) return known;
    const rows = this.#sql
      .exec<Row>(
        "SELECT key, trace_id, span_id, expires_at, vector FROM vectors WHERE scope = ? ORDER BY id",
        scope,
      )
      .toArray();
    const candidates = rows.map((row) => ({
      key: row.key,
      trace: { traceId: row.trace_id, spanId: row.span_id },
      expiresAt: row.expires_at,
      vector: new Float32Array(row.vector),
    }));
    if (candidates.length > 0) this.#scopes.set(scope, candidates);
    return candidates;
  }

  #delete(condition: string, ...bindings: readonly (string | number)[]): void {
    const deleted = this.#sql.exec<DeletedRow>(
      `DELETE FROM vectors WHERE ${condition} RETURNING scope, key, route, length(vector) AS bytes`,
      ...bindings,
    );
    for (const { scope, key, route, bytes } of deleted) {
      this.#bytes -= bytes;
      this.#countByRoute.set(route, (this.#countByRoute.get(route) ?? 1) - 1);
      const candidates = this.#scopes.get(scope);
      const at = candidates?.findIndex((candidate) => candidate.key === key) ?? -1;
      if (at !== -1) candidates?.splice(at, 1);
      if (candidates?.length === 0) this.#scopes.delete(scope);
    }
  }

  async #keepAlarm(): Promise<void> {
    if (this.#hasAlarm) return;
    this.#hasAlarm = true;
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + SWEEP_INTERVAL_MS);
    }
  }
}
