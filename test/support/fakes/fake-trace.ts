// A span recorder for tests in Node, where the real one (src/telemetry/trace/span-impl.ts) can't load, and everything else that a
// request's trace is given: a clock that stands until it is moved, ids that count, a sleep that ends by hand.
import { createRequestTrace, type RequestTraceInit } from "../../../src/telemetry/trace/request-trace.ts";
import {
  STATUS_UNSET,
  type CreateSpan,
  type RecordedValue,
  type SpanRecorder,
} from "../../../src/telemetry/trace/span-recorder.ts";
import type { FinishedTrace, RequestTrace } from "../../../src/telemetry/trace/trace.ts";

/** A Wednesday in the deployed world's present: 2026-11-25T10:00:00Z. */
export const NOON = Date.UTC(2026, 10, 25, 10);

type WritableRecorder = { -readonly [key in keyof SpanRecorder]: SpanRecorder[key] } & {
  readonly events: SpanRecorder["events"][number][];
  readonly links: SpanRecorder["links"][number][];
};

export const createPlainSpan: CreateSpan = ({ startTime, onEnd }) => {
  const attributes: Record<string, RecordedValue> = {};
  const span: WritableRecorder = {
    attributes,
    startTime,
    endTime: startTime,
    events: [],
    links: [],
    status: { code: STATUS_UNSET },
    ended: false,
    setAttribute(name, value) {
      attributes[name] = value;
    },
    addEvent(name, eventAttributes, time) {
      span.events.push({ name, time, attributes: eventAttributes });
    },
    addLink(link) {
      span.links.push(link);
    },
    setStatus(status) {
      span.status = status;
    },
    end(time) {
      if (span.ended) return;
      span.ended = true;
      span.endTime = time;
      onEnd();
    },
  };
  return span;
};

export interface FakeTrace {
  readonly trace: RequestTrace;
  /** Moves the clock forward. */
  pass(ms: number): void;
  /** Ms since the epoch, as the trace's clock has it. */
  now(): number;
  /** Ends every sleep that was asked for, and says how long they were. */
  wake(): readonly number[];
  /** Ends the root and gives the finished trace. */
  finish(): Promise<FinishedTrace>;
}

let rigs = 0;

export function startTrace(
  about: Partial<Pick<RequestTraceInit, "name" | "kind" | "traceparent" | "attributes">> = {},
): FakeTrace {
  const number = ++rigs;
  let nowMs = NOON;
  let spans = 0;
  let sleepers: { readonly ms: number; readonly wake: () => void }[] = [];
  const trace = createRequestTrace({
    createSpan: createPlainSpan,
    clock: () => nowMs,
    sleep: (ms) => new Promise((wake) => sleepers.push({ ms, wake })),
    ids: {
      traceId: () => number.toString(16).padStart(32, "a"),
      spanId: () => (number * 4096 + ++spans).toString(16).padStart(16, "0"),
    },
    name: "POST /v1/chat/completions",
    kind: "server",
    ...about,
  });
  return {
    trace,
    pass: (ms) => void (nowMs += ms),
    now: () => nowMs,
    wake() {
      const woken = sleepers;
      sleepers = [];
      for (const { wake } of woken) wake();
      return woken.map(({ ms }) => ms);
    },
    finish() {
      trace.root.end();
      return trace.finished;
    },
  };
}
