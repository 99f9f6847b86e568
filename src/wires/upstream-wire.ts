/**
 * What an upstream's wire format must be able to do: a request out, an answer or a stream in. Pure. Not who serves it, by
 * which credential: that is a provider (src/providers/provider.ts).
 */

import type { GatewayError } from "../errors.ts";
import type { EventParser, ServerSentEvent } from "../bytes/sse.ts";
import type { ChatChunk, ChatRequest, ChatResponse, WireName } from "../schema/chat.ts";
import type { Conversation, DropField } from "../schema/conversation.ts";
import type { EmbeddingAsk, EmbeddingResponse } from "../schema/embedding.ts";
import type { UpstreamReport } from "../schema/upstream-report.ts";

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
  /** A client may send a credential of its own: pipeline/attempts/client-account.ts. */
  readonly passthroughAuth?: boolean;
  /** Its answers are searched for its credential: pipeline/answers/scrubbed.ts. */
  readonly scrubAnswers?: boolean;
}

/** One account and one of its models. */
export interface Target {
  readonly account: ProviderAccount;
  readonly model: string;
  /** Chat-wire parameters that win over the client's values. */
  readonly params?: Readonly<Record<string, unknown>>;
}

export interface UpstreamRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Headers that the upstream must have and that a client of its wire may send itself. */
  readonly defaultHeaders?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One event of a stream in, the chunks it means out; holds one stream's state. Throws `upstream_malformed`. */
export type Decoder = (event: ServerSentEvent) => readonly ChatChunk[];

/** The meaning of a request whose client speaks another wire, and what to call for what can't be said on this one. */
export interface Translation {
  readonly conversation: Conversation;
  readonly drop: DropField;
}

/** One wire format that an upstream speaks. */
export interface UpstreamWire {
  /** The client wire it equals: such a client gets its bytes as they are. Undefined for one that no client speaks. */
  readonly clientWireName: WireName | undefined;
  /**
   * `translation` is absent where the client speaks this very wire: then `chat.bodyText` goes out with as few edits
   * as possible. May throw `invalid_request` through `drop`.
   */
  toRequest(chat: ChatRequest, target: Target, translation?: Translation): UpstreamRequest;
  /** Whether it writes a conversation's `hints`; else they are left out. */
  readonly takesHints?: boolean;
  /** Throws `upstream_malformed` on a body that is not an answer. What the upstream says of its own work goes into `report`. */
  toResponse(body: unknown, report?: UpstreamReport): ChatResponse;
  decoder(report?: UpstreamReport): Decoder;
  /** Bytes to events, where the wire is not server-sent events (Bedrock's event stream). */
  createParser?(): EventParser;
  /**
   * The native paths (behind the base URL) whose answers are of this format: `/proxy` reads usage out of them. A group
   * `model` is the one that was called, for answers that don't name it.
   */
  readonly paths?: RegExp;
}

/** The meaning of an embeddings request whose client speaks another wire. */
export interface EmbeddingTranslation {
  readonly ask: EmbeddingAsk;
  readonly drop: DropField;
}

/** One wire format for embeddings: as `UpstreamWire`, without streams. */
export interface UpstreamEmbeddingWire {
  readonly clientWireName: WireName | undefined;
  toRequest(chat: ChatRequest, target: Target, translation?: EmbeddingTranslation): UpstreamRequest;
  /** Throws `upstream_malformed`. */
  toResponse(body: unknown): EmbeddingResponse;
}

/** What helps to read an upstream's error, where the caller has it. */
export interface ErrorContext {
  /** Its secrets are cut out of what is passed on. */
  readonly account?: Pick<ProviderAccount, "apiKey" | "headers">;
  /** For a `retry-after` date in a response without a `date`; milliseconds since the epoch. */
  readonly nowMs?: number;
}

/** A bad status with its body (parsed JSON, text, or undefined) as a row of the error table. */
export type ReadUpstreamError = (
  status: number,
  headers: Headers,
  body: unknown,
  context?: ErrorContext,
) => GatewayError;
