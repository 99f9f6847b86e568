/**
 * Chunks of any upstream as the events of a Messages stream: message_start, blocks one after another, message_delta,
 * message_stop. https://platform.claude.com/docs/en/build-with-claude/streaming (seen 2026-11)
 */

import type { ChatChunk, ChatRequest, FinishReason, TokenUsage } from "../../schema/chat.ts";
import type { JsonRecord } from "../../json/fields.ts";
import { formatEvent } from "../../bytes/sse.ts";
import { formatAnthropicCitation, formatStop, formatAnthropicUsage, messageHead } from "./client-answer.ts";
import type { ChunkEncoder } from "../client-wire.ts";
import { toJson } from "../../json/exact.ts";

/** The block that is open: the wire has one at a time. */
interface OpenBlock {
  readonly kind: "text" | "thinking" | "tool_use";
  readonly at: number;
  /** Of a tool call: its position within the choice. */
  readonly call?: number;
  /** A signature ends a thought: what is thought after it is another one. */
  isSigned: boolean;
}

export function createMessageEncoder(chat: ChatRequest): ChunkEncoder {
  let out = "";
  let isStarted = false;
  let id: string | undefined;
  let model: string | undefined;
  let usage: TokenUsage | undefined;
  let reason: FinishReason = "unknown";
  let stopSequence: string | undefined;
  let isRefusal = false;
  let blockCount = 0;
  let open: OpenBlock | undefined;
  /** Where the block of each call is. */
  const callBlocks = new Map<number, number>();

  function send(type: string, fields: JsonRecord): void {
    out += formatEvent(toJson({ type, ...fields }), type);
  }

  function start(): void {
    if (isStarted) return;
    isStarted = true;
    const message = { ...messageHead(chat, id, model), content: [], stop_reason: null, stop_sequence: null };
    // The output so far is none, whatever an upstream that counts ahead says.
    send("message_start", {
      message: { ...message, usage: { ...formatAnthropicUsage(usage), output_tokens: 0 } },
    });
  }

  function close(): void {
    if (open !== undefined) send("content_block_stop", { index: open.at });
    open = undefined;
  }

  function begin(kind: OpenBlock["kind"], block: JsonRecord, call?: number): OpenBlock {
    close();
    open = { kind, at: blockCount++, isSigned: false, ...(call !== undefined && { call }) };
    send("content_block_start", { index: open.at, content_block: block });
    return open;
  }

  function delta(index: number, fields: JsonRecord): void {
    send("content_block_delta", { index, delta: fields });
  }

  function textBlock(): OpenBlock {
    if (open?.kind === "text") return open;
    return begin("text", { type: "text", text: "" });
  }

  function thinkingBlock(): OpenBlock {
    if (open?.kind === "thinking" && !open.isSigned) return open;
    return begin("thinking", { type: "thinking", thinking: "", signature: "" });
  }

  function callBlock(chunk: Extract<ChatChunk, { readonly type: "tool_call" }>): number {
    const { call, id: callId = `toolu_${chunk.call}`, name = "" } = chunk;
    const known = callBlocks.get(call);
    // Fragments of two calls mixed together: SDKs add a delta to the block of its index, whether or not it is open.
    if (known !== undefined) return known;
    const { at } = begin("tool_use", { type: "tool_use", id: callId, name, input: {} }, call);
    callBlocks.set(call, at);
    return at;
  }

  function take(chunk: ChatChunk): void {
    if ("index" in chunk && chunk.index !== 0) return;
    switch (chunk.type) {
      case "start":
        id = chunk.id ?? id;
        model = chunk.model ?? model;
        return;
      case "usage":
        ({ usage } = chunk);
        return;
      case "finish":
        ({ reason, stopSequence } = chunk);
        return;
      case "error":
      case "done":
      case "logprobs":
        return;
      case "text":
      case "refusal":
        isRefusal ||= chunk.type === "refusal";
        start();
        delta(textBlock().at, { type: "text_delta", text: chunk.text });
        return;
      case "citation":
        start();
        delta(textBlock().at, { type: "citations_delta", citation: formatAnthropicCitation(chunk.citation) });
        return;
      case "reasoning":
        start();
        delta(thinkingBlock().at, { type: "thinking_delta", thinking: chunk.text });
        return;
      case "reasoning_signature": {
        start();
        const block = thinkingBlock();
        block.isSigned = true;
        delta(block.at, { type: "signature_delta", signature: chunk.signature });
        return;
      }
      case "encrypted_reasoning":
        start();
        close();
        send("content_block_start", {
          index: blockCount,
          content_block: { type: "redacted_thinking", data: chunk.data },
        });
        send("content_block_stop", { index: blockCount++ });
        return;
      case "tool_call": {
        start();
        const at = callBlock(chunk);
        if (chunk.argumentsFragment !== "") {
          delta(at, { type: "input_json_delta", partial_json: chunk.argumentsFragment });
        }
      }
    }
  }

  function flush(): string {
    const text = out;
    out = "";
    return text;
  }

  return {
    push(chunks) {
      chunks.forEach(take);
      // A usage that came along with the start is in it; after that the client need not wait for the first word.
      if (chunks.some(({ type }) => type === "start")) start();
      return flush();
    },
    end() {
      start();
      close();
      const stop = formatStop({ reason, stopSequence, isRefusal, hasToolCalls: callBlocks.size > 0 });
      send("message_delta", { delta: stop, usage: formatAnthropicUsage(usage) });
      send("message_stop", {});
      return flush();
    },
  };
}
