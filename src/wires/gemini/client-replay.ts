/**
 * A stored Gemini stream as one whole answer, and a whole answer as a stream: what the cache needs where the next client
 * wants the other form. Works on the wire's own fields, so that a field we know nothing of survives.
 */

import { GatewayError } from "../../errors.ts";
import { isPresent, isRecord, listOf, recordOf, type JsonRecord } from "../../json/fields.ts";
import type { ServerSentEvent } from "../../bytes/sse.ts";
import { parseJson, toJson } from "../../json/exact.ts";

/** The text of the whole answer; throws `upstream_malformed` where the events are none. */
export function answerFromStream(events: readonly ServerSentEvent[]): string {
  let answer: JsonRecord = {};
  const candidates = new Map<number, JsonRecord>();
  for (const { data } of events) {
    if (data === "") continue;
    const { candidates: parts, ...rest } = parseAnswer(data);
    answer = overlay(answer, rest);
    for (const part of listOf(parts)) {
      const fragment = recordOf(part);
      const index = typeof fragment["index"] === "number" ? fragment["index"] : 0;
      candidates.set(index, mergeCandidate(candidates.get(index) ?? {}, fragment));
    }
  }
  if (candidates.size === 0 && !isPresent(answer["promptFeedback"])) {
    throw new GatewayError("upstream_malformed", "The stream held no response.");
  }
  const inOrder = [...candidates].toSorted(([left], [right]) => left - right);
  return toJson({ candidates: inOrder.map(([, candidate]) => candidate), ...answer });
}

/** The answer on one line, as an event's data must be; a whole answer has the form of a stream's event. */
export function toEventData(bodyText: string): string {
  return toJson(parseAnswer(bodyText));
}

function parseAnswer(text: string): JsonRecord {
  let answer: unknown;
  try {
    answer = parseJson(text);
  } catch (cause) {
    throw new GatewayError("upstream_malformed", "The stored response is not valid JSON.", { cause });
  }
  if (isRecord(answer) && answer["error"] === undefined) return answer;
  throw new GatewayError("upstream_malformed", "The stored response does not follow the Gemini format.");
}

/** Each event repeats what it says of the whole answer: the last one that says something counts. */
function overlay(before: JsonRecord, fields: JsonRecord): JsonRecord {
  return { ...before, ...Object.fromEntries(Object.entries(fields).filter(([, value]) => isPresent(value))) };
}

function mergeCandidate(before: JsonRecord, fragment: JsonRecord): JsonRecord {
  const { content, logprobsResult, ...rest } = fragment;
  const merged = overlay(before, rest);
  const parts = [...listOf(recordOf(before["content"])["parts"]), ...listOf(recordOf(content)["parts"])];
  return {
    ...merged,
    content: { role: "model", ...recordOf(before["content"]), ...recordOf(content), parts: joinTexts(parts) },
    ...(isPresent(logprobsResult) && {
      logprobsResult: mergeLogprobs(merged["logprobsResult"], logprobsResult),
    }),
  };
}

/** Neighbouring texts become one, as a whole answer has them. */
function joinTexts(parts: readonly unknown[]): readonly JsonRecord[] {
  const joined: JsonRecord[] = [];
  for (const part of parts.map(recordOf)) {
    const last = joined.at(-1);
    if (last !== undefined && isText(last) && isText(part) && canJoin(last, part)) {
      joined[joined.length - 1] = {
        ...last,
        ...part,
        text: `${String(last["text"])}${String(part["text"])}`,
      };
    } else joined.push(part);
  }
  return joined;
}

const TEXT_FIELDS: ReadonlySet<string> = new Set(["text", "thought", "thoughtSignature"]);

function isText(part: JsonRecord): boolean {
  return typeof part["text"] === "string" && Object.keys(part).every((name) => TEXT_FIELDS.has(name));
}

/** A signature signs what came before it. */
function canJoin(last: JsonRecord, part: JsonRecord): boolean {
  return last["thought"] === part["thought"] && last["thoughtSignature"] === undefined;
}

function mergeLogprobs(before: unknown, next: unknown): JsonRecord {
  const merged: Record<string, unknown> = { ...recordOf(before) };
  for (const [name, value] of Object.entries(recordOf(next))) {
    merged[name] = Array.isArray(value) ? [...listOf(merged[name]), ...value] : value;
  }
  return merged;
}
