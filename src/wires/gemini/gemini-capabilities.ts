/**
 * What differs between Gemini models and must be known before one is called, read off the model's name. A name that tells
 * no generation counts as one of today's. Pure. https://ai.google.dev/gemini-api/docs/thinking (seen 2026-11)
 */

import type { Reasoning } from "../../schema/conversation.ts";
import type { JsonRecord } from "../../json/fields.ts";
import { budgetOfEffort } from "../../schema/reasoning-effort.ts";

const GEMINI = /(^|\/)gemini-/i;
const BEFORE_LEVELS = /(^|\/)gemini-((1|2)([.-]|$)|pro$|pro-vision$)/i;

/**
 * Gemini 3 and later: thinks by levels instead of budgets, wants a signature on each first call of a turn that is sent
 * back, and takes images in a function's response.
 */
export function isGemini3(model: string): boolean {
  return GEMINI.test(model) && !BEFORE_LEVELS.test(model);
}

type Effort = NonNullable<Reasoning["effort"]>;

/** What 2.5 Pro, which can't be told not to think, takes at least. */
const LEAST_PRO_BUDGET = 128;

/** `thinkingConfig` for what the client asked for; undefined where there is nothing to say. */
export function toThinkingConfig(reasoning: Reasoning, model: string): JsonRecord | undefined {
  const { effort, budgetTokens, includeThoughts } = reasoning;
  const amount =
    budgetTokens === undefined
      ? effort === undefined
        ? {}
        : toAmount(effort, model)
      : { thinkingBudget: budgetTokens };
  const config = { ...amount, ...(includeThoughts !== undefined && { includeThoughts }) };
  return Object.keys(config).length === 0 ? undefined : config;
}

function toAmount(effort: Effort, model: string): JsonRecord {
  if (isGemini3(model)) return { thinkingLevel: toLevel(effort, model) };
  if (effort !== "none") return { thinkingBudget: budgetOfEffort(effort) };
  // Older models don't think and refuse to be told about it.
  if (!/gemini-2\.5/i.test(model)) return {};
  return { thinkingBudget: /-pro/i.test(model) ? LEAST_PRO_BUDGET : budgetOfEffort(effort) };
}

/** Levels that a model lacks become their neighbour: Pro has no `minimal`, 3 Pro no `medium`; none has an off. */
function toLevel(effort: Effort, model: string): string {
  const isPro = /-pro/i.test(model);
  if (effort === "none" || effort === "minimal") return isPro ? "low" : "minimal";
  return effort === "medium" && /gemini-3-pro/i.test(model) ? "high" : effort;
}
