// What `npm run prices` says of a new table: each model that came, went, rose or fell.
import { describe, expect, test } from "vitest";
import { comparePrices, renderChanges } from "../../../src/local/generate/price-changes.ts";
import { PRICE_TABLE } from "../../../src/pricing/price-table.ts";

const tableOf = (...lines: readonly string[]) => ({ kinds: { v: ["v"] }, sheets: { v: lines.join("\n") } });
const NONE = { added: [], removed: [], dearer: [], cheaper: [], mixed: [] };

describe("two price tables", () => {
  test.each<[string, string, string, object]>([
    ["a new model", "", "2,8|m", { added: ["v/m: input $2, output $8"] }],
    ["a model that went", "2,8|m", "", { removed: ["v/m: input $2, output $8"] }],
    ["a rise", "2,8|m", "2.5,8|m", { dearer: ["v/m: input $2, output $8 → input $2.5, output $8"] }],
    ["a fall", "2,8|m", "2,4|m", { cheaper: ["v/m: input $2, output $8 → input $2, output $4"] }],
    [
      "both",
      ".000002,.000008|m",
      ".000003,.000007|m",
      { mixed: ["v/m: input $0.000002, output $0.000008 → input $0.000003, output $0.000007"] },
    ],
    [
      "a price for cached tokens, which cost as much as others before",
      "2,8|m",
      "2,8,1|m",
      { cheaper: ["v/m: input $2, output $8 → input $2, output $8, cacheRead $1"] },
    ],
    [
      "a step for long prompts",
      "2,8|m",
      "2,8@200000:4,8|m",
      {
        dearer: ["v/m: input $2, output $8 → input $2, output $8, >200000 input $4, >200000 output $8"],
      },
    ],
    ["a model without a price any more", "2,8|m", "-|m", { removed: ["v/m: input $2, output $8"] }],
    ["one id of two", "2|m n", "2|m", { removed: ["v/n: input $2, output $0"] }],
    ["lines in another order", "1,1|a\n2,2|b", "2,2|b\n1,1|a", {}],
  ])("%s", (_, before, after, changes) => {
    expect(comparePrices(tableOf(before), tableOf(after))).toEqual({ ...NONE, ...changes });
  });

  test("the committed table has not changed against itself", () => {
    expect(renderChanges(comparePrices(PRICE_TABLE, PRICE_TABLE))).toBe("No price has changed.");
  });

  test("are listed by kind, with their numbers", () => {
    const said = renderChanges(comparePrices(tableOf("1,1|a b"), tableOf("2,1|a c")));
    expect(said.split("\n")).toEqual([
      "added (1)",
      "  v/c: input $2, output $1",
      "removed (1)",
      "  v/b: input $1, output $1",
      "dearer (1)",
      "  v/a: input $1, output $1 → input $2, output $1",
    ]);
  });
});
