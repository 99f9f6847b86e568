/**
 * A tenant's own prices, which take precedence over list prices. Pure; the records are checked in
 * tenants/records/.
 */

import type { TokenPrices } from "./price-finder.ts";

/** As in the record: US dollars per million tokens. */
export type OwnPrices = Readonly<Record<string, TokenPrices>>;

const MICRO_USD_PER_USD = 1_000_000;

/** The price of a target, `provider/model`, in micro-US-dollars per million tokens. */
export function findOwnPrice(prices: OwnPrices, label: string): TokenPrices | undefined {
  if (Object.hasOwn(prices, label)) return toMicro(prices[label]);
  let best = "";
  for (const pattern of Object.keys(prices)) {
    const fits = pattern.endsWith("*") && label.startsWith(pattern.slice(0, -1));
    if (fits && pattern.length > best.length) best = pattern;
  }
  return toMicro(prices[best]);
}

function toMicro(price: TokenPrices | undefined): TokenPrices | undefined {
  if (price === undefined) return undefined;
  const micro = Object.entries(price).map(([name, usd]) => [name, Math.round(usd * MICRO_USD_PER_USD)]);
  // The same fields, and all of them are numbers.
  return Object.fromEntries(micro) as TokenPrices;
}
