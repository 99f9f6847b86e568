/**
 * The parts of a chat message's content, read into ours. https://platform.openai.com/docs/api-reference/chat/create
 * (seen 2026-11)
 */

import type { CacheMark, DropField, Part } from "../../schema/conversation.ts";
import { readMediaUrl } from "../../bytes/media-url.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";

const PDF = "application/pdf";

/** A string, or a list of parts. `path` is where the content stands, for `drop`. */
export function readChatParts(content: unknown, path: string, drop: DropField): readonly Part[] {
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return listOf(content).flatMap((part, at) => readPart(recordOf(part), `${path}[${at}]`, drop));
}

/**
 * OpenAI's own mark, or Anthropic's, which vendors that pass it on take on this wire (OpenRouter). OpenAI's times to live
 * are not Anthropic's: the mark goes on without.
 */
export function readChatCacheMark(part: JsonRecord): { readonly cacheMark?: CacheMark } {
  const { cache_control: mark, prompt_cache_breakpoint: breakpoint } = part;
  if (!isRecord(mark)) return isRecord(breakpoint) ? { cacheMark: {} } : {};
  const ttl = textOf(mark["ttl"]);
  return { cacheMark: ttl === undefined ? {} : { ttl } };
}

function readPart(part: JsonRecord, path: string, drop: DropField): readonly Part[] {
  const marked = readChatCacheMark(part);
  switch (part["type"]) {
    case "text": {
      const text = textOf(part["text"]);
      return text === undefined ? [] : [{ type: "text", text, ...marked }];
    }
    case "refusal":
      return [{ type: "refusal", text: textOf(part["refusal"]) ?? "" }];
    case "image_url":
      return readImage(part["image_url"], path, marked, drop);
    case "input_audio":
      return readAudio(recordOf(part["input_audio"]), path, drop);
    case "file":
      return readFile(recordOf(part["file"]), path, marked, drop);
    default:
      drop(path);
      return [];
  }
}

const DETAILS = ["auto", "low", "high"] as const;

/** `original` and whatever else comes is the vendor's own: the picture goes on without. */
export function readDetail(detail: unknown): { readonly detail?: (typeof DETAILS)[number] } {
  const known = DETAILS.find((word) => word === detail);
  return known === undefined ? {} : { detail: known };
}

function readImage(
  image: unknown,
  path: string,
  marked: { readonly cacheMark?: CacheMark },
  drop: DropField,
): readonly Part[] {
  const { url, detail } = isRecord(image) ? image : { url: image };
  const source = readMediaUrl(textOf(url) ?? "");
  if (source !== undefined) return [{ type: "image", source, ...readDetail(detail), ...marked }];
  drop(`${path}.image_url`);
  return [];
}

function readAudio(audio: JsonRecord, path: string, drop: DropField): readonly Part[] {
  const base64 = textOf(audio["data"]);
  const format = textOf(audio["format"]) ?? "wav";
  if (base64 === undefined) {
    drop(`${path}.input_audio`);
    return [];
  }
  return [{ type: "audio", source: { kind: "inline", mediaType: mediaTypeOfAudio(format), base64 } }];
}

/** `mp3` and `wav` are the words of this wire. */
function mediaTypeOfAudio(format: string): string {
  return format === "mp3" ? "audio/mpeg" : `audio/${format}`;
}

function readFile(
  file: JsonRecord,
  path: string,
  marked: { readonly cacheMark?: CacheMark },
  drop: DropField,
): readonly Part[] {
  const data = textOf(file["file_data"]);
  const name = textOf(file["filename"]);
  const source = data === undefined ? undefined : readFileData(data);
  if (source !== undefined)
    return [{ type: "document", source, ...(name !== undefined && { name }), ...marked }];
  // A file kept by OpenAI can be read by OpenAI only.
  drop(isPresent(file["file_id"]) ? `${path}.file.file_id` : `${path}.file`);
  return [];
}

/** A `data:` URL, or bare base64, which the API takes for a PDF. */
export function readFileData(data: string): ReturnType<typeof readMediaUrl> {
  return /^data:/i.test(data) ? readMediaUrl(data) : { kind: "inline", mediaType: PDF, base64: data };
}
