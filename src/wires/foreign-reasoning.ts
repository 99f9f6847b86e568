/**
 * A client's history on its way to an upstream of its own wire, without the reasoning that the upstream would refuse,
 * since another vendor signed it: so it is where a route has targets of several vendors. Looks at what was parsed anyway;
 * undefined, the usual case, where all bytes may stay as they are. Pure.
 */

import { toolId } from "./anthropic/upstream-content.ts";
import { isWrappedForGemini } from "./gemini/client-reasoning.ts";
import { isWrappedForResponses } from "./openai-responses/client-reasoning.ts";
import { isTagged, untagSignature } from "./reasoning-provenance.ts";
import { isRecord, listOf, recordOf, type JsonRecord } from "../json/fields.ts";

/** An item as it is, changed, or (undefined) left out. */
type Keep = (item: JsonRecord) => JsonRecord | undefined;

/**
 * `messages` for Claude: without reasoning that is unsigned, or that others have signed or encrypted, and with ids of calls
 * that it takes (the gateway itself gave the client another vendor's).
 */
export function ownMessages(messages: unknown): readonly unknown[] | undefined {
  return mapped(messages, (message) => {
    const content = mapped(message["content"], message["role"] === "assistant" ? ownBlock : ownResult);
    if (content === undefined) return message;
    // The wire refuses a turn without content.
    return content.length === 0 ? undefined : { ...message, content };
  });
}

const ownBlock: Keep = (block) => {
  const { type, signature, data } = block;
  // An empty signature is what a client of this wire is given where another vendor's reasoning has none.
  if (type === "thinking") return signature === "" || isForeign(signature) ? undefined : block;
  if (type === "tool_use") return withFit(block, "id", toolId);
  return type === "redacted_thinking" && isForeign(data) ? undefined : block;
};

const ownResult: Keep = (block) =>
  block["type"] === "tool_result" ? withFit(block, "tool_use_id", toolId) : block;

function withFit(item: JsonRecord, field: string, fit: (id: string) => string): JsonRecord {
  const id = item[field];
  const fitted = typeof id === "string" ? fit(id) : id;
  return fitted === id ? item : { ...item, [field]: fitted };
}

const isForeign = (opaque: unknown): boolean => typeof opaque === "string" && isTagged(opaque);

/** `contents` for Gemini: without others' signatures, and without what they have encrypted. */
export function ownContents(contents: unknown): readonly unknown[] | undefined {
  return mapped(contents, (content) => {
    const parts = mapped(content["parts"], ownPart);
    if (parts === undefined) return content;
    return parts.length === 0 ? undefined : { ...content, parts };
  });
}

const ownPart: Keep = (part) => {
  if (!isWrappedForGemini(part["thoughtSignature"] ?? part["thought_signature"])) return part;
  const { thoughtSignature: _, thought_signature: __, ...rest } = part;
  // Reasoning without text holds what is encrypted.
  return rest["thought"] === true && (rest["text"] ?? "") === "" ? undefined : rest;
};

/** `input` for OpenAI's Responses: without others' reasoning, and with calls as that wire has them. */
export function ownItems(input: unknown): readonly unknown[] | undefined {
  return mapped(input, (item) => {
    if (!isWrappedForResponses(item["encrypted_content"])) return item;
    const { encrypted_content: _, ...rest } = item;
    return rest["type"] === "reasoning" ? undefined : rest;
  });
}

/**
 * `messages` for a chat upstream: Gemini's signatures as Google's own chat endpoint has them, none on reasoning, and calls' ids
 * that it takes.
 */
export function ownTurns(messages: unknown, fitId: (id: string) => string): readonly unknown[] | undefined {
  return mapped(messages, (message) => {
    if (message["role"] === "tool") return withFit(message, "tool_call_id", fitId);
    if (message["role"] !== "assistant") return message;
    const details = mapped(message["reasoning_details"], ownDetail);
    const calls = mapped(message["tool_calls"], (call) => withFit(ownCall(call) ?? call, "id", fitId));
    if (details === undefined && calls === undefined) return message;
    return {
      ...message,
      ...(details && { reasoning_details: details }),
      ...(calls && { tool_calls: calls }),
    };
  });
}

const ownDetail: Keep = (detail) => {
  if (isForeign(detail["data"])) return undefined;
  if (!isForeign(detail["signature"])) return detail;
  const { signature: _, ...rest } = detail;
  return rest;
};

const ownCall: Keep = (call) => {
  const extra = recordOf(call["extra_content"]);
  const google = recordOf(extra["google"]);
  const { thought_signature: said } = google;
  const signature = typeof said === "string" ? untagSignature(said) : undefined;
  if (signature === undefined) return call;
  return { ...call, extra_content: { ...extra, google: { ...google, thought_signature: signature } } };
};

/** The list with each object as `keep` has it; undefined where it isn't a list or nothing changes. */
function mapped(list: unknown, keep: Keep): readonly unknown[] | undefined {
  const items = listOf(list);
  if (!items.some((item) => isRecord(item) && keep(item) !== item)) return undefined;
  return items.flatMap((item) => (isRecord(item) ? (keep(item) ?? []) : [item]));
}
