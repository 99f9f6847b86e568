/**
 * What an isolate has on its way to each place, and that each trace of it is settled just once: delivered, handed over,
 * dropped, or given up with the request that was sending it. Called by exporter.ts. Plain data between requests.
 */

import type { ExportCounter } from "./export-counters.ts";
import type { OutboxClient } from "./outbox-client.ts";

/** One place's counter, and how much of the isolate's memory is on its way there. */
export interface DestinationQueue {
  readonly tenantId: string | undefined;
  readonly counter: ExportCounter;
  pendingChars: number;
}

/** Traces on their way to one place. */
export interface ExportBatch {
  readonly queue: DestinationQueue;
  /** Not settled yet. */
  left: number;
  chars: number;
  sentAt: number;
}

export interface ExportBatches {
  queueOf(tenantId: string | undefined, name: string): DestinationQueue;
  /** Counts a trace in; false when there is no room for it, which is counted as well. */
  admit(queue: DestinationQueue, chars: number, isTooLarge: boolean): boolean;
  /** Counts a trace in and out again. */
  refuse(queue: DestinationQueue, reason: string): void;
  /** Batches about to be sent, as being on their way from now on. */
  depart<B extends ExportBatch>(batches: readonly B[]): readonly B[];
  /** Takes traces out of a batch for whoever settles them; false when it was given up before. */
  release(batch: ExportBatch, traces: number): boolean;
  deliver(batch: ExportBatch, traces: number): void;
  drop(batch: ExportBatch, traces: number, reason: string): void;
  /** Writes off what is on its way for longer than any send takes. */
  giveUpLost(): void;
  /** The tenants that anything was counted for since the last time. */
  takeTouched(): readonly (string | undefined)[];
}

/** What one destination may hold up in an isolate of 128 MB; beyond that new traces are dropped, and counted. */
const MAX_PENDING_CHARS = 8 * 1024 * 1024;
/** A send that has not ended by now (its budget is 20 s) died with its request. */
export const SEND_LOST_MS = 45_000;

export function createExportBatches(link: Pick<OutboxClient, "counter">, clock: () => number): ExportBatches {
  const queues = new Map<ExportCounter, DestinationQueue>();
  const inFlight = new Set<ExportBatch>();
  let touched = new Set<string | undefined>();

  function release(batch: ExportBatch, traces: number): boolean {
    if (batch.left < traces) return false;
    batch.left -= traces;
    if (batch.left === 0) {
      inFlight.delete(batch);
      batch.queue.pendingChars -= batch.chars;
    }
    return true;
  }

  function drop(batch: ExportBatch, traces: number, reason: string): void {
    if (release(batch, traces)) batch.queue.counter.drop(traces, reason);
  }

  return {
    queueOf(tenantId, name) {
      const counter = link.counter(tenantId, name);
      let queue = queues.get(counter);
      if (queue === undefined) queues.set(counter, (queue = { tenantId, counter, pendingChars: 0 }));
      touched.add(tenantId);
      return queue;
    },
    admit(queue, chars, isTooLarge) {
      queue.counter.enqueue(1);
      const isFull = queue.pendingChars + chars > MAX_PENDING_CHARS;
      const reason = isTooLarge ? "too_large" : isFull ? "backlog" : undefined;
      if (reason !== undefined) {
        queue.counter.drop(1, reason);
        return false;
      }
      queue.pendingChars += chars;
      return true;
    },
    refuse({ counter }, reason) {
      counter.enqueue(1);
      counter.drop(1, reason);
    },
    depart(batches) {
      const sentAt = clock();
      for (const batch of batches) {
        batch.sentAt = sentAt;
        inFlight.add(batch);
      }
      return batches;
    },
    release,
    deliver(batch, traces) {
      if (release(batch, traces)) batch.queue.counter.deliver(traces);
    },
    drop,
    giveUpLost() {
      const lostBefore = clock() - SEND_LOST_MS;
      // Batches depart in order, so the oldest is the first.
      for (const batch of inFlight) {
        if (batch.sentAt > lostBefore) return;
        drop(batch, batch.left, "request_ended");
      }
    },
    takeTouched() {
      const taken = [...touched];
      touched = new Set();
      return taken;
    },
  };
}
