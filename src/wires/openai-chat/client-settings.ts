/**
 * Everything of a chat request but its messages: tools, output, sampling, reasoning. Also what a target's `params` are
 * read with, which have these names. https://platform.openai.com/docs/api-reference/chat/create (seen 2026-11)
 */

import type {
  Conversation,
  DropField,
  OutputFormat,
  Reasoning,
  Sampling,
  Tool,
  ToolChoice,
} from "../../schema/conversation.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readChatCacheMark } from "./client-parts.ts";
import { freeformTool } from "../freeform-tools.ts";

/** The fields that are read here. */
export const SETTINGS: ReadonlySet<string> = new Set([
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "top_k",
  "frequency_penalty",
  "presence_penalty",
  "seed",
  "n",
  "stop",
  "logprobs",
  "top_logprobs",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "response_format",
  "reasoning_effort",
  "user",
]);

/** What a request says of each; absent where it says nothing. */
export interface ChatSettings {
  readonly tools?: readonly Tool[];
  readonly toolChoice?: ToolChoice;
  readonly parallelToolCalls?: boolean;
  readonly output?: OutputFormat;
  readonly reasoning?: Reasoning;
  readonly sampling: Sampling;
  readonly endUser?: string;
}

export function readChatSettings(body: JsonRecord, drop: DropField): ChatSettings {
  const toolChoice = readToolChoice(body["tool_choice"], drop);
  const output = readOutput(body["response_format"], drop);
  const reasoning = readEffort(body["reasoning_effort"], "reasoning_effort", drop);
  const endUser = textOf(body["user"]);
  const parallel = body["parallel_tool_calls"];
  return {
    ...(isPresent(body["tools"]) && { tools: readTools(body["tools"], drop) }),
    ...(toolChoice !== undefined && { toolChoice }),
    ...(typeof parallel === "boolean" && { parallelToolCalls: parallel }),
    ...(output !== undefined && { output }),
    ...(reasoning !== undefined && { reasoning }),
    sampling: readSampling(body),
    ...(endUser !== undefined && { endUser }),
  };
}

function readTools(tools: unknown, drop: DropField): readonly Tool[] {
  return listOf(tools).flatMap((entry, at) => {
    const tool = recordOf(entry);
    const called = tool["function"];
    if (isRecord(called)) return [{ ...readFunctionTool(called), ...readChatCacheMark(tool) }];
    if (isRecord(tool["custom"])) return [freeformTool(tool["custom"])];
    drop(`tools[${at}]`);
    return [];
  });
}

/** Name, description, schema: the same members in both of OpenAI's wires. */
export function readFunctionTool(tool: JsonRecord): Tool {
  const description = textOf(tool["description"]);
  const { parameters, strict } = tool;
  return {
    name: textOf(tool["name"]) ?? "",
    ...(description !== undefined && { description }),
    ...(isPresent(parameters) && { parameters }),
    ...(typeof strict === "boolean" && { strict }),
  };
}

function readToolChoice(choice: unknown, drop: DropField): ToolChoice | undefined {
  if (!isPresent(choice)) return undefined;
  if (choice === "auto" || choice === "none" || choice === "required") return { type: choice };
  const { function: called, custom } = recordOf(choice);
  const name = textOf(recordOf(called ?? custom)["name"]);
  if (name !== undefined) return { type: "tool", name };
  drop("tool_choice");
  return undefined;
}

function readOutput(format: unknown, drop: DropField): OutputFormat | undefined {
  if (!isPresent(format)) return undefined;
  const { type, json_schema: jsonSchema } = recordOf(format);
  switch (type) {
    case "text":
      return { type: "text" };
    case "json_object":
      return { type: "json" };
    case "json_schema":
      return readSchemaOutput(recordOf(jsonSchema));
    default:
      drop("response_format.type");
      return undefined;
  }
}

/** Name, schema, description, strictness: the same members in both of OpenAI's wires. */
export function readSchemaOutput(format: JsonRecord): OutputFormat {
  const description = textOf(format["description"]);
  const { strict, schema = {} } = format;
  return {
    type: "json_schema",
    name: textOf(format["name"]) ?? "response",
    schema,
    ...(description !== undefined && { description }),
    ...(typeof strict === "boolean" && { strict }),
  };
}

const EFFORTS: ReadonlyMap<unknown, NonNullable<Reasoning["effort"]>> = new Map([
  ["none", "none"],
  ["minimal", "minimal"],
  ["low", "low"],
  ["medium", "medium"],
  ["high", "high"],
  // Degrees that only OpenAI's newest models have; no other wire knows more than high.
  ["xhigh", "high"],
  ["max", "high"],
]);

/** A degree of thinking; a client that names one also gets the reasoning, as `reasoning_content`. */
export function readEffort(effort: unknown, field: string, drop: DropField): Reasoning | undefined {
  if (!isPresent(effort)) return undefined;
  const known = EFFORTS.get(effort);
  if (known === undefined) drop(field);
  return known === undefined
    ? undefined
    : { effort: known, ...(known !== "none" && { includeThoughts: true }) };
}

function readSampling(body: JsonRecord): Sampling {
  const numberOf = (name: string): number | undefined => {
    const value = body[name];
    return typeof value === "number" ? value : undefined;
  };
  const maxOutputTokens = numberOf("max_completion_tokens") ?? numberOf("max_tokens");
  const temperature = numberOf("temperature");
  const topP = numberOf("top_p");
  const topK = numberOf("top_k");
  const frequencyPenalty = numberOf("frequency_penalty");
  const presencePenalty = numberOf("presence_penalty");
  const seed = numberOf("seed");
  const choiceCount = numberOf("n");
  const stop = [body["stop"]].flat().filter((word) => typeof word === "string");
  return {
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(topK !== undefined && { topK }),
    ...(frequencyPenalty !== undefined && { frequencyPenalty }),
    ...(presencePenalty !== undefined && { presencePenalty }),
    ...(seed !== undefined && { seed }),
    ...(choiceCount !== undefined && choiceCount !== 1 && { choiceCount }),
    ...(stop.length > 0 && { stopSequences: stop }),
    ...(body["logprobs"] === true && { topLogprobs: numberOf("top_logprobs") ?? 0 }),
  };
}

/** The conversation with these settings in the place of its own. */
export function withSettings(conversation: Conversation, settings: ChatSettings): Conversation {
  return { ...conversation, ...settings, sampling: { ...conversation.sampling, ...settings.sampling } };
}
