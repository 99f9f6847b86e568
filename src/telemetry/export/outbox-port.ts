/**
 * What travels between the isolates and a tenant's outbox, and the port to it. The Durable Object behind the port is
 * trace-outbox.ts; export-link.ts is who calls it.
 */

import type { ContentMode } from "../content/content.ts";
import type { ExportCounts, ExportStatus } from "./export-counters.ts";

/** Traces that could not be delivered in their requests' time, as the exact bytes of one POST. */
export interface HandedBatch {
  readonly destination: string;
  readonly traces: number;
  readonly body: Uint8Array;
  readonly isGzip: boolean;
  /** What of the clients' words is in the body; it is not sent where less is allowed by then. */
  readonly content: ContentMode;
  /** Absent when it was not tried at all, since the circuit was open. */
  readonly failure?: { readonly reason: string; readonly retryAfterMs?: number | undefined };
}

/** One call of an isolate: what it has counted since the last, and perhaps a batch that is among what it counted. */
export interface Push {
  /** Counts once, however often it arrives. */
  readonly id: string;
  readonly isolate: string;
  /** The object's own name, which it can't ask for everywhere. */
  readonly tenantId: string;
  /** By destination. */
  readonly counts: Readonly<Record<string, ExportCounts>>;
  /** A push that is repeated for want of an answer comes without: if the first never arrived, the batch is lost. */
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
