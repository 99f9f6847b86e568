/** A simulated answer in the bytes of the OpenAI chat wire: one body, or the events of a stream. */

import type { ChatChoice, TokenUsage, ToolCall } from "../../schema/chat.ts";
import { formatEvent } from "../../bytes/sse.ts";
import type { SimAnswer } from "./answer.ts";
import type { SimRequest } from "./request.ts";
import { fingerprint, splitText } from "./text.ts";

/** The simulated server has no clock: each of its answers was made in October 2025. Seconds since the epoch. */
const CREATED_AT_S = 1_760_000_000;

/** One event of a stream, and whether the model "works" on it: only then the pace is kept. */
export interface SimEvent {
  readonly text: string;
  readonly isPaced: boolean;
}

/** An id that is the same for the same model and prompt. */
export function answerId(request: SimRequest): string {
  return `chatcmpl-sim${fingerprint(`${request.model}\n${request.userText}`)}`;
}

export function formatSimCompletion(request: SimRequest, { choices, usage }: SimAnswer): string {
  return JSON.stringify({
    id: answerId(request),
    object: "chat.completion",
    created: CREATED_AT_S,
    model: request.model,
    choices: choices.map((choice) => ({
      index: choice.index,
      message: {
        role: "assistant",
        content: choice.toolCalls.length > 0 ? null : choice.text,
        refusal: null,
        ...(choice.reasoning !== undefined && { reasoning_content: choice.reasoning }),
        ...(choice.toolCalls.length > 0 && { tool_calls: choice.toolCalls.map(formatCall) }),
      },
      logprobs: null,
      finish_reason: choice.finishReason,
    })),
    usage: formatUsage(usage),
  });
}

/** The events of a stream, `[DONE]` last; each choice's text in at most `maxPieces` of them. */
export function formatChunks(request: SimRequest, answer: SimAnswer, maxPieces: number): readonly SimEvent[] {
  const head = { id: answerId(request), object: "chat.completion.chunk", created: CREATED_AT_S };
  const format = (isPaced: boolean, choices: readonly object[], usage: object | null): SimEvent => ({
    text: formatEvent(
      JSON.stringify({ ...head, model: request.model, choices, ...(request.wantsUsage && { usage }) }),
    ),
    isPaced,
  });
  const events = answer.choices.flatMap((choice) => {
    const { index, finishReason } = choice;
    const deltas = deltasOf(choice, maxPieces);
    return [
      ...deltas.map((delta, at) => format(at > 0, [{ index, delta, finish_reason: null }], null)),
      format(false, [{ index, delta: {}, finish_reason: finishReason }], null),
    ];
  });
  if (request.wantsUsage) events.push(format(false, [], formatUsage(answer.usage)));
  return [...events, { text: formatEvent("[DONE]"), isPaced: false }];
}

function deltasOf(choice: ChatChoice, maxPieces: number): readonly object[] {
  const { text, reasoning, toolCalls } = choice;
  const thoughts = reasoning === undefined ? [] : splitText(reasoning, maxPieces);
  const words = toolCalls.length > 0 ? [] : splitText(text, maxPieces);
  return [
    { role: "assistant", content: toolCalls.length > 0 ? null : "", refusal: null },
    ...thoughts.map((piece) => ({ reasoning_content: piece })),
    ...words.map((content) => ({ content })),
    ...toolCalls.flatMap(callDeltas),
  ];
}

/** A call as OpenAI streams it: first its name, then its arguments, here in two fragments. */
function callDeltas(call: ToolCall, index: number): readonly object[] {
  const half = Math.ceil(call.argumentsJson.length / 2);
  const fragments = [call.argumentsJson.slice(0, half), call.argumentsJson.slice(half)];
  const opening = { index, ...formatCall({ ...call, argumentsJson: "" }) };
  return [opening, ...fragments.map((part) => ({ index, function: { arguments: part } }))].map((part) => ({
    tool_calls: [part],
  }));
}

function formatCall({ id, name, argumentsJson }: ToolCall): object {
  return { id, type: "function", function: { name, arguments: argumentsJson } };
}

function formatUsage(usage: TokenUsage): object {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cacheReadTokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens ?? 0 },
  };
}
