/**
 * A request's last user text taken out of it: what a look-up by meaning compares, and the rest that must be equal. Pure.
 * The only place of the cache that knows where each wire keeps its turns; called by pipeline/caching/semantic-cache.ts.
 */

import type { ChatRequest } from "../schema/chat.ts";
import type { TurnFields } from "../schema/wire-traits.ts";
import { isRecord, type JsonRecord } from "../json/fields.ts";

export type LastUserText =
  | {
      readonly text: string;
      /** The request's body with that text left empty, its place and form kept. */
      readonly rest: JsonRecord;
    }
  /** Why the request can't be looked up by meaning: `gateway.cache.reason`. */
  | { readonly text?: undefined; readonly reason: "no_user_text" | "not_only_text" | "text_too_long" };

/** What the parts of a text are called where parts have types. */
const TEXT_TYPES: ReadonlySet<unknown> = new Set([undefined, "text", "input_text"]);
/** Embedding models read some 8,000 tokens of four characters; what they cut off would count as equal. */
const MAX_TEXT_CHARS = 32_000;

/** Several text parts count as one text; how many there are, and all else of them, is of the rest. */
export function cutLastUserText({ wire, body }: Pick<ChatRequest, "wire" | "body">): LastUserText {
  const where = wire.turnFields;
  const turns = where === undefined ? undefined : body[where.list];
  if (where === undefined || turns === undefined) return { reason: "no_user_text" };
  if (typeof turns === "string") return found([turns], { ...body, [where.list]: "" });
  const last: unknown = Array.isArray(turns) ? turns.at(-1) : undefined;
  if (!Array.isArray(turns) || !isUsers(last, where)) return { reason: "no_user_text" };
  const content = last[where.content];
  const withContent = (left: unknown): JsonRecord => ({
    ...body,
    [where.list]: [...turns.slice(0, -1), { ...last, [where.content]: left }],
  });
  if (typeof content === "string") return found([content], withContent(""));
  if (!Array.isArray(content)) return { reason: "no_user_text" };
  const texts: string[] = [];
  for (const part of content) {
    if (!isText(part)) return { reason: "not_only_text" };
    texts.push(part.text);
  }
  return found(texts, withContent(content.map((part: JsonRecord) => ({ ...part, text: "" }))));
}

function isUsers(turn: unknown, { isUserByDefault }: TurnFields): turn is JsonRecord {
  if (!isRecord(turn)) return false;
  return turn["role"] === "user" || (isUserByDefault && turn["role"] === undefined);
}

function isText(part: unknown): part is JsonRecord & { readonly text: string } {
  return isRecord(part) && typeof part["text"] === "string" && TEXT_TYPES.has(part["type"]);
}

function found(texts: readonly string[], rest: JsonRecord): LastUserText {
  const text = texts.join("\n").trim();
  if (text === "") return { reason: "no_user_text" };
  if (text.length > MAX_TEXT_CHARS) return { reason: "text_too_long" };
  return { text, rest };
}
