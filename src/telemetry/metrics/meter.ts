/**
 * Gathers the metrics of an isolate's finished requests and sends them to each tenant's object every few
 * seconds: a request adds a few numbers in memory and makes no call.
 *
 * Requests share plain data only, as in exporter.ts: one of them at a time sleeps in its own waitUntil and
 * sends for all.
 */

import { UNKNOWN_TENANT } from "../store/stored-trace.ts";
import type { FinishedTrace } from "../trace/trace.ts";
import type { MetricsBatch, MetricsPort } from "./metrics-port.ts";
import { sampleTrace } from "./sample-trace.ts";
import { createSeriesTable, type SeriesTable } from "./series.ts";

export interface Meter {
  /** Adds a request. `waitUntil` is that request's: it may have to send what all requests gathered. */
  note(trace: FinishedTrace, waitUntil: (work: Promise<unknown>) => void): void;
  /** Drops what was gathered of a tenant that is gone. */
  forget(tenantId: string): void;
  /** Sends everything gathered now, so that a reader finds it. */
  flush(): Promise<void>;
}

export interface MeterDeps {
  /** A fresh stub each time: a stub belongs to the request that made it. */
  readonly metricsOf: (tenantId: string) => MetricsPort;
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly newId: () => string;
  /** Whether the price list has a model of this name, of any provider. */
  readonly isPriced: (model: string) => boolean;
}

/** An isolate calls a tenant's object once in this time; below the resolution of every back end. */
export const METRICS_GATHER_MS = 5000;
/** A flusher that has not sent by now died with its request; the next trace starts another. */
const FLUSHER_STALE_MS = 3 * METRICS_GATHER_MS;
/** A batch not acknowledged by now is sent again: its request may have died. */
export const RESEND_AFTER_MS = 10_000;
/** Batches an isolate keeps for a tenant whose object is unreachable; the oldest is dropped first. */
const MAX_WAITING = 8;

interface WaitingBatch extends MetricsBatch {
  sentAt: number;
}

/** The meter of one isolate. */
export function createMeter({ metricsOf, clock, sleep, newId, isPriced }: MeterDeps): Meter {
  const tables = new Map<string, SeriesTable>();
  /** Batches not yet acknowledged. */
  const waiting = new Map<string, readonly WaitingBatch[]>();
  let flusher: { readonly since: number } | undefined;

  function tableOf(tenantId: string): SeriesTable {
    let table = tables.get(tenantId);
    if (table === undefined) tables.set(tenantId, (table = createSeriesTable()));
    return table;
  }

  /** Turns what was gathered into batches to send. */
  function closeBatches(): void {
    for (const [tenantId, table] of tables) {
      const batches = waiting.get(tenantId) ?? [];
      const batch = { id: newId(), series: table.list(), sentAt: Number.NEGATIVE_INFINITY };
      waiting.set(tenantId, [...batches, batch].slice(-MAX_WAITING));
    }
    tables.clear();
  }

  async function send(tenantId: string): Promise<void> {
    const now = clock();
    const due = (waiting.get(tenantId) ?? []).filter(({ sentAt }) => now - sentAt >= RESEND_AFTER_MS);
    if (due.length === 0) return;
    for (const batch of due) batch.sentAt = now;
    const batches = due.map(({ id, series }) => ({ id, series }));
    try {
      await metricsOf(tenantId).add(tenantId, batches);
    } catch {
      // They wait for a later flush.
      return;
    }
    const left = (waiting.get(tenantId) ?? []).filter((batch) => !due.includes(batch));
    if (left.length === 0) waiting.delete(tenantId);
    else waiting.set(tenantId, left);
  }

  async function flush(): Promise<void> {
    closeBatches();
    await Promise.all([...waiting.keys()].map(send));
  }

  async function gatherAndFlush(mine: { readonly since: number }): Promise<void> {
    await sleep(METRICS_GATHER_MS);
    if (flusher === mine) flusher = undefined;
    await flush();
  }

  return {
    note(trace, waitUntil) {
      const now = clock();
      const table = tableOf(trace.tenantId ?? UNKNOWN_TENANT);
      sampleTrace(
        trace,
        (instrument, labels, value, times) => table.record(instrument, labels, value, now, times),
        isPriced,
      );
      if (flusher !== undefined && now - flusher.since < FLUSHER_STALE_MS) return;
      flusher = { since: now };
      waitUntil(gatherAndFlush(flusher));
    },
    forget(tenantId) {
      tables.delete(tenantId);
      waiting.delete(tenantId);
    },
    flush,
  };
}
