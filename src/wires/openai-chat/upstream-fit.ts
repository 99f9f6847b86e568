/**
 * A conversation made to fit what a vendor of the chat wire can be told: what it lacks is taken out, and calls get ids
 * that it takes. Pure.
 */

import { fnv1a } from "../../bytes/digest.ts";
import type { Conversation, Message, Part, Sampling } from "../../schema/conversation.ts";

/** What a vendor may lack, by the meaning that client-fields.ts names. `schema`: JSON output, but not by a schema. */
export type Lacking =
  | "frequencyPenalty"
  | "presencePenalty"
  | "seed"
  | "stop"
  | "logprobs"
  | "choiceCount"
  | "parallelToolCalls"
  | "toolChoice"
  | "tools"
  | "schema";

interface Limits {
  readonly lacks?: readonly Lacking[];
  readonly takesShortCallIdsOnly?: boolean;
}

type Meaning = Exclude<Lacking, "schema"> | "output";

/** `drop` is called for what the client asked for and does not get. */
export function fitConversation(
  conversation: Conversation,
  { lacks = [], takesShortCallIdsOnly = false }: Limits,
  drop: (meaning: Meaning) => void,
): Conversation {
  const fitted = lacks.reduce((fitting, lacking) => without(fitting, lacking, drop), conversation);
  return takesShortCallIdsOnly ? { ...fitted, messages: fitted.messages.map(shortenCallIds) } : fitted;
}

const SAMPLING = {
  frequencyPenalty: "frequencyPenalty",
  presencePenalty: "presencePenalty",
  seed: "seed",
  stop: "stopSequences",
  logprobs: "topLogprobs",
  choiceCount: "choiceCount",
} as const satisfies Partial<Record<Lacking, keyof Sampling>>;

function without(
  conversation: Conversation,
  lacking: Lacking,
  drop: (meaning: Meaning) => void,
): Conversation {
  switch (lacking) {
    case "parallelToolCalls": {
      // That calls may come in parallel is what happens anyway.
      if (conversation.parallelToolCalls === false) drop(lacking);
      const { parallelToolCalls: _, ...rest } = conversation;
      return rest;
    }
    case "toolChoice":
      return withoutToolChoice(conversation, drop);
    case "tools":
      if (conversation.tools.length > 0) drop(lacking);
      return { ...conversation, tools: [] };
    case "schema":
      if (conversation.output?.type !== "json_schema") return conversation;
      drop("output");
      return { ...conversation, output: { type: "json" } };
    case "frequencyPenalty":
    case "presencePenalty":
    case "seed":
    case "stop":
    case "logprobs":
    case "choiceCount": {
      const field = SAMPLING[lacking];
      const value = conversation.sampling[field];
      if (value === undefined) return conversation;
      if (!(lacking === "choiceCount" && value === 1)) drop(lacking);
      const { [field]: _, ...sampling } = conversation.sampling;
      return { ...conversation, sampling };
    }
  }
}

/** `none` can be had without a word for it: nothing that isn't there can be called. */
function withoutToolChoice(conversation: Conversation, drop: (meaning: Meaning) => void): Conversation {
  const { toolChoice, ...rest } = conversation;
  if (toolChoice?.type === "none") return { ...rest, tools: [] };
  if (toolChoice !== undefined && toolChoice.type !== "auto") drop("toolChoice");
  return rest;
}

function shortenCallIds(message: Message): Message {
  return { ...message, parts: message.parts.map(shortenCallId) };
}

function shortenCallId(part: Part): Part {
  if (part.type === "tool_call") return { ...part, id: shortId(part.id) };
  return part.type === "tool_result" ? { ...part, callId: shortId(part.callId) } : part;
}

const SHORT_ID = /^[A-Za-z0-9]{9}$/;
const SHORT_ID_CHARS = 9;
const BASE = 36;

/** The same short id for the same long one, so that results still find their calls; a short one as it is. */
function shortId(id: string): string {
  if (SHORT_ID.test(id)) return id;
  const text = fnv1a(id).toString(BASE) + fnv1a(`${id}.`).toString(BASE);
  return text.padStart(SHORT_ID_CHARS, "0").slice(-SHORT_ID_CHARS);
}
