/**
 * The text of a streamed answer, gathered for a trace with content and only then. What usage and the cache need
 * of a stream is gathered in pipeline/answers/.
 */

import type { ChatChoice, ChatChunk, FinishReason, ToolCall } from "../../schema/chat.ts";

/** Every destination cuts to less; a long stream must not fill the isolate's memory. */
const MAX_KEPT_CHARS = 64 * 1024;
/** As many choices as the wires allow, and more tool calls than any answer has. */
const MAX_CHOICES = 128;
const MAX_TOOL_CALLS = 128;

export interface ChoiceCollector {
  add(chunk: ChatChunk): void;
  read(): readonly ChatChoice[];
}

interface OpenChoice {
  text: string;
  reasoning: string;
  refusal: string;
  readonly toolCalls: Map<number, { id: string; name: string; argumentsJson: string }>;
  finishReason: FinishReason | undefined;
}

export function createChoiceCollector(): ChoiceCollector {
  const choices = new Map<number, OpenChoice>();
  let leftChars = MAX_KEPT_CHARS;

  function choiceAt(index: number): OpenChoice | undefined {
    let choice = choices.get(index);
    if (choice === undefined && choices.size < MAX_CHOICES) {
      choice = { text: "", reasoning: "", refusal: "", toolCalls: new Map(), finishReason: undefined };
      choices.set(index, choice);
    }
    return choice;
  }

  /** As much of a text as there is room for. */
  function keep(text: string): string {
    const kept = text.slice(0, leftChars);
    leftChars -= kept.length;
    return kept;
  }

  function addToolCall(choice: OpenChoice, chunk: Extract<ChatChunk, { type: "tool_call" }>): void {
    let call = choice.toolCalls.get(chunk.call);
    if (call === undefined) {
      if (choice.toolCalls.size === MAX_TOOL_CALLS) return;
      choice.toolCalls.set(chunk.call, (call = { id: "", name: "", argumentsJson: "" }));
    }
    call.id = chunk.id ?? call.id;
    call.name = chunk.name ?? call.name;
    call.argumentsJson += keep(chunk.argumentsFragment);
  }

  return {
    add(chunk) {
      if (!("index" in chunk)) return;
      const choice = choiceAt(chunk.index);
      if (choice === undefined) return;
      if (chunk.type === "tool_call") addToolCall(choice, chunk);
      else if (chunk.type === "finish") choice.finishReason = chunk.reason;
      else if (chunk.type === "text" || chunk.type === "reasoning" || chunk.type === "refusal")
        choice[chunk.type] += keep(chunk.text);
    },
    read: () =>
      [...choices]
        .toSorted(([left], [right]) => left - right)
        .map(([index, { finishReason, toolCalls, ...texts }]) => ({
          index,
          ...texts,
          toolCalls: [...toolCalls.values()] satisfies readonly ToolCall[],
          ...(finishReason !== undefined && { finishReason }),
        })),
  };
}
