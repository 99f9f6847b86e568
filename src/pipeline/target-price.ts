/** What a target's tokens cost a tenant: his own price, else the list's. Called by whoever reserves, compares or counts money. */

import type { TokenUsage } from "../schema/chat.ts";
import type { Deps } from "./ports.ts";
import { findOwnPrice } from "../pricing/own-prices.ts";
import type { ModelPrice } from "../pricing/price-finder.ts";
import type { Provider } from "../providers/provider.ts";
import type { TenantBundle } from "../tenants/records/records.ts";

interface PricedTarget {
  /** The tenant's name of the account. */
  readonly provider: string;
  readonly model: string;
}

/**
 * In micro-US-dollars per million tokens; undefined where nobody knows it. `answered` is the model that the upstream says it
 * was: it is asked for first on the list, whose names are the vendors', and last among the tenant's, whose names are his.
 */
export function priceOfTarget(
  { tenant: { prices }, providers }: TenantBundle,
  { provider, model }: PricedTarget,
  { priceOf }: Pick<Deps, "priceOf">,
  answered = model,
): ModelPrice | undefined {
  const own =
    prices &&
    (findOwnPrice(prices, `${provider}/${model}`) ?? findOwnPrice(prices, `${provider}/${answered}`));
  if (own) return own;
  const kind = Object.hasOwn(providers, provider) ? providers[provider]?.kind : undefined;
  return kind === undefined ? undefined : (priceOf(kind, answered) ?? priceOf(kind, model));
}

const HALF = 0.5;

/** The same where the answer was served in a tier that costs half of it: the Batch APIs, and what is billed like them. */
export function inTier(
  price: ModelPrice | undefined,
  { halfPriceTiers = [] }: Provider,
  { tier }: TokenUsage,
): ModelPrice | undefined {
  if (price === undefined || tier === undefined || !halfPriceTiers.includes(tier)) return price;
  const halved = Object.entries(price).map(([name, microUsd]) => [name, microUsd * HALF]);
  // The same fields, and all of them are numbers.
  return Object.fromEntries(halved) as ModelPrice;
}
