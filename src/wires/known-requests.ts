/**
 * Requests read before: a crowd asks the same, and a cache hit costs little more than to read and check what it asks.
 * Pure but for its memory.
 */

import type { ChatRequest } from "../schema/chat.ts";
import { createBoundedMap, type BoundedMap } from "../runtime/bounded-map.ts";
import type { ClientWire, ClientEmbeddingWire, RequestContext } from "./client-wire.ts";

type RequestParser = Pick<ClientWire | ClientEmbeddingWire, "parseRequest">;
type ReadRequest = (clientWire: RequestParser, bodyText: string, context: RequestContext) => ChatRequest;

/** Of each client wire the last bodies that are short, half a million characters at the most. */
const MAX_ENTRIES = 128;
const MAX_CHARS = 4096;

/**
 * Reads a body by its client wire, or finds what that made of the same body before: it must not be changed. Throws as the
 * wire does, each time again.
 */
export function createRequestReader(): ReadRequest {
  const known = new Map<RequestParser, BoundedMap<string, ChatRequest>>();

  function memoryOf(clientWire: RequestParser): BoundedMap<string, ChatRequest> {
    let memory = known.get(clientWire);
    if (memory === undefined) known.set(clientWire, (memory = createBoundedMap(MAX_ENTRIES)));
    return memory;
  }

  return (clientWire, bodyText, context) => {
    if (bodyText.length > MAX_CHARS) return clientWire.parseRequest(bodyText, context);
    const memory = memoryOf(clientWire);
    const { defaultModel, model, stream } = context;
    const name = JSON.stringify([defaultModel, model, stream]) + bodyText;
    const read = memory.get(name);
    if (read !== undefined) return read;
    const fresh = clientWire.parseRequest(bodyText, context);
    memory.set(name, fresh);
    return fresh;
  };
}
