/**
 * A chat-completions request in the shape of the GenAI conventions' messages, for traces that may hold content. Called
 * only when that content goes somewhere; what it does not know it keeps as it came.
 */

import type { ChatRequest } from "../../schema/chat.ts";
import { isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import {
  readArguments,
  type ContentMessage,
  type ContentPart,
  type RequestContent,
} from "../../schema/request-content.ts";

const INSTRUCTION_ROLES: ReadonlySet<unknown> = new Set(["system", "developer"]);

export function readChatContent({ body }: Pick<ChatRequest, "body">): RequestContent {
  const messages = listOf(body["messages"]).map(recordOf);
  const found = messages.findIndex(({ role }) => !INSTRUCTION_ROLES.has(role));
  const firstOfTalk = found === -1 ? messages.length : found;
  return {
    instructions: messages.slice(0, firstOfTalk).flatMap(({ content }) => readParts(content)),
    input: messages.slice(firstOfTalk).map(readMessage),
    tools: listOf(body["tools"]),
  };
}

function readMessage(message: JsonRecord): ContentMessage {
  const { role, content, name, tool_calls: calls, tool_call_id: callId } = message;
  const parts: ContentPart[] =
    role === "tool"
      ? [{ type: "tool_call_response", id: callId, response: content }]
      : [...readParts(message["reasoning_content"], "reasoning"), ...readParts(content)];
  for (const call of listOf(calls)) parts.push(readCall(recordOf(call)));
  return {
    role: textOf(role) ?? "user",
    parts,
    ...(typeof name === "string" && { name }),
  };
}

function readCall({ id, function: called, custom }: JsonRecord): ContentPart {
  const { name, arguments: json, input } = recordOf(called ?? custom);
  return { type: "tool_call", id, name, arguments: typeof json === "string" ? readArguments(json) : input };
}

function readParts(content: unknown, type = "text"): readonly ContentPart[] {
  if (typeof content === "string") return content === "" ? [] : [{ type, content }];
  return listOf(content).map(readPart);
}

function readPart(part: unknown): ContentPart {
  const fields = recordOf(part);
  switch (fields["type"]) {
    case "text":
    case "refusal":
      return { type: fields["type"], content: fields["text"] ?? fields["refusal"] };
    case "image_url":
      return readMedia("image", recordOf(fields["image_url"])["url"]);
    case "input_audio":
      return omitted("audio", recordOf(fields["input_audio"])["data"]);
    case "file":
      return omitted("file", recordOf(fields["file"])["file_data"]);
    default:
      return { type: "unknown", content: isRecord(part) ? fields : part };
  }
}

/** The bytes of a picture are not what a trace is read for, and would take all of its room. */
function readMedia(modality: string, url: unknown): ContentPart {
  if (typeof url !== "string") return omitted(modality, undefined);
  return url.startsWith("data:") ? omitted(modality, url) : { type: "uri", modality, uri: url };
}

function omitted(modality: string, data: unknown): ContentPart {
  const chars = typeof data === "string" ? data.length : 0;
  return { type: "blob", modality, content: `(left out: ${chars} characters)` };
}
