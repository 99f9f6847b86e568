/**
 * The calls between isolates and the object that keeps a tenant's metrics. tenant-metrics.ts implements them.
 */

import type { Series } from "./series.ts";

/** The metrics an isolate gathered in a few seconds. */
export interface MetricsBatch {
  /** Unique: a batch that arrives twice counts once. */
  readonly id: string;
  readonly series: readonly Series[];
}

/** A tenant's metrics. */
export interface MetricsPort {
  /** Idempotent by the batches' ids. `tenantId` is the object's own name, which not every runtime tells it. */
  add(tenantId: string, batches: readonly MetricsBatch[]): Promise<void>;
  /** Totals since each series' start, and the current depth of the queue. */
  read(tenantId: string): Promise<readonly Series[]>;
}
