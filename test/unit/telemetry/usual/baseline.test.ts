import { describe, expect, test } from "vitest";
import {
  addBaseline,
  addMeasured,
  createBaseline,
  slopeOf,
  usualOf,
} from "../../../../src/telemetry/usual/baseline.ts";
import { measure, type MeasuredRequest } from "../../../../src/telemetry/usual/measure.ts";
import {
  addSketch,
  addValue,
  countValues,
  quantileOf,
  type Sketch,
} from "../../../../src/telemetry/usual/sketch.ts";
import { fallbackTrace } from "../../../support/builders/sample-traces.ts";

const sketchOf = (values: readonly number[]): Sketch => {
  const sketch: Sketch = {};
  for (const value of values) addValue(sketch, value);
  return sketch;
};
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1);

describe("a sketch", () => {
  test.each([0.01, 0.5, 0.75, 0.95, 1])("gives the quantile %d within 2 %%", (share) => {
    const quantile = quantileOf(sketchOf(upTo(10_000)), share) ?? 0;
    expect(Math.abs(quantile / (10_000 * share) - 1)).toBeLessThan(0.021);
  });

  test("of two parts is that of the whole, in any order, and survives JSON", () => {
    const whole = sketchOf([0, ...upTo(500)]);
    const parts = sketchOf(upTo(500).slice(200));
    addSketch(parts, JSON.parse(JSON.stringify(sketchOf([0, ...upTo(200)]))) as Sketch);
    expect(parts).toEqual(whole);
    expect(countValues(parts)).toBe(501);
  });

  test("is bounded, and has no quantile without values", () => {
    const sketch = sketchOf([0, 0.4, 1e7, 1e9, 1e300]);
    expect(Object.keys(sketch).length).toBe(3);
    expect(quantileOf(sketch, 0.2)).toBe(0);
    expect(quantileOf({}, 0.5)).toBeUndefined();
  });
});

/** A stream that took `firstMs` for `inputTokens`. */
const stream = (own: MeasuredRequest, inputTokens: number, firstMs: number): MeasuredRequest => ({
  ...own,
  isStream: true,
  inputTokens,
  cachedTokens: 0,
  durationMs: firstMs,
  parts: [{ kind: "first_token", ms: firstMs }],
});

describe("what is usual", () => {
  test("grows with the prompt by the medians of its sizes, whatever single requests do", async () => {
    const own = measure((await fallbackTrace()).spans);
    if (own === undefined) throw new Error("nothing was measured");
    const baseline = createBaseline();
    for (let index = 0; index < 20; index++) addMeasured(baseline, stream(own, 100, 110));
    expect(slopeOf(baseline.byInput)).toBe(0);
    for (const ms of [300, 300, 300, 9000]) addMeasured(baseline, stream(own, 2000, ms));
    const slope = slopeOf(baseline.byInput);
    expect(slope).toBeGreaterThan(0.09);
    expect(slope).toBeLessThan(0.11);
    expect(usualOf(baseline, "input")).toBeCloseTo(100, -1);
  });

  test("of two hours adds up", async () => {
    const own = measure((await fallbackTrace()).spans);
    if (own === undefined) throw new Error("nothing was measured");
    const [one, two, both] = [createBaseline(), createBaseline(), createBaseline()];
    for (const at of [one, both]) addMeasured(at, own);
    for (const at of [two, both]) addMeasured(at, stream(own, 2000, 300));
    addBaseline(one, two);
    expect(one).toEqual(both);
  });

  test("is measured in parts that add up to the request", async () => {
    const own = measure((await fallbackTrace()).spans);
    expect(own?.parts.reduce((sum, { ms }) => sum + ms, 0)).toBe(own?.durationMs);
  });
});
