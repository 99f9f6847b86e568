/**
 * A stream of chat-completion chunks as the one completion they add up to, and a completion as the stream of one. Works on
 * the wire's own fields, so that a field we know nothing of survives.
 */

import { GatewayError } from "../../errors.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { formatEvent, type ServerSentEvent } from "../../bytes/sse.ts";
import { parseJson, toJson } from "../../json/exact.ts";
import { largerCounts } from "../read-upstream.ts";

/** Strings that arrive in pieces. Any other string (`id`, `role`, `name`) arrives whole. */
const STREAMED_TEXT: ReadonlySet<string> = new Set([
  "content",
  "refusal",
  "reasoning_content",
  "reasoning",
  "text",
  "arguments",
  "input",
  "data",
  "transcript",
]);

/** The JSON text of the `chat.completion`; throws `upstream_malformed` where the events don't add up to one. */
export function completionFromStream(events: readonly ServerSentEvent[]): string {
  let envelope: JsonRecord = {};
  const choices = new Map<number, JsonRecord>();
  for (const { data } of events) {
    if (data === "" || data === "[DONE]") continue;
    const { choices: parts, ...rest } = parseChunk(data);
    envelope = mergeEnvelope(envelope, rest);
    if (!Array.isArray(parts)) continue;
    for (const part of parts) {
      const fragment = recordOf(part);
      const index = typeof fragment["index"] === "number" ? fragment["index"] : 0;
      choices.set(index, mergeFragment(choices.get(index) ?? { index }, fragment));
    }
  }
  if (choices.size === 0) throw new GatewayError("upstream_malformed", "The stream held no response.");
  const inOrder = [...choices].toSorted(([left], [right]) => left - right);
  return toJson({
    ...envelope,
    object: "chat.completion",
    choices: inOrder.map(([, choice]) => finishChoice(choice)),
  });
}

function parseChunk(data: string): JsonRecord {
  let chunk: unknown;
  try {
    chunk = parseJson(data);
  } catch (cause) {
    throw new GatewayError("upstream_malformed", "The stream held an event that is not valid JSON.", {
      cause,
    });
  }
  if (isRecord(chunk) && chunk["error"] === undefined) return chunk;
  throw new GatewayError(
    "upstream_malformed",
    "The stream held an event that is not a chat completion chunk.",
  );
}

/** Each chunk repeats the answer's own fields whole: the last one that says something counts. */
function mergeEnvelope(before: JsonRecord, fields: JsonRecord): JsonRecord {
  const said = Object.entries(fields).filter(
    ([name, value]) => before[name] === undefined || (isPresent(value) && value !== ""),
  );
  const merged = { ...before, ...Object.fromEntries(said) };
  return isRecord(before["usage"]) && isRecord(fields["usage"])
    ? { ...merged, usage: largerCounts(before["usage"], fields["usage"]) }
    : merged;
}

/** A whole so far and its next fragment, as a new whole. */
function mergeFragment(whole: JsonRecord, fragment: JsonRecord): JsonRecord {
  const merged: Record<string, unknown> = { ...whole };
  for (const [name, value] of Object.entries(fragment)) {
    merged[name] = mergeValue(name, merged[name], value);
  }
  return merged;
}

function mergeValue(name: string, before: unknown, value: unknown): unknown {
  if (!isPresent(value)) return before ?? null;
  if (typeof value === "string") {
    if (typeof before !== "string") return value;
    if (STREAMED_TEXT.has(name)) return before + value;
    return value === "" ? before : value;
  }
  if (Array.isArray(value)) {
    const list: readonly unknown[] = Array.isArray(before) ? before : [];
    return name === "tool_calls" ? mergeCalls(list, value) : mergeList(list, value);
  }
  return isRecord(value) ? mergeFragment(recordOf(before), value) : value;
}

/** Items that carry an `index` (tool calls) are fragments of the item of that index; others follow one another. */
function mergeList(before: readonly unknown[], parts: readonly unknown[]): readonly unknown[] {
  const merged = [...before];
  for (const part of parts) {
    const index = recordOf(part)["index"];
    const at = index === undefined ? -1 : merged.findIndex((item) => recordOf(item)["index"] === index);
    if (at < 0) merged.push(part);
    else merged[at] = mergeFragment(recordOf(merged[at]), recordOf(part));
  }
  return merged;
}

/** As the stream's own reader tells calls apart: call-placer.ts. */
function mergeCalls(before: readonly unknown[], parts: readonly unknown[]): readonly unknown[] {
  const merged = [...before];
  for (const part of parts) {
    const fragment = recordOf(part);
    const at = callOf(merged.map(recordOf), fragment);
    if (at < 0) merged.push(part);
    else merged[at] = mergeFragment(recordOf(merged[at]), fragment);
  }
  return merged;
}

/** The call that a fragment goes on with; -1 for a new one. */
function callOf(calls: readonly JsonRecord[], { index, id: given, function: called }: JsonRecord): number {
  const id = textOf(given);
  const named = (): number => (id === undefined ? -1 : calls.findLastIndex((call) => call["id"] === id));
  if (index === undefined) return id === undefined ? calls.length - 1 : named();
  const at = calls.findLastIndex((call) => call["index"] === index);
  const own = textOf(calls[at]?.["id"]);
  if (id === undefined || own === undefined || id === own) return at;
  // Some vendors number each call 0: another id with a name, or one that was there before, is another call.
  const other = named();
  return other >= 0 || textOf(recordOf(called)["name"]) !== undefined ? other : at;
}

function finishChoice({ delta, ...choice }: JsonRecord): JsonRecord {
  const { tool_calls: calls, ...said } = recordOf(delta);
  const message = {
    role: "assistant",
    content: null,
    refusal: null,
    ...said,
    ...(Array.isArray(calls) && { tool_calls: calls.map(withoutIndex) }),
  };
  return { logprobs: null, finish_reason: null, ...choice, message };
}

function withoutIndex(call: unknown): JsonRecord {
  const { index: _, ...whole } = recordOf(call);
  return whole;
}

/** The stream's text; throws `upstream_malformed` where the body is not a completion. */
export function streamFromCompletion(bodyText: string, includeUsage: boolean): string {
  const completion = parseCompletion(bodyText);
  const { choices, usage, ...rest } = completion;
  const envelope = { ...rest, object: "chat.completion.chunk" };
  const format = (parts: readonly unknown[], partUsage: unknown): string =>
    formatEvent(toJson({ ...envelope, choices: parts, ...(includeUsage && { usage: partUsage }) }));

  const events = listOf(choices)
    .flatMap((choice) => partsOfChoice(recordOf(choice)))
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

function partsOfChoice(choice: JsonRecord): readonly JsonRecord[] {
  const { index, message, logprobs = null, finish_reason: reason = null, ...others } = choice;
  const deltas = partsOfMessage(recordOf(message));
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

function partsOfMessage(message: JsonRecord): readonly JsonRecord[] {
  const { role = "assistant", content = null, refusal = null, tool_calls: calls, ...others } = message;
  const deltas: JsonRecord[] = [{ role, content: content === null ? null : "", refusal: null }];
  // Reasoning comes before the text it led to; fields we know nothing of go with it.
  if (Object.keys(others).length > 0) deltas.push(others);
  if (content !== null && content !== "") deltas.push({ content });
  if (refusal !== null) deltas.push({ refusal });
  listOf(calls).forEach((call, index) => deltas.push({ tool_calls: [{ index, ...recordOf(call) }] }));
  return deltas;
}
