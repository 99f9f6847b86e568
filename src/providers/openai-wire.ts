/**
 * The OpenAI chat wire as upstreams speak it, read into our words: whole answers and usage. Streams are read by
 * openai-stream.ts, errors by openai-errors.ts. Lenient in what vendors vary, strict in what makes an answer an answer.
 * https://platform.openai.com/docs/api-reference/chat/object (seen 2026-11)
 */

import type { ChatChoice, ChatResponse, FinishReason, TokenUsage, ToolCall } from "../chat.ts";
import { GatewayError } from "../errors.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../json-fields.ts";

/** A whole chat completion; throws `upstream_malformed`, or `upstream_error` where the body is an error sent as 200. */
export function readCompletion(body: unknown): ChatResponse {
  if (!isRecord(body)) throw malformed("an answer that is no JSON object");
  const { choices } = body;
  if (isPresent(body["error"]) && !Array.isArray(choices)) {
    throw new GatewayError(
      "upstream_error",
      "The upstream answered with an error under a status of success.",
    );
  }
  if (!Array.isArray(choices) || choices.length === 0) throw malformed("an answer without choices");
  const id = textOf(body["id"]);
  const model = textOf(body["model"]);
  const usage = readUsage(body["usage"]);
  return {
    ...(id !== undefined && { id }),
    ...(model !== undefined && { model }),
    choices: choices.map(readChoice),
    ...(usage !== undefined && { usage }),
  };
}

function readChoice(choice: unknown, position: number): ChatChoice {
  if (!isRecord(choice) || !isRecord(choice["message"])) throw malformed("a choice without a message");
  const { message } = choice;
  const reasoning = readReasoning(message);
  const refusal = textOf(message["refusal"]);
  const finishReason = readFinishReason(choice["finish_reason"]);
  return {
    index: readIndex(choice["index"], position),
    text: textOf(message["content"]) ?? "",
    ...(reasoning !== undefined && { reasoning }),
    ...(refusal !== undefined && { refusal }),
    toolCalls: listOf(message["tool_calls"]).map((call) => readToolCall(recordOf(call))),
    ...(finishReason !== undefined && { finishReason }),
  };
}

function readToolCall(call: JsonRecord): ToolCall {
  const { name, argumentsJson } = readFunction(call);
  return { id: textOf(call["id"]) ?? "", name: name ?? "", argumentsJson };
}

/** Name and arguments (or a fragment of them) of a call of a function, or of a custom tool, whose input is free text. */
export function readFunction(call: JsonRecord): {
  readonly name: string | undefined;
  readonly argumentsJson: string;
} {
  const custom = call["custom"];
  const called = isRecord(custom) ? custom : recordOf(call["function"]);
  const given = isRecord(custom) ? custom["input"] : called["arguments"];
  return { name: textOf(called["name"]), argumentsJson: textOf(given) ?? "" };
}

/** `reasoning_content` (DeepSeek, vLLM, xAI) or `reasoning` (OpenRouter, Groq). */
export function readReasoning(message: JsonRecord): string | undefined {
  return textOf(message["reasoning_content"]) ?? textOf(message["reasoning"]);
}

/** A choice's number; its place in the list where the vendor left the number out. */
export function readIndex(index: unknown, position: number): number {
  return isCount(index) ? index : position;
}

/** Our word for why a choice ended; undefined while it has not. */
export function readFinishReason(reason: unknown): FinishReason | undefined {
  const word = textOf(reason);
  return word === undefined ? undefined : (FINISH_REASONS.get(word) ?? "unknown");
}

const FINISH_REASONS: ReadonlyMap<string, FinishReason> = new Map([
  ["stop", "stop"],
  ["length", "length"],
  ["tool_calls", "tool_calls"],
  // What `tool_calls` was called before tools.
  ["function_call", "tool_calls"],
  ["content_filter", "content_filter"],
]);

/** Tokens as billed; undefined where the upstream named neither input nor output. */
export function readUsage(usage: unknown): TokenUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const { prompt_tokens: input, completion_tokens: output } = usage;
  if (!isCount(input) && !isCount(output)) return undefined;
  const cached = recordOf(usage["prompt_tokens_details"])["cached_tokens"];
  const reasoning = recordOf(usage["completion_tokens_details"])["reasoning_tokens"];
  return {
    inputTokens: isCount(input) ? input : 0,
    outputTokens: isCount(output) ? output : 0,
    ...(isCount(cached) && { cacheReadTokens: cached }),
    ...(isCount(reasoning) && { reasoningTokens: reasoning }),
  };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** The fault of an upstream that broke its own format; says what kind of thing it sent, never what was in it. */
export function malformed(what: string, cause?: unknown): GatewayError {
  return new GatewayError("upstream_malformed", `The upstream sent ${what}.`, { cause });
}
