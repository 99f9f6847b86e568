/**
 * How long vendors keep the prefix of a prompt, and from which length on, as their pages say (all seen 2026-11). Data, and
 * one look-up. What an upstream is not known to keep has no row.
 */

export interface PromptCache {
  /** Input tokens from which on a prefix is kept. */
  readonly minTokens: number;
  /** A prefix that was not used for so long may be gone. */
  readonly usualMs: number;
  /** After this it is gone. */
  readonly longestMs: number;
  /** In place of both where the client asked for the long life; absent where the vendor has none. */
  readonly longMs?: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Refreshed by each use: https://platform.claude.com/docs/en/build-with-claude/prompt-caching. */
const ANTHROPIC = { usualMs: 5 * MINUTE, longestMs: 5 * MINUTE, longMs: HOUR };
const ANTHROPIC_LONG_MODELS = /opus-4[-.][567]|haiku-4[-.]5|mythos/;
const ANTHROPIC_HAIKU_3 = /haiku-3|3-haiku|3[-.]5-haiku/;

/** Five to ten minutes, a day for most accounts: https://developers.openai.com/api/docs/guides/prompt-caching. */
const OPENAI: PromptCache = { minTokens: 1024, usualMs: 10 * MINUTE, longestMs: DAY, longMs: DAY };

/**
 * The least of https://ai.google.dev/gemini-api/docs/caching; the day is Vertex AI's, and neither page says how long it is
 * kept usually.
 */
const GEMINI: PromptCache = { minTokens: 1024, usualMs: 5 * MINUTE, longestMs: DAY };

const BY_KIND: Readonly<Record<string, PromptCache>> = {
  anthropic: { minTokens: 1024, ...ANTHROPIC },
  openai: OPENAI,
  "azure-openai": OPENAI,
  gemini: GEMINI,
  vertex: GEMINI,
  // "A few hours to a few days": https://api-docs.deepseek.com/guides/kv_cache.
  deepseek: { minTokens: 64, usualMs: 3 * HOUR, longestMs: 3 * DAY },
  // Gone after two hours without use: https://console.groq.com/docs/prompt-caching (read 2026-12-01).
  groq: { minTokens: 128, usualMs: 2 * HOUR, longestMs: 2 * HOUR },
};

/** https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html */
const NOVA: PromptCache = { minTokens: 1000, usualMs: 5 * MINUTE, longestMs: 5 * MINUTE };

/** By the account's kind and the upstream's name of the model; Anthropic's models are the same wherever they are served. */
export function promptCacheOf(kind: string, model: string): PromptCache | undefined {
  const id = model.toLowerCase();
  if (id.includes("claude")) {
    const minTokens = ANTHROPIC_LONG_MODELS.test(id) ? 4096 : ANTHROPIC_HAIKU_3.test(id) ? 2048 : 1024;
    return { minTokens, ...ANTHROPIC };
  }
  if (kind === "bedrock") return id.includes("nova") ? NOVA : undefined;
  return Object.hasOwn(BY_KIND, kind) ? BY_KIND[kind] : undefined;
}

/** How long a prefix is kept for this request; `isLong` where it asked for the long life. */
export function lifeOf(
  { usualMs, longestMs, longMs }: PromptCache,
  isLong: boolean,
): Pick<PromptCache, "usualMs" | "longestMs"> {
  return isLong && longMs !== undefined ? { usualMs: longMs, longestMs: longMs } : { usualMs, longestMs };
}
