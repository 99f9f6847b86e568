/**
 * The OpenAI chat stream, event by event, read into our chunks. Runs beside the forwarded bytes: for usage, finish
 * reasons and faults, never between an upstream and its client of the same wire.
 * https://platform.openai.com/docs/api-reference/chat/streaming (seen 2026-11)
 */

import type { ChatChunk, TokenUsage } from "../../schema/chat.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import {
  readCallSignature,
  readChatCitations,
  readChatLogprobs,
  readSources,
  readReasoning,
} from "./upstream-details.ts";
import type { Decoder } from "../upstream-wire.ts";
import { readText, readChatUsage } from "./upstream-answer.ts";
import { withTier } from "../service-tier.ts";
import { malformed, parseEvent, readFunction, readIndex } from "../read-upstream.ts";
import { finishChunks } from "../finish-words.ts";
import { createCallPlacer, type CallPlacer } from "../call-placer.ts";
import { takeChatReport } from "../reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

const END_MARK = "[DONE]";
/** An error's class as spans may carry it: a short word, so that a message in its place is never passed on. */
const ERROR_CLASS = /^[\w.-]{1,64}$/;

/** A decoder for one stream. Throws `upstream_malformed` on an event that is not JSON object or whose choices are none. */
export function createOpenAiDecoder(report?: UpstreamReport): Decoder {
  let isStarted = false;
  let isSourced = false;
  const placeCall = createCallPlacer();
  return ({ event, data }) => {
    // A keep-alive of some vendors: an event with nothing in it.
    if (data === "") return [];
    if (data.startsWith(END_MARK)) return [{ type: "done" }];
    const body = parseEvent(data);
    if (event === "error" || isPresent(body["error"])) {
      return [{ type: "error", errorType: readErrorClass(body["error"] ?? body) }];
    }

    const chunks: ChatChunk[] = [];
    const isFirst = !isStarted;
    if (!isStarted) {
      const start = readStart(body);
      isStarted = start !== undefined;
      if (start !== undefined) chunks.push(start);
    }
    readChoices(body["choices"], placeCall, chunks);
    if (!isSourced) {
      // Perplexity repeats them in each event.
      const sources = readSources(body);
      isSourced = sources.length > 0;
      for (const citation of sources) chunks.push({ type: "citation", index: 0, citation });
    }
    const usage = readChatUsage(body["usage"]) ?? readUsageElsewhere(body);
    // Only the events that begin and end a stream say more than its text.
    if (report !== undefined && (isFirst || usage !== undefined || chunks.at(-1)?.type === "finish"))
      takeChatReport(body, report);
    if (usage !== undefined) chunks.push({ type: "usage", usage: withTier(usage, body["service_tier"]) });
    return chunks;
  };
}

/** Where Groq and Moonshot put it: `x_groq.usage`, and the usage of the choice that ends. */
function readUsageElsewhere(body: JsonRecord): TokenUsage | undefined {
  const [first] = listOf(body["choices"]);
  return readChatUsage(recordOf(body["x_groq"])["usage"]) ?? readChatUsage(recordOf(first)["usage"]);
}

function readStart(body: JsonRecord): ChatChunk | undefined {
  const id = textOf(body["id"]);
  const model = textOf(body["model"]);
  if (id === undefined && model === undefined) return undefined;
  return { type: "start", ...(id !== undefined && { id }), ...(model !== undefined && { model }) };
}

function readChoices(choices: unknown, placeCall: CallPlacer, chunks: ChatChunk[]): void {
  // The usage event has no choices, nor has Azure's first one, which holds the prompt's filter results.
  if (!isPresent(choices)) return;
  if (!Array.isArray(choices)) throw malformed("a stream event whose choices are not a list");
  for (let at = 0; at < choices.length; at += 1) {
    const choice: unknown = choices[at];
    if (!isRecord(choice)) throw malformed("a stream event with a choice that is not an object");
    readChoice(choice, readIndex(choice["index"], at), placeCall, chunks);
  }
}

function readChoice(choice: JsonRecord, index: number, placeCall: CallPlacer, chunks: ChatChunk[]): void {
  const delta = recordOf(choice["delta"]);
  const thoughts = readReasoning(delta);
  if (thoughts.text !== undefined) chunks.push({ type: "reasoning", index, text: thoughts.text });
  if (thoughts.signature !== undefined) {
    chunks.push({ type: "reasoning_signature", index, signature: thoughts.signature });
  }
  for (const data of thoughts.encrypted) chunks.push({ type: "encrypted_reasoning", index, data });
  const text = readText(delta["content"]);
  if (text !== "") chunks.push({ type: "text", index, text });
  const refusal = textOf(delta["refusal"]);
  if (refusal !== undefined) chunks.push({ type: "refusal", index, text: refusal });
  listOf(delta["tool_calls"]).forEach((part, at) => {
    const call = recordOf(part);
    const id = textOf(call["id"]);
    const { name, argumentsJson } = readFunction(call);
    const signature = readCallSignature(call);
    chunks.push({
      type: "tool_call",
      index,
      call: placeCall(index, { index: call["index"], id, name }, at),
      ...(id !== undefined && { id }),
      ...(name !== undefined && { name }),
      argumentsFragment: argumentsJson,
      ...(signature !== undefined && { signature }),
    });
  });
  for (const citation of readChatCitations(delta["annotations"]))
    chunks.push({ type: "citation", index, citation });
  const logprobs = readChatLogprobs(recordOf(choice["logprobs"])["content"]);
  if (logprobs.length > 0) chunks.push({ type: "logprobs", index, logprobs });
  const { finish_reason: word, error } = choice;
  if (isPresent(error)) chunks.push({ type: "error", errorType: readErrorClass(error) });
  else chunks.push(...finishChunks(word, index));
}

function readErrorClass(error: unknown): string {
  const { type, code } = recordOf(error);
  const words = [type, code].map((word) => (typeof word === "number" ? String(word) : word));
  return words.map(textOf).find((word) => word !== undefined && ERROR_CLASS.test(word)) ?? "error";
}
