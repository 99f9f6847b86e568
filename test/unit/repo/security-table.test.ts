// src/docs/security.md shows the attacks and the routes that the tests walk, all of them and as they are asserted.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ATTACKS } from "../../clients/attacks/chapters.ts";
import { WALKED } from "../../clients/attacks/routes.ts";
import { withSecurityTables } from "../../clients/attacks/table.ts";

const FILE = join(import.meta.dirname, "../../../src/docs/security.md");

test("is up to date (else: npm run security)", () => {
  const document = readFileSync(FILE, "utf8");
  expect(document).toBe(withSecurityTables(document, ATTACKS, WALKED));
});

test("has at least 250 attacks, each named once in its chapter", () => {
  const names = ATTACKS.flatMap(({ title, attacks }) => attacks.map(({ attack }) => `${title}: ${attack}`));
  expect(names.length).toBeGreaterThanOrEqual(250);
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
});
