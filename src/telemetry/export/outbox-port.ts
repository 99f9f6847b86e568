/** The calls from isolates to a tenant's trace outbox. outbox/trace-outbox.ts implements them. */

import type { ContentMode } from "../content/content.ts";
import type { ExportCounts, ExportStatus } from "./export-counters.ts";

/** Traces that could not be delivered in their requests' time, as the exact bytes of one POST. */
export interface HandedBatch {
  readonly destination: string;
  readonly traces: number;
  readonly body: Uint8Array;
  readonly isGzip: boolean;
  /** The content in the body; it is not sent where less is allowed by then. */
  readonly content: ContentMode;
  /** Absent when it was not sent because the circuit was open. */
  readonly failure?: { readonly reason: string; readonly retryAfterMs?: number | undefined };
}

/** One call of an isolate: its counts since the last call, and perhaps a batch that is included in them. */
export interface Push {
  /** Idempotency key: counted once, however often it arrives. */
  readonly id: string;
  readonly isolate: string;
  /** The object's own name, which not every runtime tells it. */
  readonly tenantId: string;
  /** By destination. */
  readonly counts: Readonly<Record<string, ExportCounts>>;
  /** A repeated push comes without: if the first one never arrived, the batch is lost. */
  readonly batch?: HandedBatch;
}

export interface PushAnswer {
  /** By destination, for those whose circuit is open: ms since the epoch until which not to send. */
  readonly openUntil: Readonly<Record<string, number>>;
}

export interface TraceOutboxPort {
  push(push: Push): Promise<PushAnswer>;
  status(): Promise<readonly ExportStatus[]>;
}

/** The outbox of the operator's own destination; no tenant can have this name. */
export const OPERATOR_OUTBOX = "-";
/** Names in the export status; no tenant's destination can be called so. */
export const OPERATOR_NAME = "(operator)";
export const STORE_NAME = "(store)";
/** The tenant's webhook for alerts: a destination of the outbox like any other, whose batches are one alert each. */
export const WEBHOOK_NAME = "(webhook)";
