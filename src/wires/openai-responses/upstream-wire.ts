/**
 * The Responses wire as upstreams speak it: the client's own bytes out, answers and streams read beside the forwarded
 * ones, for usage, finish reasons and faults. Requests of other wires go to the chat wire instead.
 * https://platform.openai.com/docs/api-reference/responses (seen 2026-11)
 */

import type { ChatChoice, ChatChunk, ChatResponse, TokenUsage, ToolCall } from "../../schema/chat.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readChatCitations, readChatLogprobs } from "../openai-chat/upstream-details.ts";
import type { Decoder } from "../upstream-wire.ts";
import { withTier } from "../service-tier.ts";
import { finishChunks, readFinish } from "../finish-words.ts";
import { errorWithGoodStatus, isCount, malformed, parseEvent, soundnessOf } from "../read-upstream.ts";
import { takeChatReport } from "../reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";

/** A target's `params`, which have the chat wire's names, in this one's. What has none goes out as it is. */
export function toResponsesNames(wire: JsonRecord, params: JsonRecord = {}): JsonRecord {
  const {
    max_tokens,
    max_completion_tokens,
    reasoning_effort: effort,
    response_format: format,
    ...same
  } = params;
  const limit = max_completion_tokens ?? max_tokens;
  const { json_schema: schema, ...plain } = recordOf(format);
  return {
    ...same,
    ...(isPresent(limit) && { max_output_tokens: limit }),
    ...(isPresent(effort) && { reasoning: { ...recordOf(wire["reasoning"]), effort } }),
    ...(isPresent(format) && {
      text: { ...recordOf(wire["text"]), format: { ...plain, ...recordOf(schema) } },
    }),
  };
}

/** A whole response; throws `upstream_malformed`, or `upstream_error` where it says that it failed. */
export function readResponse(body: unknown, report?: UpstreamReport): ChatResponse {
  if (!isRecord(body)) throw malformed("a response that is not a JSON object");
  if (body["status"] === "failed" || (isPresent(body["error"]) && !Array.isArray(body["output"]))) {
    throw errorWithGoodStatus();
  }
  if (!Array.isArray(body["output"])) throw malformed("a response without output");
  if (report !== undefined) takeChatReport(body, report);
  const id = textOf(body["id"]);
  const model = textOf(body["model"]);
  const usage = withTools(withTier(readUsage(body["usage"]), body["service_tier"]), body);
  return {
    ...(id !== undefined && { id }),
    ...(model !== undefined && { model }),
    choices: [readOutput(body, body["output"].map(recordOf))],
    ...(usage !== undefined && { usage }),
  };
}

/**
 * The tools that OpenAI ran, which it bills by the call. A search's later steps (to open a page, to find in it) cost nothing.
 * https://developers.openai.com/api/docs/pricing (seen 2026-11)
 */
function withTools(usage: TokenUsage | undefined, { output }: JsonRecord): TokenUsage | undefined {
  if (usage === undefined) return undefined;
  const items = listOf(output).map(recordOf);
  const countOf = (type: string): number => items.filter((item) => item["type"] === type).length;
  const isSearch = ({ type, action }: JsonRecord): boolean =>
    type === "web_search_call" && (recordOf(action)["type"] ?? "search") === "search";
  const webSearches = items.filter(isSearch).length;
  const fileSearches = countOf("file_search_call");
  const containers = items
    .filter(({ type }) => type === "code_interpreter_call")
    .map((item) => item["container_id"]);
  const codeContainers = new Set(containers).size;
  return {
    ...usage,
    ...(webSearches > 0 && { webSearches }),
    ...(fileSearches > 0 && { fileSearches }),
    ...(codeContainers > 0 && { codeContainers }),
  };
}

/** All items of the output are one choice: reasoning, text and calls. */
function readOutput(body: JsonRecord, items: readonly JsonRecord[]): ChatChoice {
  const parts = items.flatMap((item) =>
    item["type"] === "message" ? listOf(item["content"]).map(recordOf) : [],
  );
  const thoughts = items.filter(({ type }) => type === "reasoning");
  const reasoning = thoughts.flatMap(readReasoningItem).join("\n");
  const encrypted = thoughts.flatMap((item) => textOf(item["encrypted_content"]) ?? []);
  const refusal = parts.flatMap((part) => textOf(part["refusal"]) ?? []).join("");
  const citations = parts.flatMap((part) => readChatCitations(part["annotations"]));
  const logprobs = parts.flatMap((part) => readChatLogprobs(part["logprobs"]));
  const toolCalls = items.flatMap(readCall);
  const finishReason = readFinish(endWord(body), { hasCalls: toolCalls.length > 0 });
  return {
    index: 0,
    text: parts.flatMap((part) => textOf(part["text"]) ?? []).join(""),
    ...(reasoning !== "" && { reasoning }),
    ...(encrypted.length > 0 && { encryptedReasoning: encrypted }),
    ...(refusal !== "" && { refusal }),
    ...(citations.length > 0 && { citations }),
    ...(logprobs.length > 0 && { logprobs }),
    toolCalls,
    ...(finishReason !== undefined && { finishReason }),
  };
}

function readReasoningItem(item: JsonRecord): readonly string[] {
  return [...listOf(item["summary"]), ...listOf(item["content"])].flatMap(
    (part) => textOf(recordOf(part)["text"]) ?? [],
  );
}

function readCall(item: JsonRecord): readonly ToolCall[] {
  if (item["type"] !== "function_call") return [];
  const { call_id: id, name, arguments: given } = item;
  return [{ id: textOf(id) ?? "", name: textOf(name) ?? "", argumentsJson: textOf(given) ?? "" }];
}

/** What ended it, in the wire's word; a response in the background has not ended. */
function endWord(body: JsonRecord): unknown {
  const { status } = body;
  return status === "incomplete" ? (recordOf(body["incomplete_details"])["reason"] ?? status) : status;
}

function readUsage(usage: unknown): TokenUsage | undefined {
  if (!isRecord(usage)) return undefined;
  const { input_tokens: input, output_tokens: output } = usage;
  if (!isCount(input) && !isCount(output)) return undefined;
  const { cached_tokens: cached, cache_write_tokens: written } = recordOf(usage["input_tokens_details"]);
  const { reasoning_tokens: reasoning } = recordOf(usage["output_tokens_details"]);
  return {
    inputTokens: isCount(input) ? input : 0,
    outputTokens: isCount(output) ? output : 0,
    ...soundnessOf(input, output),
    ...(isCount(cached) && { cacheReadTokens: cached }),
    ...(isCount(written) && written > 0 && { cacheWriteTokens: written }),
    ...(isCount(reasoning) && { reasoningTokens: reasoning }),
  };
}

/** A decoder for one stream. Throws `upstream_malformed` on an event that is not JSON object. */
export function createResponsesDecoder(report?: UpstreamReport): Decoder {
  /** Calls by their item's place in the output. */
  const calls = new Map<unknown, number>();
  return ({ event, data }) => {
    if (data === "" || data.startsWith("[DONE]")) return [];
    const body = parseEvent(data);
    const type = textOf(body["type"]) ?? event;
    switch (type) {
      case "response.created":
        return readStart(recordOf(body["response"]));
      case "response.output_text.delta":
        return readTextDelta(body);
      case "response.refusal.delta":
        return textChunk("refusal", body["delta"]);
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        return textChunk("reasoning", body["delta"]);
      case "response.output_text.annotation.added":
        return readChatCitations([body["annotation"]]).map((citation) => ({
          type: "citation",
          index: 0,
          citation,
        }));
      case "response.output_item.added":
        return readItem(body, calls);
      case "response.function_call_arguments.delta": {
        const call = calls.get(body["output_index"]);
        const argumentsFragment = textOf(body["delta"]) ?? "";
        return call === undefined ? [] : [{ type: "tool_call", index: 0, call, argumentsFragment }];
      }
      case "response.completed":
      case "response.incomplete":
      case "response.cancelled":
        if (report !== undefined) takeChatReport(recordOf(body["response"]), report);
        return readEndEvent(type, recordOf(body["response"]), calls.size > 0);
      case "response.failed":
        return [{ type: "error", errorType: errorClass(recordOf(recordOf(body["response"])["error"])) }];
      case "error":
        return [{ type: "error", errorType: errorClass(isRecord(body["error"]) ? body["error"] : body) }];
      default:
        return [];
    }
  };
}

function readStart(response: JsonRecord): readonly ChatChunk[] {
  const id = textOf(response["id"]);
  const model = textOf(response["model"]);
  return [{ type: "start", ...(id !== undefined && { id }), ...(model !== undefined && { model }) }];
}

function readTextDelta(body: JsonRecord): readonly ChatChunk[] {
  const logprobs = readChatLogprobs(body["logprobs"]);
  const text = textChunk("text", body["delta"]);
  return logprobs.length === 0 ? text : [...text, { type: "logprobs", index: 0, logprobs }];
}

function textChunk(type: "text" | "refusal" | "reasoning", delta: unknown): readonly ChatChunk[] {
  const text = textOf(delta);
  return text === undefined ? [] : [{ type, index: 0, text }];
}

function readItem(body: JsonRecord, calls: Map<unknown, number>): readonly ChatChunk[] {
  const item = recordOf(body["item"]);
  if (item["type"] !== "function_call") return [];
  const call = calls.size;
  calls.set(body["output_index"], call);
  const id = textOf(item["call_id"]);
  const name = textOf(item["name"]);
  return [
    {
      type: "tool_call",
      index: 0,
      call,
      ...(id !== undefined && { id }),
      ...(name !== undefined && { name }),
      argumentsFragment: textOf(item["arguments"]) ?? "",
    },
  ];
}

function readEndEvent(type: string, response: JsonRecord, hasCalls: boolean): readonly ChatChunk[] {
  const word = endWord({ status: type.slice("response.".length), ...response });
  const usage = withTools(withTier(readUsage(response["usage"]), response["service_tier"]), response);
  return [
    ...finishChunks(word, 0, { hasCalls }),
    ...(usage === undefined ? [] : [{ type: "usage", usage } as const]),
    { type: "done" },
  ];
}

/** A short word, so that a message in its place is never passed on. */
const ERROR_CLASS = /^[\w.-]{1,64}$/;

function errorClass({ code, type }: JsonRecord): string {
  return [code, type].map(textOf).find((word) => word !== undefined && ERROR_CLASS.test(word)) ?? "error";
}
