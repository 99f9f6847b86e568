/** One simulated answer: its choices and what they cost, before it is put on the wire. */

import type { ChatChoice, ToolCall, TokenUsage } from "../../schema/chat.ts";
import { recordOf } from "../../json/fields.ts";
import type { SimRequest } from "./request.ts";
import { sampleOf } from "./schema-sample.ts";
import { composeReasoning, composeText } from "./text.ts";
import { cutAtStop, countSimTokens, truncateToTokens } from "./tokens.ts";
import { callTools } from "./tools.ts";

export interface SimAnswer {
  readonly choices: readonly ChatChoice[];
  readonly usage: TokenUsage;
}

/** The whole answer; the same for the same request. */
export function answer(request: SimRequest): SimAnswer {
  const toolCalls = callTools(request);
  const text = toolCalls.length > 0 ? "" : formatText(request, composeText(request));
  const choices = Array.from({ length: request.choiceCount }, (_, index) =>
    createChoice(request, index, text, toolCalls),
  );
  const reasoningTokens = sum(choices.map((choice) => countSimTokens(choice.reasoning ?? "")));
  return {
    choices,
    usage: {
      inputTokens: request.promptTokens,
      outputTokens: reasoningTokens + sum(choices.map(countTokens)),
      ...(request.cachedTokens > 0 && { cacheReadTokens: request.cachedTokens }),
      ...(request.wantsReasoning && { reasoningTokens }),
    },
  };
}

function createChoice(
  request: SimRequest,
  index: number,
  text: string,
  toolCalls: readonly ToolCall[],
): ChatChoice {
  const reasoning = request.wantsReasoning ? { reasoning: composeReasoning(request) } : {};
  if (toolCalls.length > 0) return { index, text, ...reasoning, toolCalls, finishReason: "tool_calls" };
  const spoken = cutAtStop(text, request.stop);
  const said = request.maxTokens === undefined ? spoken : truncateToTokens(spoken, request.maxTokens);
  const finishReason = said.length < spoken.length ? "length" : "stop";
  return { index, text: said, ...reasoning, toolCalls: [], finishReason };
}

/** The text as `response_format` wants it: as it is, in some JSON object, or as a sample of the given schema. */
function formatText(request: SimRequest, text: string): string {
  const format = recordOf(request.wire["response_format"]);
  if (format["type"] === "json_object") return JSON.stringify({ answer: text });
  if (format["type"] !== "json_schema") return text;
  return JSON.stringify(sampleOf(recordOf(format["json_schema"])["schema"]));
}

function countTokens({ text, toolCalls }: ChatChoice): number {
  const calls = toolCalls.map((call) => countSimTokens(call.name + call.argumentsJson));
  return countSimTokens(text) + sum(calls);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
