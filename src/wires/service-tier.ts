/** The tier that an answer says it was served in: some are billed otherwise than the list says. Pure. */

import type { TokenUsage } from "../schema/chat.ts";

/** What the list's prices are for, by each vendor's word. */
const USUAL: ReadonlySet<string> = new Set(["auto", "default", "standard", "on_demand"]);
const MAX_TIER_CHARS = 32;

export function withTier(usage: TokenUsage, tier: unknown): TokenUsage;
export function withTier(usage: TokenUsage | undefined, tier: unknown): TokenUsage | undefined;
export function withTier(usage: TokenUsage | undefined, tier: unknown): TokenUsage | undefined {
  if (usage === undefined || typeof tier !== "string" || tier === "") return usage;
  return USUAL.has(tier) || tier.length > MAX_TIER_CHARS ? usage : { ...usage, tier };
}
