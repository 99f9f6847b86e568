/**
 * The parts of Gemini's contents, read into ours. Calls get made-up ids where they have none, and results find their
 * call by name and order. https://ai.google.dev/api/caching#Part (seen 2026-11)
 */

import type { DropField, MediaSource, Part } from "../../schema/conversation.ts";
import { isPresent, isRecord, listOf, textOf, type JsonRecord } from "../../json/fields.ts";
import { guessMediaType } from "../../bytes/media-url.ts";
import { refuse } from "../checked-body.ts";
import { camelFields, knownFields } from "./client-fields.ts";
import { unwrapFromGemini } from "./client-reasoning.ts";
import { toJson } from "../../json/exact.ts";

/** What belongs to a part beside its content; `partMetadata` is the client's own note. */
const PART_FIELDS: ReadonlySet<string> = new Set([
  "text",
  "thought",
  "thoughtSignature",
  "inlineData",
  "fileData",
  "functionCall",
  "functionResponse",
  "partMetadata",
]);
const BLOB_FIELDS: ReadonlySet<string> = new Set(["mimeType", "data", "displayName"]);
const FILE_FIELDS: ReadonlySet<string> = new Set(["mimeType", "fileUri", "displayName"]);
const CALL_FIELDS: ReadonlySet<string> = new Set(["id", "name", "args"]);
const RESULT_FIELDS: ReadonlySet<string> = new Set(["id", "name", "response", "parts"]);

/** Reads the parts of one content after another; holds the calls that wait for their results. */
export function createPartReader(drop: DropField): (parts: unknown, path: string) => readonly Part[] {
  let calls = 0;
  /** Ids of the calls without a result so far, by the tool's name, oldest first. */
  const waiting = new Map<string, string[]>();

  function readPart(part: unknown, path: string): readonly Part[] {
    const fields = knownFields(part, path, PART_FIELDS, drop);
    if (isPresent(fields["functionCall"])) return [readCall(fields, path)];
    if (isPresent(fields["functionResponse"])) return readResult(fields["functionResponse"], path);
    if (isPresent(fields["inlineData"])) return readBlob(fields["inlineData"], `${path}.inlineData`, drop);
    if (isPresent(fields["fileData"])) return readFile(fields["fileData"], `${path}.fileData`, drop);
    return readText(fields);
  }

  function readCall(part: JsonRecord, path: string): Part {
    const call = knownFields(part["functionCall"], `${path}.functionCall`, CALL_FIELDS, drop);
    const name = textOf(call["name"]) ?? refuse(`${path}.functionCall.name`, "it is required");
    calls += 1;
    const id = textOf(call["id"]) ?? `call_${calls}`;
    waiting.set(name, [...(waiting.get(name) ?? []), id]);
    const { signature } = unwrapFromGemini(part["thoughtSignature"]);
    return {
      type: "tool_call",
      id,
      name,
      argumentsJson: toJson(call["args"] ?? {}),
      ...(signature !== undefined && { signature }),
    };
  }

  function readResult(response: unknown, path: string): readonly Part[] {
    const result = knownFields(response, `${path}.functionResponse`, RESULT_FIELDS, drop);
    const name = textOf(result["name"]) ?? refuse(`${path}.functionResponse.name`, "it is required");
    const queue = waiting.get(name) ?? [];
    const given = textOf(result["id"]);
    // A result whose call isn't in the request keeps a name of its own: the upstream says what it thinks of it.
    const callId = given ?? queue[0] ?? `call_of_${name}`;
    waiting.set(
      name,
      queue.filter((id) => id !== callId),
    );
    const { text, isError } = readOutput(result["response"]);
    const media = listOf(result["parts"]).flatMap((part, at) =>
      readPart(part, `${path}.functionResponse.parts[${at}]`),
    );
    return [
      {
        type: "tool_result",
        callId,
        name,
        parts: text === "" ? media : [{ type: "text", text }, ...media],
        ...(isError && { isError }),
      },
    ];
  }

  return (parts, path) => listOf(parts).flatMap((part, at) => readPart(part, `${path}[${at}]`));
}

/** `output` and `error` are the words Google's documentation gives; without them the whole object is the output. */
function readOutput(response: unknown): { readonly text: string; readonly isError: boolean } {
  if (!isRecord(response)) return { text: "", isError: false };
  const names = Object.keys(response);
  const isError = names.length === 1 && names[0] === "error";
  const said = isError
    ? response["error"]
    : names.length === 1 && names[0] === "output"
      ? response["output"]
      : response;
  return { text: typeof said === "string" ? said : toJson(said), isError };
}

function readText(part: JsonRecord): readonly Part[] {
  const text = typeof part["text"] === "string" ? part["text"] : "";
  if (part["thought"] !== true) return text === "" ? [] : [{ type: "text", text }];
  const { signature, encrypted } = unwrapFromGemini(part["thoughtSignature"]);
  if (encrypted !== undefined) return [{ type: "reasoning", text: "", encrypted }];
  return [{ type: "reasoning", text, ...(signature !== undefined && { signature }) }];
}

function readBlob(blob: unknown, path: string, drop: DropField): readonly Part[] {
  const fields = knownFields(blob, path, BLOB_FIELDS, drop);
  const mediaType = textOf(fields["mimeType"]) ?? refuse(`${path}.mimeType`, "it is required");
  const base64 = textOf(fields["data"]) ?? refuse(`${path}.data`, "it is required");
  // Protobuf's JSON takes the URL-safe alphabet too; other vendors don't.
  const data = base64.replaceAll("-", "+").replaceAll("_", "/");
  return readMedia(
    { kind: "inline", mediaType, base64: data },
    mediaType,
    textOf(fields["displayName"]),
    path,
    drop,
  );
}

function readFile(file: unknown, path: string, drop: DropField): readonly Part[] {
  const fields = knownFields(file, path, FILE_FIELDS, drop);
  const url = textOf(fields["fileUri"]) ?? refuse(`${path}.fileUri`, "it is required");
  // Files kept by Google can be read by Google only.
  if (!/^https?:/.test(url) || GOOGLE_FILE.test(url)) {
    drop(path);
    return [];
  }
  const mediaType = textOf(fields["mimeType"]) ?? guessMediaType(url, "image/jpeg");
  return readMedia({ kind: "url", url }, mediaType, textOf(fields["displayName"]), path, drop);
}

const GOOGLE_FILE = /^https:\/\/(generativelanguage\.googleapis\.com\/|(www\.)?youtube\.com\/|youtu\.be\/)/;

function readMedia(
  source: MediaSource,
  mediaType: string,
  name: string | undefined,
  path: string,
  drop: DropField,
): readonly Part[] {
  if (mediaType.startsWith("image/")) return [{ type: "image", source }];
  if (mediaType.startsWith("audio/")) return [{ type: "audio", source }];
  if (mediaType === "application/pdf" || mediaType.startsWith("text/")) {
    return [{ type: "document", source, ...(name !== undefined && { name }) }];
  }
  drop(path);
  return [];
}

/** The texts of a content whose other parts no system prompt can hold. */
export function readSystem(content: unknown, path: string, drop: DropField): readonly Part[] {
  const parts: Part[] = [];
  listOf(camelFields(content)["parts"]).forEach((part, at) => {
    const fields = knownFields(part, `${path}.parts[${at}]`, SYSTEM_FIELDS, drop);
    const text = textOf(fields["text"]);
    if (text !== undefined) parts.push({ type: "text", text });
  });
  return parts;
}

const SYSTEM_FIELDS: ReadonlySet<string> = new Set(["text"]);

/** Whether this is a list of objects, which is all that is checked of contents before they are forwarded. */
export function isContentList(contents: unknown): boolean {
  return Array.isArray(contents) && contents.every(isRecord);
}
