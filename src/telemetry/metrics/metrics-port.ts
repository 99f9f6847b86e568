/**
 * What travels between an isolate and a tenant's metrics, and the port to who keeps them. The Durable Object behind it is
 * tenant-metrics.ts; meter.ts adds, metrics-reader.ts reads.
 */

import type { Series } from "./series.ts";

/** What an isolate has gathered in some seconds. */
export interface MetricsBatch {
  /** Unique: a batch that arrives twice counts once. */
  readonly id: string;
  readonly series: readonly Series[];
}

/** A tenant's metrics. */
export interface MetricsPort {
  /** Idempotent by the batches' ids. `tenantId` is the object's own name, which it cannot ask for everywhere. */
  add(tenantId: string, batches: readonly MetricsBatch[]): Promise<void>;
  /** Totals since each series' start, and the depth of the queue at this moment. */
  read(tenantId: string): Promise<readonly Series[]>;
}
