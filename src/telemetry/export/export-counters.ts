/**
 * Counts of traces per destination: enqueued = delivered + pending + dropped, always. An isolate counts the
 * changes since it last reported to the tenant's outbox object, which keeps the sums (outbox-ledger.ts). Pure
 * state.
 */

/**
 * closed: batches are sent as they come. open: none is sent until a set time. half-open: one is being sent as a
 * probe.
 */
export type ExportCircuit = "closed" | "open" | "half-open";

/** `GET /admin/tenants/{tenant}/export`, one item (src/docs/admin-api.md); counted in traces. */
export interface ExportStatus {
  readonly destination: string;
  readonly enqueued: number;
  readonly delivered: number;
  readonly pending: number;
  readonly dropped: Readonly<Record<string, number>>;
  /** Why the last failed export failed, also when a later one was delivered. */
  readonly lastError: string | null;
  readonly retries: number;
  readonly circuit: ExportCircuit;
}

/** Changes, counted in traces. Traces handed over are counted by the outbox from then on. */
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
  /** All changes since the last call; undefined when there are none. */
  take(): ExportCounts | undefined;
  /** Traces enqueued or settled since the last `take`. */
  readonly unreported: number;
  /** Whether any was dropped since the last `take`. */
  readonly hasDrops: boolean;
  /** Traces reported as enqueued and not yet as settled: the outbox must still get their result. */
  readonly unsettled: number;
}

export function createExportCounter(): OpenCounter {
  let enqueued = 0;
  let delivered = 0;
  let handedOver = 0;
  let retries = 0;
  let dropped: Record<string, number> = {};
  let droppedSum = 0;
  let lastError: string | undefined;
  let unsettled = 0;

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
    get unreported() {
      return enqueued + delivered + handedOver + droppedSum;
    },
    get hasDrops() {
      return droppedSum > 0;
    },
    get unsettled() {
      return unsettled;
    },
    take() {
      if (enqueued + delivered + handedOver + droppedSum + retries === 0) return undefined;
      const counts = {
        enqueued,
        delivered,
        handedOver,
        dropped,
        retries,
        ...(lastError !== undefined && { lastError }),
      };
      unsettled += enqueued - delivered - handedOver - droppedSum;
      reset();
      return counts;
    },
  };
}
