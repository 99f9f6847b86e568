// How long a model's answers have been: what admission reserves for those who name no limit.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createOutputLengthStats } from "../../../src/targets/output-lengths.ts";

function statsOf(lengths: readonly number[], tenantId = "acme", model = "up/m") {
  const stats = createOutputLengthStats();
  for (const length of lengths) stats.note(tenantId, model, length);
  return stats;
}

test("guesses nothing before it has seen five answers", () => {
  expect(statsOf([]).expected("acme", "up/m")).toBeUndefined();
  expect(statsOf([10, 10, 10, 10]).expected("acme", "up/m")).toBeUndefined();
  expect(statsOf([10, 10, 10, 10, 10]).expected("acme", "up/m")).toBe(10);
});

test("says what nine of ten answers stay below", () => {
  expect(statsOf([1, 2, 3, 4, 5, 6, 7, 8, 9, 100]).expected("acme", "up/m")).toBe(9);
});

test("forgets all but the last 32 answers", () => {
  const long = Array.from({ length: 32 }, () => 900);
  const short = Array.from({ length: 32 }, () => 7);
  expect(statsOf([...long, ...short]).expected("acme", "up/m")).toBe(7);
});

test("keeps tenants and models apart", () => {
  const stats = statsOf([5, 5, 5, 5, 5]);
  expect(stats.expected("other", "up/m")).toBeUndefined();
  expect(stats.expected("acme", "up/n")).toBeUndefined();
});

test("keeps a thousand models, and lets go of the one unused for longest", () => {
  const stats = createOutputLengthStats();
  const see = (model: string) => [1, 2, 3, 4, 5].forEach((length) => stats.note("acme", model, length));
  for (let n = 0; n <= 1000; n += 1) see(`m${n}`);
  expect(stats.expected("acme", "m0")).toBeUndefined();
  expect(stats.expected("acme", "m1")).toBe(5);
});

test("its guess is always a length it has seen, with at most a tenth above it", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(10_000), { minLength: 5, maxLength: 100 }), (lengths) => {
      const guess = statsOf(lengths).expected("acme", "up/m") ?? -1;
      const window = lengths.slice(-32);
      expect(window).toContain(guess);
      expect(window.filter((length) => length > guess).length).toBeLessThanOrEqual(window.length / 10);
    }),
  );
});
