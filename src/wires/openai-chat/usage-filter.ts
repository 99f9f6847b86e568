/**
 * Leaves the usage chunk out of a stream for a client that said `include_usage: false`: the upstream is always asked for it, since
 * without it the request could be neither billed nor limited. All other bytes stay as they are.
 */

import { isPresent, isRecord, recordOf } from "../../json/fields.ts";
import type { ChatRequest } from "../../schema/chat.ts";

/** The end of an event. */
const BLANK_LINE = /\r\n\r\n|\n\n|\r\r/;

/** Undefined for a client that takes the chunk, or said nothing of it. */
export function usageFilter({ body }: ChatRequest): TransformStream<Uint8Array, Uint8Array> | undefined {
  return recordOf(body["stream_options"])["include_usage"] === false ? createFilter() : undefined;
}

function createFilter(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let waiting = "";
  return new TransformStream({
    transform(bytes, controller) {
      waiting += decoder.decode(bytes, { stream: true });
      let out = "";
      for (let end = BLANK_LINE.exec(waiting); end !== null; end = BLANK_LINE.exec(waiting)) {
        const at = end.index + end[0].length;
        const event = waiting.slice(0, at);
        waiting = waiting.slice(at);
        if (!isUsageEvent(event)) out += event;
      }
      if (out !== "") controller.enqueue(encoder.encode(out));
    },
    flush(controller) {
      const last = waiting + decoder.decode();
      if (last !== "" && !isUsageEvent(last)) controller.enqueue(encoder.encode(last));
    },
  });
}

/** The event with usage and without choices. */
function isUsageEvent(event: string): boolean {
  // Almost every event has none, and is not parsed.
  if (!event.includes('"usage"')) return false;
  const data = /^data:(.*)$/m.exec(event)?.[1];
  if (data === undefined) return false;
  try {
    const chunk: unknown = JSON.parse(data);
    if (!isRecord(chunk) || !isPresent(chunk["usage"])) return false;
    const { choices } = chunk;
    return Array.isArray(choices) && choices.length === 0;
  } catch {
    return false;
  }
}
