/**
 * What differs between two price tables, by model: what `npm run prices` tells the author of the commit. Pure. A model is a
 * vendor's sheet and an id or pattern of it.
 */

import {
  createPriceFinder,
  type ModelPrice,
  type PriceTable,
  type TokenPrices,
} from "../../pricing/price-finder.ts";

export interface PriceChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly dearer: readonly string[];
  readonly cheaper: readonly string[];
  /** Some of its prices rose and others fell. */
  readonly mixed: readonly string[];
}

type Kind = keyof PriceChanges;

const MICRO_USD_PER_USD = 1_000_000;

export function comparePrices(before: PriceTable, after: PriceTable): PriceChanges {
  const lists: Record<Kind, string[]> = { added: [], removed: [], dearer: [], cheaper: [], mixed: [] };
  const [old, next] = [pricesOf(before), pricesOf(after)];
  for (const [model, price] of next) {
    const earlier = old.get(model);
    if (earlier === undefined) lists.added.push(`${model}: ${describe(price)}`);
    else {
      const kind = changeOf(earlier, price);
      if (kind !== undefined) lists[kind].push(`${model}: ${describe(earlier)} → ${describe(price)}`);
    }
  }
  for (const [model, price] of old) if (!next.has(model)) lists.removed.push(`${model}: ${describe(price)}`);
  return lists;
}

/** As lines for a terminal; one line where nothing changed. */
export function renderChanges(changes: PriceChanges): string {
  const kinds: readonly Kind[] = ["added", "removed", "dearer", "cheaper", "mixed"];
  const parts = kinds
    .filter((kind) => changes[kind].length > 0)
    .map((kind) =>
      [`${kind} (${changes[kind].length})`, ...changes[kind].map((line) => `  ${line}`)].join("\n"),
    );
  return parts.length === 0 ? "No price has changed." : parts.join("\n");
}

/** By `sheet/id`; ids that a sheet says to have no price are not in it. */
function pricesOf({ sheets }: PriceTable): ReadonlyMap<string, ModelPrice> {
  const prices = new Map<string, ModelPrice>();
  for (const [name, sheet] of Object.entries(sheets)) {
    for (const line of sheet.trim().split("\n")) {
      const [price, ids] = line.split("|");
      if (ids === undefined) continue;
      const found = createPriceFinder({ kinds: { one: ["one"] }, sheets: { one: `${price}|one` } })(
        "one",
        "one",
      );
      if (found !== undefined) for (const id of ids.split(" ")) prices.set(`${name}/${id}`, found);
    }
  }
  return prices;
}

/** Undefined where all prices are as they were; a price that appears or goes counts by what was billed in its place. */
function changeOf(before: ModelPrice, after: ModelPrice): "dearer" | "cheaper" | "mixed" | undefined {
  const [old, next] = [flatten(before), flatten(after)];
  const names = [...new Set([...old.keys(), ...next.keys()])];
  const changed = names.filter((name) => old.get(name) !== next.get(name));
  if (changed.length === 0) return undefined;
  const valueOf = (prices: ReadonlyMap<string, number>, name: string): number =>
    prices.get(name) ?? prices.get(name.includes("output") ? "output" : "input") ?? 0;
  const moved = (sign: 1 | -1): boolean =>
    changed.some((name) => sign * (valueOf(next, name) - valueOf(old, name)) > 0);
  if (moved(1) === moved(-1)) return "mixed";
  return moved(1) ? "dearer" : "cheaper";
}

/** `input`, `output`, and with its step `>200000 input`. */
function flatten({ steps = [], ...base }: ModelPrice): ReadonlyMap<string, number> {
  const named = (prices: TokenPrices, prefix: string): [string, number][] =>
    Object.entries(prices).map(([name, microUsd]) => [`${prefix}${name}`, Number(microUsd)]);
  return new Map([
    ...named(base, ""),
    ...steps.flatMap(({ aboveInputTokens, prices }) => named(prices, `>${aboveInputTokens} `)),
  ]);
}

/** `$2.5 in, $10 out, cacheRead $1.25`: US dollars per million tokens. */
function describe(price: ModelPrice): string {
  return [...flatten(price)].map(([name, microUsd]) => `${name} $${microUsd / MICRO_USD_PER_USD}`).join(", ");
}
