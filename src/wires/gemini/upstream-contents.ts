/**
 * A conversation's messages as Gemini's contents. Neighbours of one role are merged, results name their function, and
 * reasoning of other vendors loses its signatures. https://ai.google.dev/api/caching#Content (seen 2026-11)
 */

import type { MediaSource, Message, Part } from "../../schema/conversation.ts";
import { untagSignature } from "../reasoning-provenance.ts";
import { isRecord, listOf, recordOf, type JsonRecord } from "../../json/fields.ts";
import { guessMediaType } from "../../bytes/media-url.ts";
import { isGemini3 } from "./gemini-capabilities.ts";
import { parseJson } from "../../json/exact.ts";

/** What Google's documentation says to send where a call's own signature is not known. */
const NO_SIGNATURE = "skip_thought_signature_validator";

interface Content {
  readonly role: "user" | "model";
  readonly parts: JsonRecord[];
}

export function toContents(messages: readonly Message[], model: string): readonly Content[] {
  const names = callNames(messages);
  const contents: Content[] = [];
  for (const message of messages) {
    const role = message.role === "assistant" ? "model" : "user";
    const parts = toParts(message.parts, names, model);
    if (parts.length === 0) continue;
    const last = contents.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else contents.push({ role, parts: [...parts] });
  }
  if (isGemini3(model)) for (const { parts } of contents) signFirstCall(parts);
  return contents;
}

/** Gemini pairs results with calls by the function's name, which other wires leave out of results. */
function callNames(messages: readonly Message[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { parts } of messages) {
    for (const part of parts) if (part.type === "tool_call") names.set(part.id, part.name);
  }
  return names;
}

/**
 * A client's own contents with the word for a signature that isn't known, where Gemini 3 would refuse a call of another
 * vendor's without it; undefined where nothing is missing.
 */
export function signCalls(contents: unknown, model: string): readonly unknown[] | undefined {
  if (!isGemini3(model)) return undefined;
  let isChanged = false;
  const signed = listOf(contents).map((content) => {
    const parts = listOf(recordOf(content)["parts"]);
    const at = parts.findIndex((part) => callOf(part) !== undefined);
    if (at < 0 || signatureOf(parts[at]) !== undefined) return content;
    isChanged = true;
    const first = { ...recordOf(parts[at]), thoughtSignature: NO_SIGNATURE };
    return { ...recordOf(content), parts: parts.with(at, first) };
  });
  return isChanged ? signed : undefined;
}

function callOf(part: unknown): unknown {
  return recordOf(part)["functionCall"] ?? recordOf(part)["function_call"];
}

function signatureOf(part: unknown): unknown {
  return recordOf(part)["thoughtSignature"] ?? recordOf(part)["thought_signature"];
}

function signFirstCall(parts: JsonRecord[]): void {
  const at = parts.findIndex((part) => part["functionCall"] !== undefined);
  const first = parts[at];
  if (first !== undefined && first["thoughtSignature"] === undefined) {
    parts[at] = { ...first, thoughtSignature: NO_SIGNATURE };
  }
}

function toParts(
  parts: readonly Part[],
  names: ReadonlyMap<string, string>,
  model: string,
): readonly JsonRecord[] {
  const written: JsonRecord[] = [];
  // Gemini signs the part behind a `thought` part, not that part itself.
  let signature: string | undefined;
  for (const part of parts) {
    if (part.type === "reasoning") {
      if (part.text !== "") written.push({ text: part.text, thought: true });
      signature = untagSignature(part.signature) ?? signature;
      continue;
    }
    const [first, ...rest] = toPart(part, names, model);
    if (first === undefined) continue;
    const isSigned = signature !== undefined && part.type === "text";
    written.push(isSigned ? { ...first, thoughtSignature: signature } : first, ...rest);
    if (isSigned) signature = undefined;
  }
  if (signature !== undefined) written.push({ text: "", thoughtSignature: signature });
  return written;
}

function toPart(
  part: Exclude<Part, { readonly type: "reasoning" }>,
  names: ReadonlyMap<string, string>,
  model: string,
): readonly JsonRecord[] {
  switch (part.type) {
    case "text":
    case "refusal":
      return part.text === "" ? [] : [{ text: part.text }];
    case "image":
      return [toMedia(part.source, "image/jpeg")];
    case "audio":
      return [toMedia(part.source, "audio/mp3")];
    case "document":
      return part.source.kind === "text"
        ? [{ text: part.source.text }]
        : [toMedia(part.source, "application/pdf")];
    case "tool_call": {
      const { id, name, argumentsJson } = part;
      const signature = untagSignature(part.signature);
      return [
        {
          functionCall: { ...(id !== "" && { id }), name, args: toArgs(argumentsJson) },
          ...(signature !== undefined && { thoughtSignature: signature }),
        },
      ];
    }
    case "tool_result":
      return toFunctionResponse(part, names, model);
  }
}

function toMedia(source: MediaSource, fallback: string): JsonRecord {
  if (source.kind === "inline") return { inlineData: { mimeType: source.mediaType, data: source.base64 } };
  return { fileData: { mimeType: guessMediaType(source.url, fallback), fileUri: source.url } };
}

/** Arguments must be an object: what a model wrote otherwise is kept as the only member of one. */
function toArgs(argumentsJson: string): JsonRecord {
  if (argumentsJson.trim() === "") return {};
  return parseRecord(argumentsJson) ?? { arguments: argumentsJson };
}

function parseRecord(text: string): JsonRecord | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  try {
    const value: unknown = parseJson(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function toFunctionResponse(
  { callId, name, parts, isError }: Part & { readonly type: "tool_result" },
  names: ReadonlyMap<string, string>,
  model: string,
): readonly JsonRecord[] {
  const text = parts.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("");
  const media = parts.filter((part) => part.type !== "text").flatMap((part) => toParts([part], names, model));
  const functionResponse = {
    ...(callId !== "" && { id: callId }),
    name: name ?? names.get(callId) ?? callId,
    response: toOutput(text, isError === true),
  };
  if (media.length === 0) return [{ functionResponse }];
  return isGemini3(model)
    ? [{ functionResponse: { ...functionResponse, parts: media } }]
    : [{ functionResponse }, ...media];
}

/** An object as it is, unless its members would be read as Google's own words for output and error. */
function toOutput(text: string, isError: boolean): JsonRecord {
  if (isError) return { error: text };
  const value = parseRecord(text);
  return value === undefined || "output" in value || "error" in value ? { output: text } : value;
}
