/**
 * The port between our spans and the OpenTelemetry package that holds their data: the part of OpenTelemetry's
 * Span and ReadableSpan that we use. span-impl.ts implements it in the Worker, a dozen lines in tests.
 */

import type { SpanKind } from "./trace.ts";

/** Seconds since the epoch and nanoseconds within the second, as OpenTelemetry's API has them. */
export type HrTime = [seconds: number, nanoseconds: number];

/** As OpenTelemetry's API wants it: its arrays are mutable. */
export type RecordedValue = string | number | boolean | string[];

type Recorded = Readonly<Record<string, unknown>>;

export interface SpanRecorder {
  readonly attributes: Recorded;
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly events: readonly {
    readonly name: string;
    readonly time: HrTime;
    readonly attributes?: Recorded | undefined;
  }[];
  readonly links: readonly {
    readonly context: { readonly traceId: string; readonly spanId: string };
    readonly attributes?: Recorded | undefined;
  }[];
  readonly status: { readonly code: number };
  readonly ended: boolean;
  setAttribute(name: string, value: RecordedValue): unknown;
  addEvent(name: string, attributes: Record<string, RecordedValue>, time: HrTime): unknown;
  addLink(link: {
    readonly context: { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };
    readonly attributes: Record<string, RecordedValue>;
  }): unknown;
  setStatus(status: { readonly code: number }): unknown;
  /** The second call is a no-op. */
  end(time: HrTime): void;
}

interface RecorderInit {
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly startTime: HrTime;
  /** Called once, by the first `end`. */
  readonly onEnd: () => void;
}

export type CreateSpan = (init: RecorderInit) => SpanRecorder;

/** OpenTelemetry's status codes. */
export const STATUS_UNSET = 0;
export const STATUS_ERROR = 2;

/** OpenTelemetry's "sampled" trace flag: sampling is decided when a trace ends, so each one is recorded. */
export const SAMPLED_FLAG = 1;

const MS_PER_SECOND = 1000;
const NS_PER_MS = 1_000_000;

/** The last pair: most spans of a request begin and end in the same few milliseconds. */
let lastMs = 0;
let lastPair: HrTime = [0, 0];

/** Integer milliseconds since the epoch as OpenTelemetry's pair. Never to be written to. */
export function toHrTime(ms: number): HrTime {
  if (ms !== lastMs) {
    lastMs = ms;
    lastPair = [Math.trunc(ms / MS_PER_SECOND), (ms % MS_PER_SECOND) * NS_PER_MS];
  }
  return lastPair;
}

/** Back from the pair to integer milliseconds. */
export function toMs([seconds, nanoseconds]: HrTime): number {
  return seconds * MS_PER_SECOND + Math.round(nanoseconds / NS_PER_MS);
}
