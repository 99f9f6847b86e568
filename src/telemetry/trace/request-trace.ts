/**
 * The spans of one request, held by the request itself: no ambient context and no map by trace id, so that
 * overlapping requests of one trace can't mix. Runs on every request; clock, ids, sleep and span objects are
 * passed in. It exports nothing.
 */

import type { AttributeValue, EventName, LinkType, SpanAttributes } from "./attributes.ts";
import { finishSpan, MAX_EVENTS, MAX_LINKS_PER_SPAN } from "./finish-span.ts";
import type { IdSource } from "./ids.ts";
import {
  SAMPLED_FLAG,
  STATUS_ERROR,
  toHrTime,
  toMs,
  type CreateSpan,
  type RecordedValue,
  type SpanRecorder,
} from "./span-recorder.ts";
import type { FinishedTrace, RequestTrace, Span, SpanContextRef, SpanKind, SpanOptions } from "./trace.ts";
import { parseTraceparent } from "./traceparent.ts";

/**
 * Work after the response may take 30 s on Workers; spans still open 5 s before that are ended, so that they
 * are exported.
 */
export const SPAN_GRACE_MS = 25_000;
/** No healthy request has more; the rest are counted in `gateway.span.dropped_count`. */
const MAX_SPANS = 128;

export interface RequestTraceInit {
  readonly createSpan: CreateSpan;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly ids: IdSource;
  /** The root span's name: `rootSpanName` in spans.ts. */
  readonly name: string;
  readonly kind: SpanKind;
  /** The header as received. The trace joins its caller's once the tenant is set; an invalid header never counts. */
  readonly traceparent?: string | null | undefined;
  readonly attributes?: SpanAttributes;
}

/** Its `then` costs less than the platform's queueMicrotask. */
const DONE = Promise.resolve();

interface OpenSpan {
  readonly recorder: SpanRecorder;
  readonly name: string;
  readonly kind: SpanKind;
  /** Its trace id changes when the request joins its caller's trace. */
  readonly ref: { traceId: string; readonly spanId: string };
  parentSpanId: string | undefined;
  droppedEvents: number;
  droppedLinks: number;
}

/** Starts the trace of one request, with its root span open. */
export function createRequestTrace(init: RequestTraceInit): RequestTrace {
  const remote = parseTraceparent(init.traceparent);
  let traceId = init.ids.traceId();
  const spans: OpenSpan[] = [];
  const { promise: finished, resolve: resolveFinished } = Promise.withResolvers<FinishedTrace>();
  let openCount = 0;
  let droppedSpans = 0;
  let lastAt = 0;
  let isRootOpen = true;
  let isSealed = false;
  let tenantId: string | undefined;
  let hasJoined = false;

  /** Never steps back within a request, even if the machine's clock does. */
  function now(): number {
    lastAt = Math.max(lastAt, Math.round(init.clock()));
    return lastAt;
  }

  function start(name: string, options: SpanOptions, parent: OpenSpan | undefined): Span {
    if (parent !== undefined && (isSealed || spans.length >= MAX_SPANS)) {
      droppedSpans++;
      return createDeadSpan(parent.ref);
    }
    const ref = { traceId, spanId: init.ids.spanId() };
    const parentSpanId = parent?.ref.spanId;
    const kind = options.kind ?? "internal";
    const earliestAt = parent === undefined ? 0 : toMs(parent.recorder.startTime);
    const startAt = Math.max(earliestAt, wholeMs(options.startAt) ?? now());
    const recorder = init.createSpan({
      name,
      kind,
      traceId,
      spanId: ref.spanId,
      parentSpanId,
      startTime: toHrTime(startAt),
      onEnd: parent === undefined ? onRootEnd : onSpanEnd,
    });
    recorder.setAttribute("gateway.span.seq", spans.length);
    const open = { recorder, name, kind, ref, parentSpanId, droppedEvents: 0, droppedLinks: 0 };
    spans.push(open);
    openCount++;
    const span = new SpanHandle(open, start, now);
    return options.attributes === undefined ? span : span.set(options.attributes);
  }

  function onRootEnd(): void {
    isRootOpen = false;
    onSpanEnd();
    if (openCount > 0) void init.sleep(SPAN_GRACE_MS).then(endOpenSpans);
  }

  function onSpanEnd(): void {
    openCount--;
    // A step later, so that work after the response may begin right behind the root's end.
    if (openCount === 0 && !isRootOpen) void DONE.then(sealIfDone);
  }

  function endOpenSpans(): void {
    for (const { recorder } of spans) {
      if (recorder.ended) continue;
      recorder.setAttribute("gateway.span.truncated", true);
      recorder.end(toHrTime(Math.max(now(), toMs(recorder.startTime))));
    }
  }

  function sealIfDone(): void {
    if (isSealed || openCount > 0) return;
    isSealed = true;
    // The root has ended and its handle ignores new attributes, so this is set on the recorder.
    if (droppedSpans > 0) spans[0]?.recorder.setAttribute("gateway.span.dropped_count", droppedSpans);
    const done = spans.map((open, index) => finishSpan(open.recorder, open, index === 0));
    const [rootSpan] = done;
    if (rootSpan === undefined) return;
    resolveFinished({
      traceId,
      tenantId,
      root: rootSpan,
      spans: done,
      hasRemoteParent: hasJoined,
    });
  }

  /** Moves the spans so far into the caller's trace: before the caller is known, nothing of it is used. */
  function join(caller: SpanContextRef): void {
    hasJoined = true;
    traceId = caller.traceId;
    for (const { ref } of spans) ref.traceId = traceId;
    const [rootSpan] = spans;
    if (rootSpan !== undefined) rootSpan.parentSpanId = caller.spanId;
  }

  const root = start(
    init.name,
    { kind: init.kind, ...(init.attributes && { attributes: init.attributes }) },
    undefined,
  );

  const trace = {
    traceId,
    root,
    setTenant(id: string): void {
      tenantId = id;
      if (remote === undefined || hasJoined || isSealed) return;
      join(remote);
      trace.traceId = traceId;
    },
    addRootEvent(name: EventName, attributes: SpanAttributes): void {
      const [{ recorder } = {}] = spans;
      if (isSealed || recorder === undefined) return;
      const at = recorder.ended ? recorder.endTime : toHrTime(now());
      recorder.addEvent(name, plainAttributes(attributes), at);
    },
    setRoot(attributes: SpanAttributes): void {
      const [{ recorder } = {}] = spans;
      if (isSealed || recorder === undefined) return;
      for (const [name, value] of Object.entries(plainAttributes(attributes)))
        recorder.setAttribute(name, value);
    },
    finished,
  };
  return trace;
}

type StartSpan = (name: string, options: SpanOptions, parent: OpenSpan) => Span;

/** A class, since a request has a dozen: their methods are made once and not once a span. */
class SpanHandle implements Span {
  readonly ref: SpanContextRef;
  readonly #open: OpenSpan;
  readonly #start: StartSpan;
  readonly #now: () => number;

  constructor(open: OpenSpan, start: StartSpan, now: () => number) {
    this.ref = open.ref;
    this.#open = open;
    this.#start = start;
    this.#now = now;
  }

  child(name: string, options: SpanOptions = {}): Span {
    return this.#start(name, options, this.#open);
  }

  set(attributes: SpanAttributes): this {
    const { recorder } = this.#open;
    if (recorder.ended) return this;
    for (const name in attributes) {
      // `name` came from the object's own keys; its type is only wider because for-in yields strings.
      const value = attributes[name as keyof SpanAttributes];
      if (value !== undefined) recorder.setAttribute(name, recordedValue(value));
    }
    return this;
  }

  event(name: EventName, attributes?: SpanAttributes, at?: number): this {
    const { recorder } = this.#open;
    if (recorder.ended) return this;
    if (recorder.events.length >= MAX_EVENTS) this.#open.droppedEvents++;
    else recorder.addEvent(name, plainAttributes(attributes), toHrTime(wholeMs(at) ?? this.#now()));
    return this;
  }

  link(to: SpanContextRef, type: LinkType): this {
    const { recorder } = this.#open;
    if (recorder.ended) return this;
    if (recorder.links.length >= MAX_LINKS_PER_SPAN) this.#open.droppedLinks++;
    else {
      recorder.addLink({
        context: { traceId: to.traceId, spanId: to.spanId, traceFlags: SAMPLED_FLAG },
        attributes: { "gateway.link.type": type },
      });
    }
    return this;
  }

  fail(errorType: string): this {
    const { recorder } = this.#open;
    if (recorder.ended) return this;
    recorder.setStatus({ code: STATUS_ERROR });
    recorder.setAttribute("error.type", errorType);
    return this;
  }

  end(endAt?: number): void {
    const { recorder } = this.#open;
    if (recorder.ended) return;
    recorder.end(toHrTime(Math.max(toMs(recorder.startTime), wholeMs(endAt) ?? this.#now())));
  }
}

/** Replaces a span that started too late or above the cap: its work goes on, its data is dropped. */
function createDeadSpan(ref: SpanContextRef): Span {
  const span: Span = {
    ref,
    child: () => span,
    set: () => span,
    event: () => span,
    link: () => span,
    fail: () => span,
    end: () => {},
  };
  return span;
}

/** Lists are copied. Array.from never throws: what got past the compiler becomes an empty list, which is dropped later. */
function recordedValue(value: AttributeValue): RecordedValue {
  return typeof value === "object" ? Array.from(value ?? []) : value;
}

function plainAttributes(attributes: SpanAttributes = {}): Record<string, RecordedValue> {
  const plain: Record<string, RecordedValue> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) plain[name] = recordedValue(value);
  }
  return plain;
}

/** Integer milliseconds; undefined for a value that is not a time. */
function wholeMs(at: number | undefined): number | undefined {
  return at === undefined || !Number.isFinite(at) ? undefined : Math.round(at);
}
