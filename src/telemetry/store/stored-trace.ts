/**
 * What is kept of a trace and the port to who keeps it. The Durable Object behind the port is store.ts; exporter.ts
 * writes to it, trace-reader.ts reads from it.
 */

import type { Envelope } from "../otlp/otlp.ts";
import type { TraceSummary } from "../trace/summary.ts";

/** The store of requests whose tenant is not known: no, wrong or garbage key. No tenant can have this name. */
export const UNKNOWN_TENANT = "-";

/** One request: its summary and its spans as one `resourceSpans` element in JSON. */
export interface TraceRow extends TraceSummary {
  readonly otlp: string;
}

/** Traces of one tenant and one isolate, as they lie in the store until they are read. */
export interface TraceBatch {
  readonly traces: number;
  /** Undefined for requests whose tenant is not known. */
  readonly tenantId: string | undefined;
  /** The youngest start in it, ms since the epoch. */
  readonly newestAt: number;
  /** Bytes of each trace in `spans`: a JSON list. */
  readonly lengths: string;
  /** Each trace's spans as comma-separated JSON, root first; the traces one behind the other. */
  readonly spans: Uint8Array;
  readonly envelope: Envelope;
}

/** How much of a tenant's past is kept: the oldest goes first. */
export interface Retention {
  readonly maxTraces: number;
  readonly maxAgeHours: number;
}

/** For traces without a tenant, whose records would say. */
export const DEFAULT_RETENTION: Retention = { maxTraces: 10_000, maxAgeHours: 72 };

export interface TraceFilters {
  /** An HTTP status, or `error` for every request that failed for its client. */
  readonly status?: number | "error";
  readonly model?: string;
  readonly route?: string;
  readonly minMs?: number;
  readonly maxMs?: number;
  /** Ms since the epoch; from `sinceAt` on and before `untilAt`. */
  readonly sinceAt?: number;
  readonly untilAt?: number;
}

/** A summary and its place in the order of its store. */
export interface FoundTrace {
  /** Grows with the start time: newer requests have higher positions. */
  readonly position: number;
  readonly summary: TraceSummary;
}

/** One tenant's store. Idempotent by trace id and request id: what is written twice is read once. */
export interface TraceStorePort {
  append(batch: TraceBatch, retention: Retention): Promise<void>;
  /** Gives the request ids of those rows that were there before, and stay. For the few; costs a row each. */
  add(rows: readonly TraceRow[], retention: Retention): Promise<readonly string[]>;
  /** Newest first, positions below `before` only. */
  search(filters: TraceFilters, before: number, limit: number): Promise<readonly FoundTrace[]>;
  /** Each stored request of a trace, oldest first, as `resourceSpans` elements. */
  get(traceId: string): Promise<readonly string[]>;
}
