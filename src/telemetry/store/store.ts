/**
 * The embedded trace store: a SQLite Durable Object per tenant, a ring bounded by count and age. What comes in lies in
 * batches as it came, at one row for all traces of a moment, and becomes a row a request when somebody reads (decision
 * 043). exporter.ts appends, trace-reader.ts searches; worker.ts exports the class.
 */

import { DurableObject } from "cloudflare:workers";
import { StoredBatches } from "./store-batches.ts";
import { TraceTable } from "./store-table.ts";
import type {
  FoundTrace,
  Retention,
  TraceBatch,
  TraceFilters,
  TraceRow,
  TraceStorePort,
} from "./stored-trace.ts";

/** Old rows are looked for this often; a row may outlive its age by as much. */
const PRUNE_INTERVAL_MS = 3_600_000;
const MS_PER_HOUR = 3_600_000;
/** The ring may run over by a fiftieth before it is cut, so that not every write deletes. */
const SLACK_DIVISOR = 50;
/** More than these are not left for a reader to wait for (some 60 µs each): the oldest become rows as new ones come. */
const MAX_PACKED_TRACES = 20_000;

const RETENTION_KEY = "retention";

export class TraceStore extends DurableObject<Env> implements TraceStorePort {
  readonly #table: TraceTable;
  readonly #batches: StoredBatches;
  #retention: Retention | undefined;
  #hasAlarm = false;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    this.#table = new TraceTable(state.storage.sql);
    this.#batches = new StoredBatches(state.storage.sql);
    this.#retention = state.storage.kv.get<Retention>(RETENTION_KEY);
  }

  async append(batch: TraceBatch, retention: Retention): Promise<void> {
    this.#keepRetention(retention);
    this.#batches.append(batch);
    this.#cutTo(retention.maxTraces);
    while (this.#batches.traces > MAX_PACKED_TRACES && this.#unpackOldest());
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

  async get(traceId: string): Promise<readonly string[]> {
    this.#unpackAll();
    return this.#table.textsOf(traceId);
  }

  /** Deletes what is too old. The object sleeps for good once it is empty. */
  override async alarm(): Promise<void> {
    this.#hasAlarm = false;
    const oldestAt = this.#oldestAt();
    this.#table.deleteBefore(oldestAt);
    this.#batches.deleteBefore(oldestAt);
    if (this.#count() > 0) await this.#keepAlarm();
  }

  #count(): number {
    return this.#table.count + this.#batches.traces;
  }

  #oldestAt(): number {
    return this.#retention === undefined ? 0 : Date.now() - this.#retention.maxAgeHours * MS_PER_HOUR;
  }

  #unpackAll(): void {
    while (this.#batches.traces > 0 && this.#unpackOldest());
  }

  /** Whether there was one. */
  #unpackOldest(): boolean {
    const oldestAt = this.#oldestAt();
    return this.#batches.handOverOldest((rows) => {
      for (const row of rows) if (row.startedAt >= oldestAt) this.#table.insert(row);
    });
  }

  /** Rows go first, then batches: a batch is younger than what was unpacked before it. */
  #cutTo(maxTraces: number): void {
    const allowed = maxTraces + Math.floor(maxTraces / SLACK_DIVISOR);
    if (this.#count() <= allowed) return;
    this.#table.deleteOldest(this.#count() - maxTraces);
    this.#batches.deleteOldest(this.#count() - maxTraces);
    // A batch that is larger than what has to go.
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
