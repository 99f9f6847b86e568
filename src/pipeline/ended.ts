/**
 * What an attempt gives back: what it answered, and how that ended. Types only. The one reader of an end is end.ts; an
 * attempt knows neither the lease nor the cache.
 */

import type { AnswerSummary } from "./answers/answer-summary.ts";
import type { Bill } from "./bills.ts";
import type { GatewayError } from "../errors.ts";
import type { Generation } from "./ports.ts";
import type { SpanContextRef } from "../telemetry/trace/trace.ts";
import type { StreamReport } from "../upstream/stream.ts";

/** An answer and its end: a value for what is whole already, a promise that never rejects for what is still flowing. */
export interface Answered {
  readonly generation: Generation;
  readonly ended: Ended | Promise<Ended>;
  /** The upstream's own refusal, passed on to the client as it is. */
  readonly refusal?: GatewayError;
}

/** An answer that was understood, with what the cache keeps of it. */
interface Understood {
  readonly answer: AnswerSummary;
  /** Absent where nothing was generated that we know of. */
  readonly bill: Bill | undefined;
  /** `account/model`. */
  readonly target: string;
  /** The inference span: what `cached_from` links of later hits point at. */
  readonly span: SpanContextRef;
  readonly durationMs: number;
}

/** A whole answer is ready to be sent. */
export interface WholeEnd extends Understood {
  readonly kind: "whole";
  readonly body: string;
}

/** A stream is over, one way or another. */
export interface StreamEnd extends Understood {
  readonly kind: "stream";
  readonly report: StreamReport;
  /** What the client was sent; undefined, or giving undefined, where it can't be stored. */
  readonly sent: (() => string | undefined) | undefined;
}

/** An answer that was not understood has gone by: as a stream, where there is a report. */
export interface RelayEnd {
  readonly kind: "relay";
  readonly report?: StreamReport;
  /** The upstream's refusal, passed on as it is. */
  readonly refusal?: GatewayError;
}

/** A session is over. `error` says what broke it; absent where either side ended it in order. */
export interface SessionEnd {
  readonly kind: "session";
  readonly error?: GatewayError;
}

/** Tokens were counted: nothing was generated, nothing is owed. */
export interface CountEnd {
  readonly kind: "count";
}

/** No target answered, or the client left before one did. */
export interface FailureEnd {
  readonly kind: "failure";
  readonly error: GatewayError;
}

export type Ended = WholeEnd | StreamEnd | RelayEnd | SessionEnd | CountEnd | FailureEnd;

/** The error an end carries, whatever its kind. */
export function errorOf(ended: Ended): GatewayError | undefined {
  switch (ended.kind) {
    case "whole":
    case "count":
      return undefined;
    case "stream":
      return ended.report.error;
    case "relay":
      return ended.refusal ?? ended.report?.error;
    case "session":
    case "failure":
      return ended.error;
  }
}

/** Whether the answer came to its end as it should. */
export function isSound(ended: Ended): boolean {
  switch (ended.kind) {
    case "whole":
    case "count":
      return true;
    case "stream":
      return ended.report.outcome === "complete";
    case "relay":
      return (
        ended.refusal === undefined && (ended.report === undefined || ended.report.outcome === "complete")
      );
    case "session":
      return ended.error === undefined;
    case "failure":
      return false;
  }
}

/** Whether the client left before the end. */
export function isClientGone(ended: Ended): boolean {
  if ("report" in ended && ended.report?.outcome === "client_disconnected") return true;
  return errorOf(ended)?.code === "client_disconnected";
}
