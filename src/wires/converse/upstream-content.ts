/**
 * Parts of a conversation as content blocks of Bedrock's Converse wire.
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (seen 2026-11)
 */

import type { CacheMark, MediaSource, Part } from "../../schema/conversation.ts";
import { isTagged } from "../reasoning-provenance.ts";
import type { JsonRecord } from "../../json/fields.ts";
import { type DropMeaning, parseInput, toolId } from "../anthropic/upstream-content.ts";

/** A document's name may have letters, digits, single spaces, hyphens, parentheses and brackets. */
const NOT_NAME = /[^a-zA-Z0-9()[\]-]+/g;
const DEFAULT_NAME = "document";

const IMAGE_FORMATS: ReadonlyMap<string, string> = new Map([
  ["image/png", "png"],
  ["image/jpeg", "jpeg"],
  ["image/jpg", "jpeg"],
  ["image/gif", "gif"],
  ["image/webp", "webp"],
]);
const DOCUMENT_FORMATS: ReadonlyMap<string, string> = new Map([
  ["application/pdf", "pdf"],
  ["text/plain", "txt"],
  ["text/markdown", "md"],
  ["text/html", "html"],
  ["text/csv", "csv"],
  ["application/msword", "doc"],
  ["application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"],
  ["application/vnd.ms-excel", "xls"],
  ["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"],
]);
const AUDIO_FORMATS: ReadonlyMap<string, string> = new Map([
  ["audio/wav", "wav"],
  ["audio/mp3", "mp3"],
  ["audio/mpeg", "mp3"],
]);

/** The blocks of one part, its cache point behind it; none for what has no place on this wire. */
export function writeConversePart(part: Part, drop: DropMeaning): readonly JsonRecord[] {
  const blocks = writeBlocks(part, drop);
  const mark = "cacheMark" in part ? part.cacheMark : undefined;
  return blocks.length === 0 || mark === undefined ? blocks : [...blocks, writeCachePoint(mark)];
}

export function writeCachePoint({ ttl }: CacheMark): JsonRecord {
  return { cachePoint: { type: "default", ...(ttl !== undefined && { ttl }) } };
}

function writeBlocks(part: Part, drop: DropMeaning): readonly JsonRecord[] {
  switch (part.type) {
    case "text":
    case "refusal":
      // The wire refuses a text of white space only.
      return part.text.trim() === "" ? [] : [{ text: part.text }];
    case "image":
      if (part.detail === "low" || part.detail === "high") drop("imageDetail");
      return writeMedia("image", part.source, IMAGE_FORMATS, () => drop("image"));
    case "audio":
      return writeMedia("audio", part.source, AUDIO_FORMATS, () => drop("audio"));
    case "document":
      return writeDocument(part, drop);
    case "reasoning": {
      const { text, signature, encrypted } = part;
      const opaque = encrypted ?? signature;
      // Without a signature, or with another vendor's, it would be refused, and is not needed.
      if (opaque === undefined || isTagged(opaque)) return [];
      const reasoningText = { text, signature };
      return [
        { reasoningContent: encrypted === undefined ? { reasoningText } : { redactedContent: encrypted } },
      ];
    }
    case "tool_call": {
      const { id, name, argumentsJson } = part;
      return [{ toolUse: { toolUseId: toolId(id), name, input: parseInput(argumentsJson) } }];
    }
    case "tool_result": {
      const content = part.parts.flatMap((inner) => writeBlocks(inner, drop));
      const status = part.isError === true ? { status: "error" } : {};
      return [{ toolResult: { toolUseId: toolId(part.callId), content, ...status } }];
    }
  }
}

/** Bytes inline, or an object of S3: no other address is fetched. */
function writeSource(source: MediaSource): JsonRecord | undefined {
  if (source.kind === "inline") return { bytes: source.base64 };
  return source.url.startsWith("s3://") ? { s3Location: { uri: source.url } } : undefined;
}

function writeMedia(
  kind: "image" | "audio",
  source: MediaSource,
  formats: ReadonlyMap<string, string>,
  refuse: () => void,
): readonly JsonRecord[] {
  const written = writeSource(source);
  const format =
    source.kind === "inline"
      ? formats.get(source.mediaType)
      : [...formats.values()].find((known) => source.url.endsWith(`.${known}`));
  if (written !== undefined && format !== undefined) return [{ [kind]: { format, source: written } }];
  refuse();
  return [];
}

function writeDocument(
  { source, name = DEFAULT_NAME }: Extract<Part, { readonly type: "document" }>,
  drop: DropMeaning,
): readonly JsonRecord[] {
  const named = { name: name.replace(NOT_NAME, " ").trim() || DEFAULT_NAME };
  if (source.kind === "text") {
    return [{ document: { ...named, format: "txt", source: { text: source.text } } }];
  }
  const written = writeSource(source);
  const format =
    source.kind === "inline"
      ? DOCUMENT_FORMATS.get(source.mediaType)
      : [...DOCUMENT_FORMATS.values()].find((known) => source.url.endsWith(`.${known}`));
  if (written !== undefined && format !== undefined) {
    return [{ document: { ...named, format, source: written } }];
  }
  drop("document");
  return [];
}
