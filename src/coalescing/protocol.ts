/**
 * The messages between a request and the object that coalesces it with others (inflight.ts), and the framing of the bytes
 * that a leader sends while it generates. Types and framing only.
 */

import type { ErrorCode, LimitFacts } from "../errors.ts";

export interface JoinRequest {
  /** Requests with equal keys share one generation. */
  readonly key: string;
  /** With the same key another fingerprint is a conflict. */
  readonly fingerprint: string;
  readonly requestId: string;
  /** Whether the finished answer is kept, and the generation goes on after its last client has left. */
  readonly keeps: boolean;
  /** The error event in the client's wire, for a stream that breaks without its leader having reported it. */
  readonly failureText: string;
}

export interface FlightHead {
  readonly contentType: string;
  /** Events reach followers as they come, a non-streamed answer when it is complete. */
  readonly form: "json" | "sse";
  /** `provider/model` that answers. */
  readonly target?: string;
  /** As `gen_ai.provider.name`. */
  readonly vendor?: string;
  /** The leader's request: what followers link to. */
  readonly trace: { readonly traceId: string; readonly spanId: string };
}

/** A leader's failure: what a follower's GatewayError is made of. */
export interface FlightFault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
  readonly status?: number;
  readonly retryAfterMs?: number;
  readonly limit?: LimitFacts;
  readonly upstreamStatus?: number;
  /**
   * Whom it concerns: the request, so that all fail alike; the upstream, so that one more attempt is worth it; or only
   * the leader (its key's limits, its client's leaving).
   */
  readonly concerns: "request" | "upstream" | "leader";
}

export type Joined =
  /** The first: this request generates, and calls `lead` at once. */
  | { readonly kind: "lead"; readonly flightId: string; readonly isReplacement: boolean }
  | {
      readonly kind: "stream";
      readonly head: FlightHead;
      readonly flightId: string;
      readonly body: ReadableStream<Uint8Array>;
    }
  | { readonly kind: "whole"; readonly head: FlightHead; readonly text: string }
  /** The kept answer of an earlier generation; `keeps` only. */
  | { readonly kind: "replay"; readonly head: FlightHead; readonly text: string }
  | { readonly kind: "conflict" }
  /** `keeps` only. It was begun, and how it ended is not known; or its answer is no longer kept. */
  | { readonly kind: "unanswered"; readonly why: "begun" | "dropped" }
  | { readonly kind: "failed"; readonly fault: FlightFault; readonly leader?: FlightHead["trace"] }
  /** This request generates by itself: it can't be joined with the others. */
  | { readonly kind: "alone"; readonly reason: "too_late" | "too_much" | "leader_refused" };

export interface InflightRpc {
  /** Waits where a generation has begun and not yet answered. */
  join(ask: JoinRequest): Promise<Joined>;
  /**
   * Sends the generation: a line of JSON (`LeadLine`), the body's bytes, and one end mark. Returns the leader's own client
   * the same stream that the followers get, where `own` names it; else null, once all was read. Null at once for a flight
   * that is over.
   */
  lead(
    key: string,
    flightId: string,
    progress: ReadableStream<Uint8Array>,
    own?: Pick<JoinRequest, "requestId" | "failureText">,
  ): Promise<ReadableStream<Uint8Array> | null>;
  /** A client has left. Returns whether the generation goes on. */
  leave(key: string, requestId: string): Promise<boolean>;
  /**
   * Whether a stream that has ended had failed for this follower: its last event is the failure then. (An error of the
   * stream itself would cross the RPC without its cause, like the object's own death.)
   */
  hasFailed(key: string, flightId: string, requestId: string): Promise<boolean>;
}

export type LeadLine =
  | { readonly head: FlightHead }
  | { readonly fault: FlightFault; readonly leader: FlightHead["trace"] };

/** Bodies are UTF-8, in which these two bytes never occur: the last byte of `progress` is one of them. */
export const COMPLETE = 0xff;
/** The stream failed, and its last event says so. */
export const INCOMPLETE = 0xfe;

export const NEW_LINE = 0x0a;
