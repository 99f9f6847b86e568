/**
 * The request body as the simulated model server reads it: what decides its answer, and how long the prompt is.
 * Lenient like a stranger's server; the gateway has checked the request before.
 */

import { isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { countSimTokens } from "./tokens.ts";

export interface SimRequest {
  readonly model: string;
  readonly isStream: boolean;
  readonly wantsUsage: boolean;
  readonly choiceCount: number;
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  /** Text of the last `user` message. */
  readonly userText: string;
  /** Text of the last message where that is a tool's result. */
  readonly toolResult: string | undefined;
  readonly messageCount: number;
  readonly promptTokens: number;
  /** As if the vendor's prompt cache had held them: half the prompt, where the request names a `prompt_cache_key`. */
  readonly cachedTokens: number;
  /** Where the request names a `reasoning_effort` that asks for any. */
  readonly wantsReasoning: boolean;
  readonly wire: JsonRecord;
}

/** What each message costs beside its text, as OpenAI counts. */
const TOKENS_PER_MESSAGE = 4;
/** An image at low detail, as OpenAI counts. */
const TOKENS_PER_IMAGE = 85;
const MAX_CHOICES = 128;

/** The request, or undefined where the body is not a chat request. */
export function readSimRequest(bodyText: string): SimRequest | undefined {
  const wire = parseJson(bodyText);
  if (!isRecord(wire) || !Array.isArray(wire["messages"])) return undefined;
  const messages = wire["messages"].map(recordOf);
  const last = messages.at(-1);
  const promptTokens = countPromptTokens(messages, wire["tools"]);
  const effort = wire["reasoning_effort"];
  return {
    model: textOf(wire["model"]) ?? "sim",
    isStream: wire["stream"] === true,
    wantsUsage: recordOf(wire["stream_options"])["include_usage"] === true,
    choiceCount: Math.min(positive(wire["n"]) ?? 1, MAX_CHOICES),
    maxTokens: positive(wire["max_completion_tokens"]) ?? positive(wire["max_tokens"]),
    stop: [wire["stop"]].flat().flatMap((word) => textOf(word) ?? []),
    userText: readText(messages.findLast((message) => message["role"] === "user")?.["content"]),
    toolResult: last?.["role"] === "tool" ? readText(last["content"]) : undefined,
    messageCount: messages.length,
    promptTokens,
    cachedTokens: textOf(wire["prompt_cache_key"]) === undefined ? 0 : Math.floor(promptTokens / 2),
    wantsReasoning: typeof effort === "string" && effort !== "none" && effort !== "minimal",
    wire,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function positive(value: unknown): number | undefined {
  return typeof value === "number" && value >= 1 ? Math.floor(value) : undefined;
}

/** A message's content: a string, or the texts among its parts, a line each. */
function readText(content: unknown): string {
  if (typeof content === "string") return content;
  return listOf(content)
    .flatMap((part) => textOf(recordOf(part)["text"]) ?? [])
    .join("\n");
}

function countPromptTokens(messages: readonly JsonRecord[], tools: unknown): number {
  let tokens = Array.isArray(tools) ? countSimTokens(JSON.stringify(tools)) : 0;
  for (const { content } of messages) {
    const images = listOf(content).filter((part) => recordOf(part)["type"] === "image_url").length;
    tokens += TOKENS_PER_MESSAGE + countSimTokens(readText(content)) + images * TOKENS_PER_IMAGE;
  }
  return tokens;
}
