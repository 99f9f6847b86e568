/**
 * A tenant's metric totals: each batch is added once, and the totals can be saved and restored. Pure;
 * tenant-metrics.ts is the Durable Object.
 */

import type { MetricsBatch } from "./metrics-port.ts";
import { createSeriesTable, type Series } from "./series.ts";

/** A ledger as it is stored. */
export interface SavedMetricsLedger {
  readonly series: readonly Series[];
  /** Ids of the last batches, oldest first. */
  readonly batchIds: readonly string[];
}

export interface MetricsLedger {
  /** Adds the batches that are new; false when none is. */
  add(batches: readonly MetricsBatch[], at: number): boolean;
  list(): readonly Series[];
  save(): SavedMetricsLedger;
}

/** A batch is repeated within seconds, in which far fewer batches arrive from all isolates together. */
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
