/**
 * A request's meaning in the shape of the GenAI conventions' messages, for traces that may hold content: for every
 * wire that can be read into a Conversation. Called only when that content goes somewhere.
 */

import type { ChatRequest } from "../schema/chat.ts";
import type { Conversation, DropField, MediaSource, Part } from "../schema/conversation.ts";
import type { EmbeddingAsk } from "../schema/embedding.ts";
import { readArguments, type ContentPart, type RequestContent } from "../schema/request-content.ts";

type RequestBody = Pick<ChatRequest, "body">;

const NOTHING: RequestContent = { instructions: [], input: [], tools: [] };

/** What a chat request says; nothing for one that its wire can't read (then it was refused). */
export function readConversationContent(
  toConversation: (chat: RequestBody, drop: DropField) => Conversation,
  chat: RequestBody,
): RequestContent {
  try {
    const { system, messages, tools } = toConversation(chat, ignoreField);
    return {
      instructions: system.map(readPart),
      input: messages.map(({ role, parts }) => ({ role, parts: parts.map(readPart) })),
      tools: tools.map(({ name, description, parameters }) => ({
        type: "function",
        name,
        description,
        parameters,
      })),
    };
  } catch {
    return NOTHING;
  }
}

/** The texts an embedding request is about, as one message. */
export function readEmbeddingContent(
  toEmbedding: (chat: RequestBody, drop: DropField) => EmbeddingAsk,
  chat: RequestBody,
): RequestContent {
  try {
    const { inputs } = toEmbedding(chat, ignoreField);
    const parts = inputs.map((input) => ({
      type: "text",
      content: typeof input === "string" ? input : `(${input.length} tokens)`,
    }));
    return { ...NOTHING, input: [{ role: "user", parts }] };
  } catch {
    return NOTHING;
  }
}

/** A trace shows what a Conversation can say; the rest is between client and upstream. */
function ignoreField(): void {}

function readPart(part: Part): ContentPart {
  switch (part.type) {
    case "text":
    case "refusal":
      return { type: part.type, content: part.text };
    case "reasoning":
      return { type: "reasoning", content: part.text };
    case "image":
    case "audio":
      return readMedia(part.type, part.source);
    case "document":
      return part.source.kind === "text"
        ? { type: "text", content: part.source.text }
        : readMedia("file", part.source);
    case "tool_call":
      return {
        type: "tool_call",
        id: part.id,
        name: part.name,
        arguments: readArguments(part.argumentsJson),
      };
    case "tool_result":
      return { type: "tool_call_response", id: part.callId, response: part.parts.map(readPart) };
  }
}

/** The bytes of a picture are not what a trace is read for, and would take all of its room. */
function readMedia(modality: string, source: MediaSource): ContentPart {
  return source.kind === "url"
    ? { type: "uri", modality, uri: source.url }
    : { type: "blob", modality, content: `(left out: ${source.base64.length} characters)` };
}
