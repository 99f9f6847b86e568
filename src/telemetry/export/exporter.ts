/**
 * Exports finished traces from the isolate: encodes each once, gathers those that end together, and sends them
 * to the operator's destination, the tenant's destinations and the tenant's store, each independently.
 * otlp-send.ts sends; what can't be delivered in the request's time goes to the tenant's outbox.
 *
 * Requests share only plain data here: on Workers a promise of one request may not be awaited in another. So
 * one request at a time is the flusher: it sleeps briefly in its own waitUntil, then sends what all have
 * enqueued.
 */

import { isModeWithin, type ContentMode, type TraceContent } from "../content/content.ts";
import type { TraceDestination, UnusableDestination } from "./destination.ts";
import { createExportBatches, type ExportBatch, type DestinationQueue } from "./export-batches.ts";
import type { ExportStatus } from "./export-counters.ts";
import { createTraceEncoder } from "./export-encode.ts";
import { createOutboxClient, type OutboxClientDeps } from "./outbox-client.ts";
import { createPacker, isTooLarge, type PackedBody, type Packer } from "./export-pack.ts";
import { createEnvelope, type OtlpResource } from "../otlp/otlp.ts";
import { sendPayload, toPayload, type SendPorts } from "./otlp-send.ts";
import { STORE_NAME } from "./outbox-port.ts";
import { PRESETS } from "../../tenants/records/destination-presets.ts";
import { shouldKeep, type SamplingPolicy } from "../trace/sampling.ts";
import { createBatchPacker, MAX_STORED_CHARS, type BatchPacker } from "../store/stored-batch.ts";
import { DEFAULT_RETENTION, UNKNOWN_TENANT } from "../store/stored-trace.ts";
import type { Retention, TraceBatch, TraceStorePort } from "../store/stored-trace.ts";
import type { FinishedTrace } from "../trace/trace.ts";

/** A tenant's `tracing` settings, with the headers of its destinations decrypted. */
export interface ExportPolicy {
  readonly sampling: SamplingPolicy;
  readonly store: Retention & { readonly enabled: boolean; readonly content: ContentMode };
  /** Traces for those that can't be used are counted as dropped. */
  readonly destinations: readonly (TraceDestination | UnusableDestination)[];
}

/** Keeps work running after the response, in the context of the calling request. */
export type WaitUntil = (work: Promise<unknown>) => void;

export interface ExportPort {
  /** Exports a trace; without a policy (no known tenant) to the operator and to the store for unknown tenants. */
  export(
    trace: FinishedTrace,
    policy: ExportPolicy | undefined,
    waitUntil: WaitUntil,
    content?: TraceContent,
  ): void;
  /** What was gathered of a tenant that is gone is not sent, and not counted. */
  forget(tenantId: string): void;
  /** Writes enqueued traces to the stores now, so that a reader in this isolate finds them. */
  flushStores(): Promise<void>;
  /**
   * Of a tenant's destinations and store, over all isolates; of the operator's when undefined. Rejects when the
   * outbox is unreachable.
   */
  status(tenantId: string | undefined): Promise<readonly ExportStatus[]>;
}

export interface ExporterDeps extends SendPorts, Pick<OutboxClientDeps, "outboxOf" | "newId"> {
  readonly resource: OtlpResource;
  /** Undefined when OTLP_ENDPOINT is not set. Gets every trace, whatever the tenants sample. */
  readonly operator: TraceDestination | undefined;
  /** A fresh stub each time: a stub belongs to the request that made it. */
  readonly storeOf: (tenantId: string) => TraceStorePort;
}

/** How long the flusher gathers: enough for a burst to leave in one POST, short enough not to be noticed. */
export const EXPORT_GATHER_MS = 50;
/** A flusher that has not sent by now died with its request; the next trace starts another. */
export const FLUSHER_STALE_MS = 3000;
/** From this many traces on, they are sent at once: a burst is not held in memory. */
export const FLUSH_TRACES = 256;
/** The same for one destination's traces: a body of half a megabyte in ASCII. */
export const FLUSH_CHARS = 512 * 1024;
const STORE_RETRY_MS = 200;

interface OtlpBatch extends ExportBatch {
  destination: TraceDestination;
  /** The most content that any of its texts has. */
  content: ContentMode;
  readonly packer: Packer;
}

interface StoreBatch extends ExportBatch {
  readonly tenantId: string | undefined;
  retention: Retention;
  readonly packer: BatchPacker;
}

/** The exporter of one isolate. */
export function createExporter(deps: ExporterDeps): ExportPort {
  const { clock, sleep, operator } = deps;
  const envelope = createEnvelope(deps.resource);
  const outbox = createOutboxClient(deps);
  const inFlight = createExportBatches(outbox, clock);
  let otlpBatches = new Map<DestinationQueue, OtlpBatch>();
  let storeBatches = new Map<DestinationQueue, StoreBatch>();
  let waitingTraces = 0;
  let hasFullBatch = false;
  let flusher: { readonly since: number } | undefined;

  function enqueueOtlp(tenantId: string | undefined, destination: TraceDestination, spans: string): void {
    const queue = inFlight.queueOf(tenantId, destination.name);
    const { content, preset } = destination;
    const { maxBodyBytes } = PRESETS[preset];
    if (!inFlight.admit(queue, spans.length, isTooLarge(spans, maxBodyBytes))) return;
    let batch = otlpBatches.get(queue);
    if (batch === undefined) {
      const packer = createPacker(envelope, maxBodyBytes);
      batch = { queue, destination, content, packer, left: 0, chars: 0, sentAt: 0 };
      otlpBatches.set(queue, batch);
    }
    // The newest settings apply: a changed credential is used at once.
    batch.destination = destination;
    if (isModeWithin(batch.content, content)) batch.content = content;
    batch.packer.append(spans);
    grow(batch, spans.length);
  }

  function enqueueStored(
    { tenantId, root }: FinishedTrace,
    spans: string,
    retention: Retention = DEFAULT_RETENTION,
  ): void {
    const queue = inFlight.queueOf(tenantId ?? UNKNOWN_TENANT, STORE_NAME);
    if (!inFlight.admit(queue, spans.length, spans.length > MAX_STORED_CHARS)) return;
    let batch = storeBatches.get(queue);
    if (batch === undefined) {
      const packer = createBatchPacker(tenantId, envelope);
      batch = { queue, tenantId, retention, packer, left: 0, chars: 0, sentAt: 0 };
      storeBatches.set(queue, batch);
    }
    batch.retention = retention;
    batch.packer.append(root.startAt, spans);
    grow(batch, spans.length);
  }

  function grow(batch: ExportBatch, chars: number): void {
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
      if ("fault" in destination)
        inFlight.refuse(inFlight.queueOf(tenantId, destination.name), destination.fault);
      else enqueueOtlp(tenantId, destination, encoder.forDestination(destination));
    }
    if (isStored) enqueueStored(trace, encoder.forStore(policy?.store.content ?? "off"), policy?.store);
    waitingTraces++;
  }

  async function sendOtlp(batch: OtlpBatch): Promise<void> {
    await Promise.all(batch.packer.take().map((body) => sendBody(batch, body)));
  }

  async function sendBody(batch: OtlpBatch, { bytes, traces }: PackedBody): Promise<void> {
    const { queue, destination, content } = batch;
    const { name, gzip } = destination;
    const payload = await toPayload(bytes, gzip);
    let failure: { readonly reason: string; readonly retryAfterMs: number | undefined } | undefined;
    if (!outbox.isOpen(queue.tenantId, name)) {
      const delivery = await sendPayload(destination, payload, deps);
      queue.counter.noteRetries(delivery.retries);
      if (delivery.kind === "delivered") return inFlight.deliver(batch, traces);
      const { reason, mayRetry, retryAfterMs } = delivery;
      if (!mayRetry) return inFlight.drop(batch, traces, reason);
      failure = { reason, retryAfterMs };
    }
    if (!inFlight.release(batch, traces)) return;
    const handed = { destination: name, traces, ...payload, content };
    await outbox.handOver(queue.tenantId, failure === undefined ? handed : { ...handed, failure });
  }

  async function sendStored(batch: StoreBatch): Promise<void> {
    await Promise.all(batch.packer.take().map((packed) => sendPacked(batch, packed)));
  }

  async function sendPacked(batch: StoreBatch, packed: TraceBatch): Promise<void> {
    const store = batch.tenantId ?? UNKNOWN_TENANT;
    const append = (): Promise<void> => deps.storeOf(store).append(packed, batch.retention);
    try {
      await append().catch(async () => {
        await sleep(STORE_RETRY_MS);
        await append();
      });
      inFlight.deliver(batch, packed.traces);
    } catch {
      inFlight.drop(batch, packed.traces, "store_error");
    }
  }

  /** Sends everything enqueued, in the calling request. */
  async function sendAll(): Promise<void> {
    const otlp = inFlight.depart([...otlpBatches.values()]);
    const stores = inFlight.depart([...storeBatches.values()]);
    const tenantIds = inFlight.takeTouched();
    otlpBatches = new Map();
    storeBatches = new Map();
    waitingTraces = 0;
    hasFullBatch = false;
    const report = (): Promise<unknown> => Promise.all(tenantIds.map((id) => outbox.reportSoon(id)));
    await Promise.all([...otlp.map(sendOtlp), ...stores.map(sendStored), report()]);
    // Reports what was settled after the first report; mostly nothing.
    await report();
  }

  async function gatherAndSend(mine: { readonly since: number }): Promise<void> {
    await sleep(EXPORT_GATHER_MS);
    if (flusher === mine) flusher = undefined;
    await sendAll();
  }

  return {
    export(trace, policy, waitUntil, content) {
      inFlight.giveUpLost();
      enqueue(trace, policy, content);
      if (waitingTraces === 0) return;
      if (waitingTraces >= FLUSH_TRACES || hasFullBatch) return waitUntil(sendAll());
      const now = clock();
      if (flusher !== undefined && now - flusher.since < FLUSHER_STALE_MS) return;
      flusher = { since: now };
      waitUntil(gatherAndSend(flusher));
    },
    forget(tenantId) {
      for (const [queue, batch] of storeBatches) if (batch.tenantId === tenantId) storeBatches.delete(queue);
      for (const queue of otlpBatches.keys()) if (queue.tenantId === tenantId) otlpBatches.delete(queue);
      outbox.forget(tenantId);
    },
    async flushStores() {
      const taken = inFlight.depart([...storeBatches.values()]);
      storeBatches = new Map();
      await Promise.all(taken.map(sendStored));
    },
    status(tenantId) {
      inFlight.giveUpLost();
      return outbox.status(tenantId);
    },
  };
}
