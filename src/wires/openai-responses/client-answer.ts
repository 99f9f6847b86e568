/**
 * Our words for an answer as the Responses wire's: the response object and its output items.
 * https://platform.openai.com/docs/api-reference/responses/object (seen 2026-11)
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
import { isPresent, recordOf, type JsonRecord } from "../../json/fields.ts";
import { wrapEncryptedForResponses, wrapSignatureForResponses } from "./client-reasoning.ts";
import { toJson } from "../../json/exact.ts";
import { freeformNames, toInput } from "../freeform-tools.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

/** A whole answer. Only the first choice: no client of this wire can ask for more. */
export function formatResponseBody(response: ChatResponse, chat: ChatRequest): string {
  const choice = response.choices.find(({ index }) => index === 0) ?? response.choices[0];
  const base = idBase(response.id, chat);
  const freeform = freeformNames(chat.body["tools"]);
  const output = choice === undefined ? [] : formatOutput(choice, base, freeform);
  const body = formatResponse(chat, { base, model: response.model, output, usage: response.usage });
  return toJson({ ...body, ...formatEnd(choice?.finishReason) });
}

/** What all ids of an answer are made of: the upstream's own id, or the request's. */
export function idBase(id: string | undefined, { stamp }: ChatRequest): string {
  return (id ?? stamp?.id ?? "unknown").replace(/^resp_/, "");
}

interface ResponseState {
  readonly base: string;
  readonly model: string | undefined;
  readonly output: readonly JsonRecord[];
  readonly usage: TokenUsage | undefined;
}

/** The response object; its end is `formatEnd`'s. It repeats what the client asked for, as the API does. */
export function formatResponse({ body, model: asked, stamp }: ChatRequest, state: ResponseState): JsonRecord {
  const { base, model, output, usage } = state;
  const { instructions, temperature, tools, top_p: topP, user, metadata } = body;
  return {
    id: `resp_${base}`,
    object: "response",
    created_at: stamp?.createdAtSeconds ?? 0,
    background: false,
    error: null,
    instructions: instructions ?? null,
    max_output_tokens: body["max_output_tokens"] ?? null,
    model: model ?? asked,
    output,
    parallel_tool_calls: body["parallel_tool_calls"] ?? true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null, ...recordOf(body["reasoning"]) },
    store: false,
    temperature: temperature ?? null,
    text: { format: { type: "text" }, ...recordOf(body["text"]) },
    tool_choice: body["tool_choice"] ?? "auto",
    tools: tools ?? [],
    top_p: topP ?? null,
    truncation: "disabled",
    usage: usage === undefined ? null : formatUsage(usage),
    ...(isPresent(user) && { user }),
    metadata: metadata ?? {},
  };
}

/** `status` and `incomplete_details`. */
export function formatEnd(reason: FinishReason | undefined): JsonRecord {
  switch (reason) {
    case "length":
      return { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } };
    case "content_filter":
      return { status: "incomplete", incomplete_details: { reason: "content_filter" } };
    case undefined:
      return { status: "incomplete", incomplete_details: null };
    case "stop":
    case "tool_calls":
      return { status: "completed", incomplete_details: null };
  }
}

function formatOutput(
  choice: ChatChoice,
  base: string,
  freeform: ReadonlySet<string>,
): readonly JsonRecord[] {
  const {
    text,
    reasoning,
    reasoningSignature,
    encryptedReasoning = [],
    refusal,
    toolCalls,
    finishReason,
  } = choice;
  const status = formatEnd(finishReason)["status"] === "completed" ? "completed" : "incomplete";
  const items: ((id: string) => JsonRecord)[] = [];
  if (reasoning !== undefined || reasoningSignature !== undefined) {
    items.push((id) => formatReasoningItem(`rs_${id}`, reasoning ?? "", reasoningSignature));
  }
  for (const encrypted of encryptedReasoning) items.push((id) => formatEncryptedItem(`rs_${id}`, encrypted));
  const parts = [
    ...(text !== "" || (toolCalls.length === 0 && refusal === undefined)
      ? [formatText(text, choice.citations, choice.logprobs)]
      : []),
    ...(refusal === undefined ? [] : [formatRefusal(refusal)]),
  ];
  if (parts.length > 0) items.push((id) => formatMessageItem(`msg_${id}`, parts, status));
  for (const call of toolCalls) {
    items.push((id) =>
      freeform.has(call.name)
        ? formatFreeformItem(`ctc_${id}`, call, status)
        : formatCall(`fc_${id}`, call, status),
    );
  }
  return items.map((format, at) => format(`${base}_${at}`));
}

export function formatMessageItem(
  id: string,
  content: readonly JsonRecord[],
  status: ItemStatus,
): JsonRecord {
  return { id, type: "message", status, role: "assistant", content };
}

export function formatText(
  text: string,
  citations: readonly Citation[] = [],
  logprobs: readonly TokenLogprob[] = [],
): JsonRecord {
  return {
    type: "output_text",
    text,
    annotations: citations.flatMap(formatResponsesCitation),
    logprobs: logprobs.map(formatLogprob),
  };
}

export function formatRefusal(refusal: string): JsonRecord {
  return { type: "refusal", refusal };
}

export function formatReasoningItem(id: string, text: string, signature: string | undefined): JsonRecord {
  return {
    id,
    type: "reasoning",
    summary: text === "" ? [] : [{ type: "summary_text", text }],
    encrypted_content: wrapSignatureForResponses(signature),
  };
}

export function formatEncryptedItem(id: string, encrypted: string): JsonRecord {
  return { id, type: "reasoning", summary: [], encrypted_content: wrapEncryptedForResponses(encrypted) };
}

/** The wire has no place for a call's signature: it is where that of reasoning is. */
export function formatCall(id: string, call: ToolCall, status: ItemStatus): JsonRecord {
  return {
    id,
    type: "function_call",
    status,
    call_id: call.id,
    name: call.name,
    arguments: call.argumentsJson,
    ...(call.signature !== undefined && { encrypted_content: wrapSignatureForResponses(call.signature) }),
  };
}

/** A call of a tool that takes free text. */
export function formatFreeformItem(id: string, call: ToolCall, status: ItemStatus): JsonRecord {
  const { arguments: json, ...item } = formatCall(id, call, status);
  return { ...item, type: "custom_tool_call", input: toInput(String(json)) };
}

/** The wire knows citations of addresses only, among those of other vendors. */
export function formatResponsesCitation({
  url,
  title = "",
  startIndex = 0,
  endIndex = 0,
}: Citation): readonly JsonRecord[] {
  if (url === undefined) return [];
  return [{ type: "url_citation", url, title, start_index: startIndex, end_index: endIndex }];
}

export function formatLogprob({ token, logprob, top }: TokenLogprob): JsonRecord {
  return { token, logprob, bytes: [], top_logprobs: top.map((other) => ({ ...other, bytes: [] })) };
}

function formatUsage(usage: TokenUsage): JsonRecord {
  const { inputTokens, outputTokens, cacheReadTokens = 0, cacheWriteTokens = 0, reasoningTokens = 0 } = usage;
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: cacheReadTokens, cache_write_tokens: cacheWriteTokens },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: inputTokens + outputTokens,
  };
}
