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
import { mergeUsage } from "../../schema/chat.ts";

/** The block that is open: the wire has one at a time. */
interface OpenBlock {
  readonly kind: "text" | "thinking" | "tool_use";
  readonly at: number;
  /** Of a tool call: its position within the choice. */
  readonly call?: number;
  /** A signature ends a block of reasoning: what follows is another block. */
  isSigned: boolean;
}

type ToolCallChunk = Extract<ChatChunk, { readonly type: "tool_call" }>;

/** What begins or adds to a block. */
const BLOCK_CHUNKS: ReadonlySet<ChatChunk["type"]> = new Set<ChatChunk["type"]>([
  "text",
  "refusal",
  "citation",
  "reasoning",
  "reasoning_signature",
  "encrypted_reasoning",
  "tool_call",
]);

/** Whether a call's arguments are a whole JSON value, so that its block may end. */
function isWhole(json: string): boolean {
  if (!json.trimEnd().endsWith("}")) return false;
  try {
    JSON.parse(json);
    return true;
  } catch {
    return false;
  }
}

export function createMessageEncoder(chat: ChatRequest): ChunkEncoder {
  let out = "";
  let isStarted = false;
  let id: string | undefined;
  let model: string | undefined;
  let usage: TokenUsage | undefined;
  let reason: FinishReason = "stop";
  let stopSequence: string | undefined;
  let isRefusal = false;
  let blockCount = 0;
  let open: OpenBlock | undefined;
  /** Where the block of each call is. */
  const callBlocks = new Map<number, number>();
  /** The arguments of the call whose block is open. */
  let openArguments = "";
  /** What came while a call's arguments were incomplete: blocks come one after the other, and SDKs read them so. */
  let waiting: ChatChunk[] = [];

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

  function callBlock(chunk: ToolCallChunk): number {
    const { call, id: callId = `toolu_${chunk.call}`, name = "" } = chunk;
    const known = callBlocks.get(call);
    // More of a call whose arguments were whole: SDKs add it to the block of its index all the same.
    if (known !== undefined) return known;
    const { at } = begin("tool_use", { type: "tool_use", id: callId, name, input: {} }, call);
    callBlocks.set(call, at);
    openArguments = "";
    return at;
  }

  /** Whether the chunk must wait for the open call: it would begin another block while that one's arguments are incomplete. */
  function mustWait(chunk: ChatChunk): boolean {
    if (open?.kind !== "tool_use" || !BLOCK_CHUNKS.has(chunk.type)) return false;
    if (chunk.type === "tool_call" && chunk.call === open.call) return false;
    return !isWhole(openArguments);
  }

  function takeInOrder(chunk: ChatChunk): void {
    if ("index" in chunk && chunk.index !== 0) return;
    if (waiting.length > 0 ? isOfAnotherBlock(chunk) : mustWait(chunk)) waiting.push(chunk);
    else take(chunk);
    if (waiting.length > 0 && isWhole(openArguments)) drain();
  }

  function isOfAnotherBlock(chunk: ChatChunk): boolean {
    return BLOCK_CHUNKS.has(chunk.type) && !(chunk.type === "tool_call" && chunk.call === open?.call);
  }

  /** Takes what has waited; some of it may have to wait for the next call. */
  function drain(): void {
    const chunks = waiting;
    waiting = [];
    chunks.forEach(takeInOrder);
  }

  /** At the end nothing more comes for any call: what waits is taken call by call. */
  function drainAll(): void {
    while (waiting.length > 0) {
      close();
      const [first] = waiting;
      const call = first?.type === "tool_call" ? first.call : undefined;
      const isNext = (chunk: ChatChunk): boolean =>
        call === undefined ? chunk === first : chunk.type === "tool_call" && chunk.call === call;
      const next = waiting.filter(isNext);
      waiting = waiting.filter((chunk) => !isNext(chunk));
      next.forEach(take);
    }
  }

  function take(chunk: ChatChunk): void {
    switch (chunk.type) {
      case "start":
        id = chunk.id ?? id;
        model = chunk.model ?? model;
        return;
      case "usage":
        usage = mergeUsage(usage, chunk.usage);
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
        if (at === open?.at) openArguments += chunk.argumentsFragment;
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
      chunks.forEach(takeInOrder);
      // A usage that came along with the start is in it; after that the client need not wait for the first word.
      if (chunks.some(({ type }) => type === "start")) start();
      return flush();
    },
    end() {
      start();
      drainAll();
      close();
      const stop = formatStop({ reason, stopSequence, isRefusal, hasToolCalls: callBlocks.size > 0 });
      send("message_delta", { delta: stop, usage: formatAnthropicUsage(usage) });
      send("message_stop", {});
      return flush();
    },
  };
}
