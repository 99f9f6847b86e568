/** What a target's tokens cost a tenant: its own price, else the list's. */

import type { TokenUsage } from "../schema/chat.ts";
import type { MediaUnits } from "../schema/media-units.ts";
import { findMediaPrice } from "../pricing/media-prices.ts";
import type { Deps } from "./ports.ts";
import { findOwnPrice } from "../pricing/own-prices.ts";
import type { ModelPrice, TokenPrices } from "../pricing/price-finder.ts";
import type { Provider } from "../providers/provider.ts";
import type { TenantBundle } from "../tenants/records/records.ts";

interface PricedTarget {
  /** The name of the provider record. */
  readonly accountName: string;
  readonly model: string;
}

/** A price, and whose it is. */
export interface FoundPrice {
  readonly price: ModelPrice;
  readonly basis: "own" | "list";
}

/**
 * In micro-US-dollars per million tokens; undefined where it is not known. `answered` is the model that the upstream says it
 * was: it is looked up first on the list, whose names are the vendors', and last among the tenant's own prices. `media`:
 * the images or the sound that the request is for, if any.
 */
export function lookUpPrice(
  { tenant: { prices }, providers }: TenantBundle,
  { accountName, model }: PricedTarget,
  { priceOf }: Pick<Deps, "priceOf">,
  answered = model,
  media?: MediaUnits,
): FoundPrice | undefined {
  const own =
    prices &&
    (findOwnPrice(prices, `${accountName}/${model}`) ?? findOwnPrice(prices, `${accountName}/${answered}`));
  if (own) return { price: own, basis: "own" };
  const kind = Object.hasOwn(providers, accountName) ? providers[accountName]?.kind : undefined;
  if (kind === undefined) return undefined;
  const price = media
    ? (findMediaPrice(kind, answered, media) ?? findMediaPrice(kind, model, media))
    : (priceOf(kind, answered) ?? priceOf(kind, model));
  return price && { price, basis: "list" };
}

/** The price alone, before anything was answered. */
export function priceOfTarget(
  bundle: TenantBundle,
  target: PricedTarget,
  deps: Pick<Deps, "priceOf">,
  media?: MediaUnits,
): ModelPrice | undefined {
  return lookUpPrice(bundle, target, deps, target.model, media)?.price;
}

const HALF = 0.5;

/** The same where the answer was served in a tier that costs half of it: the Batch APIs, and what is billed like them. */
export function inTier(
  price: ModelPrice | undefined,
  { halfPriceTiers = [] }: Provider,
  { tier }: TokenUsage,
): ModelPrice | undefined {
  if (price === undefined || tier === undefined || !halfPriceTiers.includes(tier)) return price;
  const { steps, ...base } = price;
  const halvedSteps = steps?.map((step) => ({ ...step, prices: halve(step.prices) }));
  return { ...halve(base), ...(halvedSteps !== undefined && { steps: halvedSteps }) };
}

function halve(prices: TokenPrices): TokenPrices {
  const halved = Object.entries(prices).map(([name, microUsd]) => [name, microUsd * HALF]);
  // The same fields, and all of them are numbers.
  return Object.fromEntries(halved) as TokenPrices;
}
