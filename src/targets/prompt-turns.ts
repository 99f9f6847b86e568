/**
 * Why fewer of a conversation's input tokens came from the vendor's prompt cache than its last answer left there. Pure: the
 * prompt is compared by digests, the earlier answer comes from the tenant's object.
 */

import { lifeOf, type PromptCache } from "./prompt-caches.ts";

/** One answered request, as the tenant's object keeps it until the next one of its conversation. */
export interface PromptTurn {
  /** A note that arrives twice is taken once. */
  readonly requestId: string;
  /** Digest of what the requests of one conversation have in common. */
  readonly conversation: string;
  /** `account/model`. */
  readonly target: string;
  /** Of the prompt's parts, first part first, each of all up to it. */
  readonly digests: Uint32Array;
  readonly inputTokens: number;
  /** Input tokens that are in the vendor's cache now: read from it or written to it. */
  readonly heldTokens: number;
  /** The request asked for the long life. */
  readonly isLong: boolean;
}

/** The answer before, seen from the next one. */
export interface EarlierTurn extends Pick<PromptTurn, "target" | "inputTokens" | "heldTokens" | "isLong"> {
  readonly agoMs: number;
  /** Parts of its prompt, and how many of them the next prompt begins with. */
  readonly parts: number;
  readonly sameParts: number;
}

/** What of an answer the comparison needs. */
export interface PromptUse {
  readonly target: string;
  readonly inputTokens: number;
  readonly readTokens: number;
}

export type CacheFallCause = "target_changed" | "prefix_changed" | "expired" | "below_minimum" | "unknown";

export interface CacheFall {
  readonly cause: CacheFallCause;
  /** Tokens that were in the cache, and were billed as new or not used. */
  readonly lostTokens: number;
}

/** How a conversation fared in the vendor's prompt cache since its last answer; `cause` and on only where it got less. */
export interface PromptCacheFacts extends Partial<CacheFall> {
  /** Of this request's input tokens, those read from the cache: 0 to 1. */
  readonly share: number;
  /** Of the last request's, those that were in the cache then. */
  readonly earlierShare: number;
  /** The part of the prompt that is not as it was: `tools`, `messages[3]`. */
  readonly changedAt?: string;
  readonly earlierTarget?: string;
  readonly idleMs?: number;
  /** What the lost tokens cost more than from the cache; absent without a known price. */
  readonly wastedMicroUsd?: number;
}

/** Vendors count in blocks of tokens: less than this share of what was held is not a fall. */
const LEAST_SHARE = 0.05;

/**
 * Undefined where the cache gave what it held. `cache`: of the target that answered before, undefined where its life is not
 * known. What is certain is named before what is likely.
 */
export function explainCacheFall(
  earlier: EarlierTurn,
  now: PromptUse,
  cache: PromptCache | undefined,
): CacheFall | undefined {
  const missing = earlier.heldTokens - now.readTokens;
  const lostTokens = Math.min(missing, now.inputTokens - now.readTokens);
  if (lostTokens <= 0 || missing < earlier.heldTokens * LEAST_SHARE) return undefined;
  return { cause: causeOf(earlier, now, cache), lostTokens };
}

function causeOf(earlier: EarlierTurn, now: PromptUse, cache: PromptCache | undefined): CacheFallCause {
  const life = cache && lifeOf(cache, earlier.isLong);
  if (life !== undefined && earlier.agoMs > life.longestMs) return "expired";
  if (earlier.target !== now.target) return "target_changed";
  if (cache !== undefined && now.inputTokens < cache.minTokens) return "below_minimum";
  if (earlier.sameParts < earlier.parts) return "prefix_changed";
  if (life !== undefined && earlier.agoMs > life.usualMs) return "expired";
  return "unknown";
}

/** How many of the first digests are equal. */
export function countSameParts(before: Uint32Array, after: Uint32Array): number {
  const differs = before.findIndex((digest, at) => digest !== after[at]);
  return differs === -1 ? before.length : differs;
}
