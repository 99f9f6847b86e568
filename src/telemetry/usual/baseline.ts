/**
 * What was usual on a route: sketches of the parts of its requests' time, and how the time grows with the prompt and the answer. Plain
 * data that adds up, by hour and target; it holds no request's own facts. Pure.
 */

import { msOf, type MeasuredRequest } from "./measure.ts";
import { addSketch, addValue, countValues, quantileOf, type Sketch } from "./sketch.ts";

const FIGURES = [
  "total",
  "queue",
  "failed",
  "first_token",
  "answer",
  "cache",
  "gateway",
  "vendor_queue",
  /** Tokens that were not in the vendor's prompt cache. */
  "input",
  "output",
  /** Thousandths of the input tokens. */
  "cached_share",
  /** Microseconds of each token of a streamed answer. */
  "token_us",
  "micro_usd",
] as const;
export type Figure = (typeof FIGURES)[number];

/** Requests of like size: the sum of their sizes, and a sketch of their times. */
type SizeClasses = Record<number, { sum: number; readonly ms: Sketch }>;

export interface Baseline {
  count: number;
  readonly figures: { [figure in Figure]?: Sketch };
  /** Time to the first token (of a whole answer: of the call) by the size of the prompt; of the answer by the size of the answer. */
  readonly byInput: SizeClasses;
  readonly byOutput: SizeClasses;
}

export function createBaseline(): Baseline {
  return { count: 0, figures: {}, byInput: {}, byOutput: {} };
}

/** Only what was answered as it should be, by a model, says what is usual. */
export function isUsable({ outcome, target }: MeasuredRequest): boolean {
  return outcome === "ok" && target !== null;
}

const MICRO = 1e6;
const THOUSAND = 1000;

export function addMeasured(baseline: Baseline, measured: MeasuredRequest): void {
  const { parts, isStream, inputTokens, cachedTokens, outputTokens, costUsd } = measured;
  const firstMs = msOf(parts, "first_token");
  const answerMs = msOf(parts, "answer");
  const freshTokens = Math.max(0, inputTokens - cachedTokens);
  const add = (figure: Figure, value: number): void => addValue((baseline.figures[figure] ??= {}), value);
  baseline.count += 1;
  add("total", measured.durationMs);
  add("queue", msOf(parts, "queue"));
  add("failed", msOf(parts, "failed") + msOf(parts, "pause"));
  add("first_token", firstMs);
  add("answer", answerMs);
  add("cache", msOf(parts, "cache"));
  add("gateway", msOf(parts, "gateway"));
  add("vendor_queue", measured.vendorQueueMs);
  add("input", freshTokens);
  add("output", outputTokens);
  if (inputTokens > 0) add("cached_share", (cachedTokens / inputTokens) * THOUSAND);
  if (isStream && outputTokens > 0) add("token_us", (answerMs / outputTokens) * THOUSAND);
  if (costUsd !== null) add("micro_usd", costUsd * MICRO);
  addSized(baseline.byInput, freshTokens, isStream ? firstMs : answerMs);
  addSized(baseline.byOutput, outputTokens, answerMs);
}

function addSized(classes: SizeClasses, size: number, ms: number): void {
  const of = (classes[Math.floor(Math.log2(size + 1))] ??= { sum: 0, ms: {} });
  of.sum += size;
  addValue(of.ms, ms);
}

export function addBaseline(baseline: Baseline, other: Baseline): void {
  baseline.count += other.count;
  for (const figure of FIGURES) {
    const sketch = other.figures[figure];
    if (sketch !== undefined) addSketch((baseline.figures[figure] ??= {}), sketch);
  }
  for (const by of ["byInput", "byOutput"] as const)
    for (const [size, { sum, ms }] of Object.entries(other[by])) {
      const of = (baseline[by][+size] ??= { sum: 0, ms: {} });
      of.sum += sum;
      addSketch(of.ms, ms);
    }
}

/** 0 where nothing is known. */
export function usualOf({ figures }: Baseline, figure: Figure, share = 0.5): number {
  return quantileOf(figures[figure] ?? {}, share) ?? 0;
}

/** A class of fewer says nothing. */
const MIN_IN_CLASS = 4;

/** Ms of each further token, by a line through the medians of the size classes; 0 where there are not two of them. */
export function slopeOf(classes: SizeClasses): number {
  const points = Object.values(classes).flatMap(({ sum, ms: sketch }) => {
    const count = countValues(sketch);
    const ms = quantileOf(sketch, 0.5);
    return ms === undefined || count < MIN_IN_CLASS ? [] : [{ size: sum / count, ms, count }];
  });
  if (points.length < 2) return 0;
  const all = points.reduce((total, { count }) => total + count, 0);
  const meanOf = (of: "size" | "ms"): number =>
    points.reduce((total, point) => total + point[of] * point.count, 0) / all;
  const meanSize = meanOf("size");
  const meanMs = meanOf("ms");
  let covariance = 0;
  let variance = 0;
  for (const { size, ms, count } of points) {
    covariance += count * (size - meanSize) * (ms - meanMs);
    variance += count * (size - meanSize) ** 2;
  }
  return variance > 0 ? Math.max(0, covariance / variance) : 0;
}
