/**
 * What becomes of each trace, per destination: enqueued = delivered + pending + dropped, always. An isolate counts what
 * has changed since it last told the tenant's outbox object, which keeps the sums (outbox-ledger.ts). Pure state; called
 * by export-link.ts.
 */

/** closed: batches are sent as they come. open: none is sent until a set time. half-open: one is being sent as a probe. */
export type ExportCircuit = "closed" | "open" | "half-open";

/** `GET /admin/tenants/{tenant}/export`, one item (src/docs/admin-api.md); counted in traces. */
export interface ExportStatus {
  readonly destination: string;
  readonly enqueued: number;
  readonly delivered: number;
  readonly pending: number;
  readonly dropped: Readonly<Record<string, number>>;
  /** The last reason an export failed for, also when a later one went through. */
  readonly lastError: string | null;
  readonly retries: number;
  readonly circuit: ExportCircuit;
}

/** Changes, counted in traces. What was handed over is the outbox's from then on. */
export interface ExportCounts {
  readonly enqueued: number;
  readonly delivered: number;
  readonly handedOver: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly retries: number;
  readonly lastError?: string;
}

export interface ExportCounter {
  enqueue(traces: number): void;
  deliver(traces: number): void;
  handOver(traces: number): void;
  drop(traces: number, reason: string): void;
  noteRetries(retries: number): void;
}

export interface OpenCounter extends ExportCounter {
  /** Everything since the last time; undefined when that is nothing. */
  take(): ExportCounts | undefined;
  /** Traces that were enqueued or settled since the last time. */
  readonly news: number;
  /** Whether any was dropped since the last time. */
  readonly hasLoss: boolean;
  /** Traces that were taken as enqueued and not yet as settled: whoever was told must hear how they ended. */
  readonly owed: number;
}

export function createExportCounter(): OpenCounter {
  let enqueued = 0;
  let delivered = 0;
  let handedOver = 0;
  let retries = 0;
  let dropped: Record<string, number> = {};
  let droppedSum = 0;
  let lastError: string | undefined;
  let owed = 0;

  function reset(): void {
    enqueued = delivered = handedOver = retries = droppedSum = 0;
    dropped = {};
    lastError = undefined;
  }

  return {
    enqueue: (traces) => void (enqueued += traces),
    deliver: (traces) => void (delivered += traces),
    handOver: (traces) => void (handedOver += traces),
    drop(traces, reason) {
      dropped[reason] = (dropped[reason] ?? 0) + traces;
      droppedSum += traces;
      lastError = reason;
    },
    noteRetries: (count) => void (retries += count),
    get news() {
      return enqueued + delivered + handedOver + droppedSum;
    },
    get hasLoss() {
      return droppedSum > 0;
    },
    get owed() {
      return owed;
    },
    take() {
      if (enqueued + delivered + handedOver + droppedSum + retries === 0) return undefined;
      const error = lastError === undefined ? {} : { lastError };
      const counts = { enqueued, delivered, handedOver, dropped, retries, ...error };
      owed += enqueued - delivered - handedOver - droppedSum;
      reset();
      return counts;
    },
  };
}
