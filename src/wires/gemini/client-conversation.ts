/**
 * The meaning of a Gemini request, for an upstream of another wire. Fields that no Conversation can say go to
 * `drop`. https://ai.google.dev/api/generate-content (seen 2026-11)
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type {
  Conversation,
  DropField,
  Message,
  OutputFormat,
  Reasoning,
  Sampling,
  Tool,
  ToolChoice,
} from "../../schema/conversation.ts";
import { isPresent, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { refuse } from "../checked-body.ts";
import { createPartReader, readSystem } from "./client-content.ts";
import { camelFields, knownFields } from "./client-fields.ts";
import { toJsonSchema } from "./client-schema.ts";

/** What the wire has no name for and other wires need one for. */
const OUTPUT_NAME = "response";
/** `thinkingBudget` that leaves the amount to the model. */
const AUTOMATIC_BUDGET = -1;

/** `model` is the path's; some SDKs repeat it. */
const REQUEST_FIELDS: ReadonlySet<string> = new Set([
  "model",
  "contents",
  "systemInstruction",
  "tools",
  "toolConfig",
  "generationConfig",
]);
const SAMPLING_FIELDS = [
  "maxOutputTokens",
  "temperature",
  "topP",
  "topK",
  "candidateCount",
  "stopSequences",
  "seed",
  "presencePenalty",
  "frequencyPenalty",
  "responseLogprobs",
  "logprobs",
] as const;
const CONFIG_FIELDS: ReadonlySet<string> = new Set([
  ...SAMPLING_FIELDS,
  "responseMimeType",
  "responseSchema",
  "responseJsonSchema",
  "_responseJsonSchema",
  "responseFormat",
  "responseModalities",
  "thinkingConfig",
]);
const THINKING_FIELDS: ReadonlySet<string> = new Set(["thinkingBudget", "thinkingLevel", "includeThoughts"]);
const CALLING_FIELDS: ReadonlySet<string> = new Set(["mode", "allowedFunctionNames"]);
const DECLARATION_FIELDS: ReadonlySet<string> = new Set([
  "name",
  "description",
  "parameters",
  "parametersJsonSchema",
]);

export function readGeminiConversation({ body }: Pick<ChatRequest, "body">, drop: DropField): Conversation {
  const request = knownFields(body, "", REQUEST_FIELDS, drop);
  const config = knownFields(request["generationConfig"], "generationConfig", CONFIG_FIELDS, drop);
  const { choice, allowed, isValidated } = readCalling(request["toolConfig"], drop);
  const tools = readTools(request["tools"], drop).filter(({ name }) => allowed?.has(name) !== false);
  const output = readOutput(config, drop);
  const reasoning = readThinking(config, drop);
  return {
    system: readSystem(request["systemInstruction"], "systemInstruction", drop),
    messages: readMessages(request["contents"], drop),
    tools: isValidated ? tools.map((tool) => ({ ...tool, strict: true })) : tools,
    ...(choice !== undefined && { toolChoice: choice }),
    ...(output !== undefined && { output }),
    ...(reasoning !== undefined && { reasoning }),
    sampling: readSampling(config),
  };
}

function readMessages(contents: unknown, drop: DropField): readonly Message[] {
  const readParts = createPartReader(drop);
  return listOf(contents).map((content, at) => {
    const { role, parts } = camelFields(content);
    return {
      role: role === "model" ? "assistant" : "user",
      parts: readParts(parts, `contents[${at}].parts`),
    };
  });
}

function readTools(tools: unknown, drop: DropField): readonly Tool[] {
  return listOf(tools).flatMap((tool, at) => {
    // What Google runs itself (search, code execution, …) stands beside the declarations.
    const { functionDeclarations } = knownFields(
      tool,
      `tools[${at}]`,
      new Set(["functionDeclarations"]),
      drop,
    );
    return listOf(functionDeclarations).map((declaration, index) =>
      readTool(declaration, `tools[${at}].functionDeclarations[${index}]`, drop),
    );
  });
}

function readTool(declaration: unknown, path: string, drop: DropField): Tool {
  const fields = knownFields(declaration, path, DECLARATION_FIELDS, drop);
  const description = textOf(fields["description"]);
  const { parametersJsonSchema: schema, parameters } = fields;
  return {
    name: textOf(fields["name"]) ?? refuse(`${path}.name`, "it is required"),
    ...(description !== undefined && { description }),
    ...(isPresent(schema)
      ? { parameters: schema }
      : isPresent(parameters) && { parameters: toJsonSchema(parameters, `${path}.parameters`) }),
  };
}

interface Calling {
  readonly choice?: ToolChoice;
  /** The only tools that may be called, where they are named. */
  readonly allowed?: ReadonlySet<string>;
  readonly isValidated?: boolean;
}

function readCalling(toolConfig: unknown, drop: DropField): Calling {
  const { functionCallingConfig } = knownFields(
    toolConfig,
    "toolConfig",
    new Set(["functionCallingConfig"]),
    drop,
  );
  const path = "toolConfig.functionCallingConfig";
  const { mode, allowedFunctionNames } = knownFields(functionCallingConfig, path, CALLING_FIELDS, drop);
  const names = listOf(allowedFunctionNames).filter((name) => typeof name === "string");
  const allowed = names.length === 0 ? {} : { allowed: new Set(names) };
  switch (mode) {
    case undefined:
    case null:
    case "MODE_UNSPECIFIED":
      return {};
    case "AUTO":
      return { choice: { type: "auto" } };
    case "NONE":
      return { choice: { type: "none" } };
    case "VALIDATED":
      return { choice: { type: "auto" }, isValidated: true, ...allowed };
    case "ANY": {
      const [only, ...others] = names;
      if (only === undefined || others.length > 0) return { choice: { type: "required" }, ...allowed };
      return { choice: { type: "tool", name: only } };
    }
    default:
      drop(`${path}.mode`);
      return {};
  }
}

function readOutput(config: JsonRecord, drop: DropField): OutputFormat | undefined {
  const modalities = listOf(config["responseModalities"]);
  if (modalities.some((modality) => modality !== "TEXT")) drop("generationConfig.responseModalities");
  const { mimeType, schema } = readFormat(config, drop);
  switch (mimeType) {
    case undefined:
      return undefined;
    case "text/plain":
      return { type: "text" };
    case "application/json":
      return schema === undefined ? { type: "json" } : { type: "json_schema", name: OUTPUT_NAME, schema };
    default:
      drop("generationConfig.responseMimeType");
      return undefined;
  }
}

/** From the older three fields, or from `responseFormat`, which Google means to replace them. */
function readFormat(
  config: JsonRecord,
  drop: DropField,
): { readonly mimeType: string | undefined; readonly schema: unknown } {
  const { responseSchema, responseFormat } = config;
  const path = "generationConfig.responseFormat";
  for (const format of Array.isArray(responseFormat)
    ? responseFormat
    : isPresent(responseFormat)
      ? [responseFormat]
      : []) {
    const { text } = knownFields(format, path, new Set(["text"]), drop);
    const fields = knownFields(text, `${path}.text`, new Set(["mimeType", "schema"]), drop);
    const said = textOf(fields["mimeType"])?.toLowerCase().replace("_", "/");
    if (said !== undefined || isPresent(fields["schema"])) {
      return { mimeType: said ?? "application/json", schema: fields["schema"] ?? undefined };
    }
  }
  const jsonSchema = config["responseJsonSchema"] ?? config["_responseJsonSchema"];
  const schema = isPresent(jsonSchema)
    ? jsonSchema
    : isPresent(responseSchema)
      ? toJsonSchema(responseSchema, "generationConfig.responseSchema")
      : undefined;
  return { mimeType: textOf(config["responseMimeType"]), schema };
}

const EFFORTS: ReadonlyMap<unknown, NonNullable<Reasoning["effort"]>> = new Map([
  ["MINIMAL", "minimal"],
  ["LOW", "low"],
  ["MEDIUM", "medium"],
  ["HIGH", "high"],
]);

function readThinking(config: JsonRecord, drop: DropField): Reasoning | undefined {
  if (!isPresent(config["thinkingConfig"])) return undefined;
  const path = "generationConfig.thinkingConfig";
  const fields = knownFields(config["thinkingConfig"], path, THINKING_FIELDS, drop);
  const { thinkingBudget: budget, thinkingLevel, includeThoughts } = fields;
  const level = textOf(thinkingLevel)?.toUpperCase();
  const effort = budget === 0 ? "none" : EFFORTS.get(level);
  if (level !== undefined && level !== "THINKING_LEVEL_UNSPECIFIED" && effort === undefined) {
    drop(`${path}.thinkingLevel`);
  }
  return {
    ...(effort !== undefined && { effort }),
    ...(typeof budget === "number" &&
      budget !== 0 &&
      budget !== AUTOMATIC_BUDGET && { budgetTokens: budget }),
    ...(typeof includeThoughts === "boolean" && { includeThoughts }),
  };
}

function readSampling(config: JsonRecord): Sampling {
  const numberOf = (name: (typeof SAMPLING_FIELDS)[number]): number | undefined => {
    const value = config[name];
    return typeof value === "number" ? value : undefined;
  };
  const maxOutputTokens = numberOf("maxOutputTokens");
  const temperature = numberOf("temperature");
  const topP = numberOf("topP");
  const topK = numberOf("topK");
  const frequencyPenalty = numberOf("frequencyPenalty");
  const presencePenalty = numberOf("presencePenalty");
  const seed = numberOf("seed");
  const choiceCount = numberOf("candidateCount");
  const stops = listOf(config["stopSequences"]).filter((stop) => typeof stop === "string");
  return {
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(topK !== undefined && { topK }),
    ...(frequencyPenalty !== undefined && { frequencyPenalty }),
    ...(presencePenalty !== undefined && { presencePenalty }),
    ...(seed !== undefined && { seed }),
    ...(choiceCount !== undefined && { choiceCount }),
    ...(stops.length > 0 && { stopSequences: stops }),
    ...(config["responseLogprobs"] === true && { topLogprobs: numberOf("logprobs") ?? 0 }),
  };
}

/** The sampling fields of a request's own form, for its spans. */
export function readParams(body: JsonRecord): Omit<Sampling, "topK" | "topLogprobs"> {
  const {
    topK: _,
    topLogprobs: __,
    ...params
  } = readSampling(camelFields(recordOf(camelFields(body)["generationConfig"])));
  return params;
}
