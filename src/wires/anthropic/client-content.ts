/**
 * Content blocks of the Messages wire, read into parts. https://platform.claude.com/docs/en/api/messages (seen
 * 2026-11)
 */

import type { CacheMark, DropField, MediaSource, Part } from "../../schema/conversation.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { toJson } from "../../json/exact.ts";

/**
 * A string or a list of blocks as parts. `toolNames` takes the name of each call's tool and gives it to the
 * results, which don't say it. `path` is where the content stands, for `drop`.
 */
export function readContent(
  content: unknown,
  path: string,
  toolNames: Map<string, string>,
  drop: DropField,
): readonly Part[] {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return listOf(content).flatMap((block, at) =>
    readBlock(recordOf(block), `${path}[${at}]`, toolNames, drop),
  );
}

/** The prompt-cache mark, where there is one. */
export function readCacheMark(mark: unknown): CacheMark | undefined {
  if (!isRecord(mark)) return undefined;
  const ttl = textOf(mark["ttl"]);
  return ttl === undefined ? {} : { ttl };
}

function readBlock(
  block: JsonRecord,
  path: string,
  toolNames: Map<string, string>,
  drop: DropField,
): readonly Part[] {
  const cacheMark = readCacheMark(block["cache_control"]);
  const marked = cacheMark === undefined ? {} : { cacheMark };
  switch (block["type"]) {
    case "text": {
      const text = textOf(block["text"]);
      return text === undefined ? [] : [{ type: "text", text, ...marked }];
    }
    case "image": {
      if (isPresent(block["transformations"])) drop(`${path}.transformations`);
      const source = readMedia(recordOf(block["source"]));
      if (source !== undefined) return [{ type: "image", source, ...marked }];
      drop(`${path}.source`);
      return [];
    }
    case "document":
      return readDocument(block, path, marked, drop);
    case "search_result":
      // To a lenient client its text is worth more than nothing.
      drop(path);
      return readContent(block["content"], `${path}.content`, toolNames, drop);
    case "thinking":
      return readThinking(block);
    case "redacted_thinking":
      return [{ type: "reasoning", text: "", encrypted: textOf(block["data"]) ?? "" }];
    case "tool_use":
      return readToolUse(block, path, toolNames, marked, drop);
    case "tool_result":
      return readToolResult(block, path, toolNames, marked, drop);
    default:
      // What a tool of Anthropic's own was asked and found, and whatever comes after this was written.
      drop(path);
      return [];
  }
}

function readMedia(source: JsonRecord): MediaSource | undefined {
  if (source["type"] === "url") return { kind: "url", url: textOf(source["url"]) ?? "" };
  if (source["type"] !== "base64") return undefined;
  return {
    kind: "inline",
    mediaType: textOf(source["media_type"]) ?? "",
    base64: textOf(source["data"]) ?? "",
  };
}

function readDocument(
  block: JsonRecord,
  path: string,
  marked: { readonly cacheMark?: CacheMark },
  drop: DropField,
): readonly Part[] {
  if (recordOf(block["citations"])["enabled"] === true) drop(`${path}.citations`);
  if (isPresent(block["context"])) drop(`${path}.context`);
  const name = textOf(block["title"]);
  const named = { ...(name !== undefined && { name }), ...marked };
  const source = recordOf(block["source"]);
  const media = readMedia(source);
  if (media !== undefined) return [{ type: "document", source: media, ...named }];
  const text = source["type"] === "text" ? textOf(source["data"]) : readPlainContent(source["content"]);
  if (text !== undefined) return [{ type: "document", source: { kind: "text", text }, ...named }];
  drop(`${path}.source`);
  return [];
}

/** The text of a document that is given as blocks; undefined where one of them is not text. */
function readPlainContent(content: unknown): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  const texts = content.map((block) => textOf(recordOf(block)["text"]));
  return texts.includes(undefined) ? undefined : texts.join("\n");
}

function readThinking(block: JsonRecord): readonly Part[] {
  const text = textOf(block["thinking"]) ?? "";
  const signature = textOf(block["signature"]);
  return [{ type: "reasoning", text, ...(signature !== undefined && { signature }) }];
}

function readToolUse(
  block: JsonRecord,
  path: string,
  toolNames: Map<string, string>,
  marked: { readonly cacheMark?: CacheMark },
  drop: DropField,
): readonly Part[] {
  const { input = {}, caller } = block;
  if (isPresent(block["toolset_name"])) drop(`${path}.toolset_name`);
  if (isRecord(caller) && caller["type"] !== "direct") drop(`${path}.caller`);
  const id = textOf(block["id"]) ?? "";
  const name = textOf(block["name"]) ?? "";
  toolNames.set(id, name);
  // A string is what formatMessage makes of arguments that are broken JSON.
  const argumentsJson = typeof input === "string" ? input : toJson(input);
  return [{ type: "tool_call", id, name, argumentsJson, ...marked }];
}

function readToolResult(
  block: JsonRecord,
  path: string,
  toolNames: Map<string, string>,
  marked: { readonly cacheMark?: CacheMark },
  drop: DropField,
): readonly Part[] {
  if (isPresent(block["toolset_name"])) drop(`${path}.toolset_name`);
  const callId = textOf(block["tool_use_id"]) ?? "";
  const name = toolNames.get(callId);
  return [
    {
      type: "tool_result",
      callId,
      ...(name !== undefined && name !== "" && { name }),
      parts: readContent(block["content"], `${path}.content`, toolNames, drop),
      ...(block["is_error"] === true && { isError: true }),
      ...marked,
    },
  ];
}
