/** One version: what traces and metrics say, what the package says, and what the list of changes begins with. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { VERSION } from "../../../src/version.ts";

const read = (file: string): string => readFileSync(join(import.meta.dirname, "../../..", file), "utf8");

it("is the same in the code, the package and the list of changes", () => {
  expect(JSON.parse(read("package.json"))).toMatchObject({ version: VERSION });
  expect(JSON.parse(read("package-lock.json"))).toMatchObject({ version: VERSION });
  expect(/^## (\d+\.\d+\.\d+)/m.exec(read(".github/CHANGELOG.md"))?.[1]).toBe(VERSION);
});
