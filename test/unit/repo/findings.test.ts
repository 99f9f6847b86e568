// Whether each test that test/findings.md names exists: a finding whose test was renamed or removed is open again.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const ROW = /^\| ([A-Z]\d+) \|/;
const NAMED = /(`+)(test\/\S+\.test\.ts) › (.+?)\1(?=<br>| \|)/g;

const rows = readFileSync(join(ROOT, "test/findings.md"), "utf8")
  .split("\n")
  .filter((line) => ROW.test(line))
  .map((line) => ({
    id: ROW.exec(line)?.[1] ?? "",
    tests: [...line.matchAll(NAMED)].map(([, , file = "", name = ""]) => ({ file, name })),
  }));

/** Whether a test of the file has that name, in whichever quotes. */
function exists(file: string, name: string): boolean {
  const path = join(ROOT, file);
  if (!existsSync(path)) return false;
  const source = readFileSync(path, "utf8");
  return ['"', "'", "`"].some((quote) => source.includes(`${quote}${name}${quote}`));
}

test("each finding names its own test and one of another fault of its kind", () => {
  expect(rows.length).toBeGreaterThan(30);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  for (const { id, tests } of rows) expect([id, tests.length >= 2]).toEqual([id, true]);
});

test("each named test exists", () => {
  const missing = rows.flatMap(({ id, tests }) =>
    tests.filter(({ file, name }) => !exists(file, name)).map(({ file, name }) => `${id}: ${file} › ${name}`),
  );
  expect(missing).toEqual([]);
});

test("a test that does not exist is seen", () => {
  expect(exists("test/unit/repo/findings.test.ts", "each named test exists")).toBe(true);
  expect(exists("test/unit/repo/findings.test.ts", ["each test", "of nothing"].join(" "))).toBe(false);
  expect(exists("test/unit/repo/none.test.ts", "each named test exists")).toBe(false);
});
