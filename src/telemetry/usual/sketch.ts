/**
 * A sketch of many values in little room: counts in buckets that grow by a constant factor, so that a quantile is right within 2 %
 * (after DDSketch, arXiv 1908.10693). Sketches add up, and are plain data. For values from 0 to ten million; below 1 they are 0. Pure.
 */

/** Counts by bucket. */
export type Sketch = Record<number, number>;

const GROWTH = 1.04;
const LOG_GROWTH = Math.log(GROWTH);
/** Bounds a sketch: everything above ten million is in the last bucket. */
const MAX_BUCKET = 420;

export function addValue(sketch: Sketch, value: number): void {
  const bucket = value < 1 ? 0 : Math.min(MAX_BUCKET, Math.ceil(Math.log(value) / LOG_GROWTH) + 1);
  sketch[bucket] = (sketch[bucket] ?? 0) + 1;
}

export function addSketch(sketch: Sketch, other: Sketch): void {
  // Whole numbers come first and in order: the keys of a sketch are nothing else.
  for (const [bucket, count] of Object.entries(other)) sketch[+bucket] = (sketch[+bucket] ?? 0) + count;
}

export function countValues(sketch: Sketch): number {
  return Object.values(sketch).reduce((total, count) => total + count, 0);
}

/** The value below which this share of all values lies; undefined without values. */
export function quantileOf(sketch: Sketch, share: number): number | undefined {
  let left = Math.max(1, share * countValues(sketch));
  for (const [bucket, count] of Object.entries(sketch)) {
    left -= count;
    if (left <= 0) return +bucket === 0 ? 0 : (2 * GROWTH ** (+bucket - 1)) / (GROWTH + 1);
  }
  return undefined;
}
