/**
 * What is sent to a Messages upstream: the client's own bytes with few edits, or a body written from the conversation.
 * https://platform.claude.com/docs/en/api/messages (seen 2026-11)
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type { Conversation, OutputFormat, Sampling, Tool } from "../../schema/conversation.ts";
import { editTopLevel } from "../../json/edit.ts";
import { isRecord, type JsonRecord } from "../../json/fields.ts";
import { type DropMeaning, simplify, writeMark, writeAnthropicPart, writeTurns } from "./upstream-content.ts";
import { fitSampling, fitStops, fitThinking, isThinking, refuseEmpty, withUserTurn } from "./upstream-fit.ts";
import { shorten } from "../fit-text.ts";
import { objectSchema, toolsOfHistory } from "../tool-schema.ts";
import { type Claude, readClaude } from "./claude-capabilities.ts";
import { closeObjects } from "../closed-schema.ts";
import { ownMessages } from "../foreign-reasoning.ts";
import type { Target, Translation } from "../upstream-wire.ts";
import { toJson } from "../../json/exact.ts";

/** Fields of the body that are the gateway's: a target's `params` may not set them. */
const OURS: ReadonlySet<string> = new Set(["model", "stream", "messages"]);
/** The chat wire's names, in which a target's `params` are written, where this wire has others. */
const NATIVE_NAMES: ReadonlyMap<string, string> = new Map([
  ["max_completion_tokens", "max_tokens"],
  ["stop", "stop_sequences"],
]);
/** The wire's bound: https://platform.claude.com/docs/en/api/messages (seen 2026-11). */
const MAX_USER_CHARS = 256;

/** The client's own body, with the target's model and `params`, and without other vendors' reasoning. */
export function editMessages(chat: ChatRequest, target: Target): string {
  const set: Record<string, string> = {};
  const messages = ownMessages(chat.body["messages"]);
  if (messages !== undefined) set["messages"] = toJson(messages);
  if (chat.body["model"] !== target.model) set["model"] = toJson(target.model);
  for (const [name, value] of Object.entries(nativeParams(target.params))) set[name] = toJson(value);
  return Object.keys(set).length === 0 ? chat.bodyText : editTopLevel(chat.bodyText, { set });
}

/** A target's `params` by this wire's names. */
function nativeParams(params: JsonRecord = {}): JsonRecord {
  const native: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined || OURS.has(name)) continue;
    const isSingleStop = name === "stop" && typeof value === "string";
    native[NATIVE_NAMES.get(name) ?? name] = isSingleStop ? [value] : value;
  }
  return native;
}

/** A conversation as a body of this wire. What it can't say goes to `drop` by the client's name for it. */
export function writeMessages(
  chat: ChatRequest,
  target: Target,
  { conversation, drop: dropField }: Translation,
): JsonRecord {
  const drop: DropMeaning = (meaning, why) => dropField(chat.wire.fieldNames[meaning], why);
  const { output, endUser } = conversation;
  const claude = readClaude(target.model);
  const maxTokens = conversation.sampling.maxOutputTokens ?? claude.maxOutputTokens;
  const { system, messages } = withUserTurn(conversation);
  const blocks = writeSystem(system, drop);
  const format = output === undefined ? undefined : writeFormat(output, drop);
  const { thinking, effort } = fitThinking(conversation, claude, maxTokens, drop);
  const config = { ...(format !== undefined && { format }), ...(effort !== undefined && { effort }) };
  return {
    model: target.model,
    max_tokens: maxTokens,
    ...(chat.stream && { stream: true }),
    ...(blocks.length > 0 && { system: blocks }),
    messages: refuseEmpty(writeTurns(messages, drop), chat),
    ...writeTools(conversation),
    ...writeSampling(conversation.sampling, claude, isThinking(thinking), drop),
    ...(thinking !== undefined && { thinking }),
    ...(Object.keys(config).length > 0 && { output_config: config }),
    ...(endUser !== undefined && { metadata: { user_id: shorten(endUser, MAX_USER_CHARS) } }),
    ...nativeParams(target.params),
  };
}

function writeSystem(system: Conversation["system"], drop: DropMeaning): string | readonly JsonRecord[] {
  const blocks = system.flatMap((part) => {
    if (part.type === "text") return writeAnthropicPart(part, drop);
    drop("system");
    return [];
  });
  return simplify(blocks);
}

function writeTools({ tools, toolChoice, parallelToolCalls, messages }: Conversation): JsonRecord {
  if (tools.length === 0) {
    const named = toolsOfHistory(messages);
    return named.length === 0 ? {} : { tools: named.map(writeTool), tool_choice: { type: "none" } };
  }
  const single = parallelToolCalls === false ? { disable_parallel_tool_use: true } : {};
  const isChosen = toolChoice !== undefined || parallelToolCalls === false;
  return {
    tools: tools.map(writeTool),
    ...(isChosen && { tool_choice: writeChoice(toolChoice ?? { type: "auto" }, single) }),
  };
}

function writeChoice(choice: NonNullable<Conversation["toolChoice"]>, single: JsonRecord): JsonRecord {
  switch (choice.type) {
    case "none":
      return { type: "none" };
    case "auto":
      return { type: "auto", ...single };
    case "required":
      return { type: "any", ...single };
    case "tool":
      return { type: "tool", name: choice.name, ...single };
  }
}

function writeTool({ name, description, parameters, strict, cacheMark }: Tool): JsonRecord {
  return {
    name,
    ...(description !== undefined && { description }),
    input_schema: objectSchema(parameters),
    ...(strict === true && { strict }),
    ...writeMark(cacheMark),
  };
}

function writeSampling(
  sampling: Sampling,
  claude: Claude,
  isThinkingOn: boolean,
  drop: DropMeaning,
): JsonRecord {
  dropForeign(sampling, drop);
  const stopSequences = fitStops(sampling, drop);
  const { temperature, topP, topK } = fitSampling(sampling, claude, isThinkingOn, drop);
  return {
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { top_p: topP }),
    ...(topK !== undefined && { top_k: topK }),
    ...(stopSequences.length > 0 && { stop_sequences: stopSequences }),
  };
}

/** Tells of the parameters that neither Anthropic's nor Bedrock's wire has. */
export function dropForeign(sampling: Sampling, drop: DropMeaning): void {
  const { frequencyPenalty = 0, presencePenalty = 0, choiceCount = 1 } = sampling;
  if (frequencyPenalty !== 0) drop("frequencyPenalty");
  if (presencePenalty !== 0) drop("presencePenalty");
  if (sampling.seed !== undefined) drop("seed");
  if (choiceCount > 1) drop("choiceCount");
  if (sampling.topLogprobs !== undefined) drop("logprobs");
}

/**
 * A schema becomes the vendor's own structured output (`output_config.format`, Claude 4.5 and later), not a forced tool:
 * it works beside tools and thinking, and newer models refuse to be forced. JSON without a schema has no counterpart.
 */
function writeFormat(output: OutputFormat, drop: DropMeaning): JsonRecord | undefined {
  switch (output.type) {
    case "text":
      return undefined;
    case "json":
      drop("output");
      return undefined;
    case "json_schema": {
      const { schema, description } = output;
      const closed = closeObjects(schema);
      const isDescribed =
        description === undefined || !isRecord(closed) || closed["description"] !== undefined;
      return { type: "json_schema", schema: isDescribed ? closed : { ...closed, description } };
    }
  }
}
