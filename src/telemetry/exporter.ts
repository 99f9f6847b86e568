/**
 * Takes finished traces out of the isolate: encodes each once, gathers those of the same moment, and sends them to the
 * operator's destination, the tenant's own and the tenant's store, in parallel and apart from each other. Called by
 * src/tracing.ts for each finished trace. How one destination is sent to is otlp-send.ts; what it does not take in its
 * request's time goes to the tenant's outbox (export-link.ts).
 *
 * Requests of one isolate share only plain data here: on Workers a promise of one request may not be awaited in
 * another. So one request at a time is the flusher, sleeps a moment in its own waitUntil, and sends what all have left.
 */

import { isWithin, type ContentMode, type TraceContent } from "./content.ts";
import type { TraceDestination, UnusableDestination } from "./destination.ts";
import { createBatchBook, type Batch, type Queue } from "./export-batches.ts";
import type { ExportStatus } from "./export-counters.ts";
import { createTraceEncoder } from "./export-encode.ts";
import { createExportLink, type ExportLinkDeps } from "./export-link.ts";
import { packTraces, type PackedBody } from "./export-pack.ts";
import { createEnvelope, joinResourceSpans, type OtlpResource } from "./otlp.ts";
import { sendPayload, toPayload, type SendPorts } from "./otlp-send.ts";
import { STORE_NAME } from "./outbox-port.ts";
import { PRESETS } from "./presets.ts";
import { shouldKeep, type SamplingPolicy } from "./sampling.ts";
import { DEFAULT_RETENTION, UNKNOWN_TENANT } from "./stored-trace.ts";
import type { Retention, TraceRow, TraceStorePort } from "./stored-trace.ts";
import { summarize } from "./summary.ts";
import type { FinishedTrace } from "./trace.ts";

/** A tenant's `tracing` settings, with the headers of its destinations opened. */
export interface ExportPolicy {
  readonly sampling: SamplingPolicy;
  readonly store: Retention & { readonly enabled: boolean; readonly content: ContentMode };
  /** Those that can't be sent to have their traces counted as dropped. */
  readonly destinations: readonly (TraceDestination | UnusableDestination)[];
}

/** Lets work go on after the response, in the context of the request that calls it. */
export type WaitUntil = (work: Promise<unknown>) => void;

export interface ExportPort {
  /** Takes a trace over; without a policy (no known tenant) it goes to the operator and the store of the unknown. */
  export(
    trace: FinishedTrace,
    policy: ExportPolicy | undefined,
    waitUntil: WaitUntil,
    content?: TraceContent,
  ): void;
  /** Writes what waits for the stores now, so that a reader in this isolate finds it. */
  flushStores(): Promise<void>;
  /**
   * Of a tenant's destinations and store, in all isolates; of the operator's when undefined. Rejects when the outbox
   * can't be asked.
   */
  status(tenantId: string | undefined): Promise<readonly ExportStatus[]>;
}

export interface ExporterDeps extends SendPorts, Pick<ExportLinkDeps, "outboxOf" | "newId"> {
  readonly resource: OtlpResource;
  /** Undefined when OTLP_ENDPOINT is not set. Gets every trace, whatever the tenants sample. */
  readonly operator: TraceDestination | undefined;
  /** A fresh stub each time: a stub belongs to the request that made it. */
  readonly storeOf: (tenantId: string) => TraceStorePort;
}

/** How long the flusher gathers: long enough for a burst to leave in one POST, too short for anyone to notice. */
export const GATHER_MS = 50;
/** A flusher that has not sent by now has died with its request; the next trace finds another. */
export const FLUSHER_STALE_MS = 3000;
/** From here on a flush waits for nobody: a burst is not held in memory. */
export const FLUSH_TRACES = 256;
/** The same for one destination's traces, as a body of half a megabyte in plain ASCII. */
export const FLUSH_CHARS = 512 * 1024;
/** A SQLite row holds 2 MB, and a character up to 3 bytes. */
const MAX_STORED_CHARS = 600_000;
const STORE_RETRY_MS = 200;

interface OtlpBatch extends Batch {
  destination: TraceDestination;
  /** What the texts hold at most. */
  content: ContentMode;
  readonly traces: string[];
}

interface StoreBatch extends Batch {
  readonly tenantId: string;
  retention: Retention;
  readonly rows: TraceRow[];
}

/** The exporter of one isolate. */
export function createExporter(deps: ExporterDeps): ExportPort {
  const { clock, sleep, operator } = deps;
  const wrap = createEnvelope(deps.resource);
  const link = createExportLink(deps);
  const book = createBatchBook(link, clock);
  let otlpBatches = new Map<Queue, OtlpBatch>();
  let storeBatches = new Map<Queue, StoreBatch>();
  let waitingTraces = 0;
  let hasFullBatch = false;
  let flusher: { readonly since: number } | undefined;

  function enqueueOtlp(tenantId: string | undefined, destination: TraceDestination, spans: string): void {
    const queue = book.queueOf(tenantId, destination.name);
    if (!book.admit(queue, spans.length)) return;
    const { content } = destination;
    let batch = otlpBatches.get(queue);
    if (batch === undefined) {
      batch = { queue, destination, content, traces: [], left: 0, chars: 0, sentAt: 0 };
      otlpBatches.set(queue, batch);
    }
    // The newest settings hold: a changed credential is used at once.
    batch.destination = destination;
    if (isWithin(batch.content, content)) batch.content = content;
    batch.traces.push(spans);
    grow(batch, spans.length);
  }

  function enqueueRow(tenantId: string, row: TraceRow, retention: Retention): void {
    const queue = book.queueOf(tenantId, STORE_NAME);
    if (!book.admit(queue, row.otlp.length, MAX_STORED_CHARS)) return;
    let batch = storeBatches.get(queue);
    if (batch === undefined) {
      batch = { queue, tenantId, retention, rows: [], left: 0, chars: 0, sentAt: 0 };
      storeBatches.set(queue, batch);
    }
    batch.retention = retention;
    batch.rows.push(row);
    grow(batch, row.otlp.length);
  }

  function grow(batch: Batch, chars: number): void {
    batch.left++;
    batch.chars += chars;
    hasFullBatch ||= batch.chars >= FLUSH_CHARS;
  }

  function enqueue(
    trace: FinishedTrace,
    policy: ExportPolicy | undefined,
    content: TraceContent | undefined,
  ): void {
    const isKept = policy === undefined || shouldKeep(trace, policy.sampling);
    const isStored = isKept && policy?.store.enabled !== false;
    const destinations = isKept ? (policy?.destinations ?? []) : [];
    if (operator === undefined && !isStored && destinations.length === 0) return;
    const { tenantId } = trace;
    const encoder = createTraceEncoder(trace, content);
    if (operator !== undefined) enqueueOtlp(undefined, operator, encoder.plain().rootedSpans);
    for (const destination of destinations) {
      if ("fault" in destination) book.refuse(book.queueOf(tenantId, destination.name), destination.fault);
      else enqueueOtlp(tenantId, destination, encoder.forDestination(destination));
    }
    if (isStored) {
      const row = { ...summarize(trace), otlp: wrap(encoder.forStore(policy?.store.content ?? "off")) };
      enqueueRow(tenantId ?? UNKNOWN_TENANT, row, policy?.store ?? DEFAULT_RETENTION);
    }
    waitingTraces++;
  }

  async function sendOtlp(batch: OtlpBatch): Promise<void> {
    const { bodies, tooLarge } = packTraces(batch.traces, PRESETS[batch.destination.preset].maxBodyBytes);
    if (tooLarge > 0) book.drop(batch, tooLarge, "too_large");
    await Promise.all(bodies.map((body) => sendBody(batch, body)));
  }

  async function sendBody(batch: OtlpBatch, { spans, traces }: PackedBody): Promise<void> {
    const { queue, destination, content } = batch;
    const { name, gzip } = destination;
    const payload = await toPayload(joinResourceSpans([wrap(spans)]), gzip);
    let failure: { readonly reason: string; readonly retryAfterMs: number | undefined } | undefined;
    if (!link.isOpen(queue.tenantId, name)) {
      const delivery = await sendPayload(destination, payload, deps);
      queue.counter.noteRetries(delivery.retries);
      if (delivery.kind === "delivered") return book.deliver(batch, traces);
      const { reason, mayRetry, retryAfterMs } = delivery;
      if (!mayRetry) return book.drop(batch, traces, reason);
      failure = { reason, retryAfterMs };
    }
    if (!book.release(batch, traces)) return;
    const handed = { destination: name, traces, ...payload, content };
    await link.handOver(queue.tenantId, failure === undefined ? handed : { ...handed, failure });
  }

  async function sendRows(batch: StoreBatch): Promise<void> {
    const add = (): Promise<unknown> => deps.storeOf(batch.tenantId).add(batch.rows, batch.retention);
    try {
      await add().catch(async () => {
        await sleep(STORE_RETRY_MS);
        await add();
      });
      book.deliver(batch, batch.rows.length);
    } catch {
      book.drop(batch, batch.rows.length, "store_error");
    }
  }

  /** Sends all that waits, in the request of whoever calls. */
  async function sendAll(): Promise<void> {
    const otlp = book.depart([...otlpBatches.values()]);
    const stores = book.depart([...storeBatches.values()]);
    const tenantIds = book.takeTouched();
    otlpBatches = new Map();
    storeBatches = new Map();
    waitingTraces = 0;
    hasFullBatch = false;
    const report = (): Promise<unknown> => Promise.all(tenantIds.map((id) => link.reportSoon(id)));
    await Promise.all([...otlp.map(sendOtlp), ...stores.map(sendRows), report()]);
    // What took longer than the report waited; mostly nothing.
    await report();
  }

  async function gatherAndSend(mine: { readonly since: number }): Promise<void> {
    await sleep(GATHER_MS);
    if (flusher === mine) flusher = undefined;
    await sendAll();
  }

  return {
    export(trace, policy, waitUntil, content) {
      book.giveUpLost();
      enqueue(trace, policy, content);
      if (waitingTraces === 0) return;
      if (waitingTraces >= FLUSH_TRACES || hasFullBatch) return waitUntil(sendAll());
      const now = clock();
      if (flusher !== undefined && now - flusher.since < FLUSHER_STALE_MS) return;
      flusher = { since: now };
      waitUntil(gatherAndSend(flusher));
    },
    async flushStores() {
      const taken = book.depart([...storeBatches.values()]);
      storeBatches = new Map();
      await Promise.all(taken.map(sendRows));
    },
    status(tenantId) {
      book.giveUpLost();
      return link.status(tenantId);
    },
  };
}
