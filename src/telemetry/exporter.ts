/**
 * Takes finished traces out of the isolate: encodes each once, gathers those of the same moment, and sends them to the
 * operator's destination, the tenant's own and the tenant's store, in parallel and apart from each other. Called by
 * worker.ts for each finished trace; how one destination is sent to is otlp-send.ts.
 *
 * Requests of one isolate share only plain data here: on Workers a promise of one request may not be awaited in
 * another. So one request at a time is the flusher, sleeps a moment in its own waitUntil, and sends what all have left.
 */

import { createExportCounters, type ExportCounter, type ExportStatus } from "./export-counters.ts";
import { createEnvelope, encodeTrace, joinResourceSpans, type OtlpResource } from "./otlp.ts";
import { sendExport, type Destination, type SendPorts } from "./otlp-send.ts";
import { shouldKeep, type SamplingPolicy } from "./sampling.ts";
import { DEFAULT_RETENTION, UNKNOWN_TENANT } from "./stored-trace.ts";
import type { Retention, TraceRow, TraceStorePort } from "./stored-trace.ts";
import { summarize } from "./summary.ts";
import type { FinishedTrace } from "./trace.ts";

/** A tenant's `tracing` settings, with the headers of its destinations opened. */
export interface ExportPolicy {
  readonly sampling: SamplingPolicy;
  readonly store: Retention & { readonly enabled: boolean };
  readonly destinations: readonly Destination[];
}

/** Lets work go on after the response, in the context of the request that calls it. */
export type WaitUntil = (work: Promise<unknown>) => void;

export interface ExportPort {
  /** Takes a trace over; without a policy (no known tenant) it goes to the operator and the store of the unknown. */
  export(trace: FinishedTrace, policy: ExportPolicy | undefined, waitUntil: WaitUntil): void;
  /** Writes what waits for the stores now, so that a reader in this isolate finds it. */
  flushStores(): Promise<void>;
  /** Of a tenant's destinations and store; of the operator's when undefined. */
  status(tenantId: string | undefined): readonly ExportStatus[];
}

export interface ExporterDeps extends SendPorts {
  readonly resource: OtlpResource;
  /** Undefined when OTLP_ENDPOINT is not set. Gets every trace, whatever the tenants sample. */
  readonly operator: Destination | undefined;
  /** A fresh stub each time: a stub belongs to the request that made it. */
  readonly storeOf: (tenantId: string) => TraceStorePort;
}

/** How long the flusher gathers: long enough for a burst to leave in one POST, too short for anyone to notice. */
export const GATHER_MS = 50;
/** A flusher that has not sent by now has died with its request; the next trace finds another. */
export const FLUSHER_STALE_MS = 3000;
/** From here on a flush waits for nobody: a burst is not held in memory. */
export const FLUSH_TRACES = 256;
/** The same for one destination's body, which stays below the 1 MB that New Relic and Honeycomb take. */
export const FLUSH_CHARS = 512 * 1024;
/** What one destination may hold up in an isolate of 128 MB; beyond that new traces are dropped, and counted. */
const MAX_PENDING_CHARS = 8 * 1024 * 1024;
/** A send that has not ended by now (its budget is 20 s) died with its request. */
export const SEND_LOST_MS = 45_000;
/** A SQLite row holds 2 MB, and a character up to 3 bytes. */
const MAX_STORED_CHARS = 600_000;
const STORE_RETRY_MS = 200;

/** Names in the export status; no tenant's destination can be called so. */
const OPERATOR_NAME = "(operator)";
export const STORE_NAME = "(store)";

/** Traces on their way to one place. Settled once: delivered, dropped, or given up as lost. */
interface Batch {
  readonly queue: Queue;
  traces: number;
  chars: number;
  sentAt: number;
  isSettled: boolean;
}

interface OtlpBatch extends Batch {
  destination: Destination;
  readonly spans: string[];
}

interface StoreBatch extends Batch {
  readonly tenantId: string;
  retention: Retention;
  readonly rows: TraceRow[];
}

/** One place's counter, and how much of the isolate's memory is on its way there. */
interface Queue {
  readonly counter: ExportCounter;
  pendingChars: number;
}

/** The exporter of one isolate. */
export function createExporter(deps: ExporterDeps): ExportPort {
  const { clock, sleep } = deps;
  const operator = deps.operator && { ...deps.operator, name: OPERATOR_NAME };
  const wrap = createEnvelope(deps.resource);
  const counters = createExportCounters();
  const queues = new Map<ExportCounter, Queue>();
  const inFlight = new Set<Batch>();
  let otlpBatches = new Map<Queue, OtlpBatch>();
  let storeBatches = new Map<Queue, StoreBatch>();
  let waitingTraces = 0;
  let hasFullBatch = false;
  let flusher: { readonly since: number } | undefined;

  function queueOf(tenantId: string | undefined, name: string): Queue {
    const counter = counters.of(tenantId, name);
    let queue = queues.get(counter);
    if (queue === undefined) queues.set(counter, (queue = { counter, pendingChars: 0 }));
    return queue;
  }

  /** Counts a trace in; false when there is no room for it, which is counted as well. */
  function hasRoom(queue: Queue, chars: number, maxChars: number): boolean {
    queue.counter.enqueue(1);
    const reason =
      chars > maxChars ? "too_large" : queue.pendingChars + chars > MAX_PENDING_CHARS ? "backlog" : undefined;
    if (reason !== undefined) {
      queue.counter.drop(1, reason);
      return false;
    }
    queue.pendingChars += chars;
    return true;
  }

  function enqueueOtlp(tenantId: string | undefined, destination: Destination, spans: string): void {
    const queue = queueOf(tenantId, destination.name);
    if (!hasRoom(queue, spans.length, Number.POSITIVE_INFINITY)) return;
    let batch = otlpBatches.get(queue);
    if (batch === undefined) {
      batch = { queue, destination, spans: [], traces: 0, chars: 0, sentAt: 0, isSettled: false };
      otlpBatches.set(queue, batch);
    }
    // The newest settings hold: a changed credential is used at once.
    batch.destination = destination;
    batch.spans.push(spans);
    grow(batch, spans.length);
  }

  function enqueueRow(tenantId: string, row: TraceRow, retention: Retention): void {
    const queue = queueOf(tenantId, STORE_NAME);
    if (!hasRoom(queue, row.otlp.length, MAX_STORED_CHARS)) return;
    let batch = storeBatches.get(queue);
    if (batch === undefined) {
      batch = { queue, tenantId, retention, rows: [], traces: 0, chars: 0, sentAt: 0, isSettled: false };
      storeBatches.set(queue, batch);
    }
    batch.retention = retention;
    batch.rows.push(row);
    grow(batch, row.otlp.length);
  }

  function grow(batch: Batch, chars: number): void {
    batch.traces++;
    batch.chars += chars;
    hasFullBatch ||= batch.chars >= FLUSH_CHARS;
  }

  function enqueue(trace: FinishedTrace, policy: ExportPolicy | undefined): void {
    const isKept = policy === undefined || shouldKeep(trace, policy.sampling);
    const isStored = isKept && policy?.store.enabled !== false;
    const destinations = isKept ? (policy?.destinations ?? []) : [];
    if (operator === undefined && !isStored && destinations.length === 0) return;
    const { spans, rootedSpans } = encodeTrace(trace);
    if (operator !== undefined) enqueueOtlp(undefined, operator, rootedSpans);
    for (const destination of destinations) enqueueOtlp(trace.tenantId, destination, spans);
    if (isStored) {
      const row = { ...summarize(trace), otlp: wrap(spans) };
      enqueueRow(trace.tenantId ?? UNKNOWN_TENANT, row, policy?.store ?? DEFAULT_RETENTION);
    }
    waitingTraces++;
  }

  /** Batches about to be sent, as being on their way from now on. */
  function mark<B extends Batch>(batches: readonly B[]): readonly B[] {
    const sentAt = clock();
    for (const batch of batches) {
      batch.sentAt = sentAt;
      inFlight.add(batch);
    }
    return batches;
  }

  function settle(batch: Batch, dropReason: string | undefined): void {
    inFlight.delete(batch);
    if (batch.isSettled) return;
    batch.isSettled = true;
    batch.queue.pendingChars -= batch.chars;
    if (dropReason === undefined) batch.queue.counter.deliver(batch.traces);
    else batch.queue.counter.drop(batch.traces, dropReason);
  }

  /** Batches go out in order, so the oldest is the first. */
  function giveUpLost(): void {
    const lostBefore = clock() - SEND_LOST_MS;
    for (const batch of inFlight) {
      if (batch.sentAt > lostBefore) return;
      settle(batch, "request_ended");
    }
  }

  async function sendOtlp(batch: OtlpBatch): Promise<void> {
    const body = joinResourceSpans([wrap(batch.spans.join(","))]);
    const delivery = await sendExport(batch.destination, body, deps);
    batch.queue.counter.noteRetries(delivery.retries);
    settle(batch, delivery.kind === "delivered" ? undefined : delivery.reason);
  }

  async function sendRows(batch: StoreBatch): Promise<void> {
    const add = (): Promise<void> => deps.storeOf(batch.tenantId).add(batch.rows, batch.retention);
    try {
      await add().catch(async () => {
        await sleep(STORE_RETRY_MS);
        await add();
      });
      settle(batch, undefined);
    } catch {
      settle(batch, "store_error");
    }
  }

  /** Sends all that waits, in the request of whoever calls. */
  async function sendAll(): Promise<void> {
    const otlp = mark([...otlpBatches.values()]);
    const stores = mark([...storeBatches.values()]);
    otlpBatches = new Map();
    storeBatches = new Map();
    waitingTraces = 0;
    hasFullBatch = false;
    await Promise.all([...otlp.map(sendOtlp), ...stores.map(sendRows)]);
  }

  async function gatherAndSend(mine: { readonly since: number }): Promise<void> {
    await sleep(GATHER_MS);
    if (flusher === mine) flusher = undefined;
    await sendAll();
  }

  return {
    export(trace, policy, waitUntil) {
      giveUpLost();
      enqueue(trace, policy);
      if (waitingTraces === 0) return;
      if (waitingTraces >= FLUSH_TRACES || hasFullBatch) return waitUntil(sendAll());
      const now = clock();
      if (flusher !== undefined && now - flusher.since < FLUSHER_STALE_MS) return;
      flusher = { since: now };
      waitUntil(gatherAndSend(flusher));
    },
    async flushStores() {
      const taken = mark([...storeBatches.values()]);
      storeBatches = new Map();
      await Promise.all(taken.map(sendRows));
    },
    status(tenantId) {
      giveUpLost();
      return counters.list(tenantId);
    },
  };
}
