/**
 * Degrees of reasoning as numbers of tokens and back, for wires that know only one of the two. Pure. The numbers are
 * those of Google's own OpenAI-compatible API: https://ai.google.dev/gemini-api/docs/openai#thinking (seen 2026-11)
 */

import type { Reasoning } from "./conversation.ts";

type Effort = NonNullable<Reasoning["effort"]>;

const BUDGETS: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1024,
  low: 1024,
  medium: 8192,
  high: 24_576,
};

/** Tokens that a degree stands for. */
export function budgetOfEffort(effort: Effort): number {
  return BUDGETS[effort];
}

/** The lowest degree that a number of tokens suffices for. */
export function effortOfBudget(budgetTokens: number): Effort {
  if (budgetTokens <= BUDGETS.none) return "none";
  if (budgetTokens <= BUDGETS.low) return "low";
  return budgetTokens <= BUDGETS.medium ? "medium" : "high";
}
