/**
 * What a request says of the vendor's prompt cache: the marks of its client, the session it belongs to, and digests of its
 * parts in the order in which vendors cache them. Pure. Texts are read and not kept.
 */

import { fnv1a } from "../../bytes/digest.ts";
import { isRecord, type JsonRecord } from "../../json/fields.ts";
import type { ChatRequest } from "../../schema/chat.ts";

type Asked = Pick<ChatRequest, "wire" | "body">;

/** Which requests share a vendor's cache. */
export interface PromptSession {
  /** The client's `x-headgate-session` or `prompt_cache_key`, else a digest of the conversation's first message. */
  readonly id: string;
  /** It asked for the cache's long life. */
  readonly isLong: boolean;
}

/** Undefined where the client sends neither a session nor a cache mark. */
export function readPromptSession(asked: Asked, session: string | undefined): PromptSession | undefined {
  const { prompt_cache_key: key, prompt_cache_retention: retention } = asked.body;
  const named = session ?? (typeof key === "string" && key !== "" ? key : undefined);
  const mark = findMark(asked);
  if (named === undefined && mark === undefined) return undefined;
  const isLong = retention === "24h" || (isRecord(mark) && mark["ttl"] === "1h");
  return { id: named ?? String(openingDigest(asked)), isLong };
}

/** The first cache mark: https://platform.claude.com/docs/en/build-with-claude/prompt-caching (seen 2026-11). */
function findMark({ wire: { turnFields }, body }: Asked): unknown {
  if (body["cache_control"] !== undefined) return body["cache_control"];
  for (const list of [body["tools"], body["system"], turnFields && body[turnFields.list]]) {
    if (!Array.isArray(list)) continue;
    for (const item of list) {
      if (!isRecord(item)) continue;
      if (item["cache_control"] !== undefined) return item["cache_control"];
      const parts = turnFields && item[turnFields.content];
      if (!Array.isArray(parts)) continue;
      for (const part of parts) {
        if (isRecord(part) && part["cache_control"] !== undefined) return part["cache_control"];
      }
    }
  }
  return undefined;
}

/** Requests of more parts are compared by their first ones. */
const MAX_PARTS = 1024;
/** What a prompt begins with, before its messages; a change of the settings makes Anthropic read the messages again. */
const HEADS: readonly (readonly [name: string, fields: readonly string[]])[] = [
  ["tools", ["tools", "functions"]],
  ["system", ["system", "systemInstruction", "system_instruction", "instructions"]],
  ["settings", ["tool_choice", "thinking", "response_format"]],
];

/** Each part's digest is of all up to it: two prompts are the same up to their first difference. */
export function digestPrompt(asked: Asked): Uint32Array {
  const heads = HEADS.map(([, fields]) => fields.map((field) => textOf(asked.body[field])).join());
  const texts = [
    ...heads,
    ...messagesOf(asked)
      .slice(0, MAX_PARTS - heads.length)
      .map(textOf),
  ];
  let digest: number | undefined;
  return Uint32Array.from(texts, (text) => (digest = fnv1a(text, digest)));
}

/** `tools`, `messages[3]`: a part by its place, in the client's words. */
export function partName({ wire: { turnFields } }: Pick<Asked, "wire">, at: number): string {
  return HEADS[at]?.[0] ?? `${turnFields?.list ?? "messages"}[${at - HEADS.length}]`;
}

/** Of the first message that is the user's: with the session, what makes it one conversation. */
export function openingDigest(asked: Asked): number {
  const messages = messagesOf(asked);
  const opening = messages.find((item) => !isRecord(item) || !INSTRUCTING.has(item["role"]));
  return fnv1a(textOf(opening));
}

const INSTRUCTING: ReadonlySet<unknown> = new Set(["system", "developer"]);

function messagesOf({ wire: { turnFields }, body }: Asked): readonly unknown[] {
  const list = turnFields && body[turnFields.list];
  return Array.isArray(list) ? list : [list];
}

/** Marks move from message to message, and none is a part of the prompt. */
const MARK = /,"cache_control":(?:\{[^{}]*\}|null)|"cache_control":(?:\{[^{}]*\}|null),?/g;

function textOf(part: unknown): string {
  const plain = isRecord(part) ? withPlainText(part) : part;
  return plain === undefined ? "" : JSON.stringify(plain).replaceAll(MARK, "");
}

/** A marked text has to be a part of a list; without its mark many clients write it as a text alone. */
function withPlainText(item: JsonRecord): JsonRecord {
  const { content } = item;
  const [only, ...others]: readonly unknown[] = Array.isArray(content) ? content : [];
  const isText = isRecord(only) && only["type"] === "text" && typeof only["text"] === "string";
  return isText && others.length === 0 ? { ...item, content: only["text"] } : item;
}
