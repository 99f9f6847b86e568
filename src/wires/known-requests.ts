/**
 * Requests read before: a crowd asks the same, and a cache hit costs little more than to read and check what it asks.
 * Pure but for its memory; called by src/http/answer-generation.ts.
 */

import type { ChatRequest } from "../schema/chat.ts";
import { createBoundedMap, type BoundedMap } from "../runtime/bounded-map.ts";
import type { DialectCodec, EmbeddingCodec, RequestContext } from "./client-wire.ts";

type Codec = Pick<DialectCodec | EmbeddingCodec, "parseRequest">;
type ReadRequest = (codec: Codec, bodyText: string, context: RequestContext) => ChatRequest;

/** Of each codec the last bodies that are short, half a million characters at the most. */
const MAX_ENTRIES = 128;
const MAX_CHARS = 4096;

/**
 * Reads a body by its codec, or finds what that made of the same body before: nobody may write to it. Throws as the
 * codec does, each time anew.
 */
export function createRequestReader(): ReadRequest {
  const known = new Map<Codec, BoundedMap<string, ChatRequest>>();

  function memoryOf(codec: Codec): BoundedMap<string, ChatRequest> {
    let memory = known.get(codec);
    if (memory === undefined) known.set(codec, (memory = createBoundedMap(MAX_ENTRIES)));
    return memory;
  }

  return (codec, bodyText, context) => {
    if (bodyText.length > MAX_CHARS) return codec.parseRequest(bodyText, context);
    const memory = memoryOf(codec);
    const { defaultModel, model, stream } = context;
    const name = JSON.stringify([defaultModel, model, stream]) + bodyText;
    const read = memory.get(name);
    if (read !== undefined) return read;
    const fresh = codec.parseRequest(bodyText, context);
    memory.set(name, fresh);
    return fresh;
  };
}
