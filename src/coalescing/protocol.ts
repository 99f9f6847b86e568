/**
 * What is said between a request and the object that joins it with others (inflight.ts): asks, answers, and the bytes by
 * which a leader tells how its generation goes. Types and framing only.
 */

import type { ErrorCode, LimitFacts } from "../errors.ts";

export interface JoinRequest {
  /** What is shared: equal keys are one generation. */
  readonly key: string;
  /** With the same key another fingerprint is a conflict. */
  readonly fingerprint: string;
  readonly requestId: string;
  /** Whether the finished answer is kept, and the generation goes on though nobody listens any more. */
  readonly keeps: boolean;
  /** What a client is sent, in its own wire, where the stream breaks without its leader having said so. */
  readonly failureText: string;
}

export interface FlightHead {
  readonly contentType: string;
  /** Events reach followers as they come, a whole answer when it is whole. */
  readonly form: "json" | "sse";
  /** `provider/model` that answers. */
  readonly target?: string;
  readonly provider?: string;
  /** The leader's request: what followers link to. */
  readonly trace: { readonly traceId: string; readonly spanId: string };
}

/** A leader's refusal, as a GatewayError is remade from it. */
export interface FlightFault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param?: string;
  readonly status?: number;
  readonly retryAfterMs?: number;
  readonly limit?: LimitFacts;
  readonly upstreamStatus?: number;
  /**
   * Whom it concerns: the request, so that it is everybody's; the upstream, so that one other try is worth it; or only
   * the leader (its key's limits, its leaving).
   */
  readonly concerns: "request" | "upstream" | "leader";
}

export type Joined =
  /** Nobody is at it: this request is to generate, and to call `lead` at once. */
  | { readonly kind: "lead"; readonly flightId: string; readonly isReplacement: boolean }
  | {
      readonly kind: "stream";
      readonly head: FlightHead;
      readonly flightId: string;
      readonly body: ReadableStream<Uint8Array>;
    }
  | { readonly kind: "whole"; readonly head: FlightHead; readonly text: string }
  /** The answer of a generation that is over; `keeps` only. */
  | { readonly kind: "replay"; readonly head: FlightHead; readonly text: string }
  | { readonly kind: "conflict" }
  | { readonly kind: "failed"; readonly fault: FlightFault; readonly leader?: FlightHead["trace"] }
  /** Generate without the others: it can't be joined. */
  | { readonly kind: "alone"; readonly reason: "too_late" | "too_much" | "leader_refused" };

export interface InflightRpc {
  /** Waits where a generation has begun and not yet answered. */
  join(ask: JoinRequest): Promise<Joined>;
  /**
   * How the generation goes: a line of JSON (`LeadLine`), the body's bytes, and one end mark. Gives the leader's own
   * client the same stream that the others get, where `own` says who that is; else null, once all was read. Null at once
   * for a flight that is no more.
   */
  lead(
    key: string,
    flightId: string,
    progress: ReadableStream<Uint8Array>,
    own?: Pick<JoinRequest, "requestId" | "failureText">,
  ): Promise<ReadableStream<Uint8Array> | null>;
  /** A client has left. For a leader: whether the generation is to go on. */
  leave(key: string, requestId: string): Promise<boolean>;
  /**
   * Whether a stream that has ended had failed for this follower; its bytes say so then. (An error of the stream itself
   * would reach the other side of an RPC without its cause, as the object's own death does.)
   */
  hasFailed(key: string, flightId: string, requestId: string): Promise<boolean>;
}

export type LeadLine =
  | { readonly head: FlightHead }
  | { readonly fault: FlightFault; readonly leader: FlightHead["trace"] };

/** Bodies are UTF-8, in which these two bytes never occur: the last byte of `progress` is one of them. */
export const COMPLETE = 0xff;
/** The stream failed, and its client has been told in it. */
export const INCOMPLETE = 0xfe;

export const NEW_LINE = 0x0a;
