/**
 * What Claude refuses together, or by its form, made to fit: each a pure step of its own. What changes nothing but a degree is
 * left out and listed; what would change the answer is refused by name.
 * https://platform.claude.com/docs/en/build-with-claude/extended-thinking (seen 2026-11)
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type { Conversation, Message, Sampling } from "../../schema/conversation.ts";
import type { JsonRecord } from "../../json/fields.ts";
import { refuse } from "../checked-body.ts";
import { isTagged } from "../reasoning-provenance.ts";
import type { Claude } from "./claude-capabilities.ts";
import type { DropMeaning } from "./upstream-content.ts";
import { type Thinking, writeThinking } from "./upstream-thinking.ts";

/** What these parameters are when they aren't set; models that take no others take these. */
const DEFAULT_TEMPERATURE = 1;
const DEFAULT_TOP_P = 1;
/** The wire's bound; OpenAI's is 2. */
const MAX_TEMPERATURE = 1;
/** The least `top_p` beside thinking. */
const MIN_THINKING_TOP_P = 0.95;

export function isThinking(thinking: JsonRecord | undefined): boolean {
  return thinking?.["type"] === "enabled" || thinking?.["type"] === "adaptive";
}

/**
 * Thinking as the model takes it, without what it can't think beside: a tool that must be called, and (with a budget) a turn
 * of tool calls whose own thinking is not there, as when another vendor called them.
 */
export function fitThinking(
  { reasoning, toolChoice, tools, messages }: Conversation,
  claude: Claude,
  maxTokens: number,
  drop: DropMeaning,
): Thinking {
  if (reasoning === undefined) return {};
  const written = writeThinking(reasoning, claude, maxTokens);
  if (!isThinking(written.thinking)) return written;
  const isForced = tools.length > 0 && (toolChoice?.type === "required" || toolChoice?.type === "tool");
  const isUnsigned = written.thinking?.["type"] === "enabled" && endsInUnsignedCalls(messages);
  if (!isForced && !isUnsigned) return written;
  drop("reasoning", "conflict");
  const { thinking: _, ...rest } = written;
  return rest;
}

/** Whether results of tools come last, and the turn that called them doesn't begin with thinking that Claude signed. */
function endsInUnsignedCalls(messages: readonly Message[]): boolean {
  const last = messages.at(-1);
  if (last?.role !== "user" || !last.parts.some(({ type }) => type === "tool_result")) return false;
  const caller = messages.findLast(({ role }) => role === "assistant");
  const [first] = caller?.parts ?? [];
  const opaque = first?.type === "reasoning" ? (first.encrypted ?? first.signature) : undefined;
  return opaque === undefined || isTagged(opaque);
}

/** What of temperature, top-p and top-k this model takes, beside each other and beside thinking. */
export function fitSampling(
  { temperature, topP, topK }: Sampling,
  claude: Claude,
  isThinkingOn: boolean,
  drop: DropMeaning,
): Pick<Sampling, "temperature" | "topP" | "topK"> {
  const hasHeat = temperature !== undefined && temperature !== DEFAULT_TEMPERATURE;
  if (!claude.takesSampling) {
    if (hasHeat) drop("temperature");
    if (topP !== undefined && topP !== DEFAULT_TOP_P) drop("topP");
    if (topK !== undefined) drop("topK", "hint");
    return {};
  }
  if (isThinkingOn) {
    if (hasHeat) drop("temperature", "conflict");
    if (topK !== undefined) drop("topK", "conflict");
    if (topP === undefined || topP >= MIN_THINKING_TOP_P) return topP === undefined ? {} : { topP };
    drop("topP", "conflict");
    return {};
  }
  const isHot = temperature !== undefined && temperature > MAX_TEMPERATURE;
  if (isHot) drop("temperature");
  const isDouble = temperature !== undefined && topP !== undefined && !claude.takesTemperatureWithTopP;
  if (isDouble && topP !== DEFAULT_TOP_P) drop("topP", "conflict");
  return {
    ...(temperature !== undefined && { temperature: isHot ? MAX_TEMPERATURE : temperature }),
    ...(topP !== undefined && !isDouble && { topP }),
    ...(topK !== undefined && { topK }),
  };
}

/** Without sequences of white space, which the vendor refuses: a client that asked for one is refused by name. */
export function fitStops({ stopSequences = [] }: Sampling, drop: DropMeaning): readonly string[] {
  const taken = stopSequences.filter((stop) => stop.trim() !== "");
  if (taken.length < stopSequences.length) drop("stop");
  return taken;
}

/** A prompt that is all system, which the wire refuses, becomes the user's. */
export function withUserTurn(conversation: Conversation): Pick<Conversation, "system" | "messages"> {
  const { system, messages } = conversation;
  return messages.length === 0 && system.length > 0
    ? { system: [], messages: [{ role: "user", parts: system }] }
    : conversation;
}

/** The turns, of which the wire wants one at least: a request without any text is refused by its own field's name. */
export function refuseEmpty<Turn>(turns: readonly Turn[], { wire }: ChatRequest): readonly Turn[] {
  if (turns.length > 0) return turns;
  return refuse(wire.turnFields?.list ?? "messages", "expected at least one message that is not empty");
}
