/**
 * Parts of a conversation as content blocks of the Messages wire. https://platform.claude.com/docs/en/api/messages
 * (seen 2026-11)
 */

import type { CacheMark, Message, Part } from "../../schema/conversation.ts";
import { isTagged } from "../reasoning-provenance.ts";
import { isRecord, type JsonRecord } from "../../json/fields.ts";
import type { FieldMeaning } from "../../schema/wire-traits.ts";
import { fitId } from "../fit-text.ts";
import { alternate } from "../alternate-roles.ts";
import { parseJson } from "../../json/exact.ts";

/** Told of what the wire can't say, by what it means. */
export type DropMeaning = (meaning: FieldMeaning, why?: "hint" | "conflict") => void;

/** Letters that the wire and Bedrock's don't take in a call's id. */
const NOT_ID = /[^a-zA-Z0-9_-]/g;
/** Bedrock's bound: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html (seen 2026-11). */
const MAX_ID_CHARS = 64;
/** `input` must be an object: broken arguments of an earlier turn go in one of this name. */
const BROKEN_INPUT = "invalid_json";

/** The turns, in the alternation that the wire wants. */
export function writeTurns(messages: readonly Message[], drop: DropMeaning): readonly JsonRecord[] {
  const turns = alternate(messages, (part) => writeAnthropicPart(part, drop));
  return turns.map(({ role, content }, at) => ({
    role,
    content: simplify(
      role === "assistant" && at === turns.length - 1 ? withoutTrailingSpace(content) : content,
    ),
  }));
}

/** What the model shall go on from may not end in white space. */
function withoutTrailingSpace(content: readonly JsonRecord[]): readonly JsonRecord[] {
  const last = content.at(-1);
  const text = last?.["text"];
  if (typeof text !== "string" || text === text.trimEnd()) return content;
  return [...content.slice(0, -1), { ...last, text: text.trimEnd() }];
}

/** One bare text is a string: what people write, and what is read most easily in a log. */
export function simplify(content: readonly JsonRecord[]): string | readonly JsonRecord[] {
  const [only] = content;
  const text = only?.["text"];
  const isBare = content.length === 1 && only?.["type"] === "text" && only["cache_control"] === undefined;
  return isBare && typeof text === "string" ? text : content;
}

/** The blocks of one part; none for what has no place on this wire. */
export function writeAnthropicPart(part: Part, drop: DropMeaning): readonly JsonRecord[] {
  switch (part.type) {
    case "text":
    case "refusal":
      // The wire refuses a text of white space only.
      if (part.text.trim() === "") return [];
      return [
        { type: "text", text: part.text, ...writeMark(part.type === "text" ? part.cacheMark : undefined) },
      ];
    case "image":
      if (part.detail === "low" || part.detail === "high") drop("imageDetail");
      return [{ type: "image", source: writeMedia(part.source), ...writeMark(part.cacheMark) }];
    case "document":
      return writeDocument(part, drop);
    case "audio":
      drop("audio");
      return [];
    case "reasoning": {
      const { text, signature, encrypted } = part;
      const opaque = encrypted ?? signature;
      // Without a signature, or with another vendor's, it would be refused, and is not needed.
      if (opaque === undefined || isTagged(opaque)) return [];
      return [
        encrypted === undefined
          ? { type: "thinking", thinking: text, signature }
          : { type: "redacted_thinking", data: encrypted },
      ];
    }
    case "tool_call": {
      const input = parseInput(part.argumentsJson);
      return [
        { type: "tool_use", id: toolId(part.id), name: part.name, input, ...writeMark(part.cacheMark) },
      ];
    }
    case "tool_result": {
      const content = simplify(part.parts.flatMap((inner) => writeAnthropicPart(inner, drop)));
      return [
        {
          type: "tool_result",
          tool_use_id: toolId(part.callId),
          ...(content.length > 0 && { content }),
          ...(part.isError === true && { is_error: true }),
          ...writeMark(part.cacheMark),
        },
      ];
    }
  }
}

type Media = Extract<Part, { readonly type: "image" }>["source"];

function writeMedia(source: Media): JsonRecord {
  if (source.kind === "url") return { type: "url", url: source.url };
  return { type: "base64", media_type: source.mediaType, data: source.base64 };
}

function writeDocument(
  part: Extract<Part, { readonly type: "document" }>,
  drop: DropMeaning,
): readonly JsonRecord[] {
  const { source, name } = part;
  const block = (written: JsonRecord): readonly JsonRecord[] => [
    {
      type: "document",
      source: written,
      ...(name !== undefined && { title: name }),
      ...writeMark(part.cacheMark),
    },
  ];
  if (source.kind === "text") return block({ type: "text", media_type: "text/plain", data: source.text });
  if (source.kind === "inline" && source.mediaType.startsWith("text/")) {
    const text = decodeText(source.base64);
    if (text !== undefined) return block({ type: "text", media_type: "text/plain", data: text });
  }
  if (source.kind === "inline" && source.mediaType !== "application/pdf") {
    drop("document");
    return [];
  }
  return block(writeMedia(source));
}

function decodeText(base64: string): string | undefined {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

export function writeMark(mark: CacheMark | undefined): JsonRecord {
  if (mark === undefined) return {};
  return { cache_control: { type: "ephemeral", ...(mark.ttl !== undefined && { ttl: mark.ttl }) } };
}

/** A call's id as Claude takes it, in call and result alike. */
export function toolId(id: string): string {
  return fitId(id, NOT_ID, MAX_ID_CHARS);
}

export function parseInput(argumentsJson: string): JsonRecord {
  if (argumentsJson.trim() === "") return {};
  try {
    const input: unknown = parseJson(argumentsJson);
    return isRecord(input) ? input : { [BROKEN_INPUT]: argumentsJson };
  } catch {
    return { [BROKEN_INPUT]: argumentsJson };
  }
}
