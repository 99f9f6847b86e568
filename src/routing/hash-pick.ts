/** A draw that is the same each time for the same text: keeps a session at its target. Pure; not a secret. */

import { fnv1a } from "../bytes/digest.ts";

/** MurmurHash3's 32-bit finalizer: each bit of the hash changes each other one as often as not. */
const MIX_1 = 0x85ebca6b;
const MIX_2 = 0xc2b2ae35;

/** FNV-1a of a string as a number in [0, 1), mixed at its end: ids that differ in their last character lie far apart. */
export function drawFor(text: string): number {
  let hash = fnv1a(text);
  hash = Math.imul(hash ^ (hash >>> 16), MIX_1);
  hash = Math.imul(hash ^ (hash >>> 13), MIX_2);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** The index of the weight whose share of [0, 1) the draw falls into; -1 where all weights are zero. */
export function pickByWeight(weights: readonly number[], draw: number): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let left = draw * total;
  const drawn = weights.findIndex((weight) => (left -= weight) < 0);
  // Fractions may leave a little over: then it is the last one's that has a weight at all.
  return drawn === -1 ? weights.findLastIndex((weight) => weight > 0) : drawn;
}
