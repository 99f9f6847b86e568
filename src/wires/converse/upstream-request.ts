/**
 * A conversation as a body of Bedrock's Converse wire. What the wire has in common for all models is said in its own
 * fields, what only Claude takes goes beside them.
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (seen 2026-11)
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type { Conversation, OutputFormat, Tool } from "../../schema/conversation.ts";
import { recordOf, type JsonRecord } from "../../json/fields.ts";
import type { DropMeaning } from "../anthropic/upstream-content.ts";
import {
  fitSampling,
  fitStops,
  fitThinking,
  isThinking,
  refuseEmpty,
  withUserTurn,
} from "../anthropic/upstream-fit.ts";
import { dropForeign } from "../anthropic/upstream-request.ts";
import type { Thinking } from "../anthropic/upstream-thinking.ts";
import { objectSchema, toolsOfHistory } from "../tool-schema.ts";
import { writeCachePoint, writeConversePart } from "./upstream-content.ts";
import { type Claude, readClaude } from "../anthropic/claude-capabilities.ts";
import { closeObjects } from "../closed-schema.ts";
import type { Target, Translation } from "../upstream-wire.ts";
import { alternate } from "../alternate-roles.ts";
import { toJson } from "../../json/exact.ts";

/** Fields of the body that are the gateway's: a target's `params` may not set them. */
const OURS: ReadonlySet<string> = new Set(["model", "stream", "messages", "modelId"]);
/** Claude in any of Bedrock's names for it: of a region, of a profile, in an ARN. */
const CLAUDE = /anthropic\.claude/;
const GPT_OSS = /openai\.gpt-oss/;

export function writeConverse(
  chat: ChatRequest,
  target: Target,
  { conversation, drop: dropField }: Translation,
): JsonRecord {
  const drop: DropMeaning = (meaning, why) => dropField(chat.wire.fieldNames[meaning], why);
  const { sampling, output, endUser } = conversation;
  const claude = CLAUDE.test(target.model) ? readClaude(target.model) : undefined;
  if (endUser !== undefined) drop("endUser", "hint");
  dropForeign(sampling, drop);
  const { maxOutputTokens = claude?.maxOutputTokens } = sampling;
  const reasoning = writeReasoning(conversation, target.model, claude, maxOutputTokens, drop);
  const isThinkingOn = isThinking(recordOf(reasoning.additional?.["thinking"]));
  const fitted = claude === undefined ? sampling : fitSampling(sampling, claude, isThinkingOn, drop);
  const stops = claude === undefined ? sampling.stopSequences : fitStops(sampling, drop);
  if (claude === undefined && sampling.topK !== undefined) drop("topK", "hint");
  const { system: instructions, messages } = withUserTurn(conversation);
  const additional = {
    ...(claude !== undefined && fitted.topK !== undefined && { top_k: fitted.topK }),
    ...reasoning.additional,
  };
  const textFormat = output === undefined ? undefined : writeFormat(output, claude !== undefined, drop);
  const config = {
    ...(textFormat !== undefined && { textFormat }),
    ...(reasoning.effort !== undefined && { effort: reasoning.effort }),
  };
  const inference = {
    ...(maxOutputTokens !== undefined && { maxTokens: maxOutputTokens }),
    ...(fitted.temperature !== undefined && { temperature: fitted.temperature }),
    ...(fitted.topP !== undefined && { topP: fitted.topP }),
    ...(stops !== undefined && stops.length > 0 && { stopSequences: stops }),
  };
  const system = instructions.flatMap((part) => {
    if (part.type === "text") return writeConversePart(part, drop);
    drop("system");
    return [];
  });
  return {
    messages: refuseEmpty(
      alternate(messages, (part) => writeConversePart(part, drop)),
      chat,
    ),
    ...(system.length > 0 && { system }),
    ...(Object.keys(inference).length > 0 && { inferenceConfig: inference }),
    ...writeTools(conversation, drop),
    ...(Object.keys(additional).length > 0 && { additionalModelRequestFields: additional }),
    ...(Object.keys(config).length > 0 && { outputConfig: config }),
    ...Object.fromEntries(Object.entries(target.params ?? {}).filter(([name]) => !OURS.has(name))),
  };
}

interface WrittenReasoning {
  readonly additional?: JsonRecord;
  readonly effort?: Thinking["effort"];
}

/** Claude thinks as on its own API, gpt-oss as on OpenAI's; for the others Converse has no common word. */
function writeReasoning(
  conversation: Conversation,
  model: string,
  claude: Claude | undefined,
  maxTokens: number | undefined,
  drop: DropMeaning,
): WrittenReasoning {
  const { reasoning } = conversation;
  if (reasoning === undefined) return {};
  if (claude !== undefined) {
    const limit = maxTokens ?? claude.maxOutputTokens;
    const { thinking, effort } = fitThinking(conversation, claude, limit, drop);
    return {
      ...(thinking !== undefined && { additional: { thinking } }),
      ...(effort !== undefined && { effort }),
    };
  }
  const { effort } = reasoning;
  if (effort === "none") return {};
  if (GPT_OSS.test(model) && effort !== undefined) return { additional: { reasoning_effort: effort } };
  drop("reasoning");
  return {};
}

function writeTools(
  { tools, toolChoice, parallelToolCalls, messages }: Conversation,
  drop: DropMeaning,
): JsonRecord {
  if (tools.length === 0) {
    const named = toolsOfHistory(messages);
    return named.length === 0 ? {} : { toolConfig: { tools: named.flatMap(writeTool) } };
  }
  if (parallelToolCalls === false) drop("parallelToolCalls");
  if (toolChoice?.type === "none") {
    // The wire can't forbid calls; without definitions there are none, unless earlier turns need these.
    const isUsed = messages.some(({ parts }) => parts.some(({ type }) => type.startsWith("tool_")));
    if (!isUsed) return {};
    drop("toolChoice");
  }
  return {
    toolConfig: {
      tools: tools.flatMap(writeTool),
      ...(toolChoice !== undefined && toolChoice.type !== "none" && { toolChoice: writeChoice(toolChoice) }),
    },
  };
}

type Choice = Exclude<NonNullable<Conversation["toolChoice"]>, { readonly type: "none" }>;

function writeChoice(choice: Choice): JsonRecord {
  switch (choice.type) {
    case "auto":
      return { auto: {} };
    case "required":
      return { any: {} };
    case "tool":
      return { tool: { name: choice.name } };
  }
}

function writeTool({ name, description, parameters, strict, cacheMark }: Tool): readonly JsonRecord[] {
  const toolSpec = {
    name,
    ...(description !== undefined && { description }),
    inputSchema: { json: objectSchema(parameters) },
    ...(strict === true && { strict }),
  };
  return cacheMark === undefined ? [{ toolSpec }] : [{ toolSpec }, writeCachePoint(cacheMark)];
}

function writeFormat(output: OutputFormat, isClaude: boolean, drop: DropMeaning): JsonRecord | undefined {
  switch (output.type) {
    case "text":
      return undefined;
    case "json":
      drop("output");
      return undefined;
    case "json_schema": {
      const { name, description } = output;
      const schema = toJson(isClaude ? closeObjects(output.schema) : output.schema);
      const jsonSchema = { schema, name, ...(description !== undefined && { description }) };
      return { type: "json_schema", structure: { jsonSchema } };
    }
  }
}
