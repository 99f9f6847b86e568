/**
 * How an attempt's request is written for its upstream and its answer for the client: the same bytes where both speak one wire,
 * else a translation. Pure.
 */

import { type AnswerSummary, summarise, summariseEmbedding } from "../answers/answer-summary.ts";
import { withTargetParams } from "../../wires/target-params.ts";
import type { ClientWire, ClientEmbeddingWire } from "../../wires/client-wire.ts";
import type { ChatChoice, ChatRequest, WireName } from "../../schema/chat.ts";
import type { DropField } from "../../schema/conversation.ts";
import type { EmbeddingResponse } from "../../schema/embedding.ts";
import { GatewayError } from "../../errors.ts";
import type { BatchResult } from "../answers/batch-results.ts";
import type { Inspector } from "../answers/inspectors.ts";
import type { Call } from "../ports.ts";
import { upstreamEmbeddingWireFor, type Provider, upstreamWireFor } from "../../providers/provider.ts";
import type { Target, UpstreamRequest, UpstreamWire } from "../../wires/upstream-wire.ts";
import type { Payload } from "../../upstream/send.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** A whole answer, read: what is kept of it, and how it is written for the client. */
export interface ReadAnswer {
  readonly answer: AnswerSummary;
  /** For a trace that may hold content; absent where the answer is not text. */
  readonly choices?: readonly ChatChoice[];
  /** Of an embeddings answer. */
  readonly vectors?: EmbeddingResponse["vectors"];
  format(): string;
}

interface BaseExchange {
  readonly request: UpstreamRequest;
  /** The wire of the upstream request; undefined for one that no client speaks. */
  readonly upstreamWireName: WireName | undefined;
  /** Whether a whole answer reaches the client as its upstream wrote it. */
  readonly isSameWire: boolean;
  /** The client's fields that were left out, by their names on the client's wire. */
  readonly dropped: readonly string[];
  /** What is sent in place of the request's body, where that is not text. */
  readonly payload?: Payload;
}

export interface ChatExchange extends BaseExchange {
  readonly kind: "chat";
  readonly clientWire: ClientWire;
  readonly upstreamWire: UpstreamWire;
  /** Whether a stream's bytes are forwarded: the same wire, and events on both sides. */
  readonly isForwarded: boolean;
  /** Throws `upstream_malformed`. */
  read(body: unknown, report?: UpstreamReport): ReadAnswer;
}

export interface EmbeddingExchange extends BaseExchange {
  readonly kind: "embeddings";
  /** Throws `upstream_malformed`. */
  read(body: unknown, report?: UpstreamReport): ReadAnswer;
}

/** Passed on in both directions without being understood. */
export interface ForwardExchange extends BaseExchange {
  readonly kind: "forward";
  /** Reads the answer's bytes while they pass; undefined where nothing is known of their format. */
  inspect(contentType: string): Inspector | undefined;
}

/** A vendor's own API, called as it is: its status and headers reach the client too. */
export interface NativeExchange extends BaseExchange {
  readonly kind: "native";
  /** As `ForwardExchange`. */
  inspect(contentType: string): Inspector | undefined;
  /** Whether an answer of this status is kept from the client. */
  isWithheld(status: number): boolean;
  /** Whether an answer of JSON is read whole before the client gets it. */
  readonly isHeld?: boolean;
  /** Of an answer that holds the results of a batch: those that were not billed yet. Never rejects. */
  takeResults?(): Promise<readonly (BatchResult | undefined)[]>;
}

/** A vendor counts a prompt's tokens; `read` is given the whole answer. */
export interface CountExchange extends BaseExchange {
  readonly kind: "count";
  read(body: string): void;
}

/** A WebSocket's handshake: what comes of it is a session. */
export interface RealtimeExchange extends BaseExchange {
  readonly kind: "realtime";
}

export type Exchange =
  | ChatExchange
  | EmbeddingExchange
  | ForwardExchange
  | NativeExchange
  | CountExchange
  | RealtimeExchange;

/** Throws `invalid_request` for what has no counterpart at this target, unless the client is lenient. */
export function openExchange(
  { chat, clientWire, options }: Pick<Call, "chat" | "clientWire" | "options">,
  provider: Provider,
  target: Target,
): ChatExchange | EmbeddingExchange {
  const { drop, dropped } = createDrop(options.isLenient, chat.wire.hintFields, target.account.name);
  return "operation" in clientWire
    ? openEmbedding(chat, clientWire, provider, target, drop, dropped)
    : openChat(chat, clientWire, provider, target, drop, dropped);
}

function openChat(
  chat: ChatRequest,
  clientWire: ClientWire,
  provider: Provider,
  target: Target,
  drop: DropField,
  dropped: readonly string[],
): ChatExchange {
  const wire = upstreamWireFor(provider, chat.wire.name, target);
  const isSameWire = wire.clientWireName === chat.wire.name;
  const isForwarded =
    isSameWire && !wire.createParser && clientWire.streamType(chat).startsWith("text/event-stream");
  return {
    kind: "chat",
    clientWire,
    upstreamWire: wire,
    isSameWire,
    isForwarded,
    upstreamWireName: wire.clientWireName,
    dropped,
    request: isSameWire ? wire.toRequest(chat, target) : translate(chat, clientWire, wire, target, drop),
    read(body, report) {
      const response = wire.toResponse(body, report);
      return {
        answer: summarise(response),
        choices: response.choices,
        format: () => clientWire.formatResponse(response, chat),
      };
    },
  };
}

function translate(
  chat: ChatRequest,
  clientWire: ClientWire,
  wire: UpstreamWire,
  target: Target,
  drop: DropField,
): UpstreamRequest {
  const asked = clientWire.toConversation(chat, drop);
  const { conversation, rest } = withTargetParams(asked, target.params);
  if (wire.takesHints !== true) for (const { field } of conversation.hints ?? []) drop(field, "hint");
  return wire.toRequest(chat, { ...target, params: rest }, { conversation, drop });
}

function openEmbedding(
  chat: ChatRequest,
  clientWire: ClientEmbeddingWire,
  provider: Provider,
  target: Target,
  drop: DropField,
  dropped: readonly string[],
): EmbeddingExchange {
  const wire = upstreamEmbeddingWireFor(provider, chat.wire.name, target);
  if (!wire) {
    throw new GatewayError("invalid_request", `'${target.account.name}' has no embeddings.`, {
      param: "model",
    });
  }
  const isSameWire = wire.clientWireName === chat.wire.name;
  return {
    kind: "embeddings",
    isSameWire,
    upstreamWireName: wire.clientWireName,
    dropped,
    request: isSameWire
      ? wire.toRequest(chat, target)
      : wire.toRequest(chat, target, { ask: clientWire.toEmbedding(chat, drop), drop }),
    read(body) {
      const response = wire.toResponse(body);
      return {
        answer: summariseEmbedding(response),
        vectors: response.vectors,
        format: () => clientWire.formatEmbedding(response, chat),
      };
    },
  };
}

function createDrop(
  isLenient: boolean,
  hints: ReadonlySet<string>,
  account: string,
): { drop: DropField; dropped: readonly string[] } {
  const dropped: string[] = [];
  const drop: DropField = (field, why) => {
    if (!isLenient && why === undefined && !isHint(field, hints)) {
      const message =
        `\`${field}\` has no counterpart at '${account}', which speaks another API. ` +
        "Leave it out, or send 'x-headgate-lenient: 1' to have it dropped.";
      throw new GatewayError("invalid_request", message, { param: field });
    }
    if (!dropped.includes(field)) dropped.push(field);
  };
  return { drop, dropped };
}

/** Whether the field, or one that it is in, is a hint; `messages[3].name` is named `messages[].name`. */
function isHint(field: string, hints: ReadonlySet<string>): boolean {
  const steps = field.replaceAll(/\[\d+\]/g, "[]").split(".");
  return steps.some((_, at) => hints.has(steps.slice(0, at + 1).join(".")));
}
