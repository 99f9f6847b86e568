/** What a request's attempts used and cost, and the sums of that. Pure. Who makes a bill is attempts/bill.ts. */

import { usd } from "../pricing/cost.ts";
import { USAGE_DETAILS, type TokenUsage } from "../schema/chat.ts";

export interface Bill {
  /** The attempt's number: each attempt has one bill, its last. */
  readonly attempt: number;
  /** `account/model`. */
  readonly target: string;
  readonly usage: TokenUsage;
  readonly isEstimate: boolean;
  /** The upstream's count could not be true. */
  readonly isCountRefused?: true;
  /** In micro-US-dollars; undefined for a model without a known price. */
  readonly costMicroUsd: number | undefined;
  /** Whose price it is: the tenant's own or the list's; undefined without one. */
  readonly basis: "own" | "list" | undefined;
  /** What is billed and has no price here: a part of the cost is not known then. */
  readonly missing: readonly string[];
  /** Another attempt's answer was the request's. */
  readonly isLost: boolean;
  /** The attempt gave no whole answer. */
  readonly isFailed?: true;
}

/** In micro-US-dollars: what has a known price. */
export function billedMicroUsd(bills: readonly Bill[]): number {
  return bills.reduce((sum, { costMicroUsd: cost = 0 }) => sum + cost, 0);
}

/** What has a known price, in dollars; undefined where nothing has. */
export function knownUsd(bills: readonly Bill[]): number | undefined {
  return bills.some(({ costMicroUsd: cost }) => cost !== undefined) ? usd(billedMicroUsd(bills)) : undefined;
}

/** `list` and `own`: whose prices. `partial`: a part has no price. `estimate`: a part of the usage is estimated. */
export type CostBasis = "list" | "own" | "partial" | "estimate";

export function basisOf(bills: readonly Bill[]): CostBasis {
  if (bills.some(({ missing }) => missing.length > 0)) return "partial";
  if (bills.some(({ isEstimate }) => isEstimate)) return "estimate";
  return bills.every(({ basis }) => basis === "own") ? "own" : "list";
}

/** Each part without a price, once. */
export function missingOf(bills: readonly Bill[]): readonly string[] {
  return [...new Set(bills.flatMap(({ missing }) => missing))];
}

/** The sum of all attempts' tokens; undefined without a bill. */
export function billedUsage(bills: readonly Bill[]): TokenUsage | undefined {
  const [first, ...others] = bills;
  return first && others.reduce((sum, { usage }) => addUsage(sum, usage), first.usage);
}

function addUsage(sum: TokenUsage, usage: TokenUsage): TokenUsage {
  const added: { -readonly [Name in keyof TokenUsage]: TokenUsage[Name] } = {
    inputTokens: sum.inputTokens + usage.inputTokens,
    outputTokens: sum.outputTokens + usage.outputTokens,
  };
  for (const name of USAGE_DETAILS) {
    if (sum[name] !== undefined || usage[name] !== undefined)
      added[name] = (sum[name] ?? 0) + (usage[name] ?? 0);
  }
  return added;
}
