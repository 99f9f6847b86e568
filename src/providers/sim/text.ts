/**
 * The simulated model's words: deterministic functions of the prompt, so that a test or a cached answer can be
 * predicted. No model is at work here.
 */

import { fnv1a } from "../../bytes/digest.ts";
import type { SimRequest } from "./request.ts";
import { countSimTokens, truncateToTokens } from "./tokens.ts";

/** How much of a prompt an answer quotes. */
const QUOTE_TOKENS = 15;

/** What the model says: the user's text again for `echo`, else some sentences about the prompt. */
export function composeText(request: SimRequest): string {
  if (request.toolResult !== undefined) return `The tool answered: ${request.toolResult}`;
  if (request.model === "echo") return request.userText;
  const { model, messageCount, promptTokens, userText } = request;
  const messages = messageCount === 1 ? "one message" : `${messageCount} messages`;
  return (
    `Hello from ${model}, a simulated model that lives inside the gateway. ` +
    `You sent ${messages} of about ${promptTokens} tokens; the last one says: “${quote(userText)}”. ` +
    "The same prompt always gets this same answer."
  );
}

/** What it "thinks" before that, where reasoning was asked for. */
export function composeReasoning(request: SimRequest): string {
  return `The user says “${quote(request.userText)}”. I will answer in a fixed way.`;
}

function quote(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, " ");
  return countSimTokens(line) <= QUOTE_TOKENS ? line : `${truncateToTokens(line, QUOTE_TOKENS)}…`;
}

/** A text in at most `count` pieces that join to it, cut behind white space; at least one piece. */
export function splitText(text: string, count: number): readonly string[] {
  const words = text.match(/\S*\s+|\S+$/g) ?? [""];
  if (words.length <= count) return words;
  const perPiece = Math.ceil(words.length / count);
  const pieces: string[] = [];
  for (let at = 0; at < words.length; at += perPiece) {
    pieces.push(words.slice(at, at + perPiece).join(""));
  }
  return pieces;
}

const HEX_BASE = 16;
const HASH_DIGITS = 8;

/** Eight hex digits that stand for a text: good enough for ids that must only be repeatable. */
export function fingerprint(text: string): string {
  return fnv1a(text).toString(HEX_BASE).padStart(HASH_DIGITS, "0");
}
