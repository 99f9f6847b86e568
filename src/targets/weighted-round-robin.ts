/**
 * Smooth weighted round robin over a route's targets: shares are exact over time and each target's turns are spread out.
 * An isolate starts at a random point of the cycle, or many new isolates would all call the same target first. Plain data, bounded.
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";

/** Routes remembered in one isolate; a dropped one starts over. */
const MAX_ROUTES = 5_000;
/** A cycle of weights in per cent is no longer than this. */
const LONGEST_OFFSET = 100;

export interface WeightedRoundRobin {
  /** Takes the next turn: the index of its weight; -1 where all weights are zero. */
  next(route: string, weights: readonly number[]): number;
  /** The same without taking the turn: for a dry run. */
  peek(route: string, weights: readonly number[]): number;
}

/** What each target is owed. Their sum stays zero, and each stays within the sum of the weights: shares can't drift. */
type Credits = number[];

/** `random` gives a number in [0, 1). */
export function createWeightedRoundRobin(random: () => number): WeightedRoundRobin {
  const credits = createBoundedMap<string, Credits>(MAX_ROUTES);

  function creditsOf(route: string, weights: readonly number[]): Credits {
    const known = credits.get(route);
    if (known?.length === weights.length) return known;
    const fresh: Credits = weights.map(() => 0);
    for (let skip = Math.floor(random() * LONGEST_OFFSET); skip > 0; skip--) take(fresh, weights);
    credits.set(route, fresh);
    return fresh;
  }

  return {
    next: (route, weights) => take(creditsOf(route, weights), weights),
    peek: (route, weights) => take([...creditsOf(route, weights)], weights),
  };
}

/** One turn; a target of weight zero never has one. */
function take(credits: Credits, weights: readonly number[]): number {
  let total = 0;
  let chosen = -1;
  let most = -Infinity;
  for (const [index, weight] of weights.entries()) {
    if (weight <= 0) continue;
    total += weight;
    const credit = (credits[index] ?? 0) + weight;
    credits[index] = credit;
    if (credit > most) {
      most = credit;
      chosen = index;
    }
  }
  if (chosen !== -1) credits[chosen] = most - total;
  return chosen;
}
