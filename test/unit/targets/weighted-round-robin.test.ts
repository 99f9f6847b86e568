import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createWeightedRoundRobin } from "../../../src/targets/weighted-round-robin.ts";

/** How often each index had its turn. */
function count(turns: number, weights: readonly number[], start = 0): number[] {
  const { next } = createWeightedRoundRobin(() => start);
  const counts = weights.map(() => 0);
  for (let turn = 0; turn < turns; turn += 1) {
    const index = next("r", weights);
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}

describe("turns by weight", () => {
  test("give 80 and 20 of a hundred within one request, wherever the isolate starts", () => {
    for (const start of [0, 0.13, 0.5, 0.99]) {
      const [often = 0] = count(1000, [80, 20], start);
      expect(Math.abs(often - 800)).toBeLessThanOrEqual(1);
    }
  });

  test("keep every share within the number of targets at any time, whatever the weights", () => {
    const weights = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(
        weights,
        fc.integer({ min: 1, max: 500 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (all, turns, start) => {
          const total = all.reduce((sum, weight) => sum + weight, 0);
          if (total === 0) return;
          for (const [index, got] of count(turns, all, start).entries()) {
            expect(Math.abs(got - (turns * (all[index] ?? 0)) / total)).toBeLessThan(all.length + 1);
          }
        },
      ),
    );
  });

  test("spread each target's turns out instead of giving them in a row", () => {
    const { next } = createWeightedRoundRobin(() => 0);
    const seen = Array.from({ length: 14 }, () => next("r", [5, 1, 1])).join("");
    expect(seen).toBe("00102000010200");
  });

  test("start at different points in different isolates", () => {
    const starts = Array.from({ length: 100 }, (_, at) =>
      createWeightedRoundRobin(() => at / 100).next("r", [80, 20]),
    );
    expect(starts.filter((index) => index === 1)).toHaveLength(20);
  });

  test("never fall to a weight of zero, and to none where all are zero", () => {
    expect(count(10, [0, 3])).toEqual([0, 10]);
    expect(createWeightedRoundRobin(() => 0).next("r", [0, 0])).toBe(-1);
  });

  test("are shared out among the others while one is out, and afterwards as before", () => {
    const { next } = createWeightedRoundRobin(() => 0);
    const tally = (turns: number, weights: readonly number[]): number[] => {
      const counts = [0, 0, 0];
      for (let turn = 0; turn < turns; turn += 1) {
        const index = next("r", weights);
        counts[index] = (counts[index] ?? 0) + 1;
      }
      return counts;
    };
    tally(100, [50, 25, 25]);
    expect(tally(100, [0, 25, 25])).toEqual([0, 50, 50]);
    expect(tally(100, [50, 25, 25])).toEqual([50, 25, 25]);
  });

  test("are not taken by looking", () => {
    const { peek, next } = createWeightedRoundRobin(() => 0);
    const looked = [peek("r", [1, 1]), peek("r", [1, 1])];
    expect(looked).toEqual([next("r", [1, 1]), looked[0]]);
  });
});
