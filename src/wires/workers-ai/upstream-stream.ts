/**
 * Workers AI's streams by the Worker's binding, in either of their two forms, and what whole answers of the older form
 * have in common with them. https://developers.cloudflare.com/workers-ai/ (seen 2026-11)
 */

import type { ChatChunk, ToolCall } from "../../schema/chat.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { createOpenAiDecoder } from "../openai-chat/upstream-stream.ts";
import { readChatUsage } from "../openai-chat/upstream-answer.ts";
import type { Decoder } from "../upstream-wire.ts";
import { isCount, malformed } from "../read-upstream.ts";
import { parseJson, toJson } from "../../json/exact.ts";
import { finishChunks } from "../finish-words.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

const END_MARK = "[DONE]";
/** The older form has one choice. */
export const INDEX = 0;

/** A decoder for one stream, whose first event tells the form of all. */
export function createBoundDecoder(report?: UpstreamReport): Decoder {
  let decode: Decoder | undefined;
  return (event) => {
    // A keep-alive tells nothing.
    if (event.data === "") return [];
    decode ??= isOlderForm(event.data) ? createOlderDecoder() : createOpenAiDecoder(report);
    return decode(event);
  };
}

function isOlderForm(data: string): boolean {
  const body = parse(data);
  return isRecord(body) && ("response" in body || Array.isArray(body["tool_calls"]));
}

function parse(data: string): unknown {
  try {
    return parseJson(data);
  } catch {
    return undefined;
  }
}

function createOlderDecoder(): Decoder {
  let calls = 0;
  let isFinished = false;
  /** The chat wire's fragments share an index; a call with its arguments at its top comes whole. */
  const places = new Map<number, number>();

  function readCallEvent(call: JsonRecord): readonly ChatChunk[] {
    const { index } = call;
    const known = isCount(index) ? places.get(index) : undefined;
    const isWhole = !isRecord(call["function"]);
    const { id, name, argumentsJson } = readBindingCall(call, known ?? calls);
    const fragment = isWhole ? argumentsJson : (textOf(recordOf(call["function"])["arguments"]) ?? "");
    if (known !== undefined) {
      return [{ type: "tool_call", index: INDEX, call: known, argumentsFragment: fragment }];
    }
    // What closes a call at some models: one with nothing in it.
    if (name === "") return [];
    const place = calls;
    calls += 1;
    if (isCount(index)) places.set(index, place);
    return [{ type: "tool_call", index: INDEX, call: place, id, name, argumentsFragment: fragment }];
  }

  return ({ data }) => {
    if (data.startsWith(END_MARK)) {
      const reason = calls > 0 ? "tool_calls" : "stop";
      return [...(isFinished ? [] : [{ type: "finish", index: INDEX, reason } as const]), { type: "done" }];
    }
    const body = parse(data);
    if (!isRecord(body)) throw malformed("a stream event that is not JSON object");
    if (isPresent(body["error"]) || isPresent(body["errors"])) return [{ type: "error", errorType: "error" }];
    const text = readResponseText(body["response"]);
    const ends = finishChunks(body["finish_reason"], INDEX);
    const usage = readChatUsage(body["usage"]);
    isFinished ||= ends.length > 0;
    return [
      ...(text === "" ? [] : [{ type: "text", index: INDEX, text } as const]),
      ...listOf(body["tool_calls"]).flatMap((call) => readCallEvent(recordOf(call))),
      ...ends,
      ...(usage === undefined ? [] : [{ type: "usage", usage } as const]),
    ];
  };
}

/** A text; in JSON mode the object itself, and of a bare number the number. */
export function readResponseText(response: unknown): string {
  if (!isPresent(response)) return "";
  return typeof response === "string" ? response : toJson(response);
}

/** A call in the chat wire's form, or with name and arguments at its top. The same call always gets the same made-up id. */
export function readBindingCall(call: JsonRecord, at: number): ToolCall {
  const called = isRecord(call["function"]) ? call["function"] : call;
  const name = textOf(called["name"]) ?? "";
  const given = called["arguments"];
  return {
    id: textOf(call["id"]) ?? `call_${name}_${at}`,
    name,
    argumentsJson: typeof given === "string" ? given : toJson(given ?? {}),
  };
}
