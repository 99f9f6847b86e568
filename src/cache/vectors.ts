/**
 * The arithmetic of the semantic cache: vectors of length 1, and which of many is nearest to one, by cosine similarity.
 * Exact: every vector is compared. Pure.
 */

/** 32-bit floats with a buffer of their own, which can be stored as it is. */
export type Vector = Float32Array<ArrayBuffer>;

/** No embedding model in use has more. */
export const MAX_DIMENSIONS = 4096;
/** The precision of a 32-bit sum; rounding to it gives a text similarity 1 with itself. */
const SIMILARITY_STEPS = 1e6;

/** The vector at length 1; undefined for one without direction (empty, zero, not finite) or with too many dimensions. */
export function normalise(values: readonly number[]): Vector | undefined {
  if (values.length === 0 || values.length > MAX_DIMENSIONS) return undefined;
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  // Squares of very large or small numbers would leave the range.
  if (!(largest > 0 && largest < Infinity)) return undefined;
  let sum = 0;
  for (const value of values) sum += (value / largest) ** 2;
  const length = Math.sqrt(sum);
  const unit = new Float32Array(values.length);
  for (let at = 0; at < unit.length; at += 1) unit[at] = (values[at] ?? 0) / largest / length;
  return unit;
}

/** Of two vectors of length 1 and equal dimensions: from -1 to 1. */
export function similarity(one: Vector, other: Vector): number {
  // Four independent sums: an addition need not wait for the previous one.
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = one.length - (one.length % 4);
  for (let at = 0; at < whole; at += 4) {
    a += (one[at] ?? 0) * (other[at] ?? 0);
    b += (one[at + 1] ?? 0) * (other[at + 1] ?? 0);
    c += (one[at + 2] ?? 0) * (other[at + 2] ?? 0);
    d += (one[at + 3] ?? 0) * (other[at + 3] ?? 0);
  }
  for (let at = whole; at < one.length; at += 1) a += (one[at] ?? 0) * (other[at] ?? 0);
  const rounded = Math.round((a + b + c + d) * SIMILARITY_STEPS) / SIMILARITY_STEPS;
  return Math.max(-1, Math.min(1, rounded));
}

export interface Expiring {
  readonly vector: Vector;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface NearestOf<Row> {
  readonly row: Row | undefined;
  /** -Infinity where there is none. */
  readonly similarity: number;
  /** How many were compared. */
  readonly compared: number;
}

/** The newest of the nearest. Rows that have expired, or are of another model's dimensions, are skipped. */
export function nearest<Row extends Expiring>(
  rows: readonly Row[],
  query: Vector,
  now: number,
): NearestOf<Row> {
  let best: Row | undefined;
  let bestSimilarity = -Infinity;
  let compared = 0;
  for (const row of rows) {
    if (row.expiresAt <= now || row.vector.length !== query.length) continue;
    compared += 1;
    const found = similarity(row.vector, query);
    if (found < bestSimilarity) continue;
    bestSimilarity = found;
    best = row;
  }
  return { row: best, similarity: bestSimilarity, compared };
}
