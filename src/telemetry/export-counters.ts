/**
 * What became of each trace, per destination: enqueued = delivered + pending + dropped, always. In isolate memory for now;
 * the numbers of other isolates are theirs. Pure state; called by exporter.ts.
 */

/** `GET /admin/tenants/{tenant}/export`, one item (api.md §4); counted in traces. */
export interface ExportStatus {
  readonly destination: string;
  readonly enqueued: number;
  readonly delivered: number;
  readonly pending: number;
  readonly dropped: Readonly<Record<string, number>>;
  /** The last reason an export failed for, also when a later one went through. */
  readonly lastError: string | null;
  readonly retries: number;
}

export interface ExportCounter {
  enqueue(traces: number): void;
  deliver(traces: number): void;
  drop(traces: number, reason: string): void;
  noteRetries(retries: number): void;
  read(): ExportStatus;
}

export interface ExportCounters {
  /** The counter of a tenant's destination; of the operator's when the tenant is undefined. */
  of(tenantId: string | undefined, destination: string): ExportCounter;
  list(tenantId: string | undefined): readonly ExportStatus[];
}

export function createExportCounters(): ExportCounters {
  const tenants = new Map<string | undefined, Map<string, ExportCounter>>();
  return {
    of(tenantId, destination) {
      let counters = tenants.get(tenantId);
      if (counters === undefined) tenants.set(tenantId, (counters = new Map()));
      let counter = counters.get(destination);
      if (counter === undefined) counters.set(destination, (counter = createCounter(destination)));
      return counter;
    },
    list: (tenantId) => [...(tenants.get(tenantId)?.values() ?? [])].map((counter) => counter.read()),
  };
}

function createCounter(destination: string): ExportCounter {
  let enqueued = 0;
  let delivered = 0;
  let droppedSum = 0;
  let retries = 0;
  let lastError: string | null = null;
  const dropped = new Map<string, number>();
  return {
    enqueue: (traces) => void (enqueued += traces),
    deliver: (traces) => void (delivered += traces),
    drop(traces, reason) {
      dropped.set(reason, (dropped.get(reason) ?? 0) + traces);
      droppedSum += traces;
      lastError = reason;
    },
    noteRetries: (count) => void (retries += count),
    read: () => ({
      destination,
      enqueued,
      delivered,
      pending: enqueued - delivered - droppedSum,
      dropped: Object.fromEntries(dropped),
      lastError,
      retries,
    }),
  };
}
