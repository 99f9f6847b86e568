/**
 * A conversation made to fit what a vendor of the chat wire can be told: what it lacks is taken out, and calls get ids
 * that it takes. Pure.
 */

import { digest, fitId } from "../fit-text.ts";
import type { Conversation, Message, Part, Sampling } from "../../schema/conversation.ts";

/** What a vendor may lack, by the meaning that `FieldMeaning` names. `schema`: JSON output, but not by a schema. */
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
  limits: Limits,
  drop: (meaning: Meaning) => void,
): Conversation {
  const { lacks = [] } = limits;
  const fitted = lacks.reduce((fitting, lacking) => without(fitting, lacking, drop), conversation);
  const fit = callIdFitter(limits);
  return { ...fitted, messages: fitted.messages.map((message) => fitCallIds(message, fit)) };
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

function fitCallIds(message: Message, fit: (id: string) => string): Message {
  const fitPart = (part: Part): Part => {
    if (part.type === "tool_call") return { ...part, id: fit(part.id) };
    return part.type === "tool_result" ? { ...part, callId: fit(part.callId) } : part;
  };
  return { ...message, parts: message.parts.map(fitPart) };
}

const NINE = /^[A-Za-z0-9]{9}$/;
const NINE_CHARS = 9;
/** OpenAI's bound of a call's id, which no vendor's own ids come near. */
const MAX_ID_CHARS = 40;
const EVERY_CHARACTER = /(?!)/g;

/** What makes a call's id one that the vendor takes: the same for the same id, so that results still find their calls. */
export function callIdFitter({ takesShortCallIdsOnly = false }: Limits): (id: string) => string {
  return takesShortCallIdsOnly
    ? (id) => (NINE.test(id) ? id : digest(id).slice(-NINE_CHARS))
    : (id) => fitId(id, EVERY_CHARACTER, MAX_ID_CHARS);
}
