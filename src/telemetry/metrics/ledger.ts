/**
 * A tenant's totals: batches go in once each, and the whole can be saved and opened again. Pure; the Durable Object around
 * it is tenant-metrics.ts.
 */

import type { MetricsBatch } from "./metrics-port.ts";
import { createSeriesTable, type Series } from "./series.ts";

/** What is stored of a ledger. */
export interface SavedMetricsLedger {
  readonly series: readonly Series[];
  /** Ids of the last batches, oldest first. */
  readonly batchIds: readonly string[];
}

export interface MetricsLedger {
  /** Adds what was not added before; false when all of it was. */
  add(batches: readonly MetricsBatch[], at: number): boolean;
  list(): readonly Series[];
  save(): SavedMetricsLedger;
}

/** A batch is repeated within seconds; in these come far fewer from all isolates together. */
const MAX_BATCH_IDS = 256;

export function createMetricsLedger(saved: SavedMetricsLedger = { series: [], batchIds: [] }): MetricsLedger {
  const table = createSeriesTable(saved.series);
  const batchIds = new Set(saved.batchIds);
  return {
    add(batches, at) {
      let isChanged = false;
      for (const { id, series } of batches) {
        if (batchIds.has(id)) continue;
        for (const one of series) table.merge(one, at);
        batchIds.add(id);
        isChanged = true;
      }
      forgetOldest(batchIds);
      return isChanged;
    },
    list: () => table.list(),
    save: () => ({ series: table.list(), batchIds: [...batchIds] }),
  };
}

function forgetOldest(batchIds: Set<string>): void {
  for (const id of batchIds) {
    if (batchIds.size <= MAX_BATCH_IDS) return;
    batchIds.delete(id);
  }
}
