/**
 * Erasures of deleted tenants: what has to be emptied, and until when the name stays taken. Requests that were running at
 * the deletion end within half a minute and may write until then, so the tenant's objects are emptied a minute after it.
 * The alarm belongs to directory.ts.
 */

import { GatewayError } from "../../errors.ts";
import { queueMark, tenantEntry } from "../storage-keys.ts";
import type { PublishOutbox } from "./publish-outbox.ts";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS erasures (
  id TEXT PRIMARY KEY, tenant TEXT NOT NULL, started_at INTEGER NOT NULL, due_at INTEGER NOT NULL,
  done_at INTEGER, fault TEXT
) WITHOUT ROWID;`;

/** Longer than a deleted tenant's keys, copies and streams can go on (30 s), and than a trace waits in an isolate. */
const DELAY_MS = 60_000;
const RETRY_MS = 10_000;
/** Finished erasures stay listed this long. */
const KEPT_MS = 90 * 86_400_000;

export interface ErasureView {
  readonly id: string;
  readonly tenant: string;
  readonly status: "running" | "done";
  /** ISO 8601 in UTC. */
  readonly startedAt: string;
  /** Until then a new tenant of that name is refused; null once all is gone. */
  readonly until: string | null;
  readonly doneAt: string | null;
  readonly gone: readonly string[];
  /** What is left, and when it goes at the latest: ISO 8601 in UTC. */
  readonly remaining: readonly { readonly what: string; readonly until: string }[];
  readonly fault: string | null;
}

interface Row extends Record<string, SqlStorageValue> {
  readonly id: string;
  readonly tenant: string;
  readonly started_at: number;
  readonly due_at: number;
  readonly done_at: number | null;
  readonly fault: string | null;
}

const RECORDS = ["records", "keys", "KV entries"];
const OBJECTS = [
  "queue",
  "traces",
  "trace outbox",
  "metrics",
  "in-flight answers",
  "semantic index",
  "register of files, batches and stored responses",
];
/** No request reaches these any more: the cache epoch is another one, and the objects were emptied. */
const UNREACHABLE = ["cached answers in KV", "the platform's recovery history of the objects"];
/** The longest time to live of a cached answer, and Cloudflare's point-in-time recovery of Durable Objects (seen 2026-11). */
const UNREACHABLE_MS = 30 * 86_400_000;

export type Erasures = ReturnType<typeof createErasures>;

export interface ErasuresDeps {
  readonly sql: SqlStorage;
  readonly now: () => number;
  /** Empties every object of a tenant, and rejects where one could not be. */
  readonly erase: (tenantId: string) => Promise<void>;
  readonly outbox: Pick<PublishOutbox, "isPending">;
}

export function createErasures({ sql, now, erase, outbox }: ErasuresDeps) {
  sql.exec(SCHEMA);

  function running(tenantId: string): Row | undefined {
    return sql
      .exec<Row>("SELECT * FROM erasures WHERE tenant = ? AND done_at IS NULL", tenantId)
      .toArray()[0];
  }

  function postpone(id: string, forMs: number, fault: string): void {
    sql.exec("UPDATE erasures SET due_at = ?, fault = ? WHERE id = ?", now() + forMs, fault, id);
  }

  async function run({ id, tenant }: Row): Promise<void> {
    // Readers that don't know of the deletion may let requests in: their minute begins when they do.
    if ([queueMark(tenant), tenantEntry(tenant)].some((target) => outbox.isPending(target)))
      return postpone(id, DELAY_MS, "the deletion could not be published everywhere yet");
    try {
      await erase(tenant);
      sql.exec("UPDATE erasures SET done_at = ?, fault = NULL WHERE id = ?", now(), id);
    } catch {
      postpone(id, RETRY_MS, "an object of the tenant could not be reached");
    }
  }

  return {
    /** Called inside the deletion's transaction. */
    begin(tenantId: string): string {
      const id = crypto.randomUUID();
      sql.exec(
        "INSERT INTO erasures (id, tenant, started_at, due_at) VALUES (?, ?, ?, ?)",
        id,
        tenantId,
        now(),
        now() + DELAY_MS,
      );
      sql.exec("DELETE FROM erasures WHERE done_at < ?", now() - KEPT_MS);
      return id;
    },

    /** Throws `conflict` while a tenant of that name is being erased. */
    checkName(tenantId: string): void {
      const row = running(tenantId);
      if (row === undefined) return;
      throw new GatewayError(
        "conflict",
        `A tenant "${tenantId}" is being erased until ${untilOf(row)}. Retry then, or use another name.`,
        { param: "tenant" },
      );
    },

    get(id: string): ErasureView | undefined {
      const row = sql.exec<Row>("SELECT * FROM erasures WHERE id = ?", id).toArray()[0];
      return row && viewOf(row, now());
    },

    async runDue(): Promise<void> {
      const due = sql
        .exec<Row>("SELECT * FROM erasures WHERE done_at IS NULL AND due_at <= ? LIMIT 10", now())
        .toArray();
      await Promise.all(due.map(run));
    },

    /** ms since the epoch; undefined when none is running. */
    nextDueAt(): number | undefined {
      const row = sql
        .exec<{ due_at: number | null }>("SELECT min(due_at) AS due_at FROM erasures WHERE done_at IS NULL")
        .one();
      return row.due_at ?? undefined;
    },
  };
}

function itemsOf(names: readonly string[], untilMs: number): { what: string; until: string }[] {
  const until = new Date(untilMs).toISOString();
  return names.map((what) => ({ what, until }));
}

function untilOf({ due_at }: Row): string {
  return new Date(due_at).toISOString();
}

function viewOf(row: Row, now: number): ErasureView {
  const unreachableUntil = (row.done_at ?? row.due_at) + UNREACHABLE_MS;
  const unreachable = now < unreachableUntil ? itemsOf(UNREACHABLE, unreachableUntil) : [];
  const isDone = row.done_at !== null;
  return {
    id: row.id,
    tenant: row.tenant,
    status: isDone ? "done" : "running",
    startedAt: new Date(row.started_at).toISOString(),
    until: isDone ? null : untilOf(row),
    doneAt: row.done_at === null ? null : new Date(row.done_at).toISOString(),
    gone: [...RECORDS, ...(isDone ? OBJECTS : []), ...(unreachable.length === 0 ? UNREACHABLE : [])],
    remaining: [...(isDone ? [] : itemsOf(OBJECTS, row.due_at)), ...unreachable],
    fault: row.fault,
  };
}
