// The arithmetic of the semantic cache: lengths, cosines, and the nearest of many, against the textbook's formulas.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nearest, normalise, similarity, type Vector } from "../../../src/cache/vectors.ts";

/** Rounding of 32-bit floats over a few dozen dimensions. */
const TOLERANCE = 1e-5;
const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e150, max: 1e150 });
const values = fc.array(finite, { minLength: 1, maxLength: 40 });

function unit(...numbers: readonly number[]): Vector {
  const vector = normalise(numbers);
  if (vector === undefined) throw new Error("no vector");
  return vector;
}

describe("a vector", () => {
  test("has length 1 and its direction, however large or small its numbers are", () => {
    fc.assert(
      fc.property(values, fc.constantFrom(1e-150, 1, 1e150), (numbers, scale) => {
        const vector = normalise(numbers.map((value) => value * (scale / 1e150)));
        if (vector === undefined) return;
        expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
        numbers.forEach((value, at) => {
          const part = vector[at] ?? 0;
          expect(part === 0 || Math.sign(part) === Math.sign(value)).toBe(true);
        });
      }),
    );
  });

  test.each([
    ["no numbers", []],
    ["zeros", [0, 0, 0]],
    ["what is no number", [1, Number.NaN]],
    ["what is not finite", [1, Infinity]],
    ["too many dimensions", Array.from({ length: 4097 }, () => 1)],
  ])("is none made of %s", (_, numbers) => {
    expect(normalise(numbers)).toBeUndefined();
  });
});

describe("the similarity of two vectors", () => {
  test("is their cosine", () => {
    const pair = fc
      .integer({ min: 1, max: 33 })
      .chain((length) =>
        fc.tuple(
          ...[0, 1].map(() =>
            fc.array(fc.integer({ min: -999, max: 999 }), { minLength: length, maxLength: length }),
          ),
        ),
      );
    fc.assert(
      fc.property(pair, ([one = [], other = []]) => {
        const [left, right] = [normalise(one), normalise(other)];
        if (left === undefined || right === undefined) return;
        const dot = one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
        const cosine = dot / Math.hypot(...one) / Math.hypot(...other);
        if (!Number.isFinite(cosine)) return;
        expect(Math.abs(similarity(left, right) - cosine)).toBeLessThan(TOLERANCE);
        expect(similarity(left, right)).toBe(similarity(right, left));
        expect(Math.abs(similarity(left, right))).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("is 1 for a text and itself, in spite of 32-bit rounding", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: -1, max: 1 }), { minLength: 1, maxLength: 1536 }),
        (v) => {
          const vector = normalise(v);
          expect(vector === undefined ? 1 : similarity(vector, vector)).toBe(1);
        },
      ),
    );
  });
});

describe("the nearest of many", () => {
  const row = (name: string, vector: Vector, expiresAt = Infinity) => ({ name, vector, expiresAt });

  test("is the one with the highest cosine; of equals the newest", () => {
    const rows = [row("far", unit(0, 1)), row("near", unit(1, 0.1)), row("newer", unit(10, 1))];
    expect(nearest(rows, unit(1, 0), 0)).toMatchObject({ row: { name: "newer" }, compared: 3 });
  });

  test("is none that has expired, and none of another model's dimensions", () => {
    const rows = [row("old", unit(1, 0), 1000), row("other", unit(1, 0, 0)), row("far", unit(0, 1), 1001)];
    expect(nearest(rows, unit(1, 0), 1000)).toMatchObject({
      row: { name: "far" },
      similarity: 0,
      compared: 1,
    });
    expect(nearest(rows, unit(1, 0), 1001)).toMatchObject({ row: undefined, compared: 0 });
  });

  test("is what comparing each with each finds", () => {
    const vector = fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(fc.array(vector, { maxLength: 20 }), vector, (all, asked) => {
        const query = normalise(asked);
        if (query === undefined) return;
        const rows = all.flatMap((numbers, at) => {
          const made = normalise(numbers);
          return made === undefined ? [] : [row(String(at), made)];
        });
        const best = Math.max(-Infinity, ...rows.map((one) => similarity(one.vector, query)));
        expect(nearest(rows, query, 0)).toMatchObject({ similarity: best, compared: rows.length });
      }),
    );
  });
});
