/**
 * How many tokens a request will be billed for its prompt, in any client's wire: texts by their script, media by the
 * vendors' rules, never by the length of base64. For reservations, conditions and usage that was not reported. Pure.
 */

import { isRecord, recordOf, textOf } from "../../json/fields.ts";
import type { ChatRequest } from "../../schema/chat.ts";
import type { MediaRule } from "../../schema/wire-traits.ts";
import { mediaTokens } from "./media-tokens.ts";
import { textTokens } from "./text-tokens.ts";

/** The largest context and the longest answer that a vendor documents (Gemini; GPT-5, Claude: seen 2026-11). */
const MAX_INPUT_TOKENS = 2_097_152;
const MAX_OUTPUT_TOKENS = 131_072;

export interface EstimatedTokens {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/**
 * Tokens a request will use, before anything was counted. `expectedOutput` is what the model's answers have come to
 * (targets/output-lengths.ts); it never counts for more than the client allows.
 */
export function estimateTokens(chat: ChatRequest, expectedOutput?: number): EstimatedTokens {
  const { maxOutputTokens, choiceCount = 1 } = chat.params;
  const allowed = Math.min(MAX_OUTPUT_TOKENS, maxOutputTokens ?? expectedOutput ?? 0);
  const each = Math.min(allowed, expectedOutput ?? allowed);
  return { inputTokens: promptTokens(chat), outputTokens: each * choiceCount };
}

/** A request is estimated several times on its way; equal ones share their parsed body. */
const known = new WeakMap<object, number>();

/** Whole tokens, one at least. */
export function promptTokens({ body, bodyText, wire }: ChatRequest): number {
  const before = known.get(body);
  if (before !== undefined) return before;
  const sum = isEmpty(body)
    ? textTokens(bodyText)
    : bodyTokens(body, wire.mediaRule, wire.insignificantFields);
  const tokens = Math.min(MAX_INPUT_TOKENS, Math.max(1, Math.ceil(sum)));
  // A request that is passed on unread has a body of its own that is empty.
  if (!isEmpty(body)) known.set(body, tokens);
  return tokens;
}

function isEmpty(body: object): boolean {
  for (const _ in body) return false;
  return true;
}

/** Settings are not billed: of the top level's members only texts and lists of something count. */
function bodyTokens(
  body: Readonly<Record<string, unknown>>,
  rule: MediaRule,
  insignificant: ReadonlySet<string>,
): number {
  let sum = 0;
  for (const [key, value] of Object.entries(body)) {
    if (key === "model" || insignificant.has(key)) continue;
    if (typeof value === "string" || typeof value === "object") sum += tokensOf(key, value, rule, 0);
  }
  return sum;
}

/** Deeper than any tool's schema. */
const MAX_DEPTH = 64;
/** What frames a message, a part or a definition beside its texts. */
const OBJECT_TOKENS = 1;

function tokensOf(key: string, value: unknown, rule: MediaRule, depth: number): number {
  if (typeof value === "string") return stringTokens(key, value, rule);
  if (typeof value === "number") return 1;
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return 0;
  let sum = 0;
  if (Array.isArray(value)) {
    for (const item of value) sum += tokensOf(key, item, rule, depth + 1);
    return sum;
  }
  // A number that a double can't hold.
  if (!isRecord(value)) return 1;
  const media = partTokens(value, rule);
  if (media !== undefined) return media;
  sum = OBJECT_TOKENS;
  for (const member of Object.keys(value))
    sum += textTokens(member) + tokensOf(member, value[member], rule, depth + 1);
  return sum;
}

/** Proofs and sealed reasoning, which vendors read back and bill as the reasoning they stand for, if at all. */
const OPAQUE = new Set(["signature", "thoughtSignature", "thought_signature", "encrypted_content", "data"]);
const CHARS_PER_OPAQUE_TOKEN = 8;

function stringTokens(key: string, text: string, rule: MediaRule): number {
  if (OPAQUE.has(key) && !text.includes(" ")) return text.length / CHARS_PER_OPAQUE_TOKEN;
  return text.startsWith("data:") ? urlTokens(text, rule, "", false) : textTokens(text);
}

/** The tokens of a part that is media in one of the wires' forms; undefined for any other object. */
function partTokens(part: Readonly<Record<string, unknown>>, rule: MediaRule): number | undefined {
  return openAiPart(part, rule) ?? anthropicPart(part, rule) ?? geminiPart(part, rule);
}

function openAiPart(part: Readonly<Record<string, unknown>>, rule: MediaRule): number | undefined {
  const image = part["image_url"];
  if (image !== undefined) {
    const url = textOf(image) ?? textOf(recordOf(image)["url"]) ?? "";
    const isLow = part["detail"] === "low" || recordOf(image)["detail"] === "low";
    return urlTokens(url, rule, "image/", isLow);
  }
  const audio = part["input_audio"];
  if (isRecord(audio)) return mediaTokens(rule, "audio/", textOf(audio["data"]));
  const file =
    part["type"] === "input_file" ? part : part["type"] === "file" ? recordOf(part["file"]) : undefined;
  if (file === undefined) return undefined;
  const data = textOf(file["file_data"]);
  return data === undefined
    ? mediaTokens(rule, "application/pdf", undefined)
    : urlTokens(data, rule, "", false);
}

function anthropicPart(part: Readonly<Record<string, unknown>>, rule: MediaRule): number | undefined {
  const { type, source } = part;
  if ((type !== "image" && type !== "document") || !isRecord(source)) return undefined;
  const { type: kind, media_type: mediaType, data } = source;
  if (kind === "text" || kind === "content") return tokensOf("text", data ?? source["content"], rule, 0);
  const usual = type === "image" ? "image/" : "application/pdf";
  return mediaTokens(rule, textOf(mediaType) ?? usual, kind === "base64" ? textOf(data) : undefined);
}

function geminiPart(part: Readonly<Record<string, unknown>>, rule: MediaRule): number | undefined {
  const inline = part["inlineData"] ?? part["inline_data"];
  const media = inline ?? part["fileData"] ?? part["file_data"];
  if (!isRecord(media)) return undefined;
  const mediaType = textOf(media["mimeType"]) ?? textOf(media["mime_type"]) ?? "image/";
  return mediaTokens(rule, mediaType, inline === undefined ? undefined : textOf(media["data"]));
}

/** `usual` is the media type where the URL names none. */
function urlTokens(url: string, rule: MediaRule, usual: string, isLowDetail: boolean): number {
  const comma = url.startsWith("data:") ? url.indexOf(",") : -1;
  if (comma < 0) return mediaTokens(rule, usual === "" ? "application/pdf" : usual, undefined, isLowDetail);
  const mediaType = url.slice("data:".length, comma).split(";", 1)[0] ?? "";
  return mediaTokens(rule, mediaType === "" ? usual : mediaType, url.slice(comma + 1), isLowDetail);
}
