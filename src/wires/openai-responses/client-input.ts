/**
 * The input of a Responses request, a string or a list of items, read into a system prompt and turns.
 * https://platform.openai.com/docs/api-reference/responses/create (seen 2026-11)
 */

import type { DropField, MediaSource, Message, Part } from "../../schema/conversation.ts";
import { readMediaUrl } from "../../bytes/media-url.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readChatCacheMark, readDetail, readFileData } from "../openai-chat/client-parts.ts";
import { unwrapFromResponses } from "./client-reasoning.ts";
import { toJson } from "../../json/exact.ts";
import { toArguments } from "../freeform-tools.ts";

export interface ReadInput {
  readonly system: readonly Part[];
  readonly messages: readonly Message[];
}

export function readInput(input: unknown, drop: DropField): ReadInput {
  if (typeof input === "string") {
    return { system: [], messages: [{ role: "user", parts: [{ type: "text", text: input }] }] };
  }
  const system: Part[] = [];
  const turns = createTurns();
  const toolNames = new Map<string, string>();
  listOf(input).forEach((entry, at) => {
    const item = recordOf(entry);
    const path = `input[${at}]`;
    switch (item["type"]) {
      case undefined:
      case "message":
        readMessage(item, path, system, turns, drop);
        break;
      case "reasoning":
        turns.say("assistant", readReasoningItem(item));
        break;
      case "custom_tool_call":
        turns.say("assistant", [readCall({ ...item, arguments: toArguments(item["input"]) }, toolNames)]);
        break;
      case "function_call":
        turns.say("assistant", [readCall(item, toolNames)]);
        break;
      case "custom_tool_call_output":
      case "function_call_output":
        turns.say("user", [readResult(item, path, toolNames, drop)]);
        break;
      default:
        // Calls of OpenAI's own tools, and references to what OpenAI keeps.
        drop(path);
    }
  });
  return { system, messages: turns.messages() };
}

interface Turns {
  /** Items of one side that follow one another are one turn: reasoning, text, calls. */
  say(role: Message["role"], parts: readonly Part[]): void;
  /** A message of its own, whatever came before. */
  begin(role: Message["role"], parts: readonly Part[]): void;
  messages(): readonly Message[];
}

function createTurns(): Turns {
  const turns: { readonly role: Message["role"]; readonly parts: Part[] }[] = [];
  return {
    say(role, parts) {
      const last = turns.at(-1);
      if (last?.role === role) last.parts.push(...parts);
      else turns.push({ role, parts: [...parts] });
    },
    begin: (role, parts) => void turns.push({ role, parts: [...parts] }),
    messages: () => turns,
  };
}

function readMessage(item: JsonRecord, path: string, system: Part[], turns: Turns, drop: DropField): void {
  const parts = readContent(item["content"], `${path}.content`, drop);
  switch (item["role"]) {
    case "system":
    case "developer":
      system.push(...parts);
      break;
    case "assistant":
      turns.say("assistant", parts);
      break;
    case "user":
      turns.begin("user", parts);
      break;
    default:
      drop(`${path}.role`);
  }
}

function readContent(content: unknown, path: string, drop: DropField): readonly Part[] {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return listOf(content).flatMap((part, at) => readPart(recordOf(part), `${path}[${at}]`, drop));
}

function readPart(part: JsonRecord, path: string, drop: DropField): readonly Part[] {
  const marked = readChatCacheMark(part);
  switch (part["type"]) {
    case "input_text":
    case "output_text": {
      const text = textOf(part["text"]);
      return text === undefined ? [] : [{ type: "text", text, ...marked }];
    }
    case "refusal":
      return [{ type: "refusal", text: textOf(part["refusal"]) ?? "" }];
    case "input_image": {
      const url = textOf(part["image_url"]);
      const source = url === undefined ? undefined : readMediaUrl(url);
      if (source !== undefined) return [{ type: "image", source, ...readDetail(part["detail"]), ...marked }];
      drop(isPresent(part["file_id"]) ? `${path}.file_id` : `${path}.image_url`);
      return [];
    }
    case "input_file": {
      const name = textOf(part["filename"]);
      const source = readFileSource(part);
      if (source !== undefined) {
        return [{ type: "document", source, ...(name !== undefined && { name }), ...marked }];
      }
      drop(isPresent(part["file_id"]) ? `${path}.file_id` : path);
      return [];
    }
    case "input_audio": {
      const { data, format } = recordOf(part["input_audio"]);
      const mediaType = format === "mp3" ? "audio/mpeg" : `audio/${textOf(format) ?? "wav"}`;
      return [{ type: "audio", source: { kind: "inline", mediaType, base64: textOf(data) ?? "" } }];
    }
    default:
      drop(path);
      return [];
  }
}

function readFileSource(part: JsonRecord): MediaSource | undefined {
  const data = textOf(part["file_data"]);
  const url = textOf(part["file_url"]);
  if (data !== undefined) return readFileData(data);
  return url === undefined ? undefined : { kind: "url", url };
}

/** The summary is what can be read of it; what is encrypted goes back only to the vendor whose it is. */
function readReasoningItem(item: JsonRecord): readonly Part[] {
  const said = [...listOf(item["summary"]), ...listOf(item["content"])];
  const text = said.flatMap((part) => textOf(recordOf(part)["text"]) ?? []).join("\n");
  const { signature, encrypted } = unwrapFromResponses(item["encrypted_content"]);
  if (encrypted !== undefined) return [{ type: "reasoning", text: "", encrypted }];
  if (text === "" && signature === undefined) return [];
  return [{ type: "reasoning", text, ...(signature !== undefined && { signature }) }];
}

function readCall(item: JsonRecord, toolNames: Map<string, string>): Part {
  const id = textOf(item["call_id"]) ?? "";
  const name = textOf(item["name"]) ?? "";
  toolNames.set(id, name);
  const { signature } = unwrapFromResponses(item["encrypted_content"]);
  return {
    type: "tool_call",
    id,
    name,
    argumentsJson: textOf(item["arguments"]) ?? "{}",
    ...(signature !== undefined && { signature }),
  };
}

function readResult(
  item: JsonRecord,
  path: string,
  toolNames: ReadonlyMap<string, string>,
  drop: DropField,
): Part {
  const callId = textOf(item["call_id"]) ?? "";
  const name = toolNames.get(callId) ?? textOf(item["name"]);
  const { output } = item;
  const parts: readonly Part[] = isRecord(output)
    ? [{ type: "text", text: toJson(output) }]
    : readContent(output, `${path}.output`, drop);
  return { type: "tool_result", callId, ...(name !== undefined && { name }), parts };
}
