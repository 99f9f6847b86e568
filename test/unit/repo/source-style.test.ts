// What the linter can't hold: a field that is there only on a condition has one spelling, zod comes in its small form, and imports
// are one block.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readSourceFiles } from "./source-graph.ts";

const ROOT = join(import.meta.dirname, "../../..");

/** `...(a ? {} : { b })` and `...(a ? { b } : {})`, also over several lines. */
const CONDITIONAL_SPREAD = /\.\.\.\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*?(?:\?\s*\{\}\s*:|:\s*\{\}\s*\))/g;

const spreadsIn = (text: string): readonly string[] => text.match(CONDITIONAL_SPREAD) ?? [];

it("writes conditional fields as ...(x !== undefined && { x })", () => {
  const breaches = readSourceFiles("src", "routes", "test").flatMap(({ path }) =>
    path.endsWith("source-style.test.ts")
      ? []
      : spreadsIn(readFileSync(join(ROOT, path), "utf8")).map((spread) => `${path}: ${spread}`),
  );
  expect(breaches).toEqual([]);
});

it("sees both of the other spellings", () => {
  expect(spreadsIn("{ ...(a === undefined ? {} : { a }) }")).toHaveLength(1);
  expect(spreadsIn("{\n  ...(isOn(b(c))\n    ? { c: f(b) }\n    : {}),\n}")).toHaveLength(1);
  expect(spreadsIn("{ ...(a !== undefined && { a }), ...(b ?? {}), c: d ? {} : e }")).toEqual([]);
});

it("imports zod as zod/mini, which is 12 KiB smaller", () => {
  const breaches = readSourceFiles("src", "routes").filter(({ path }) =>
    readFileSync(join(ROOT, path), "utf8").includes('from "zod"'),
  );
  expect(breaches.map(({ path }) => path)).toEqual([]);
});

const gapsIn = (text: string): readonly string[] =>
  text.match(/^(?:import|\} from) [^\n]*;\n\n(?=import )/gm) ?? [];

it("writes imports as one block", () => {
  const breaches = readSourceFiles("src", "routes").filter(
    ({ path }) => gapsIn(readFileSync(join(ROOT, path), "utf8")).length > 0,
  );
  expect(breaches.map(({ path }) => path)).toEqual([]);
});

it("sees a blank line between two imports, also behind one of several lines", () => {
  expect(gapsIn('import a from "a";\n\nimport b from "b";\n')).toHaveLength(1);
  expect(gapsIn('import {\n  a,\n} from "a";\n\nimport b from "b";\n')).toHaveLength(1);
  expect(gapsIn('import a from "a";\nimport b from "b";\n\nconst c = a;\n')).toEqual([]);
});
