// The table in src/telemetry/README.md and the scenarios are one set, in one wording: neither can rot.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CHAPTERS } from "./chapters.ts";
import { withTables } from "./table.ts";

const README = join(import.meta.dirname, "../../../src/telemetry/README.md");

describe("the table of scenarios", () => {
  test("shows each scenario with the tree that its test compares (else: npm run scenarios)", () => {
    const readme = readFileSync(README, "utf8");
    expect(readme).toBe(withTables(readme, CHAPTERS));
  });

  test("names each scenario once", () => {
    const names = CHAPTERS.flatMap(({ scenarios }) => scenarios.map(({ name }) => name));
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(25);
  });
});
