/**
 * The embedded trace store: a SQLite Durable Object per tenant, a ring bounded by count and age. Traces are
 * appended in batches of one row, and become one row per request when they are read (decision 043).
 */

import { DurableObject } from "cloudflare:workers";
import { eraseObject } from "../../runtime/erase-object.ts";
import { StoredBaselines } from "./store-baselines.ts";
import { StoredBatches } from "./store-batches.ts";
import { readContexts } from "./store-context.ts";
import { TraceTable } from "./store-table.ts";
import type {
  FoundTrace,
  Retention,
  SessionSums,
  TraceBatch,
  TraceContext,
  TraceFilters,
  TraceRow,
  TraceStorePort,
} from "./stored-trace.ts";

/** How often old rows are deleted; a row may exceed its age by as much. */
const PRUNE_INTERVAL_MS = 3_600_000;
const MS_PER_HOUR = 3_600_000;
/** The ring may exceed its limit by a fiftieth, so that not every write deletes. */
const SLACK_DIVISOR = 50;
/** A reader waits for no more than these (some 60 µs each): above that, the oldest become rows on append. */
const MAX_PACKED_TRACES = 20_000;

const RETENTION_KEY = "retention";

export class TraceStore extends DurableObject<Env> implements TraceStorePort {
  readonly #table: TraceTable;
  readonly #batches: StoredBatches;
  readonly #baselines: StoredBaselines;
  #retention: Retention | undefined;
  #hasAlarm = false;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#table = new TraceTable(state.storage.sql);
    this.#batches = new StoredBatches(state.storage.sql);
    this.#baselines = new StoredBaselines(state.storage.sql);
    this.#retention = state.storage.kv.get<Retention>(RETENTION_KEY);
  }

  async append(batch: TraceBatch, retention: Retention): Promise<void> {
    this.#keepRetention(retention);
    this.#batches.append(batch);
    this.#cutTo(retention.maxTraces);
    while (this.#batches.traces > MAX_PACKED_TRACES && this.#unpackOldest());
    this.#baselines.write();
    await this.#keepAlarm();
  }

  async add(rows: readonly TraceRow[], retention: Retention): Promise<readonly string[]> {
    this.#keepRetention(retention);
    this.#unpackAll();
    const known = rows.filter((row) => !this.#table.insert(row));
    this.#cutTo(retention.maxTraces);
    await this.#keepAlarm();
    return known.map(({ requestId }) => requestId);
  }

  async search(filters: TraceFilters, before: number, limit: number): Promise<readonly FoundTrace[]> {
    this.#unpackAll();
    return this.#table.search(filters, before, limit);
  }

  async sessions(filters: TraceFilters, before: number, limit: number): Promise<readonly SessionSums[]> {
    this.#unpackAll();
    return this.#table.sessions(filters, before, limit);
  }

  async get(traceId: string): Promise<readonly string[]> {
    this.#unpackAll();
    return this.#table.textsOf(traceId);
  }

  async explain(traceId: string): Promise<readonly TraceContext[]> {
    this.#unpackAll();
    return readContexts(this.ctx.storage.sql, this.#baselines, this.#table.textsOf(traceId));
  }

  /** Of a tenant that was deleted. */
  erase(): Promise<void> {
    return eraseObject(this.ctx);
  }

  /** Deletes what is too old. An empty object sets no further alarm. */
  override async alarm(): Promise<void> {
    this.#hasAlarm = false;
    const oldestAt = this.#oldestAt();
    this.#table.deleteBefore(oldestAt);
    this.#batches.deleteBefore(oldestAt);
    const kept = this.#baselines.deleteBefore(Date.now());
    if (this.#count() + kept > 0) await this.#keepAlarm();
  }

  #count(): number {
    return this.#table.count + this.#batches.traces;
  }

  #oldestAt(): number {
    return this.#retention === undefined ? 0 : Date.now() - this.#retention.maxAgeHours * MS_PER_HOUR;
  }

  #unpackAll(): void {
    while (this.#batches.traces > 0 && this.#unpackOldest());
    this.#baselines.write();
  }

  /** Whether there was a batch. */
  #unpackOldest(): boolean {
    const oldestAt = this.#oldestAt();
    return this.#batches.handOverOldest((traces) => {
      for (const { row, spans } of traces) {
        if (row.startedAt >= oldestAt && this.#table.insert(row)) this.#baselines.add(spans);
      }
    });
  }

  /** Rows are deleted first, then batches, which are newer than what was unpacked before. */
  #cutTo(maxTraces: number): void {
    const allowed = maxTraces + Math.floor(maxTraces / SLACK_DIVISOR);
    if (this.#count() <= allowed) return;
    this.#table.deleteOldest(this.#count() - maxTraces);
    this.#batches.deleteOldest(this.#count() - maxTraces);
    // Unpacks a batch of which only a part must be deleted.
    while (this.#count() > allowed && this.#unpackOldest()) {
      this.#table.deleteOldest(this.#count() - maxTraces);
    }
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
