/**
 * The meaning of a Messages request, for an upstream of another wire. Fields that no Conversation can say go to
 * `drop`; citations of earlier answers are not among them, since they are notes about text that is passed on whole.
 * https://platform.claude.com/docs/en/api/messages (seen 2026-11)
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type {
  Conversation,
  DropField,
  Message,
  OutputFormat,
  Part,
  Reasoning,
  Sampling,
  Tool,
  ToolChoice,
} from "../../schema/conversation.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readCacheMark, readContent } from "./client-content.ts";

/** What the wire has no name for and other wires need one for. */
const OUTPUT_NAME = "response";

/** Top-level fields that are read here; `model` and `stream` are the route's. */
const READ: ReadonlySet<string> = new Set([
  "model",
  "stream",
  "messages",
  "system",
  "max_tokens",
  "temperature",
  "top_p",
  "top_k",
  "stop_sequences",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "metadata",
  "cache_control",
]);
/** Values that ask for what happens anyway. */
const DEFAULTS: Readonly<Record<string, unknown>> = { service_tier: "auto", speed: "standard" };

export function readAnthropicConversation(
  { body }: Pick<ChatRequest, "body">,
  drop: DropField,
): Conversation {
  for (const [name, value] of Object.entries(body)) {
    if (!READ.has(name) && isPresent(value) && DEFAULTS[name] !== value) drop(name);
  }
  const { system, messages } = readMessages(body, drop);
  const { tool_choice: choice, metadata } = body;
  const toolChoice = readToolChoice(recordOf(choice), drop);
  const output = readOutput(recordOf(body["output_config"]), drop);
  const reasoning = readReasoning(body, drop);
  const endUser = textOf(recordOf(metadata)["user_id"]);
  dropOthers(recordOf(metadata), ["user_id"], "metadata", drop);
  return {
    system,
    messages: withAutomaticCache(messages, body["cache_control"]),
    tools: listOf(body["tools"]).flatMap((tool, at) => readTool(recordOf(tool), `tools[${at}]`, drop)),
    ...(toolChoice !== undefined && { toolChoice }),
    ...(recordOf(choice)["disable_parallel_tool_use"] === true && { parallelToolCalls: false }),
    ...(output !== undefined && { output }),
    ...(reasoning !== undefined && { reasoning }),
    sampling: readSampling(body),
    ...(endUser !== undefined && { endUser }),
  };
}

function readMessages(
  body: JsonRecord,
  drop: DropField,
): { readonly system: readonly Part[]; readonly messages: readonly Message[] } {
  const system: Part[] = [...readContent(body["system"], "system", new Map(), drop)];
  const messages: Message[] = [];
  const toolNames = new Map<string, string>();
  listOf(body["messages"]).forEach((entry, at) => {
    const { role, content, ...others } = recordOf(entry);
    const path = `messages[${at}]`;
    dropOthers(others, [], path, drop);
    const parts = readContent(content, `${path}.content`, toolNames, drop);
    if (role === "system") system.push(...parts);
    else if (role === "user" || role === "assistant") messages.push({ role, parts });
    else drop(`${path}.role`);
  });
  return { system, messages };
}

/** The mark that stands for the whole request goes where Anthropic puts it: behind the last part that can bear one. */
function withAutomaticCache(messages: readonly Message[], mark: unknown): readonly Message[] {
  const cacheMark = readCacheMark(mark);
  const last = messages.at(-1);
  const part = last?.parts.at(-1);
  if (cacheMark === undefined || last === undefined || part === undefined) return messages;
  if (part.type === "reasoning" || part.type === "refusal" || part.type === "audio") return messages;
  return [...messages.slice(0, -1), { ...last, parts: [...last.parts.slice(0, -1), { ...part, cacheMark }] }];
}

function readTool(tool: JsonRecord, path: string, drop: DropField): readonly Tool[] {
  const { type, name, description, input_schema: parameters, strict, cache_control: mark, ...others } = tool;
  // Any other type is a tool that Anthropic runs itself, or whose schema it keeps to itself.
  if (isPresent(type) && type !== "custom") {
    drop(path);
    return [];
  }
  const callers = others["allowed_callers"];
  const isDirect = Array.isArray(callers) && callers.every((caller) => caller === "direct");
  // How early fragments of arguments are sent changes nothing of the answer.
  dropOthers(others, ["eager_input_streaming", ...(isDirect ? ["allowed_callers"] : [])], path, drop);
  const cacheMark = readCacheMark(mark);
  return [
    {
      name: textOf(name) ?? "",
      ...(textOf(description) !== undefined && { description: textOf(description) ?? "" }),
      ...(isPresent(parameters) && { parameters }),
      ...(typeof strict === "boolean" && { strict }),
      ...(cacheMark !== undefined && { cacheMark }),
    },
  ];
}

function readToolChoice(choice: JsonRecord, drop: DropField): ToolChoice | undefined {
  switch (choice["type"]) {
    case undefined:
      return undefined;
    case "auto":
    case "none":
      return { type: choice["type"] };
    case "any":
      return { type: "required" };
    case "tool":
      return { type: "tool", name: textOf(choice["name"]) ?? "" };
    default:
      drop("tool_choice.type");
      return undefined;
  }
}

function readOutput(config: JsonRecord, drop: DropField): OutputFormat | undefined {
  dropOthers(config, ["format", "effort"], "output_config", drop);
  const { format } = config;
  if (!isPresent(format)) return undefined;
  const { type, schema } = recordOf(format);
  if (type === "json_schema" && isRecord(schema)) {
    return { type: "json_schema", name: OUTPUT_NAME, schema, strict: true };
  }
  drop("output_config.format");
  return undefined;
}

/** `xhigh` and `max` read as `high`, the highest degree that all vendors know. */
const EFFORTS: ReadonlyMap<unknown, NonNullable<Reasoning["effort"]>> = new Map([
  ["low", "low"],
  ["medium", "medium"],
  ["high", "high"],
  ["xhigh", "high"],
  ["max", "high"],
]);

function readReasoning(body: JsonRecord, drop: DropField): Reasoning | undefined {
  const { type, budget_tokens: budgetTokens, display, ...others } = recordOf(body["thinking"]);
  dropOthers(others, [], "thinking", drop);
  const asked = recordOf(body["output_config"])["effort"];
  const effort = EFFORTS.get(asked);
  if (isPresent(asked) && effort === undefined) drop("output_config.effort");
  const thoughts = { includeThoughts: display !== "omitted" };
  switch (type) {
    case undefined:
      return effort === undefined ? undefined : { effort };
    case "disabled":
      return { effort: "none" };
    case "between_tools":
      return { effort: "minimal", ...thoughts };
    case "adaptive":
      return { ...(effort !== undefined && { effort }), ...thoughts };
    case "enabled":
      return {
        ...(effort !== undefined && { effort }),
        ...(typeof budgetTokens === "number" && { budgetTokens }),
        ...thoughts,
      };
    default:
      drop("thinking.type");
      return undefined;
  }
}

function readSampling(body: JsonRecord): Sampling {
  const numberOf = (name: string): number | undefined => {
    const value = body[name];
    return typeof value === "number" ? value : undefined;
  };
  const maxOutputTokens = numberOf("max_tokens");
  const temperature = numberOf("temperature");
  const topP = numberOf("top_p");
  const topK = numberOf("top_k");
  const stops = listOf(body["stop_sequences"]).filter((stop) => typeof stop === "string");
  return {
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(topK !== undefined && { topK }),
    ...(stops.length > 0 && { stopSequences: stops }),
  };
}

/** Tells of every member that says something and isn't among the known ones. */
function dropOthers(record: JsonRecord, known: readonly string[], path: string, drop: DropField): void {
  for (const [name, value] of Object.entries(record)) {
    if (!known.includes(name) && isPresent(value) && value !== false) drop(`${path}.${name}`);
  }
}
