/**
 * Our words for an answer as the Messages wire's: the whole message, and the pieces that the stream shares with it.
 * https://platform.claude.com/docs/en/api/messages (seen 2026-11)
 */

import type {
  ChatChoice,
  ChatRequest,
  ChatResponse,
  Citation,
  FinishReason,
  TokenUsage,
} from "../../schema/chat.ts";
import { isRecord, type JsonRecord } from "../../json/fields.ts";
import { parseJson, toJson } from "../../json/exact.ts";

/** A whole answer as a message. Only the first choice: no client of this wire can ask for more. */
export function formatAnthropicMessage(response: ChatResponse, chat: ChatRequest): string {
  const choice = response.choices.find(({ index }) => index === 0) ?? response.choices[0];
  return toJson({
    ...messageHead(chat, response.id, response.model),
    content: choice === undefined ? [] : formatBlocks(choice),
    ...(choice?.finishReason === undefined
      ? { stop_reason: null, stop_sequence: null }
      : formatStop({
          reason: choice.finishReason,
          stopSequence: choice.stopSequence,
          isRefusal: choice.refusal !== undefined,
          hasToolCalls: choice.toolCalls.length > 0,
        })),
    usage: formatAnthropicUsage(response.usage),
  });
}

/** What every message begins with; the route's stamp and the client's model where the upstream named none. */
export function messageHead(
  chat: ChatRequest,
  id: string | undefined,
  model: string | undefined,
): JsonRecord {
  return {
    id: id ?? `msg_${chat.stamp?.id ?? "unknown"}`,
    type: "message",
    role: "assistant",
    model: model ?? chat.model,
  };
}

function formatBlocks(choice: ChatChoice): readonly JsonRecord[] {
  const {
    reasoning,
    reasoningSignature: signature,
    encryptedReasoning = [],
    refusal,
    citations = [],
  } = choice;
  const blocks: JsonRecord[] = [];
  if (reasoning !== undefined || signature !== undefined) {
    blocks.push({ type: "thinking", thinking: reasoning ?? "", signature: signature ?? "" });
  }
  for (const data of encryptedReasoning) blocks.push({ type: "redacted_thinking", data });
  if (choice.text !== "") {
    const cited = citations.length > 0 && { citations: citations.map(formatAnthropicCitation) };
    blocks.push({ type: "text", text: choice.text, ...cited });
  }
  // The wire has no place of its own for a refusal's words; `stop_reason` says that they are one.
  if (refusal !== undefined) blocks.push({ type: "text", text: refusal });
  for (const { id, name, argumentsJson } of choice.toolCalls) {
    blocks.push({ type: "tool_use", id, name, input: parseInput(argumentsJson) });
  }
  return blocks;
}

/** Arguments that are no JSON object are passed on as the text they are: the wire's `input` may be anything. */
function parseInput(argumentsJson: string): unknown {
  if (argumentsJson.trim() === "") return {};
  try {
    const input: unknown = parseJson(argumentsJson);
    return isRecord(input) ? input : argumentsJson;
  } catch {
    return argumentsJson;
  }
}

/**
 * What an address is known of is a web search's result; anything else a passage of the first document, whose place in it
 * is not known. Of the wire's kinds these two are the ones that every SDK reads.
 */
export function formatAnthropicCitation({ url, title, citedText = "" }: Citation): JsonRecord {
  if (url !== undefined) {
    const named = { url, title: title ?? url };
    return { type: "web_search_result_location", ...named, cited_text: citedText, encrypted_index: "" };
  }
  return {
    type: "char_location",
    cited_text: citedText,
    document_index: 0,
    document_title: title ?? null,
    start_char_index: 0,
    end_char_index: citedText.length,
    file_id: null,
  };
}

export interface Stop {
  readonly reason: FinishReason;
  readonly stopSequence: string | undefined;
  readonly isRefusal: boolean;
  readonly hasToolCalls: boolean;
}

/** `stop_reason` and `stop_sequence`. */
export function formatStop({ reason, stopSequence, isRefusal, hasToolCalls }: Stop): JsonRecord {
  if (isRefusal) return { stop_reason: "refusal", stop_sequence: null };
  switch (reason) {
    case "length":
      return { stop_reason: "max_tokens", stop_sequence: null };
    case "content_filter":
      return { stop_reason: "refusal", stop_sequence: null };
    case "tool_calls":
      return { stop_reason: "tool_use", stop_sequence: null };
    case "stop":
      // Some vendors say `stop` behind tool calls; a client of this wire would not look at the calls then.
      if (hasToolCalls) return { stop_reason: "tool_use", stop_sequence: null };
      if (stopSequence === undefined) return { stop_reason: "end_turn", stop_sequence: null };
      return { stop_reason: "stop_sequence", stop_sequence: stopSequence };
  }
}

/** This wire's input leaves cached tokens out; ours includes them. */
export function formatAnthropicUsage(usage: TokenUsage | undefined): JsonRecord {
  const { cacheReadTokens = 0, cacheWriteTokens = 0, reasoningTokens } = usage ?? {};
  return {
    input_tokens: Math.max(0, (usage?.inputTokens ?? 0) - cacheReadTokens - cacheWriteTokens),
    cache_creation_input_tokens: cacheWriteTokens,
    cache_read_input_tokens: cacheReadTokens,
    output_tokens: usage?.outputTokens ?? 0,
    ...(reasoningTokens !== undefined && { output_tokens_details: { thinking_tokens: reasoningTokens } }),
  };
}
