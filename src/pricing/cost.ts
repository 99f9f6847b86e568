/**
 * What a generation cost: a price and its token counts in, micro-US-dollars out. Pure arithmetic; who looks the price
 * up is prices.ts. Called where a request ends (usage, spans, budgets) and where a cache hit books what it saved.
 */
import type { TokenUsage } from "../chat.ts";
import type { ModelPrice } from "./price-finder.ts";

/** Prices are per this many tokens, as every vendor quotes them. */
const TOKENS_PER_PRICE = 1_000_000;

const MICRO_USD_PER_USD = 1_000_000;

/**
 * Cost in micro-US-dollars, unrounded (a short request costs a fraction of one), never negative; undefined without a price.
 *
 * Cached tokens are a part of the input and reasoning a part of the output (`TokenUsage`), so neither is counted twice.
 * Where a vendor states no price for a cached token, it costs what an input token costs.
 */
export function costMicroUsd(price: ModelPrice, usage: TokenUsage): number;
export function costMicroUsd(price: ModelPrice | undefined, usage: TokenUsage): number | undefined;
export function costMicroUsd(price: ModelPrice | undefined, usage: TokenUsage): number | undefined {
  if (price === undefined) return undefined;
  const cacheRead = countTokens(usage.cacheReadTokens);
  const cacheWrite = countTokens(usage.cacheWriteTokens);
  // A vendor that reports more cached tokens than input tokens is charged for what it reported, not for less.
  const uncached = Math.max(0, countTokens(usage.inputTokens) - cacheRead - cacheWrite);
  // Counts and prices are integers and their products stay below 2^53, so the one division is the only inexact step.
  const total =
    uncached * price.input +
    cacheRead * (price.cacheRead ?? price.input) +
    cacheWrite * (price.cacheWrite ?? price.input) +
    countTokens(usage.outputTokens) * price.output;
  return total / TOKENS_PER_PRICE;
}

/** US dollars with micro-dollar precision, for the edge: JSON, headers, spans. Add up micro-dollars first, then call this once. */
export function usd(microUsd: number): number {
  return Math.round(microUsd) / MICRO_USD_PER_USD;
}

/** A token count as an upstream reports it; absent, negative or not finite counts as none, since it came over a wire. */
function countTokens(reported: number | undefined): number {
  return reported !== undefined && Number.isFinite(reported) && reported > 0 ? reported : 0;
}
