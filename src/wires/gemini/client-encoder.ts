/**
 * A streamed answer of another wire as Gemini's stream: each event a `GenerateContentResponse` with what is new. Calls
 * are sent whole, once their choice has ended, since Gemini never splits arguments; finish reasons and usage come
 * last, together, as Gemini has them.
 */

import type {
  ChatChunk,
  Citation,
  FinishReason,
  TokenLogprob,
  TokenUsage,
  ToolCall,
} from "../../schema/chat.ts";
import type { JsonRecord } from "../../json/fields.ts";
import type { ChunkEncoder } from "../client-wire.ts";
import {
  callPart,
  finishFields,
  encryptedPart,
  reasoningPart,
  toGroundingMetadata,
  toLogprobsResult,
  toUsageMetadata,
} from "./client-answer.ts";
import { toJson } from "../../json/exact.ts";
import { mergeUsage } from "../../schema/chat.ts";

/** How one event is framed in the stream. */
export interface StreamFraming {
  event(json: string, isFirst: boolean): string;
  /** What stands behind the last event. */
  readonly end: string;
}

/** What is kept of a choice until its end. */
interface OpenChoice {
  text: string;
  isRefusal: boolean;
  readonly calls: Map<number, ToolCall>;
  readonly citations: Citation[];
  readonly logprobs: TokenLogprob[];
  finishReason?: FinishReason;
}

export function createAnswerEncoder(framing: StreamFraming): ChunkEncoder {
  let head: JsonRecord = {};
  let usage: TokenUsage | undefined;
  let isFirst = true;
  const choices = new Map<number, OpenChoice>();

  function choiceOf(index: number): OpenChoice {
    const known = choices.get(index);
    if (known !== undefined) return known;
    const opened: OpenChoice = { text: "", isRefusal: false, calls: new Map(), citations: [], logprobs: [] };
    choices.set(index, opened);
    return opened;
  }

  function write(candidates: readonly JsonRecord[], rest: JsonRecord = {}): string {
    const text = framing.event(toJson({ candidates, ...rest, ...head }), isFirst);
    isFirst = false;
    return text;
  }

  /** The part that can be sent at once; undefined where the chunk is kept. */
  function take(chunk: ChatChunk): { readonly index: number; readonly part: JsonRecord } | undefined {
    switch (chunk.type) {
      case "start":
        head = {
          ...(chunk.model !== undefined && { modelVersion: chunk.model }),
          ...(chunk.id !== undefined && { responseId: chunk.id }),
        };
        return undefined;
      case "text":
        choiceOf(chunk.index).text += chunk.text;
        return { index: chunk.index, part: { text: chunk.text } };
      case "refusal":
        choiceOf(chunk.index).isRefusal = true;
        return { index: chunk.index, part: { text: chunk.text } };
      case "reasoning":
        choiceOf(chunk.index);
        return { index: chunk.index, part: reasoningPart(chunk.text) };
      case "reasoning_signature":
        return { index: chunk.index, part: reasoningPart("", chunk.signature) };
      case "encrypted_reasoning":
        return { index: chunk.index, part: encryptedPart(chunk.data) };
      case "tool_call":
        addFragment(choiceOf(chunk.index).calls, chunk);
        return undefined;
      case "citation":
        choiceOf(chunk.index).citations.push(chunk.citation);
        return undefined;
      case "logprobs":
        choiceOf(chunk.index).logprobs.push(...chunk.logprobs);
        return undefined;
      case "finish":
        choiceOf(chunk.index).finishReason = chunk.reason;
        return undefined;
      case "usage":
        usage = mergeUsage(usage, chunk.usage);
        return undefined;
      case "error":
      case "done":
        return undefined;
    }
  }

  return {
    push(chunks) {
      const parts = new Map<number, JsonRecord[]>();
      for (const chunk of chunks) {
        const taken = take(chunk);
        if (taken === undefined) continue;
        const known = parts.get(taken.index);
        if (known === undefined) parts.set(taken.index, [taken.part]);
        else known.push(taken.part);
      }
      if (parts.size === 0) return "";
      return write(
        Array.from(parts, ([index, list]) => ({ content: { parts: list, role: "model" }, index })),
      );
    },
    end() {
      const inOrder = [...choices].toSorted(([left], [right]) => left - right);
      const last = write(
        inOrder.map(([index, choice]) => closeChoice(index, choice)),
        usage === undefined ? {} : { usageMetadata: toUsageMetadata(usage) },
      );
      return last + framing.end;
    },
  };
}

function addFragment(calls: Map<number, ToolCall>, chunk: ChatChunk & { readonly type: "tool_call" }): void {
  const before = calls.get(chunk.call) ?? { id: "", name: "", argumentsJson: "" };
  const signature = chunk.signature ?? before.signature;
  calls.set(chunk.call, {
    id: chunk.id ?? before.id,
    name: chunk.name ?? before.name,
    argumentsJson: before.argumentsJson + chunk.argumentsFragment,
    ...(signature !== undefined && { signature }),
  });
}

function closeChoice(index: number, choice: OpenChoice): JsonRecord {
  const { text, citations, logprobs, isRefusal, finishReason } = choice;
  const calls = [...choice.calls.values()].map(callPart);
  const parts = calls.filter((part) => part !== undefined);
  const end = { isRefusal, isCallBroken: calls.includes(undefined) };
  return {
    content: { parts: parts.length === 0 ? [{ text: "" }] : parts, role: "model" },
    ...finishFields(finishReason === undefined ? end : { ...end, finishReason }),
    index,
    ...(citations.length > 0 && { groundingMetadata: toGroundingMetadata(citations, text) }),
    ...(logprobs.length > 0 && { logprobsResult: toLogprobsResult(logprobs) }),
  };
}
