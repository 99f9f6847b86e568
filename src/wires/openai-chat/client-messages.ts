/**
 * The messages of a chat request, read into a system prompt and turns.
 * https://platform.openai.com/docs/api-reference/chat/create (seen 2026-11)
 */

import type { DropField, Message, Part } from "../../schema/conversation.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { readChatParts } from "./client-parts.ts";
import { isTagged, tagDetail, tagSignature } from "../reasoning-provenance.ts";
import { toArguments } from "../freeform-tools.ts";

export interface ReadMessages {
  readonly system: readonly Part[];
  readonly messages: readonly Message[];
}

/** System and developer messages go to the front, wherever they stand: no other wire has them between turns. */
export function readMessages(wire: unknown, drop: DropField): ReadMessages {
  const system: Part[] = [];
  const messages: Message[] = [];
  const toolNames = new Map<string, string>();
  listOf(wire).forEach((entry, at) => {
    const message = recordOf(entry);
    const path = `messages[${at}]`;
    if (isPresent(message["name"]) && message["role"] !== "tool") drop(`${path}.name`);
    switch (message["role"]) {
      case "system":
      case "developer":
        system.push(...readChatParts(message["content"], `${path}.content`, drop));
        break;
      case "user":
        messages.push({ role: "user", parts: readChatParts(message["content"], `${path}.content`, drop) });
        break;
      case "assistant":
        messages.push({ role: "assistant", parts: readAssistant(message, path, toolNames, drop) });
        break;
      case "tool":
        messages.push({ role: "user", parts: [readToolResult(message, path, toolNames, drop)] });
        break;
      default:
        drop(`${path}.role`);
    }
  });
  return { system, messages };
}

function readAssistant(
  message: JsonRecord,
  path: string,
  toolNames: Map<string, string>,
  drop: DropField,
): readonly Part[] {
  for (const field of ["audio", "function_call"]) if (isPresent(message[field])) drop(`${path}.${field}`);
  const refusal = textOf(message["refusal"]);
  const calls = listOf(message["tool_calls"]).flatMap((call, at): readonly Part[] => {
    const read = readToolCall(recordOf(call));
    if (read === undefined) drop(`${path}.tool_calls[${at}]`);
    else toolNames.set(read.id, read.name);
    return read === undefined ? [] : [read];
  });
  return [
    ...readReasoning(message),
    ...readChatParts(message["content"], `${path}.content`, drop),
    ...(refusal === undefined ? [] : [{ type: "refusal", text: refusal } as const]),
    ...calls,
  ];
}

/**
 * OpenAI's own wire has no reasoning. Others send it as `reasoning_content` (DeepSeek, vLLM and others), and,
 * where it must come back unchanged, as `reasoning_details`:
 * https://openrouter.ai/docs/use-cases/reasoning-tokens (seen 2026-11)
 */
function readReasoning(message: JsonRecord): readonly Part[] {
  const details = listOf(message["reasoning_details"]).map(recordOf);
  const read = details.flatMap((detail): readonly Part[] => {
    const encrypted = readOpaque(detail["data"], detail);
    if (detail["type"] === "reasoning.encrypted") {
      return encrypted === undefined ? [] : [{ type: "reasoning", text: "", encrypted }];
    }
    const text = textOf(detail["text"]) ?? textOf(detail["summary"]) ?? "";
    const signature = readOpaque(detail["signature"], detail);
    if (text === "" && signature === undefined) return [];
    return [{ type: "reasoning", text, ...(signature !== undefined && { signature }) }];
  });
  if (read.length > 0) return read;
  const text = textOf(message["reasoning_content"]) ?? textOf(message["reasoning"]);
  return text === undefined ? [] : [{ type: "reasoning", text }];
}

/** One with a format is its upstream's own; without one it is what we wrote for the client. */
function readOpaque(value: unknown, { format }: JsonRecord): string | undefined {
  const said = textOf(value);
  const made = textOf(format);
  return said === undefined || made === undefined ? said : tagDetail(said, made);
}

/** Undefined for a call of neither a function nor a tool that takes free text. */
function readToolCall(call: JsonRecord): (Part & { readonly type: "tool_call" }) | undefined {
  const { function: named, custom } = call;
  const called = isRecord(custom) ? { ...custom, arguments: toArguments(custom["input"]) } : named;
  if (!isRecord(called)) return undefined;
  const signature = readCallSignature(call);
  return {
    type: "tool_call",
    id: textOf(call["id"]) ?? "",
    name: textOf(called["name"]) ?? "",
    argumentsJson: textOf(called["arguments"]) ?? "{}",
    ...(signature !== undefined && { signature }),
  };
}

/**
 * Where Google's OpenAI-compatible API puts it, and we for our clients:
 * https://ai.google.dev/gemini-api/docs/thought-signatures (seen 2026-11)
 */
function readCallSignature(call: JsonRecord): string | undefined {
  const said = textOf(recordOf(recordOf(call["extra_content"])["google"])["thought_signature"]);
  return said === undefined || isTagged(said) ? said : tagSignature(said);
}

function readToolResult(
  message: JsonRecord,
  path: string,
  toolNames: ReadonlyMap<string, string>,
  drop: DropField,
): Part {
  const callId = textOf(message["tool_call_id"]) ?? "";
  const name = toolNames.get(callId) ?? textOf(message["name"]);
  return {
    type: "tool_result",
    callId,
    ...(name !== undefined && { name }),
    parts: readChatParts(message["content"], `${path}.content`, drop),
  };
}
