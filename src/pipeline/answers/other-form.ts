/**
 * An upstream that answers in the other form than it was asked for: JSON where a stream was asked, a stream where JSON was.
 * Some servers do so for errors, some for all answers; the client gets the form it asked for.
 */

import { type AnswerSummary, createAnswerCollector } from "./answer-summary.ts";
import type { ChatExchange } from "../attempts/exchange.ts";
import { parseEvents } from "../../bytes/sse.ts";
import { GatewayError } from "../../errors.ts";
import type { ChatChunk, ChatRequest } from "../../schema/chat.ts";
import type { UpstreamCall } from "../../upstream/call.ts";

export function isJson({ response }: UpstreamCall): boolean {
  return hasType(response, "application/json");
}

export function isEventStream({ response }: UpstreamCall): boolean {
  return hasType(response, "text/event-stream");
}

function hasType({ headers }: Response, type: string): boolean {
  return headers.get("content-type")?.toLowerCase().startsWith(type) ?? false;
}

/** A whole answer in the client's wire from a stream's text. Throws `upstream_error`, `upstream_malformed`. */
export function wholeFromEvents(
  text: string,
  { clientWire, upstreamWire, isSameWire }: ChatExchange,
  chat: ChatRequest,
  name: string,
): { readonly answer: AnswerSummary; readonly body: string } {
  const events = parseEvents(text);
  const decode = upstreamWire.decoder();
  const chunks: readonly ChatChunk[] = events.flatMap((event) => decode(event));
  if (chunks.some(({ type }) => type === "error"))
    throw new GatewayError("upstream_error", `'${name}' reported an error inside its stream.`);
  const collector = createAnswerCollector();
  collector.add(chunks);
  const answer = collector.summary();
  const isWhole = answer.finishReasons.length > 0 && answer.finishReasons.every(Boolean);
  if (!isWhole) {
    const message = `'${name}' ended its stream before the answer was complete.`;
    throw new GatewayError("upstream_error", message);
  }
  if (isSameWire) return { answer, body: clientWire.wholeFromStream(events) };
  const encoder = clientWire.encoder(chat);
  const translated = encoder.push(chunks) + encoder.end();
  return { answer, body: clientWire.wholeFromStream(parseEvents(translated)) };
}
