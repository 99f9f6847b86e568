/**
 * The shapes in which traces are stored, and the port of the store. store.ts implements it as a Durable Object.
 */

import type { Envelope } from "../otlp/otlp.ts";
import type { TraceSummary } from "../trace/summary.ts";
import type { Baseline } from "../usual/baseline.ts";
import type { MeasuredRequest } from "../usual/measure.ts";

/**
 * The store of requests whose tenant is unknown: a missing, wrong or malformed key. No tenant can have this
 * name.
 */
export const UNKNOWN_TENANT = "-";

/** One request: its summary and its spans as one `resourceSpans` element in JSON. */
export interface TraceRow extends TraceSummary {
  readonly otlp: string;
}

/** Traces of one tenant and one isolate, as they are stored until they are read. */
export interface TraceBatch {
  readonly traces: number;
  /** Undefined for requests whose tenant is not known. */
  readonly tenantId: string | undefined;
  /** The newest start in it, ms since the epoch. */
  readonly newestAt: number;
  /** Bytes of each trace in `spans`: a JSON list. */
  readonly lengths: string;
  /** Each trace's spans as comma-separated JSON, root first; the traces follow each other. */
  readonly spans: Uint8Array;
  readonly envelope: Envelope;
}

/** How much of a tenant's past is kept; the oldest is deleted first. */
export interface Retention {
  readonly maxTraces: number;
  readonly maxAgeHours: number;
}

/** For traces without a tenant, which have no record. */
export const DEFAULT_RETENTION: Retention = { maxTraces: 10_000, maxAgeHours: 72 };

export interface TraceFilters {
  /** An HTTP status, or `error` for every request that failed for its client. */
  readonly status?: number | "error";
  readonly model?: string;
  readonly route?: string;
  readonly key?: string;
  readonly outcome?: string;
  readonly cache?: string;
  /** A part of the trace's id or the request's, in any case. */
  readonly idPart?: string;
  readonly session?: string;
  /** Hashed. */
  readonly endUser?: string;
  /** Labels, each with its value. */
  readonly metadata?: readonly (readonly [name: string, value: string])[];
  /** Without operators' own calls and strangers' paths that do not exist. */
  readonly isDataOnly?: boolean;
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

/** The stored requests of one conversation, added up. Times are ms since the epoch. */
export interface SessionSums {
  readonly session: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly requests: number;
  readonly errors: number;
  readonly models: readonly string[];
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costUsd: number;
  /** Of how many requests the cost leaves out a part that has no price. */
  readonly partialCosts: number;
  /** The place of its newest request. */
  readonly position: number;
}

/** A request that a link of another leads to. */
export interface LinkedRequest {
  readonly traceId: string;
  readonly keyId: string | null;
  readonly route: string | null;
  readonly startedAt: number;
  readonly durationMs: number;
}

/** What is known of a route around a request, from the same tenant's store. */
export interface Usual {
  /** Of the same hours of the last days and the hour before; else of the last hours there are. */
  readonly isOfHour: boolean;
  /** All targets of the route. */
  readonly route: Baseline;
  /** The one that answered; undefined where no call did. */
  readonly target: Baseline | undefined;
  /** The target that answers most often. */
  readonly mainTarget: string;
}

/** A stored request with what its explanation compares it with. */
export interface TraceContext {
  readonly otlp: string;
  readonly usual: Usual | undefined;
  /** Requests to the same model in the minutes around it. */
  readonly neighbours: readonly MeasuredRequest[];
  /** The last like request, or the one whose answer this one got. */
  readonly partner: MeasuredRequest | undefined;
  readonly linked: readonly LinkedRequest[];
  /** Requests that came after it and left the queue before it. */
  readonly overtakenBy: number;
}

/** One tenant's store. Idempotent by trace id and request id. */
export interface TraceStorePort {
  append(batch: TraceBatch, retention: Retention): Promise<void>;
  /**
   * Adds rows and returns the request ids of those that were already stored, which stay. For few rows: it
   * writes one row each.
   */
  add(rows: readonly TraceRow[], retention: Retention): Promise<readonly string[]>;
  /** Newest first, positions below `before` only. */
  search(filters: TraceFilters, before: number, limit: number): Promise<readonly FoundTrace[]>;
  /** Conversations by their newest request, newest first, positions below `before` only. */
  sessions(filters: TraceFilters, before: number, limit: number): Promise<readonly SessionSums[]>;
  /** Each stored request of a trace, oldest first, as `resourceSpans` elements. */
  get(traceId: string): Promise<readonly string[]>;
  /** The same, each with its surroundings; the first 20. */
  explain(traceId: string): Promise<readonly TraceContext[]>;
}
