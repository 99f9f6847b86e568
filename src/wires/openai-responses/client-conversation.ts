/**
 * The meaning of a Responses request, for an upstream of another wire. Fields that no Conversation can say go to
 * `drop`: above all what the vendor keeps (earlier responses, files, prompts) and does itself (its own tools).
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type {
  Conversation,
  DropField,
  Hint,
  OutputFormat,
  Reasoning,
  Sampling,
  Tool,
  ToolChoice,
} from "../../schema/conversation.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readEffort, readFunctionTool, readSchemaOutput } from "../openai-chat/client-settings.ts";
import { readInput } from "./client-input.ts";
import { freeformTool } from "../freeform-tools.ts";

/** The route's, or read here. */
const READ: ReadonlySet<string> = new Set([
  "model",
  "stream",
  "stream_options",
  "input",
  "instructions",
  "max_output_tokens",
  "temperature",
  "top_p",
  "top_logprobs",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "text",
  "reasoning",
  "include",
  "user",
  "safety_identifier",
]);

/** What may be included in an answer of another vendor; the first comes unasked. */
const REASONING = "reasoning.encrypted_content";
const LOGPROBS = "message.output_text.logprobs";

/** Values that ask for nothing special. */
const NEUTRAL: Readonly<Record<string, (value: unknown) => boolean>> = {
  background: (value) => value === false,
  truncation: (value) => value === "disabled",
};

/** Hints that the chat wire has by the same name. */
const HINTS: ReadonlySet<string> = new Set([
  "metadata",
  "service_tier",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "store",
]);

/** Those that say something: `store: false` and a default tier ask for what happens anyway. */
function readHints(body: JsonRecord): readonly Hint[] {
  const { verbosity } = recordOf(body["text"]);
  const said = Object.entries(body).filter(([field, value]) => HINTS.has(field) && !isSilent(field, value));
  const hints = said.map(([field, value]) => ({ field, name: field, value }));
  if (!isPresent(verbosity) || verbosity === "medium") return hints;
  return [...hints, { field: "text.verbosity", name: "verbosity", value: verbosity }];
}

function isSilent(field: string, value: unknown): boolean {
  if (!isPresent(value) || value === false) return true;
  if (field === "service_tier") return value === "auto" || value === "default";
  return field === "metadata" && isRecord(value) && Object.keys(value).length === 0;
}

export function readResponsesConversation(
  { body }: Pick<ChatRequest, "body">,
  drop: DropField,
): Conversation {
  const hints = readHints(body);
  for (const [field, value] of Object.entries(body)) {
    if (READ.has(field) || HINTS.has(field) || !isPresent(value)) continue;
    if (!Object.hasOwn(NEUTRAL, field) || NEUTRAL[field]?.(value) !== true) drop(field);
  }
  const included = listOf(body["include"]);
  if (included.some((name) => name !== REASONING && name !== LOGPROBS)) drop("include");
  const instructions = textOf(body["instructions"]);
  const { system, messages } = readInput(body["input"], drop);
  const toolChoice = readToolChoice(body["tool_choice"], drop);
  const output = readOutput(recordOf(body["text"]), drop);
  const reasoning = readReasoning(body["reasoning"], drop);
  const endUser = textOf(body["user"]) ?? textOf(body["safety_identifier"]);
  const parallel = body["parallel_tool_calls"];
  return {
    system: instructions === undefined ? system : [{ type: "text", text: instructions }, ...system],
    messages,
    tools: readTools(body["tools"], drop),
    ...(toolChoice !== undefined && { toolChoice }),
    ...(typeof parallel === "boolean" && { parallelToolCalls: parallel }),
    ...(output !== undefined && { output }),
    ...(reasoning !== undefined && { reasoning }),
    sampling: readSampling(body, included.includes(LOGPROBS)),
    ...(endUser !== undefined && { endUser }),
    ...(hints.length > 0 && { hints }),
  };
}

function readTools(tools: unknown, drop: DropField): readonly Tool[] {
  return listOf(tools).flatMap((entry, at) => {
    const tool = recordOf(entry);
    if (tool["type"] === "function") return [readFunctionTool(tool)];
    if (tool["type"] === "custom") return [freeformTool(tool)];
    // What OpenAI runs itself: search, code, computer, MCP.
    drop(`tools[${at}]`);
    return [];
  });
}

function readToolChoice(choice: unknown, drop: DropField): ToolChoice | undefined {
  if (!isPresent(choice)) return undefined;
  if (choice === "auto" || choice === "none" || choice === "required") return { type: choice };
  const { type, name } = recordOf(choice);
  if ((type === "function" || type === "custom") && typeof name === "string") return { type: "tool", name };
  drop("tool_choice");
  return undefined;
}

function readOutput({ format }: JsonRecord, drop: DropField): OutputFormat | undefined {
  if (!isPresent(format)) return undefined;
  const fields = recordOf(format);
  switch (fields["type"]) {
    case "text":
      return { type: "text" };
    case "json_object":
      return { type: "json" };
    case "json_schema":
      return readSchemaOutput(fields);
    default:
      drop("text.format.type");
      return undefined;
  }
}

/** The client gets the reasoning only where it asked for a summary of it. */
function readReasoning(reasoning: unknown, drop: DropField): Reasoning | undefined {
  if (!isPresent(reasoning)) return undefined;
  const { effort, summary, generate_summary: oldSummary, ...others } = recordOf(reasoning);
  for (const [field, value] of Object.entries(others)) if (isPresent(value)) drop(`reasoning.${field}`);
  return {
    ...readEffort(effort, "reasoning.effort", drop),
    includeThoughts: isPresent(summary ?? oldSummary),
  };
}

function readSampling(body: JsonRecord, wantsLogprobs: boolean): Sampling {
  const { max_output_tokens: maxOutputTokens, temperature, top_p: topP, top_logprobs: topLogprobs } = body;
  return {
    ...(typeof maxOutputTokens === "number" && { maxOutputTokens }),
    ...(typeof temperature === "number" && { temperature }),
    ...(typeof topP === "number" && { topP }),
    ...((wantsLogprobs || (typeof topLogprobs === "number" && topLogprobs > 0)) && {
      topLogprobs: typeof topLogprobs === "number" ? topLogprobs : 0,
    }),
  };
}
