/**
 * The batches an isolate is sending, each trace of which is settled exactly once: delivered, handed over,
 * dropped, or written off with the request that was sending it. Plain data between requests.
 */

import type { ExportCounter } from "./export-counters.ts";
import type { OutboxClient } from "./outbox-client.ts";

/** One destination's counter, and how much of the isolate's memory waits for it. */
export interface DestinationQueue {
  readonly tenantId: string | undefined;
  readonly counter: ExportCounter;
  pendingChars: number;
}

/** Traces on their way to one destination or store. */
export interface ExportBatch {
  readonly queue: DestinationQueue;
  /** Traces not settled yet. */
  left: number;
  chars: number;
  sentAt: number;
}

export interface ExportBatches {
  queueOf(tenantId: string | undefined, name: string): DestinationQueue;
  /** Counts a trace as enqueued; false when there is no room for it, which is counted as a drop. */
  admit(queue: DestinationQueue, chars: number, isTooLarge: boolean): boolean;
  /** Counts a trace as enqueued and dropped. */
  refuse(queue: DestinationQueue, reason: string): void;
  /** Marks batches as being sent from now on. */
  depart<B extends ExportBatch>(batches: readonly B[]): readonly B[];
  /** Takes traces out of a batch, to settle them elsewhere; false when they were written off before. */
  release(batch: ExportBatch, traces: number): boolean;
  deliver(batch: ExportBatch, traces: number): void;
  drop(batch: ExportBatch, traces: number, reason: string): void;
  /** Writes off what is being sent for longer than any send takes. */
  giveUpLost(): void;
  /** The tenants with counts since the last call. */
  takeTouched(): readonly (string | undefined)[];
}

/**
 * The most that may wait for one destination in an isolate of 128 MB; above it, new traces are dropped and
 * counted.
 */
const MAX_PENDING_CHARS = 8 * 1024 * 1024;
/** A send that has not ended by now (it may take 20 s) died with its request. */
export const SEND_LOST_MS = 45_000;

const MIN_QUEUES = 1000;

export function createExportBatches(
  outbox: Pick<OutboxClient, "counter">,
  clock: () => number,
): ExportBatches {
  const queues = new Map<ExportCounter, DestinationQueue>();
  const inFlight = new Set<ExportBatch>();
  let touched = new Set<string | undefined>();
  let sweepAt = MIN_QUEUES;

  /** Forgets the destinations that nothing waits for. Their number may double before it looks again. */
  function forgetIdle(): void {
    for (const [counter, { pendingChars }] of queues) if (pendingChars === 0) queues.delete(counter);
    sweepAt = Math.max(MIN_QUEUES, 2 * queues.size);
  }

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
      const counter = outbox.counter(tenantId, name);
      let queue = queues.get(counter);
      if (queue === undefined) {
        if (queues.size >= sweepAt) forgetIdle();
        queues.set(counter, (queue = { tenantId, counter, pendingChars: 0 }));
      }
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
      // In order of departure, so the oldest is first.
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
