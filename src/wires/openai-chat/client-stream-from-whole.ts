/**
 * A whole chat completion as the stream of chunks a stream client expects: role, text, tool calls, finish, usage, end
 * mark, all at once since nothing is left to wait for; and the forwarded stream without a usage chunk that its client doesn't
 * want. The reverse is client-whole-from-stream.ts.
 */

import { GatewayError } from "../../errors.ts";
import { isPresent, isRecord, listOf, recordOf, type JsonRecord } from "../../json/fields.ts";
import { createEventFilter } from "../../bytes/event-filter.ts";
import { formatEvent } from "../../bytes/sse.ts";
import type { ChatRequest } from "../../schema/chat.ts";
import { parseJson, toJson } from "../../json/exact.ts";

/** The stream's text; throws `upstream_malformed` where the body is not a completion. */
export function streamFromCompletion(bodyText: string, includeUsage: boolean): string {
  const completion = parseCompletion(bodyText);
  const { choices, usage, ...rest } = completion;
  const envelope = { ...rest, object: "chat.completion.chunk" };
  const format = (parts: readonly unknown[], partUsage: unknown): string =>
    formatEvent(toJson({ ...envelope, choices: parts, ...(includeUsage && { usage: partUsage }) }));

  const events = listOf(choices)
    .flatMap((choice) => explodeChoice(recordOf(choice)))
    .map((part) => format([part], null));
  if (includeUsage && isRecord(usage)) events.push(format([], usage));
  events.push(formatEvent("[DONE]"));
  return events.join("");
}

function parseCompletion(bodyText: string): JsonRecord {
  let body: unknown;
  try {
    body = parseJson(bodyText);
  } catch (cause) {
    throw new GatewayError("upstream_malformed", "The stored response is not valid JSON.", { cause });
  }
  if (isRecord(body) && Array.isArray(body["choices"])) return body;
  throw new GatewayError("upstream_malformed", "The stored response is not a chat completion.");
}

function explodeChoice(choice: JsonRecord): readonly JsonRecord[] {
  const { index, message, logprobs = null, finish_reason: reason = null, ...others } = choice;
  const deltas = explodeMessage(recordOf(message));
  // The log probabilities belong to the text: they go where it is, or with the role where there is none.
  const textAt = Math.max(
    0,
    deltas.findIndex((delta) => Boolean(delta["content"]) || Boolean(delta["refusal"])),
  );
  const parts = deltas.map((delta, at) => ({
    index,
    delta,
    logprobs: at === textAt ? logprobs : null,
    finish_reason: null,
  }));
  return [...parts, { ...others, index, delta: {}, logprobs: null, finish_reason: reason }];
}

function explodeMessage(message: JsonRecord): readonly JsonRecord[] {
  const { role = "assistant", content = null, refusal = null, tool_calls: calls, ...others } = message;
  const deltas: JsonRecord[] = [{ role, content: content === null ? null : "", refusal: null }];
  // Reasoning comes before the text it led to; fields we know nothing of go with it.
  if (Object.keys(others).length > 0) deltas.push(others);
  if (content !== null && content !== "") deltas.push({ content });
  if (refusal !== null) deltas.push({ refusal });
  listOf(calls).forEach((call, index) => deltas.push({ tool_calls: [{ index, ...recordOf(call) }] }));
  return deltas;
}

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
