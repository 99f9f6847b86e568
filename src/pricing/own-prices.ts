/**
 * A tenant's own prices, which take precedence over list prices. Pure; the records are checked in
 * tenants/records/.
 */

import type { ModelPrice, TokenPrices } from "./price-finder.ts";

/** As in the record: US dollars per million tokens. A step has the prices of a prompt with more tokens, all of them. */
export type OwnPrices = Readonly<
  Record<string, TokenPrices & { readonly steps?: readonly (TokenPrices & OwnStep)[] }>
>;
interface OwnStep {
  readonly aboveInputTokens: number;
}

const MICRO_USD_PER_USD = 1_000_000;

/** The price of a target, `provider/model`, in micro-US-dollars per million tokens. */
export function findOwnPrice(prices: OwnPrices, label: string): ModelPrice | undefined {
  if (Object.hasOwn(prices, label)) return toModelPrice(prices[label]);
  let best = "";
  for (const pattern of Object.keys(prices)) {
    const fits = pattern.endsWith("*") && label.startsWith(pattern.slice(0, -1));
    if (fits && pattern.length > best.length) best = pattern;
  }
  return toModelPrice(prices[best]);
}

function toModelPrice(price: OwnPrices[string] | undefined): ModelPrice | undefined {
  if (price === undefined) return undefined;
  const { steps, ...base } = price;
  if (steps === undefined) return toMicro(base);
  return {
    ...toMicro(base),
    steps: steps.map(({ aboveInputTokens, ...step }) => ({ aboveInputTokens, prices: toMicro(step) })),
  };
}

function toMicro(price: TokenPrices): TokenPrices {
  const micro = Object.entries(price).map(([name, usd]) => [name, Math.round(usd * MICRO_USD_PER_USD)]);
  // The same fields, and all of them are numbers.
  return Object.fromEntries(micro) as TokenPrices;
}
