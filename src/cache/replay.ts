/** A cached answer in the form that this client requested. Pure. */

import type { ChatRequest } from "../schema/chat.ts";
import type { ClientWire, ClientEmbeddingWire } from "../wires/client-wire.ts";
import { createSseParser } from "../bytes/sse.ts";
import type { CacheEntry } from "./entry.ts";

export interface Replay {
  readonly body: string;
  readonly contentType: string;
}

/**
 * The entry's bytes as they were stored, or its answer converted to the other form. Undefined where that is impossible:
 * the request is then a miss.
 */
export function replay(
  entry: CacheEntry,
  clientWire: ClientWire | ClientEmbeddingWire,
  chat: ChatRequest,
): Replay | undefined {
  const wanted = chat.stream ? "sse" : "json";
  const isAsStored = entry.form === wanted;
  const asStored = { body: entry.body, contentType: entry.contentType };
  if ("operation" in clientWire) return isAsStored ? asStored : undefined;
  const contentType = chat.stream ? clientWire.streamType(chat) : "application/json";
  const isForwardable = contentType.startsWith("text/event-stream") && !clientWire.streamFilter?.(chat);
  if (isAsStored && (!chat.stream || isForwardable)) return asStored;
  try {
    const whole = entry.form === "json" ? entry.body : clientWire.wholeFromStream(readEvents(entry.body));
    return { body: chat.stream ? clientWire.streamFromWhole(whole, chat) : whole, contentType };
  } catch {
    return undefined;
  }
}

function readEvents(body: string): ReturnType<ReturnType<typeof createSseParser>["push"]> {
  return createSseParser().push(new TextEncoder().encode(body));
}
