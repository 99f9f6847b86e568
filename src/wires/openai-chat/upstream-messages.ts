/**
 * A Conversation's messages as the chat wire has them, for clients of other wires.
 * https://platform.openai.com/docs/api-reference/chat/create (seen 2026-11)
 */

import type { Conversation, Message, Part } from "../../schema/conversation.ts";
import { formatMediaUrl } from "../../bytes/media-url.ts";
import { formatEncryptedReasoning, formatSignedReasoning } from "./client-answer.ts";
import { untagDetail } from "../reasoning-provenance.ts";
import type { JsonRecord } from "../../json/fields.ts";
import type { FieldMeaning } from "../../schema/wire-traits.ts";

/** As `DropField`, by the field's meaning: the caller knows its name on the client's wire. */
type DropMeaning = (meaning: FieldMeaning) => void;

/** What vendors of this wire differ in when they read a history. */
export interface HistoryForm {
  /** Where they take the reasoning of earlier turns; without it this is left out, as OpenAI has no place for them. */
  readonly reasoningField?: "reasoning_content" | "reasoning" | "reasoning_details";
  /** Anthropic's marks are passed on; elsewhere prompts are cached unasked, and the marks say nothing. */
  readonly takesCacheMarks?: boolean;
}

export function formatMessages(
  { system, messages }: Conversation,
  form: HistoryForm,
  drop: DropMeaning,
): readonly JsonRecord[] {
  const head = system.length === 0 ? [] : [{ role: "system", content: formatContent(system, form, drop) }];
  return [...head, ...messages.flatMap((message) => formatMessage(message, form, drop))];
}

function formatMessage(
  { role, parts }: Message,
  form: HistoryForm,
  drop: DropMeaning,
): readonly JsonRecord[] {
  if (role === "assistant") return parts.length === 0 ? [] : [formatAssistant(parts, form, drop)];
  const results = parts.filter((part) => part.type === "tool_result");
  const said = parts.filter((part) => part.type !== "tool_result");
  // A tool's message takes text only: what else a tool gave is shown behind it, as if by the user.
  const shown = results.flatMap((result) => result.parts.filter(({ type }) => type !== "text"));
  const user = [...shown, ...said];
  return [
    ...results.map(formatToolResult),
    ...(user.length === 0 ? [] : [{ role: "user", content: formatContent(user, form, drop) }]),
  ];
}

type ToolResult = Extract<Part, { readonly type: "tool_result" }>;

function formatToolResult({ callId, parts, isError }: ToolResult): JsonRecord {
  const text = parts.flatMap((part) => (part.type === "text" ? part.text : [])).join("\n");
  // The wire has no flag for a failure: the words must say it.
  const content = isError === true && !/^error/i.test(text) ? `Error: ${text}` : text;
  return { role: "tool", tool_call_id: callId, content };
}

function formatAssistant(parts: readonly Part[], form: HistoryForm, drop: DropMeaning): JsonRecord {
  const said = parts.filter(({ type }) => type === "text");
  const refusal = parts.flatMap((part) => (part.type === "refusal" ? part.text : [])).join("\n");
  const calls = parts.flatMap((part) => (part.type === "tool_call" ? [formatCall(part)] : []));
  return {
    role: "assistant",
    content: said.length === 0 ? null : formatContent(said, form, drop),
    ...(refusal !== "" && { refusal }),
    ...formatReasoningDetails(parts, form),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function formatCall({ id, name, argumentsJson }: Extract<Part, { readonly type: "tool_call" }>): JsonRecord {
  return { id, type: "function", function: { name, arguments: argumentsJson } };
}

function formatReasoningDetails(parts: readonly Part[], { reasoningField }: HistoryForm): JsonRecord {
  const reasoning = parts.filter((part) => part.type === "reasoning");
  if (reasoningField === undefined || reasoning.length === 0) return {};
  if (reasoningField !== "reasoning_details") {
    return { [reasoningField]: reasoning.map(({ text }) => text).join("\n") };
  }
  return { reasoning_details: reasoning.flatMap(formatReasoningDetail) };
}

/** Without a proof that is Gemini's; what Gemini has encrypted is nothing to others. */
function formatReasoningDetail({
  text,
  signature,
  encrypted,
}: Extract<Part, { readonly type: "reasoning" }>): readonly JsonRecord[] {
  if (encrypted !== undefined)
    return untagDetail(encrypted) === undefined ? [] : [formatEncryptedReasoning(encrypted)];
  const isSigned = signature !== undefined && untagDetail(signature) !== undefined;
  return [isSigned ? formatSignedReasoning(text, signature) : { type: "reasoning.text", text }];
}

/** A string where it can be one: many servers of this wire take nothing else from system and assistant. */
function formatContent(
  parts: readonly Part[],
  form: HistoryForm,
  drop: DropMeaning,
): string | readonly JsonRecord[] {
  const [first, ...others] = parts;
  if (first?.type === "text" && others.length === 0 && !hasMark(first, form)) return first.text;
  return parts.flatMap((part) => {
    const formatted = formatPart(part, drop);
    if (formatted === undefined) return [];
    return [hasMark(part, form) ? { ...formatted, cache_control: formatMark(part) } : formatted];
  });
}

function hasMark(part: Part, { takesCacheMarks = false }: HistoryForm): boolean {
  return takesCacheMarks && "cacheMark" in part && part.cacheMark !== undefined;
}

function formatMark(part: Part): JsonRecord {
  const ttl = "cacheMark" in part ? part.cacheMark?.ttl : undefined;
  return { type: "ephemeral", ...(ttl !== undefined && { ttl }) };
}

function formatPart(part: Part, drop: DropMeaning): JsonRecord | undefined {
  switch (part.type) {
    case "text":
    case "refusal":
      return { type: "text", text: part.text };
    case "image": {
      const { source, detail } = part;
      return {
        type: "image_url",
        image_url: { url: formatMediaUrl(source), ...(detail !== undefined && { detail }) },
      };
    }
    case "document":
      return formatDocument(part, drop);
    case "audio":
      return formatAudio(part, drop);
    case "reasoning":
    case "tool_call":
    case "tool_result":
      // None of these stands among the parts of a content on this wire.
      return undefined;
  }
}

/** The API asks for a name, and means nothing by it. */
const UNNAMED_FILE = "document.pdf";

function formatDocument(
  { source, name }: Extract<Part, { readonly type: "document" }>,
  drop: DropMeaning,
): JsonRecord | undefined {
  switch (source.kind) {
    case "text":
      return { type: "text", text: name === undefined ? source.text : `${name}\n\n${source.text}` };
    case "inline":
      return { type: "file", file: { filename: name ?? UNNAMED_FILE, file_data: formatMediaUrl(source) } };
    case "url":
      drop("document");
      return undefined;
  }
}

const AUDIO_FORMATS: ReadonlyMap<string, string> = new Map([
  ["audio/mpeg", "mp3"],
  ["audio/mp3", "mp3"],
  ["audio/wav", "wav"],
  ["audio/x-wav", "wav"],
  ["audio/wave", "wav"],
]);

function formatAudio(
  { source }: Extract<Part, { readonly type: "audio" }>,
  drop: DropMeaning,
): JsonRecord | undefined {
  const format = source.kind === "inline" ? AUDIO_FORMATS.get(source.mediaType) : undefined;
  if (source.kind === "inline" && format !== undefined) {
    return { type: "input_audio", input_audio: { data: source.base64, format } };
  }
  drop("audio");
  return undefined;
}
