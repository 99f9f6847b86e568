/**
 * Our chunks as the chat wire's stream: the role first, then deltas, the finish reason, usage where it was asked for,
 * and the end mark. https://platform.openai.com/docs/api-reference/chat/streaming (seen 2026-11)
 */

import type { ChatChunk, ChatRequest, TokenUsage, ToolCall } from "../../schema/chat.ts";
import { recordOf, type JsonRecord } from "../../json/fields.ts";
import { formatEvent } from "../../bytes/sse.ts";
import type { ChunkEncoder } from "../client-wire.ts";
import {
  formatCallSignature,
  formatChatCitation,
  formatFinishReason,
  formatFreeformCall,
  formatHead,
  formatLogprobs,
  formatEncryptedReasoning,
  formatSignedReasoning,
  formatChatUsage,
} from "./client-answer.ts";
import { toJson } from "../../json/exact.ts";
import { mergeUsage } from "../../schema/chat.ts";
import { freeformNames } from "../freeform-tools.ts";

type ToolCallChunk = Extract<ChatChunk, { readonly type: "tool_call" }>;
type Indexed = Extract<ChatChunk, { readonly index: number }>;

export function createChunkEncoder(chat: ChatRequest): ChunkEncoder {
  const wantsUsage = recordOf(chat.body["stream_options"])["include_usage"] === true;
  let head = formatHead("chat.completion.chunk", {}, chat);
  let usage: TokenUsage | undefined;
  /** Choices whose role was sent. */
  const opened = new Set<number>();
  /** Calls begun, by choice. */
  const openedCalls = new Map<number, Set<number>>();
  const freeform = freeformNames(chat.body["tools"]);
  /** Calls of tools that take free text, by choice and place. */
  const freeformCalls = new Map<string, ToolCall & { readonly index: number; readonly call: number }>();
  /** Reasoning since the last signature, which is signed as a whole. */
  const thoughts = new Map<number, string>();

  function format(choices: readonly JsonRecord[], used: JsonRecord | null = null): string {
    return formatEvent(toJson({ ...head, choices, ...(wantsUsage && { usage: used }) }));
  }

  function formatDelta(index: number, delta: JsonRecord, others: JsonRecord = {}): string {
    return format([{ index, delta, logprobs: null, finish_reason: null, ...others }]);
  }

  function open(index: number): string {
    if (opened.has(index)) return "";
    opened.add(index);
    return formatDelta(index, { role: "assistant", content: "", refusal: null });
  }

  /** Gathers the fragments of a call that takes free text, whose input is known at the end. Undefined for another call. */
  function gatherFreeform({ index, call, argumentsFragment, ...opening }: ToolCallChunk): true | undefined {
    const key = `${index} ${call}`;
    const known = freeformCalls.get(key);
    if (known === undefined && (opening.name === undefined || !freeform.has(opening.name))) return undefined;
    const { id = "", name = "" } = known ?? opening;
    const argumentsJson = (known?.argumentsJson ?? "") + argumentsFragment;
    openedCalls.set(index, (openedCalls.get(index) ?? new Set()).add(call));
    freeformCalls.set(key, { index, call, id, name, argumentsJson });
    return true;
  }

  function encodeFreeform(ofIndex: number): string {
    const own = [...freeformCalls.values()].filter(({ index }) => index === ofIndex);
    return own
      .map(({ index, call, ...whole }) =>
        formatDelta(index, { tool_calls: [{ index: call, ...formatFreeformCall(whole) }] }),
      )
      .join("");
  }

  function encodeToolCall(chunk: ToolCallChunk): string {
    if (gatherFreeform(chunk)) return "";
    const { index, call, id, name, argumentsFragment, signature } = chunk;
    const begun = openedCalls.get(index) ?? new Set();
    const isFirst = !begun.has(call);
    openedCalls.set(index, begun.add(call));
    return formatDelta(index, {
      tool_calls: [
        {
          index: call,
          ...(id !== undefined && { id }),
          ...(isFirst && { type: "function" }),
          function: { ...(name !== undefined && { name }), arguments: argumentsFragment },
          ...(signature !== undefined && formatCallSignature(signature)),
        },
      ],
    });
  }

  function encodeSignature(index: number, signature: string): string {
    const text = thoughts.get(index) ?? "";
    thoughts.delete(index);
    return formatDelta(index, { reasoning_details: [formatSignedReasoning(text, signature)] });
  }

  function encodeIndexed(chunk: Indexed): string {
    const { index } = chunk;
    switch (chunk.type) {
      case "text":
        return formatDelta(index, { content: chunk.text });
      case "refusal":
        return formatDelta(index, { refusal: chunk.text });
      case "reasoning":
        thoughts.set(index, (thoughts.get(index) ?? "") + chunk.text);
        return formatDelta(index, { reasoning_content: chunk.text });
      case "reasoning_signature":
        return encodeSignature(index, chunk.signature);
      case "encrypted_reasoning":
        return formatDelta(index, { reasoning_details: [formatEncryptedReasoning(chunk.data)] });
      case "citation": {
        const annotations = formatChatCitation(chunk.citation);
        return annotations.length === 0 ? "" : formatDelta(index, { annotations });
      }
      case "logprobs":
        return formatDelta(index, {}, { logprobs: formatLogprobs(chunk.logprobs) });
      case "tool_call":
        return encodeToolCall(chunk);
      case "finish": {
        const end = { finish_reason: formatFinishReason(chunk.reason, openedCalls.has(index)) };
        return encodeFreeform(index) + formatDelta(index, {}, end);
      }
    }
  }

  function encode(chunk: ChatChunk): string {
    if ("index" in chunk) return open(chunk.index) + encodeIndexed(chunk);
    switch (chunk.type) {
      case "start":
        head = formatHead("chat.completion.chunk", chunk, chat);
        return open(0);
      case "usage":
        usage = mergeUsage(usage, chunk.usage);
        return "";
      case "error":
      case "done":
        return "";
    }
  }

  return {
    push: (chunks) => chunks.map(encode).join(""),
    end: () =>
      (wantsUsage && usage !== undefined ? format([], formatChatUsage(usage)) : "") + formatEvent("[DONE]"),
  };
}
