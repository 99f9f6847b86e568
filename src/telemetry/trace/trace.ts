/**
 * The spans of one request, as the rest of the code sees them: explicit parents, no ambient context, so that
 * two overlapping requests that share a trace id never mix their spans. The span objects themselves come from a
 * factory (span-impl.ts); this file knows no OpenTelemetry package.
 */

import type { AttributeName, AttributeValue, EventName, LinkType, SpanAttributes } from "./attributes.ts";

export type SpanKind = "internal" | "server" | "client";

export interface SpanContextRef {
  readonly traceId: string;
  readonly spanId: string;
}

export interface SpanOptions {
  readonly kind?: SpanKind;
  /** Integer milliseconds since the epoch; now unless given. */
  readonly startAt?: number;
  readonly attributes?: SpanAttributes;
}

/**
 * A span that is being written. After `end` every method but `ref` and `child` is a no-op; a child may still begin
 * (work after the response hangs on the root) as long as the trace has not left.
 */
export interface Span {
  readonly ref: SpanContextRef;
  child(name: string, options?: SpanOptions): Span;
  set(attributes: SpanAttributes): Span;
  event(name: EventName, attributes?: SpanAttributes, at?: number): Span;
  link(to: SpanContextRef, type: LinkType): Span;
  /** Status ERROR with `error.type`; never a message. */
  fail(errorType: string): Span;
  end(endAt?: number): void;
}

export interface FinishedEvent {
  readonly name: string;
  readonly at: number;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

export interface FinishedLink extends SpanContextRef {
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/**
 * A span that has ended, as plain data: what is encoded, stored and drawn. Times are integer ms since the
 * epoch.
 */
export interface FinishedSpan extends SpanContextRef {
  readonly name: string;
  readonly kind: SpanKind;
  readonly parentSpanId?: string | undefined;
  readonly startAt: number;
  readonly endAt: number;
  readonly attributes: Readonly<Partial<Record<AttributeName, AttributeValue>>>;
  readonly events: readonly FinishedEvent[];
  readonly links: readonly FinishedLink[];
  readonly isError: boolean;
  /** What the caps and the allow-list left out of this span; none when nothing was. */
  readonly dropped?:
    | { readonly attributes: number; readonly events: number; readonly links: number }
    | undefined;
}

/** All spans of one request, root first, and what sampling and the store need. */
export interface FinishedTrace {
  readonly traceId: string;
  readonly tenantId: string | undefined;
  readonly root: FinishedSpan;
  readonly spans: readonly FinishedSpan[];
  /** The root's parent lives in the caller's process. */
  readonly hasRemoteParent: boolean;
}

export interface RequestTrace {
  /** The gateway's own id until the tenant is set, then the caller's where the request has a `traceparent`. */
  readonly traceId: string;
  readonly root: Span;
  /**
   * The tenant whose store and destinations get this trace; set once the key is known. Only then the request joins its
   * caller's trace, so that an unauthenticated one can't add to it.
   */
  setTenant(tenantId: string): void;
  /** An event on the root that may come after its end, as long as the trace has not left: its time is then that end. */
  addRootEvent(name: EventName, attributes: SpanAttributes): void;
  /** Attributes of the root that are known after its end, as long as the trace has not left. */
  setRoot(attributes: SpanAttributes): void;
  /**
   * Resolves with the whole trace when the root and all its spans have ended. Spans still open `SPAN_GRACE_MS`
   * after the root's end are ended then and marked `gateway.span.truncated`.
   */
  readonly finished: Promise<FinishedTrace>;
}
