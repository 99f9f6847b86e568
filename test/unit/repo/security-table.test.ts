// src/docs/security.md shows the attacks and the routes that the tests walk, all of them and as they are asserted, and the findings of
// the review with tests that there are.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ATTACKS } from "../../clients/attacks/chapters.ts";
import { FINDINGS } from "../../clients/attacks/findings.ts";
import { WALKED } from "../../clients/attacks/routes.ts";
import { withSecurityTables } from "../../clients/attacks/table.ts";

const FILE = join(import.meta.dirname, "../../../src/docs/security.md");
const TESTS = join(import.meta.dirname, "../..");

test("is up to date (else: npm run security)", () => {
  const document = readFileSync(FILE, "utf8");
  expect(document).toBe(withSecurityTables(document, ATTACKS, WALKED, FINDINGS));
});

test("has at least 250 attacks, each named once in its chapter", () => {
  const names = ATTACKS.flatMap(({ title, attacks }) => attacks.map(({ attack }) => `${title}: ${attack}`));
  expect(names.length).toBeGreaterThanOrEqual(250);
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
});

test("every finding of the review is there once: 8 high, 13 medium, 13 low", () => {
  const numbered = (letter: string, count: number): readonly string[] =>
    Array.from({ length: count }, (_, at) => `${letter}${at + 1}`);
  expect(FINDINGS.map(({ id }) => id)).toEqual([
    ...numbered("H", 8),
    ...numbered("M", 13),
    ...numbered("L", 13),
  ]);
});

test.each(FINDINGS)("$id has two tests at least, and each of them exists", ({ tests }) => {
  expect(tests.length).toBeGreaterThanOrEqual(2);
  // As it is written in the file: a name without its placeholders filled in.
  const missing = tests.filter(([file, name]) => !readFileSync(join(TESTS, file), "utf8").includes(name));
  expect(missing).toEqual([]);
});
