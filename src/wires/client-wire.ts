/**
 * What a client's wire format must be able to do, and all else that the gateway asks about it: each wire is
 * described once, in its folder's client-wire.ts. Pure. Wire types (snake_case, as on the wire) stay inside the folder.
 */

import type { ChatRequest } from "../schema/chat.ts";
import type { WireTraits } from "../schema/wire-traits.ts";
import type { ChatChunk, ChatResponse } from "../schema/chat.ts";
import type { Conversation, DropField } from "../schema/conversation.ts";
import type { EmbeddingBatch } from "./embedding-batch.ts";
import type { EmbeddingAsk, EmbeddingResponse } from "../schema/embedding.ts";
import type { GatewayError } from "../errors.ts";
import type { ServerSentEvent } from "../bytes/sse.ts";

/** Chunks in, the client's wire out; holds one stream's state. */
export interface ChunkEncoder {
  /** The wire text of these chunks; empty where they wait for more. */
  push(chunks: readonly ChatChunk[]): string;
  /** What ends a complete stream: final events, the end mark. Never called for one that failed. */
  end(): string;
}

/** A vendor's error responses. */
export interface ClientErrors {
  readonly contentType: string;
  status(error: GatewayError): number;
  body(error: GatewayError, requestId?: string): unknown;
}

export interface ListedModel {
  readonly id: string;
  /** The account or tenant that it belongs to. */
  readonly owner: string;
}

/** A vendor's models list. */
export interface ModelListing {
  one(model: ListedModel): unknown;
  list(models: readonly ListedModel[]): unknown;
}

/** All that is known of a client wire apart from reading requests and writing answers; registry.ts lists the wires. */
interface WireDescription extends WireTraits {
  readonly errors: ClientErrors;
  readonly models: ModelListing;
  /** The paths that only this wire uses; absent for OpenAI's, which all other paths are. */
  readonly paths?: RegExp;
  /** The header that tells this vendor's SDK on paths that several share (`/v1/models`, `/proxy`). */
  readonly sdkHeader?: string;
  /** The header, other than `authorization`, in which its SDK sends the gateway key. */
  readonly keyHeader?: string;
}

/** What of a request stands outside its body: Gemini names model and form in the path. */
export interface RequestContext {
  /** What a body without a model asks for (a tenant's default route); without it such a body is refused. */
  readonly defaultModel?: string;
  readonly model?: string;
  readonly stream?: boolean;
}

export interface ClientWire extends WireDescription {
  /** Reads and checks a request body; throws `invalid_request` that names the field. */
  parseRequest(bodyText: string, context?: RequestContext): ChatRequest;
  /** The request's meaning, for an upstream of another wire. Fields that no Conversation can say go to `drop`. */
  toConversation(chat: ChatRequest, drop: DropField): Conversation;
  /** A whole answer of another wire as this one's body. */
  formatResponse(response: ChatResponse, chat: ChatRequest): string;
  /** A streamed answer of another wire as this one's events. */
  encoder(chat: ChatRequest): ChunkEncoder;
  /**
   * `content-type` of its streams; Gemini's may be a JSON array. Only `text/event-stream` is ever forwarded: an upstream
   * of the same wire is called for events all the same, and `encoder` puts them into another form.
   */
  streamType(chat: ChatRequest): string;
  /** Takes out of a forwarded stream what this client said it doesn't want; undefined for almost every request. */
  streamFilter?(chat: ChatRequest): TransformStream<Uint8Array, Uint8Array> | undefined;
  /** What a stream says when it fails after its first byte; the end mark never follows it. */
  errorEvent(error: GatewayError): string;
  /** A stored stream as one whole body: what a non-stream client gets of it. Throws `upstream_malformed`. */
  wholeFromStream(events: readonly ServerSentEvent[]): string;
  /** A stored whole body as a stream: what `chat`, a stream client, gets of it. Throws `upstream_malformed`. */
  streamFromWhole(bodyText: string, chat: ChatRequest): string;
}

/** What a client's wire format for embeddings must be able to do. Its requests never stream. */
export interface ClientEmbeddingWire extends WireDescription {
  readonly operation: "embeddings";
  parseRequest(bodyText: string, context?: RequestContext): ChatRequest;
  toEmbedding(chat: ChatRequest, drop: DropField): EmbeddingAsk;
  formatEmbedding(response: EmbeddingResponse, chat: ChatRequest): string;
  /** How a request for several texts is taken apart; absent where there is only ever one. */
  readonly batch?: EmbeddingBatch;
}

/** Of generations or of embeddings. */
export type AnyClientWire = ClientWire | ClientEmbeddingWire;
