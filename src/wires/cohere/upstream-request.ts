/**
 * A conversation as a body of Cohere's chat wire, version 2. https://docs.cohere.com/reference/chat (seen 2026-11)
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type {
  Conversation,
  OutputFormat,
  Part,
  Reasoning,
  Sampling,
  ToolChoice,
} from "../../schema/conversation.ts";
import { formatMediaUrl } from "../../bytes/media-url.ts";
import type { JsonRecord } from "../../json/fields.ts";
import { budgetOfEffort } from "../../schema/reasoning-effort.ts";
import type { FieldMeaning } from "../../schema/wire-traits.ts";
import { objectSchema } from "../tool-schema.ts";
import type { Target, Translation } from "../upstream-wire.ts";

type DropMeaning = (meaning: FieldMeaning, why?: "hint") => void;

/** Fields of the body that are the gateway's: a target's `params` may not set them. */
const OURS: ReadonlySet<string> = new Set(["model", "stream", "messages"]);
/** The wire's bounds of `p`: 1, which other wires take for "all of it", is its greatest value here. */
const MIN_P = 0.01;
const MAX_P = 0.99;

export function writeCohereChat(
  chat: ChatRequest,
  target: Target,
  { conversation, drop: dropField }: Translation,
): JsonRecord {
  const drop: DropMeaning = (meaning, why) => dropField(chat.wire.fieldNames[meaning], why);
  const { output, reasoning } = conversation;
  if (conversation.endUser !== undefined) drop("endUser", "hint");
  return {
    model: target.model,
    stream: chat.stream,
    messages: writeMessages(conversation, drop),
    ...writeTools(conversation, drop),
    ...writeSampling(conversation.sampling, drop),
    ...(output !== undefined && { response_format: writeFormat(output) }),
    ...(reasoning !== undefined && { thinking: writeThinking(reasoning) }),
    ...Object.fromEntries(Object.entries(target.params ?? {}).filter(([name]) => !OURS.has(name))),
  };
}

function writeMessages({ system, messages }: Conversation, drop: DropMeaning): readonly JsonRecord[] {
  if (system.some(({ type }) => type !== "text")) drop("system");
  const instructions = system.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n\n");
  const turns = messages.flatMap(({ role, parts }) =>
    role === "assistant" ? writeAssistant(parts, drop) : writeUser(parts, drop),
  );
  return instructions === "" ? turns : [{ role: "system", content: instructions }, ...turns];
}

/** Results of tools are messages of their own, before what the user says with them. */
function writeUser(parts: readonly Part[], drop: DropMeaning): readonly JsonRecord[] {
  const results = parts.flatMap((part) => (part.type === "tool_result" ? [part] : []));
  const content = parts.flatMap((part) => writeContent(part, drop));
  const texts = content.map(({ type, text }) => (type === "text" ? text : undefined));
  const [only] = texts;
  const said = texts.length === 1 && only !== undefined ? only : content;
  return [
    ...results.map(({ callId, parts: found }) => ({
      role: "tool",
      tool_call_id: callId,
      content: writeResult(found, drop),
    })),
    ...(content.length > 0 ? [{ role: "user", content: said }] : []),
  ];
}

function writeResult(parts: readonly Part[], drop: DropMeaning): string {
  const content = parts.flatMap((part) => writeContent(part, drop));
  if (content.some(({ type }) => type === "image_url")) drop("image");
  return content.flatMap(({ text }) => (typeof text === "string" ? [text] : [])).join("\n");
}

function writeContent(part: Part, drop: DropMeaning): readonly JsonRecord[] {
  switch (part.type) {
    case "text":
    case "refusal":
      return part.text === "" ? [] : [{ type: "text", text: part.text }];
    case "image": {
      const { source, detail } = part;
      const image = { url: formatMediaUrl(source), ...(detail !== undefined && { detail }) };
      return [{ type: "image_url", image_url: image }];
    }
    case "document":
    case "audio":
      drop(part.type);
      return [];
    case "reasoning":
    case "tool_call":
    case "tool_result":
      return [];
  }
}

/** Reasoning before a call is the call's plan; reasoning that its vendor signed or encrypted is not Cohere's. */
function writeAssistant(parts: readonly Part[], drop: DropMeaning): readonly JsonRecord[] {
  const calls = parts.flatMap((part) => (part.type === "tool_call" ? [part] : []));
  const thoughts = parts.flatMap((part) =>
    part.type === "reasoning" && part.signature === undefined && part.encrypted === undefined
      ? [part.text]
      : [],
  );
  const plan = thoughts.join("");
  const isPlanned = plan !== "" && calls.length > 0;
  const thinking = plan === "" || isPlanned ? [] : [{ type: "thinking", thinking: plan }];
  const content = [...thinking, ...parts.flatMap((part) => writeContent(part, drop))];
  if (content.length === 0 && calls.length === 0) return [];
  return [
    {
      role: "assistant",
      ...(isPlanned && { tool_plan: plan }),
      ...(calls.length > 0 && {
        tool_calls: calls.map(({ id, name, argumentsJson }) => ({
          id,
          type: "function",
          function: { name, arguments: argumentsJson === "" ? "{}" : argumentsJson },
        })),
      }),
      ...(content.length > 0 && { content }),
    },
  ];
}

function writeTools({ tools, toolChoice, parallelToolCalls }: Conversation, drop: DropMeaning): JsonRecord {
  if (tools.length === 0) return {};
  if (parallelToolCalls === false) drop("parallelToolCalls");
  // The wire can't name a tool: where there is only one tool, it must be called.
  const offered = toolChoice?.type === "tool" ? tools.filter(({ name }) => name === toolChoice.name) : tools;
  const choice = toolChoice === undefined ? undefined : CHOICES[toolChoice.type];
  return {
    tools: offered.map(({ name, description, parameters }) => ({
      type: "function",
      function: {
        name,
        ...(description !== undefined && { description }),
        parameters: objectSchema(parameters),
      },
    })),
    // All or none: the wire has one switch for all tools.
    ...(offered.every(({ strict }) => strict === true) && { strict_tools: true }),
    ...(choice !== undefined && { tool_choice: choice }),
  };
}

/** Left to the model where nothing is said. */
const CHOICES: Readonly<Record<ToolChoice["type"], string | undefined>> = {
  auto: undefined,
  none: "NONE",
  required: "REQUIRED",
  tool: "REQUIRED",
};

function writeSampling(sampling: Sampling, drop: DropMeaning): JsonRecord {
  const { maxOutputTokens, temperature, topP, topK, seed, stopSequences = [] } = sampling;
  const { frequencyPenalty, presencePenalty, choiceCount = 1, topLogprobs } = sampling;
  if (choiceCount > 1) drop("choiceCount");
  // Log probabilities are of the chosen tokens alone.
  if (topLogprobs !== undefined && topLogprobs > 0) drop("logprobs");
  return {
    ...(maxOutputTokens !== undefined && { max_tokens: maxOutputTokens }),
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { p: Math.min(MAX_P, Math.max(MIN_P, topP)) }),
    ...(topK !== undefined && { k: topK }),
    ...(seed !== undefined && { seed }),
    ...(frequencyPenalty !== undefined && { frequency_penalty: frequencyPenalty }),
    ...(presencePenalty !== undefined && { presence_penalty: presencePenalty }),
    ...(stopSequences.length > 0 && { stop_sequences: stopSequences }),
    ...(topLogprobs !== undefined && { logprobs: true }),
  };
}

function writeFormat(output: OutputFormat): JsonRecord {
  switch (output.type) {
    case "text":
      return { type: "text" };
    case "json":
      return { type: "json_object" };
    case "json_schema":
      return { type: "json_object", json_schema: output.schema };
  }
}

function writeThinking({ effort, budgetTokens }: Reasoning): JsonRecord {
  const budget = budgetTokens ?? (effort === undefined ? undefined : budgetOfEffort(effort));
  if (budget === 0) return { type: "disabled" };
  return { type: "enabled", ...(budget !== undefined && { token_budget: budget }) };
}
