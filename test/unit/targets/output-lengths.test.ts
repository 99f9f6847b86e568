// How long a model's answers have been: what admission reserves for those who name no limit.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createOutputLengthStats } from "../../../src/targets/output-lengths.ts";

function bookOf(lengths: readonly number[], tenantId = "acme", model = "up/m") {
  const book = createOutputLengthStats();
  for (const length of lengths) book.note(tenantId, model, length);
  return book;
}

test("guesses nothing before it has seen five answers", () => {
  expect(bookOf([]).expected("acme", "up/m")).toBeUndefined();
  expect(bookOf([10, 10, 10, 10]).expected("acme", "up/m")).toBeUndefined();
  expect(bookOf([10, 10, 10, 10, 10]).expected("acme", "up/m")).toBe(10);
});

test("says what nine of ten answers stay below", () => {
  expect(bookOf([1, 2, 3, 4, 5, 6, 7, 8, 9, 100]).expected("acme", "up/m")).toBe(9);
});

test("forgets all but the last 32 answers", () => {
  const long = Array.from({ length: 32 }, () => 900);
  const short = Array.from({ length: 32 }, () => 7);
  expect(bookOf([...long, ...short]).expected("acme", "up/m")).toBe(7);
});

test("keeps tenants and models apart", () => {
  const book = bookOf([5, 5, 5, 5, 5]);
  expect(book.expected("other", "up/m")).toBeUndefined();
  expect(book.expected("acme", "up/n")).toBeUndefined();
});

test("keeps a thousand models, and lets go of the one unused for longest", () => {
  const book = createOutputLengthStats();
  const see = (model: string) => [1, 2, 3, 4, 5].forEach((length) => book.note("acme", model, length));
  for (let n = 0; n <= 1000; n += 1) see(`m${n}`);
  expect(book.expected("acme", "m0")).toBeUndefined();
  expect(book.expected("acme", "m1")).toBe(5);
});

test("its guess is always a length it has seen, with at most a tenth above it", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(10_000), { minLength: 5, maxLength: 100 }), (lengths) => {
      const guess = bookOf(lengths).expected("acme", "up/m") ?? -1;
      const window = lengths.slice(-32);
      expect(window).toContain(guess);
      expect(window.filter((length) => length > guess).length).toBeLessThanOrEqual(window.length / 10);
    }),
  );
});
