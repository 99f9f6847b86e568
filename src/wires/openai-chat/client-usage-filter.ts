/** The forwarded stream without the usage chunk that its client doesn't want. All other bytes stay as they are. */

import { createEventFilter } from "../../bytes/event-filter.ts";
import { isPresent, isRecord, recordOf } from "../../json/fields.ts";
import type { ChatRequest } from "../../schema/chat.ts";

/**
 * Leaves out the usage chunk for a client that said `include_usage: false`: the upstream is always asked for it, since without it
 * the request could be neither billed nor limited. Undefined for a client that takes it, or said nothing of it.
 */
export function usageFilter({ body }: ChatRequest): TransformStream<Uint8Array, Uint8Array> | undefined {
  const isRefused = recordOf(body["stream_options"])["include_usage"] === false;
  return isRefused ? createEventFilter(isUsageEvent) : undefined;
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
