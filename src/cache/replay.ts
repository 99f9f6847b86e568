/**
 * A cached answer in the form this client wants. Pure. Called by the pipeline on a hit.
 */

import type { ChatRequest } from "../chat.ts";
import type { DialectCodec } from "../dialects/dialect.ts";
import { createSseParser } from "../sse.ts";
import type { CacheEntry } from "./entry.ts";

export interface Replay {
  readonly body: string;
  readonly contentType: string;
}

/**
 * The entry's bytes as they were stored, or its answer put into the other form. Undefined where it can't be: then the
 * entry is as good as none.
 */
export function replay(entry: CacheEntry, codec: DialectCodec, chat: ChatRequest): Replay | undefined {
  const wanted = chat.stream ? "sse" : "json";
  if (entry.form === wanted) return { body: entry.body, contentType: entry.contentType };
  try {
    return wanted === "sse"
      ? { body: codec.explode(entry.body, chat), contentType: "text/event-stream" }
      : { body: codec.assemble(readEvents(entry.body)), contentType: "application/json" };
  } catch {
    return undefined;
  }
}

function readEvents(body: string): ReturnType<ReturnType<typeof createSseParser>["push"]> {
  return createSseParser().push(new TextEncoder().encode(body));
}
