/**
 * What an upstream kind must be able to do. Pure: no fetch, no clock, no env. A provider is one file (or one row of
 * data), a fixtures folder and a test; see registry.ts for the list.
 */

import type { ChatChunk, ChatRequest, ChatResponse, Dialect } from "../chat.ts";
import type { GatewayError } from "../errors.ts";
import type { ModelPrice } from "../pricing/price-finder.ts";
import type { ServerSentEvent } from "../sse.ts";

/** A tenant's upstream account with its credential opened: lives only for one attempt. */
export interface ProviderAccount {
  /** The tenant's name for it. */
  readonly name: string;
  readonly kind: string;
  readonly baseUrl: string;
  readonly apiKey?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly propagateTrace: boolean;
}

/** One account and one of its models. */
export interface Target {
  readonly account: ProviderAccount;
  readonly model: string;
  /** Chat-dialect parameters that win over the client's values. */
  readonly params?: Readonly<Record<string, unknown>>;
}

export interface UpstreamRequest {
  readonly method: "POST" | "GET";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One event of a stream in, the chunks it means out; holds one stream's state. Throws `upstream_malformed`. */
export type Decoder = (event: ServerSentEvent) => readonly ChatChunk[];

export interface Provider {
  readonly kind: string;
  /** The dialect it speaks itself: a client of the same dialect gets its bytes as they are. */
  readonly dialect: Dialect;
  /** `gen_ai.provider.name`, in the conventions' words. */
  readonly semconvName: string;
  /** Where the account's record names no base URL; absent means that the record must. */
  readonly defaultBaseUrl?: string;
  /** What all its models cost, in micro-USD per million tokens, where no price table knows them. */
  readonly listPrice?: ModelPrice;
  /** Answers inside the Worker in place of `fetch`: only `sim` has it. */
  readonly local?: LocalUpstream;
  toRequest(chat: ChatRequest, target: Target): UpstreamRequest;
  /** Throws `upstream_malformed` on a body that is no answer. */
  toResponse(body: unknown): ChatResponse;
  decoder(): Decoder;
  /**
   * What a status of 300 or more means (redirects are never followed). Passes the upstream's message on only for the
   * caller's own faults, without the account's secrets. `body` is what came: parsed JSON, text, or undefined.
   */
  toError(status: number, headers: Headers, body: unknown, context?: ErrorContext): GatewayError;
}

/** What helps to read an upstream's error, where the caller has it. */
export interface ErrorContext {
  /** Its secrets are cut out of what is passed on. */
  readonly account?: Pick<ProviderAccount, "apiKey" | "headers">;
  /** For a `retry-after` date in a response without a `date`; milliseconds since the epoch. */
  readonly nowMs?: number;
}

/** A model server inside the Worker: same signature as `fetch`, with the account's options and a clock beside it. */
export type LocalUpstream = (
  request: UpstreamRequest,
  context: {
    readonly options: ProviderAccount["options"];
    readonly signal: AbortSignal;
    readonly sleep: (ms: number) => Promise<void>;
  },
) => Promise<Response>;
