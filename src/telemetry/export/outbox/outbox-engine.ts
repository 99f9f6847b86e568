/**
 * The logic of a trace outbox: accepts pushes, sends the waiting batches of each destination independently,
 * keeps the sums. Storage, clock, randomness and network are passed in; trace-outbox.ts is the Durable Object.
 *
 * A batch is removed from the table in the step that counts it, and a push's batch is written in the step that
 * counts it: statements without an await between them are one transaction, so a crash can't make them disagree.
 */

import { isModeWithin } from "../../content/content.ts";
import type { OutboxTarget } from "./webhook.ts";
import type { ExportStatus } from "../export-counters.ts";
import type { ExportPayload, SendResult } from "../otlp-send.ts";
import { createBatchTable, type WaitingBatch } from "./outbox-batches.ts";
import { afterFailure, afterHandover, HEALTHY, openUntil } from "./outbox-circuit.ts";
import { createOutboxLedger, type SavedOutboxLedger } from "./outbox-ledger.ts";
import type { HandedBatch, Push, PushAnswer } from "../outbox-port.ts";

export interface OutboxEngineDeps {
  readonly sql: SqlStorage;
  readonly kv: Pick<SyncKvStorage, "get" | "put">;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /**
   * The destination by the newest records. "gone": it was removed; "unavailable": the records can't be read
   * now.
   */
  readonly resolve: (tenantId: string, destination: string) => Promise<OutboxTarget | "gone" | "unavailable">;
  /** One try; never throws. */
  readonly send: (destination: OutboxTarget, payload: ExportPayload) => Promise<SendResult>;
  /** Keeps work running after the call that started it. */
  readonly defer: (work: Promise<void>) => void;
  /** Schedules a `wake` at that time at the latest. */
  readonly wakeAt: (at: number) => void;
}

export interface OutboxEngine {
  push(push: Push): PushAnswer;
  status(): readonly ExportStatus[];
  /** Starts sending to every destination that is due, each independently; returns at once. */
  wake(): void;
}

/** Per destination: an hour's outage of a busy tenant, far below the object's 10 GB. */
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_BATCHES = 10_000;
/** A SQLite row holds 2 MB. */
const MAX_BATCH_BYTES = 1_900_000;
/** Back ends refuse spans that are much older than a day. */
const MAX_AGE_MS = 24 * 3_600_000;
/** Sends per round: below the 50 calls an invocation has on the free plan. */
const ROUND = 40;
/** When to try again after a send whose object died before it ended. */
const SENDING_LOST_MS = 30_000;
/** Sums without drops or batches are written once in this time: a row costs as much as seven calls. */
export const SAVE_INTERVAL_MS = 10_000;

const LEDGER_KEY = "ledger";

export function createOutboxEngine(deps: OutboxEngineDeps): OutboxEngine {
  const { kv, now, random } = deps;
  const table = createBatchTable(deps.sql);
  const ledger = createOutboxLedger(kv.get<SavedOutboxLedger>(LEDGER_KEY));
  /** Destinations being sent to, each with the batch in flight. */
  const sending = new Map<string, WaitingBatch | undefined>();
  let savedAt = 0;
  let isDirty = false;

  function save(): void {
    kv.put(LEDGER_KEY, ledger.save());
    savedAt = now();
    isDirty = false;
  }

  /** Now if the last write is long enough ago, else with the next one. */
  function saveInTime(): void {
    if (now() - savedAt >= SAVE_INTERVAL_MS) return save();
    isDirty = true;
    deps.wakeAt(savedAt + SAVE_INTERVAL_MS);
  }

  function dueAt(destination: string): number {
    if (sending.has(destination)) return now() + SENDING_LOST_MS;
    return Math.max(now(), ledger.healthOf(destination).nextAttemptAt);
  }

  function arm(): void {
    const times = table.destinations().map(dueAt);
    if (isDirty) times.push(savedAt + SAVE_INTERVAL_MS);
    if (times.length > 0) deps.wakeAt(Math.min(...times));
  }

  function accept(batch: HandedBatch): void {
    const { destination, traces, body, failure } = batch;
    if (body.byteLength > MAX_BATCH_BYTES) return ledger.drop(destination, traces, "too_large");
    makeRoom(destination, body.byteLength);
    table.add(batch, now());
    if (failure === undefined) return;
    ledger.noteFailure(destination, failure.reason);
    const health = ledger.healthOf(destination);
    ledger.setHealth(destination, afterHandover(health, now(), random(), failure.retryAfterMs));
  }

  /** The oldest are dropped first: newer traces are more useful after an outage. */
  function makeRoom(destination: string, bytes: number): void {
    const batches = table.of(destination);
    while (batches.length >= MAX_BATCHES || table.bytesOf(destination) + bytes > MAX_BYTES) {
      const oldest = batches.find((batch) => batch !== sending.get(destination));
      if (oldest === undefined) return;
      drop(oldest, "outbox_full");
    }
  }

  function drop(batch: WaitingBatch, reason: string): void {
    table.remove(batch);
    ledger.drop(batch.destination, batch.traces, reason);
  }

  /** Sends a destination's batches one after another, until one fails. */
  async function drain(destination: string): Promise<void> {
    sending.set(destination, undefined);
    try {
      const target = await deps.resolve(ledger.tenantId, destination);
      if (target === "unavailable") return noteFailure(destination, "records_unavailable", undefined);
      for (let sent = 0; sent < ROUND; sent++) {
        const [batch] = table.of(destination);
        if (batch === undefined) return;
        const refusal = refusalOf(batch, target);
        if (refusal !== undefined) {
          drop(batch, refusal);
          save();
        } else if (target !== "gone" && !(await sendBatch(batch, target))) return;
      }
    } catch {
      noteFailure(destination, "outbox_fault", undefined);
    } finally {
      sending.delete(destination);
      arm();
    }
  }

  function refusalOf(batch: WaitingBatch, target: OutboxTarget | "gone"): string | undefined {
    if (target === "gone") return "destination_removed";
    if (now() - batch.enqueuedAt > MAX_AGE_MS) return "expired";
    return isModeWithin(batch.content, target.content) ? undefined : "content_withdrawn";
  }

  /** Whether the destination accepted it or refused it for good, so that the next one can follow. */
  async function sendBatch(batch: WaitingBatch, target: OutboxTarget): Promise<boolean> {
    const { destination, isGzip, traces } = batch;
    sending.set(destination, batch);
    const tried = await deps.send(target, { body: table.bodyOf(batch), isGzip });
    if (tried.kind === "failed" && tried.mayRetry) {
      noteFailure(destination, tried.reason, tried.retryAfterMs);
      return false;
    }
    table.remove(batch);
    if (tried.kind === "ok") ledger.deliver(destination, traces);
    else ledger.drop(destination, traces, tried.reason);
    ledger.setHealth(destination, HEALTHY);
    save();
    return true;
  }

  function noteFailure(destination: string, reason: string, retryAfterMs: number | undefined): void {
    ledger.noteFailure(destination, reason);
    const health = ledger.healthOf(destination);
    ledger.setHealth(destination, afterFailure(health, now(), random(), retryAfterMs));
    save();
  }

  function openCircuits(): Readonly<Record<string, number>> {
    const open: Record<string, number> = {};
    for (const destination of ledger.destinations()) {
      const until = openUntil(ledger.healthOf(destination), now());
      // Without a waiting batch as a probe, the isolates have to try.
      if (until !== undefined && table.of(destination).length > 0) open[destination] = until;
    }
    return open;
  }

  return {
    push(push) {
      ledger.writeOffLost(now());
      if (ledger.apply(push, now())) {
        if (push.batch === undefined) saveInTime();
        else {
          accept(push.batch);
          save();
        }
      }
      arm();
      return { openUntil: openCircuits() };
    },
    status() {
      if (ledger.writeOffLost(now())) save();
      return ledger.status((destination) => sending.has(destination));
    },
    wake() {
      ledger.writeOffLost(now());
      if (isDirty && now() - savedAt >= SAVE_INTERVAL_MS) save();
      for (const destination of table.destinations()) {
        if (!sending.has(destination) && dueAt(destination) <= now()) deps.defer(drain(destination));
      }
      arm();
    },
  };
}
