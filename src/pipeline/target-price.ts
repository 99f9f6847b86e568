/** What a target's tokens cost a tenant: its own price, else the list's. */

import type { TokenUsage } from "../schema/chat.ts";
import type { MediaUnits } from "../schema/media-units.ts";
import { findMediaPrice } from "../pricing/media-prices.ts";
import type { Deps } from "./ports.ts";
import { findOwnPrice } from "../pricing/own-prices.ts";
import { asBilled, type BilledPrice } from "../pricing/as-billed.ts";
import type { ModelPrice } from "../pricing/price-finder.ts";
import type { ProviderRecord, TenantBundle } from "../tenants/records/records.ts";

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

/** A found price as an answer of this account is billed, and what of it has none. */
export function billedPrice(
  found: FoundPrice,
  usage: TokenUsage,
  { kind, baseUrl, options }: Pick<ProviderRecord, "kind" | "baseUrl" | "options">,
  model: string,
): BilledPrice {
  const { location } = options;
  const region = typeof location === "string" ? location : undefined;
  return asBilled(found, usage, { kind, model, baseUrl, location: region });
}
