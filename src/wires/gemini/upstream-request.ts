/**
 * What Gemini is sent: the client's own bytes where it speaks Gemini, else a body written from the conversation.
 * https://ai.google.dev/api/generate-content (seen 2026-11)
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type { Conversation, OutputFormat, Sampling, Tool, ToolChoice } from "../../schema/conversation.ts";
import { withTargetParams } from "../target-params.ts";
import { editTopLevel } from "../../json/edit.ts";
import { isRecord, recordOf, type JsonRecord } from "../../json/fields.ts";
import { ownContents } from "../foreign-reasoning.ts";
import { signCalls, toContents } from "./upstream-contents.ts";
import { toThinkingConfig } from "./gemini-capabilities.ts";
import type { Target, Translation } from "../upstream-wire.ts";
import { toJson } from "../../json/exact.ts";
import { objectSchema } from "../tool-schema.ts";

/** Fields of the body that are the client's: a target's `params` may not set them. */
const NOT_PARAMS: ReadonlySet<string> = new Set(["contents", "model", "stream", "messages"]);
const NOTHING_SAID: Conversation = { system: [], messages: [], tools: [], sampling: {} };

/** The body of a generation; `model` is the target's, without `models/`. */
export function toBody(chat: ChatRequest, target: Target, translation: Translation | undefined): string {
  return translation === undefined ? forwardBody(chat, target) : writeBody(chat, target, translation);
}

/** The bytes as they came, but for the target's params, a model that the body repeats, and other vendors' reasoning. */
function forwardBody({ body, bodyText }: ChatRequest, { model, params }: Target): string {
  const set: Record<string, string> = {};
  const contents = forwardContents(body["contents"], model);
  if (contents !== undefined) set["contents"] = toJson(contents);
  if (body["model"] !== undefined) set["model"] = toJson(`models/${model}`);
  if (params !== undefined) {
    const { conversation, rest } = withTargetParams(NOTHING_SAID, params);
    const name = body["generation_config"] === undefined ? "generationConfig" : "generation_config";
    const config = { ...toGenerationConfig(conversation, model), ...recordOf(rest["generationConfig"]) };
    if (Object.keys(config).length > 0) set[name] = toJson({ ...recordOf(body[name]), ...config });
    for (const [field, value] of otherParams(rest)) set[field] = toJson(value);
  }
  return Object.keys(set).length === 0 ? bodyText : editTopLevel(bodyText, { set });
}

/** Undefined where they can stay as they are. */
function forwardContents(contents: unknown, model: string): readonly unknown[] | undefined {
  const own = ownContents(contents);
  return signCalls(own ?? contents, model) ?? own;
}

/** A count goes out with the client's bytes; a request that it wraps names the model again. */
export function toCountBody({ body, bodyText }: ChatRequest, { model }: Target): string {
  for (const name of ["generateContentRequest", "generate_content_request"]) {
    const request = body[name];
    if (!isRecord(request)) continue;
    const text = toJson({ ...request, model: `models/${model}` });
    return editTopLevel(bodyText, { set: { [name]: text } });
  }
  return bodyText;
}

/** The same for Vertex, which has no frame around what is counted, and no field for the model. */
export function toCountedFields({ body, bodyText }: ChatRequest): string {
  for (const name of ["generateContentRequest", "generate_content_request"]) {
    const request = body[name];
    if (!isRecord(request)) continue;
    const { model: _, ...fields } = request;
    return toJson(fields);
  }
  return bodyText;
}

/** Params without a name in the chat wire are Gemini's own: `safetySettings`, `cachedContent`, … */
function otherParams(rest: JsonRecord): readonly (readonly [string, unknown])[] {
  return Object.entries(rest).filter(
    ([name, value]) => name !== "generationConfig" && !NOT_PARAMS.has(name) && value !== undefined,
  );
}

function writeBody(
  chat: ChatRequest,
  { model, params = {} }: Target,
  { conversation, drop }: Translation,
): string {
  const { system, messages, tools, toolChoice } = conversation;
  // Gemini answers nothing but contents: a prompt that is all system becomes the user's.
  const isSystemOnly = messages.length === 0 && system.length > 0;
  const contents = toContents(isSystemOnly ? [{ role: "user", parts: system }] : messages, model);
  if (conversation.parallelToolCalls === false) drop(chat.wire.fieldNames.parallelToolCalls);
  const generationConfig = {
    ...toGenerationConfig(conversation, model),
    ...recordOf(params["generationConfig"]),
  };
  const toolConfig = tools.length === 0 ? undefined : toToolConfig(tools, toolChoice);
  return toJson({
    contents,
    ...(!isSystemOnly &&
      system.length > 0 && {
        systemInstruction: { parts: toContents([{ role: "user", parts: system }], model)[0]?.parts ?? [] },
      }),
    ...(tools.length > 0 && { tools: [{ functionDeclarations: tools.map(toDeclaration) }] }),
    ...(toolConfig !== undefined && { toolConfig }),
    ...(Object.keys(generationConfig).length > 0 && { generationConfig }),
    ...Object.fromEntries(otherParams(params)),
  });
}

function toDeclaration({ name, description, parameters }: Tool): JsonRecord {
  return {
    name,
    ...(description !== undefined && { description }),
    ...(parameters !== undefined && { parametersJsonSchema: objectSchema(parameters) }),
  };
}

/** `VALIDATED` holds calls to their schemas, which is what a strict tool asks for; `ANY` does so anyway. */
function toToolConfig(tools: readonly Tool[], choice: ToolChoice | undefined): JsonRecord | undefined {
  const isStrict = tools.some(({ strict }) => strict === true);
  const calling = (mode: string, fields: JsonRecord = {}): JsonRecord => ({
    functionCallingConfig: { mode, ...fields },
  });
  switch (choice?.type) {
    case undefined:
      return isStrict ? calling("VALIDATED") : undefined;
    case "auto":
      return calling(isStrict ? "VALIDATED" : "AUTO");
    case "none":
      return calling("NONE");
    case "required":
      return calling("ANY");
    case "tool":
      return calling("ANY", { allowedFunctionNames: [choice.name] });
  }
}

function toGenerationConfig(conversation: Conversation, model: string): JsonRecord {
  const { output, reasoning, sampling } = conversation;
  const thinkingConfig = reasoning === undefined ? undefined : toThinkingConfig(reasoning, model);
  const mediaResolution = toMediaResolution(conversation);
  return {
    ...toSampling(sampling),
    ...(output !== undefined && toResponseFormat(output)),
    ...(thinkingConfig !== undefined && { thinkingConfig }),
    ...(mediaResolution !== undefined && { mediaResolution }),
  };
}

function toSampling({ choiceCount, topLogprobs, ...sampling }: Sampling): JsonRecord {
  return {
    // The rest has the same names on both sides.
    ...sampling,
    ...(choiceCount !== undefined && { candidateCount: choiceCount }),
    ...(topLogprobs !== undefined && { responseLogprobs: true }),
    ...(topLogprobs !== undefined && topLogprobs > 0 && { logprobs: topLogprobs }),
  };
}

function toResponseFormat(output: OutputFormat): JsonRecord {
  switch (output.type) {
    case "text":
      return {};
    case "json":
      return { responseMimeType: "application/json" };
    case "json_schema":
      return { responseMimeType: "application/json", responseJsonSchema: output.schema };
  }
}

/** Gemini has one resolution for a whole request: the highest that an image asks for. */
function toMediaResolution({ messages }: Conversation): string | undefined {
  const details = messages.flatMap(({ parts }) =>
    parts.map((part) => (part.type === "image" ? part.detail : undefined)),
  );
  if (details.includes("high")) return "MEDIA_RESOLUTION_HIGH";
  return details.includes("low") ? "MEDIA_RESOLUTION_LOW" : undefined;
}
