// One cell of the matrix: a client's request on its way to an upstream, and the upstream's recorded answer on its way back, by
// the very functions of the pipeline (pipeline/attempts/exchange.ts) and without any network.
import type { ChatRequest } from "../../../src/schema/chat.ts";
import { GatewayError } from "../../../src/errors.ts";
import { openExchange, type ChatExchange } from "../../../src/pipeline/attempts/exchange.ts";
import { readRequestOptions } from "../../../src/pipeline/request-options.ts";
import { createSseParser } from "../../../src/bytes/sse.ts";
import { fixtureBytes, fixtureText, parseText } from "../../support/builders/wire-fixtures.ts";
import type { Client } from "./clients.ts";
import type { Feature } from "./features.ts";
import type { Upstream } from "./upstreams.ts";

export type Outcome =
  /** The client's own bytes, or a body written by the gateway. */
  | { readonly kind: "forwarded" | "translated"; readonly sent: unknown; readonly dropped: readonly string[] }
  | { readonly kind: "refused"; readonly field: string }
  /** The client's wire has no words for it. */
  | { readonly kind: "unsaid" };

function chatOf(client: Client, fields: object, stream: boolean): ChatRequest {
  // Gemini says by its path what the others say in the body.
  const isInPath = client.wireName === "gemini";
  const usage =
    stream && client.wireName === "openai-chat" ? { stream_options: { include_usage: true } } : {};
  const body = { ...client.base, ...fields, ...usage, ...(!isInPath && { model: "p/m", stream }) };
  return {
    ...client.clientWire.parseRequest(JSON.stringify(body), isInPath ? { model: "p/m", stream } : {}),
    stamp: { id: "0123456789abcdef", createdAtSeconds: 1_760_000_000 },
  };
}

function open(client: Client, upstream: Upstream, chat: ChatRequest): ChatExchange {
  const { provider, model, options = {} } = upstream;
  const baseUrl = provider.defaultBaseUrl ?? "https://up.test/v1";
  const account = { name: "up", kind: provider.kind, baseUrl, headers: {}, options, propagateTrace: false };
  const call = { chat, clientWire: client.clientWire, options: readRequestOptions(new Headers()) };
  const exchange = openExchange(call, provider, { account, model });
  if (exchange.kind === "chat") return exchange;
  throw new Error("a chat became an embedding");
}

/** What the upstream is sent for a feature, or why it is sent nothing. */
export function runRequest(client: Client, upstream: Upstream, feature: Feature): Outcome {
  const fields = client.requests[feature];
  if (fields === undefined) return { kind: "unsaid" };
  return outcomeOf(() => open(client, upstream, chatOf(client, fields, false)));
}

/** A whole body of an agent, as it comes. */
export function openBody(client: Client, upstream: Upstream, body: object): ChatExchange {
  const isInPath = client.wireName === "gemini";
  const text = JSON.stringify(isInPath ? body : { model: "p/m", ...body });
  const chat = client.clientWire.parseRequest(text, isInPath ? { model: "p/m", stream: true } : {});
  return open(client, upstream, chat);
}

/** What comes of an exchange that may be refused. */
export function outcomeOf(opened: () => ChatExchange): Outcome {
  try {
    const { request, isSameWire, dropped } = opened();
    return { kind: isSameWire ? "forwarded" : "translated", sent: JSON.parse(request.body ?? ""), dropped };
  } catch (error) {
    if (error instanceof GatewayError && error.code === "invalid_request") {
      return { kind: "refused", field: error.details.param ?? "" };
    }
    throw error;
  }
}

/** Whether the client gets the upstream's bytes as they are. */
export function isForwarded(client: Client, upstream: Upstream): boolean {
  return open(client, upstream, chatOf(client, {}, false)).isSameWire;
}

/** The client's body for a recorded whole answer. */
export function runWhole(client: Client, upstream: Upstream, answer: string): string {
  const exchange = open(client, upstream, chatOf(client, {}, false));
  return exchange.read(JSON.parse(fixtureText(`${upstream.fixtures.folder}/${answer}.json`))).format();
}

/** The client's stream for a recorded one, in pieces of `size` bytes, added up to a whole body by the client's own wire. */
export function runStream(client: Client, upstream: Upstream, answer: string, size: number): string {
  const chat = chatOf(client, {}, true);
  const { upstreamWire: wire } = open(client, upstream, chat);
  const { folder, extension = "sse" } = upstream.fixtures;
  const bytes = fixtureBytes(`${folder}/${answer}.${extension}`);
  const parser = wire.createParser?.() ?? createSseParser();
  const decode = wire.decoder();
  const encoder = client.clientWire.encoder(chat);
  let text = "";
  for (let at = 0; at < bytes.length; at += size) {
    for (const event of parser.push(bytes.subarray(at, at + size))) text += encoder.push(decode(event));
  }
  return client.clientWire.wholeFromStream(parseText(text + encoder.end()));
}

/** The same recorded answer as the upstream's wire reads it. */
export function readAnswer(client: Client, upstream: Upstream, answer: string) {
  const { upstreamWire: wire } = open(client, upstream, chatOf(client, {}, false));
  return wire.toResponse(JSON.parse(fixtureText(`${upstream.fixtures.folder}/${answer}.json`)));
}
