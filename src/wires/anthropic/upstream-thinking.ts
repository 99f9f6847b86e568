/**
 * How much a Claude model shall think, in the form the model takes: a budget of tokens, or an effort that it budgets
 * itself. https://platform.claude.com/docs/en/build-with-claude/thinking (seen 2026-11)
 */

import type { Reasoning } from "../../schema/conversation.ts";
import type { JsonRecord } from "../../json/fields.ts";
import { budgetOfEffort, effortOfBudget } from "../../schema/reasoning-effort.ts";
import type { Claude } from "./claude-capabilities.ts";

/** The least budget the API takes. */
const MIN_BUDGET = 1024;
export interface Thinking {
  /** The `thinking` member; absent where the model does of itself what was asked. */
  readonly thinking?: JsonRecord;
  /** `output_config.effort`. */
  readonly effort?: "low" | "medium" | "high";
}

/**
 * `maxTokens` bounds reasoning and answer together: a budget that leaves no room for an answer is made smaller, and where
 * there is no room for the least budget thinking stays off.
 */
export function writeThinking(reasoning: Reasoning, claude: Claude, maxTokens: number): Thinking {
  if (reasoning.effort === "none" || reasoning.budgetTokens === 0) return writeOff(claude);
  const display = reasoning.includeThoughts === false ? "omitted" : "summarized";
  if (claude.thinking === "adaptive") {
    const effort = effortOf(reasoning);
    return { thinking: { type: "adaptive", display }, ...(effort !== undefined && { effort }) };
  }
  const wanted = reasoning.budgetTokens ?? budgetOfEffort(reasoning.effort ?? "medium");
  const budget = Math.min(Math.max(wanted, MIN_BUDGET), Math.floor(maxTokens / 2));
  return budget < MIN_BUDGET ? {} : { thinking: { type: "enabled", budget_tokens: budget } };
}

function writeOff({ thinkingOff }: Claude): Thinking {
  switch (thinkingOff) {
    case "omit":
      return {};
    case "disabled":
    case "between_tools":
      return { thinking: { type: thinkingOff } };
    case "never":
      return { effort: "low" };
  }
}

function effortOf({ effort, budgetTokens }: Reasoning): Thinking["effort"] {
  const degree = budgetTokens === undefined ? effort : effortOfBudget(budgetTokens);
  if (degree === "none") return undefined;
  return degree === "minimal" ? "low" : degree;
}
