/**
 * Whose a signature or encrypted reasoning is. Each vendor refuses those that are not its own, so each must get back only its
 * own. Claude's are bare, as Anthropic, Bedrock and Vertex take each other's; all others bear a tag while they are in our words
 * or a client keeps them. Pure.
 */

const GEMINI = "gemini:";
/** Followed by the format's name and another colon: who made it is said by that, and only its upstream reads it. */
const CHAT = "chat:";
/** How OpenRouter calls Claude's: https://openrouter.ai/docs/use-cases/reasoning-tokens (seen 2026-11). */
const CLAUDE_FORMAT = "anthropic-claude-v1";

/** Gemini's own signature in our words. */
export function tagSignature(thoughtSignature: string): string {
  return GEMINI + thoughtSignature;
}

/** Gemini's own signature; undefined where it is another vendor's. */
export function untagSignature(signature: string | undefined): string | undefined {
  return signature?.startsWith(GEMINI) === true ? signature.slice(GEMINI.length) : undefined;
}

/** What `reasoning_details` on the chat wire holds, in our words; Claude's is bare there too. */
export function tagDetail(value: string, format: string | undefined): string {
  return format === CLAUDE_FORMAT || isTagged(value) ? value : `${CHAT}${format ?? ""}:${value}`;
}

/** The same as it came, for such a wire; undefined for Gemini's own, which no such wire has made. */
export function untagDetail(value: string): { readonly value: string; readonly format?: string } | undefined {
  if (value.startsWith(GEMINI)) return undefined;
  if (!value.startsWith(CHAT)) return { value, format: CLAUDE_FORMAT };
  const end = value.indexOf(":", CHAT.length);
  if (end < 0) return undefined;
  const format = value.slice(CHAT.length, end);
  return { value: value.slice(end + 1), ...(format !== "" && { format }) };
}

/** Not Claude's. */
export function isTagged(value: string): boolean {
  return value.startsWith(GEMINI) || value.startsWith(CHAT);
}
