/**
 * Our words for an answer as the chat wire's: a whole completion, and the pieces that its stream shares with it.
 * https://platform.openai.com/docs/api-reference/chat/object (seen 2026-11)
 */

import type {
  ChatChoice,
  ChatRequest,
  ChatResponse,
  Citation,
  FinishReason,
  TokenLogprob,
  TokenUsage,
  ToolCall,
} from "../../schema/chat.ts";
import type { JsonRecord } from "../../json/fields.ts";
import { untagDetail } from "../reasoning-provenance.ts";
import { toJson } from "../../json/exact.ts";
import { freeformNames, toInput } from "../freeform-tools.ts";

/** Where neither the upstream nor the route gave one: the wire must have an id, and it means nothing to us. */
const NO_ID = "chatcmpl-unknown";

export function formatCompletion(response: ChatResponse, chat: ChatRequest): string {
  return toJson({
    ...formatHead("chat.completion", response, chat),
    choices: response.choices.map((choice) => formatChoice(choice, freeformNames(chat.body["tools"]))),
    ...(response.usage !== undefined && { usage: formatChatUsage(response.usage) }),
  });
}

/** The members that a completion and each of its chunks begin with. */
export function formatHead(
  object: "chat.completion" | "chat.completion.chunk",
  { id, model }: Pick<ChatResponse, "id" | "model">,
  { stamp, model: asked }: ChatRequest,
): JsonRecord {
  return {
    id: id ?? (stamp === undefined ? NO_ID : `chatcmpl-${stamp.id}`),
    object,
    created: stamp?.createdAtSeconds ?? 0,
    model: model ?? asked,
  };
}

function formatChoice(choice: ChatChoice, freeform: ReadonlySet<string>): JsonRecord {
  const { index, text, reasoning, refusal, citations = [], logprobs, toolCalls, finishReason } = choice;
  const details = formatReasoning(choice);
  return {
    index,
    message: {
      role: "assistant",
      content: text === "" && (toolCalls.length > 0 || refusal !== undefined) ? null : text,
      refusal: refusal ?? null,
      ...(reasoning !== undefined && { reasoning_content: reasoning }),
      ...(details.length > 0 && { reasoning_details: details }),
      annotations: citations.flatMap(formatChatCitation),
      ...(toolCalls.length > 0 && {
        tool_calls: toolCalls.map((call) =>
          freeform.has(call.name) ? formatFreeformCall(call) : formatToolCall(call),
        ),
      }),
    },
    logprobs: logprobs === undefined ? null : formatLogprobs(logprobs),
    finish_reason: finishReason === undefined ? null : formatFinishReason(finishReason, toolCalls.length > 0),
  };
}

/** Reasoning that must come back unchanged; other reasoning is `reasoning_content` alone. */
function formatReasoning({
  reasoning,
  reasoningSignature,
  encryptedReasoning = [],
}: ChatChoice): readonly JsonRecord[] {
  const encrypted = encryptedReasoning.map(formatEncryptedReasoning);
  if (reasoningSignature === undefined) return encrypted;
  return [formatSignedReasoning(reasoning ?? "", reasoningSignature), ...encrypted];
}

/** https://openrouter.ai/docs/use-cases/reasoning-tokens (seen 2026-11). */
export function formatSignedReasoning(text: string, signature: string): JsonRecord {
  const { value, format } = detailOf(signature);
  return { type: "reasoning.text", text, signature: value, ...(format !== undefined && { format }) };
}

export function formatEncryptedReasoning(encrypted: string): JsonRecord {
  const { value, format } = detailOf(encrypted);
  return { type: "reasoning.encrypted", data: value, ...(format !== undefined && { format }) };
}

/** Gemini's keeps its tag: no format is its own. */
function detailOf(opaque: string): ReturnType<typeof untagDetail> & object {
  return untagDetail(opaque) ?? { value: opaque };
}

/** A call of a tool that takes free text. */
export function formatFreeformCall(call: ToolCall): JsonRecord {
  const { function: _, ...rest } = formatToolCall(call);
  return { ...rest, type: "custom", custom: { name: call.name, input: toInput(call.argumentsJson) } };
}

export function formatToolCall({ id, name, argumentsJson, signature }: ToolCall): JsonRecord {
  return {
    id,
    type: "function",
    function: { name, arguments: argumentsJson },
    ...(signature !== undefined && formatCallSignature(signature)),
  };
}

/** Where Google's OpenAI-compatible API puts it: https://ai.google.dev/gemini-api/docs/thought-signatures (seen 2026-11). */
export function formatCallSignature(signature: string): JsonRecord {
  return { extra_content: { google: { thought_signature: signature } } };
}

/** The wire knows citations of addresses only. */
export function formatChatCitation({
  url,
  title = "",
  startIndex = 0,
  endIndex = 0,
}: Citation): readonly JsonRecord[] {
  if (url === undefined) return [];
  const citation = { url, title, start_index: startIndex, end_index: endIndex };
  return [{ type: "url_citation", url_citation: citation }];
}

export function formatLogprobs(logprobs: readonly TokenLogprob[]): JsonRecord {
  const content = logprobs.map(({ token, logprob, top }) => ({
    token,
    logprob,
    bytes: null,
    top_logprobs: top.map((other) => ({ ...other, bytes: null })),
  }));
  return { content, refusal: null };
}

/** Some vendors say `stop` behind tool calls; a client of this wire would not look at the calls then. */
export function formatFinishReason(reason: FinishReason, hasToolCalls: boolean): string {
  return reason === "stop" && hasToolCalls ? "tool_calls" : reason;
}

export function formatChatUsage(usage: TokenUsage): JsonRecord {
  const { inputTokens, outputTokens, cacheReadTokens = 0, cacheWriteTokens, reasoningTokens = 0 } = usage;
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: {
      cached_tokens: cacheReadTokens,
      ...(cacheWriteTokens !== undefined && { cache_write_tokens: cacheWriteTokens }),
    },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}
