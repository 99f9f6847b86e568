/**
 * A Conversation as the body of a chat-completions request, for clients of other wires.
 * https://platform.openai.com/docs/api-reference/chat/create (seen 2026-11)
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type { Hint, OutputFormat, Reasoning, Sampling, Tool, ToolChoice } from "../../schema/conversation.ts";
import type { JsonRecord } from "../../json/fields.ts";
import { effortOfBudget } from "../../schema/reasoning-effort.ts";
import { objectSchema } from "../tool-schema.ts";
import { shorten } from "../fit-text.ts";
import { fitConversation, type Lacking } from "./upstream-fit.ts";
import { formatMessages, type HistoryForm } from "./upstream-messages.ts";
import type { Target, Translation } from "../upstream-wire.ts";
import { toJson } from "../../json/exact.ts";

/** What vendors of this wire differ in when they read a request. */
export interface RequestForm extends HistoryForm {
  /** `max_tokens` is what most know; OpenAI's reasoning models refuse it. */
  readonly maxTokensField?: "max_tokens" | "max_completion_tokens";
  readonly takesTopK?: boolean;
  /** What its models can't do or refuse to be told: a client of another wire is refused by its own field's name. */
  readonly lacks?: readonly Lacking[];
  /** Its name for `seed`. */
  readonly seedField?: "random_seed";
  /** What turns thinking off; absent where nothing does, or where models differ. */
  readonly thinkingOff?: JsonRecord;
  /** Ids of tool calls must have nine letters or digits. */
  readonly takesShortCallIdsOnly?: boolean;
  /** False where an unknown `user` is refused. */
  readonly takesEndUser?: boolean;
  /** Whether it takes, or passes over, OpenAI's `prompt_cache_key`, `metadata`, `verbosity` and the like. */
  readonly takesHints?: boolean;
  /** False where the vendor refuses `stream_options` or sends usage unasked. */
  readonly takesStreamOptions: boolean;
}

/** Fields of the body that are the gateway's: a target's `params` may not set them. */
export const OURS: ReadonlySet<string> = new Set(["model", "stream", "messages", "input"]);

export function formatChatRequest(
  ...[chat, target, translation, form]: Parameters<typeof writeChatRequest>
): string {
  return toJson(writeChatRequest(chat, target, translation, form));
}

/** The same as an object, for a wire with a frame around it. What is undefined is not there. */
export function writeChatRequest(
  chat: ChatRequest,
  { model, params = {} }: Target,
  { conversation: asked, drop }: Translation,
  form: RequestForm,
): JsonRecord {
  const conversation = fitConversation(asked, form, (meaning) => drop(chat.wire.fieldNames[meaning]));
  const { tools, toolChoice, parallelToolCalls, output, reasoning, sampling, endUser } = conversation;
  const { hints = [] } = conversation;
  if (endUser !== undefined && form.takesEndUser === false) drop(chat.wire.fieldNames.endUser, "hint");
  if (sampling.topK !== undefined && form.takesTopK !== true) drop(chat.wire.fieldNames.topK, "hint");
  return {
    model,
    messages: formatMessages(conversation, form, (meaning) => drop(chat.wire.fieldNames[meaning])),
    ...formatSampling(sampling, form),
    ...(tools.length > 0 && { tools: tools.map(formatTool) }),
    ...(tools.length > 0 && toolChoice !== undefined && { tool_choice: formatToolChoice(toolChoice) }),
    ...(tools.length > 0 && parallelToolCalls !== undefined && { parallel_tool_calls: parallelToolCalls }),
    ...(output !== undefined && { response_format: formatOutput(output) }),
    ...(reasoning !== undefined && formatReasoning(reasoning, form)),
    ...(endUser !== undefined && form.takesEndUser !== false && { user: shorten(endUser, MAX_USER_CHARS) }),
    ...(form.takesHints === true && Object.fromEntries(hints.map(fitHint))),
    ...Object.fromEntries(Object.entries(params).filter(([name]) => !OURS.has(name))),
    ...(chat.stream && { stream: true }),
    ...(chat.stream && form.takesStreamOptions && { stream_options: { include_usage: true } }),
  };
}

/** https://platform.openai.com/docs/api-reference/chat/create (seen 2026-11): longer ones are refused. */
const MAX_USER_CHARS = 64;

function fitHint({ name, value }: Hint): readonly [string, unknown] {
  return [
    name,
    name === "prompt_cache_key" && typeof value === "string" ? shorten(value, MAX_USER_CHARS) : value,
  ];
}

function formatSampling(sampling: Sampling, form: RequestForm): JsonRecord {
  const { stopSequences = [], topLogprobs, topK } = sampling;
  return {
    [form.maxTokensField ?? "max_tokens"]: sampling.maxOutputTokens,
    temperature: sampling.temperature,
    top_p: sampling.topP,
    ...(form.takesTopK === true && { top_k: topK }),
    frequency_penalty: sampling.frequencyPenalty,
    presence_penalty: sampling.presencePenalty,
    [form.seedField ?? "seed"]: sampling.seed,
    n: sampling.choiceCount,
    ...(stopSequences.length > 0 && { stop: stopSequences }),
    ...(topLogprobs !== undefined && { logprobs: true }),
    ...(topLogprobs !== undefined && topLogprobs > 0 && { top_logprobs: topLogprobs }),
  };
}

function formatTool({ name, description, parameters, strict }: Tool): JsonRecord {
  return {
    type: "function",
    function: {
      name,
      ...(description !== undefined && { description }),
      parameters: objectSchema(parameters),
      ...(strict !== undefined && { strict }),
    },
  };
}

function formatToolChoice(choice: ToolChoice): unknown {
  return choice.type === "tool" ? { type: "function", function: { name: choice.name } } : choice.type;
}

function formatOutput(output: OutputFormat): JsonRecord {
  switch (output.type) {
    case "text":
      return { type: "text" };
    case "json":
      return { type: "json_object" };
    case "json_schema": {
      const { type, ...schema } = output;
      return { type, json_schema: schema };
    }
  }
}

/**
 * `none` is left unsaid where no row says how: most models of this wire refuse the field, and of those that think, few can
 * be told not to.
 */
function formatReasoning({ effort, budgetTokens }: Reasoning, { thinkingOff }: RequestForm): JsonRecord {
  const degree = effort ?? (budgetTokens === undefined ? undefined : effortOfBudget(budgetTokens));
  if (degree === "none") return thinkingOff ?? {};
  return degree === undefined ? {} : { reasoning_effort: degree };
}
