/** Our chunks as the events of a Responses stream, in the order the API gives them. */

import type { ChatChunk, ChatRequest, FinishReason, TokenUsage, ToolCall } from "../../schema/chat.ts";
import type { JsonRecord } from "../../json/fields.ts";
import { formatEvent } from "../../bytes/sse.ts";
import type { ChunkEncoder } from "../client-wire.ts";
import { formatEnd, formatResponse, formatEncryptedItem, idBase } from "./client-answer.ts";
import {
  type Emit,
  openFreeformCall,
  openFunctionCall,
  type OpenFunctionCall,
  type OpenItem,
  openMessage,
  type OpenMessage,
  openReasoning,
  type OpenReasoning,
} from "./client-items.ts";
import { toJson } from "../../json/exact.ts";
import { mergeUsage } from "../../schema/chat.ts";
import { freeformNames } from "../freeform-tools.ts";

type ToolCallChunk = Extract<ChatChunk, { readonly type: "tool_call" }>;

/** A writer of events that numbers them, as the API does from 0. */
export function createEmit(): Emit {
  let sequence = 0;
  return (type, fields) => formatEvent(toJson({ type, sequence_number: sequence++, ...fields }), type);
}

export function createResponseEncoder(chat: ChatRequest): ChunkEncoder {
  const emit = createEmit();
  const freeform = freeformNames(chat.body["tools"]);
  let base = idBase(undefined, chat);
  let model: string | undefined;
  let usage: TokenUsage | undefined;
  let finish: FinishReason | undefined;
  let isBegun = false;
  const output: Pick<OpenItem, "format">[] = [];
  /** The reasoning or message that grows; calls grow beside it until the end, since their fragments may interleave. */
  let current: OpenReasoning | OpenMessage | undefined;
  const calls = new Map<number, OpenFunctionCall>();

  const nextId = (kind: string): string => `${kind}_${base}_${output.length}`;
  const responseNow = (end: JsonRecord): JsonRecord => ({
    ...formatResponse(chat, { base, model, usage, output: output.map((item) => item.format()) }),
    ...end,
  });

  function begin(): string {
    if (isBegun) return "";
    isBegun = true;
    const response = responseNow({ status: "in_progress", incomplete_details: null });
    return emit("response.created", { response }) + emit("response.in_progress", { response });
  }

  function closeCurrent(): string {
    const closing = current?.close() ?? "";
    current = undefined;
    return closing;
  }

  function withReasoning(use: (item: OpenReasoning) => string): string {
    if (current?.kind === "reasoning") return use(current);
    const closing = closeCurrent();
    const [opening, item] = openReasoning(emit, nextId("rs"), output.length);
    current = item;
    output.push(item);
    return closing + opening + use(item);
  }

  function withMessage(use: (item: OpenMessage) => string): string {
    if (current?.kind === "message") return use(current);
    const closing = closeCurrent();
    const [opening, item] = openMessage(emit, nextId("msg"), output.length);
    current = item;
    output.push(item);
    return closing + opening + use(item);
  }

  function addEncrypted(data: string): string {
    const closing = closeCurrent();
    const index = output.length;
    const item = formatEncryptedItem(nextId("rs"), data);
    output.push({ format: () => item });
    const place = { output_index: index, item };
    return closing + emit("response.output_item.added", place) + emit("response.output_item.done", place);
  }

  function addToolCall({ call, id, name, argumentsFragment, signature }: ToolCallChunk): string {
    const fragment: Partial<ToolCall> = {
      ...(id !== undefined && { id }),
      ...(name !== undefined && { name }),
      ...(signature !== undefined && { signature }),
      argumentsJson: argumentsFragment,
    };
    const known = calls.get(call);
    if (known) return known.add(fragment);
    const closing = closeCurrent();
    const isFreeform = name !== undefined && freeform.has(name);
    const [opening, item] = isFreeform
      ? openFreeformCall(emit, nextId("ctc"), output.length, fragment)
      : openFunctionCall(emit, nextId("fc"), output.length, fragment);
    calls.set(call, item);
    output.push(item);
    return closing + opening + item.add(fragment);
  }

  function encode(chunk: ChatChunk): string {
    // Only the first choice: no client of this wire can ask for more.
    if ("index" in chunk && chunk.index !== 0) return "";
    switch (chunk.type) {
      case "start":
        if (!isBegun) base = idBase(chunk.id, chat);
        model = chunk.model ?? model;
        return begin();
      case "usage":
        usage = mergeUsage(usage, chunk.usage);
        return "";
      case "finish":
        finish = chunk.reason;
        return "";
      case "error":
      case "done":
        return "";
      case "text":
        return begin() + withMessage((item) => item.addText(chunk.text));
      case "refusal":
        return begin() + withMessage((item) => item.addRefusal(chunk.text));
      case "citation":
        return begin() + withMessage((item) => item.cite(chunk.citation));
      case "logprobs":
        return begin() + withMessage((item) => item.addLogprobs(chunk.logprobs));
      case "reasoning":
        return begin() + withReasoning((item) => item.add(chunk.text));
      case "reasoning_signature": {
        const { signature } = chunk;
        return (
          begin() +
          withReasoning((item) => {
            item.sign(signature);
            return "";
          })
        );
      }
      case "encrypted_reasoning":
        return begin() + addEncrypted(chunk.data);
      case "tool_call":
        return begin() + addToolCall(chunk);
    }
  }

  return {
    push: (chunks) => chunks.map(encode).join(""),
    end() {
      const closing = begin() + closeCurrent() + [...calls.values()].map((call) => call.close()).join("");
      // Without a reason the upstream ended well all the same: else this is not called.
      const end = formatEnd(finish ?? "stop");
      return closing + emit(`response.${String(end["status"])}`, { response: responseNow(end) });
    },
  };
}
