/** createPriceFinder over small made-up tables: how a line is read and which of several matches wins. */
import { describe, expect, it } from "vitest";
import { createPriceFinder, type ModelPrice, type PriceFinder } from "../../../src/pricing/price-finder.ts";

/** A finder for the kind `v` over sheets looked into in the order given; it answers in US dollars, as sheets are written. */
function finderOf(...sheets: readonly string[]): PriceFinder {
  const named = sheets.map((sheet, index) => [`sheet${index}`, sheet] as const);
  const find = createPriceFinder({
    kinds: { v: named.map(([name]) => name) },
    sheets: Object.fromEntries(named),
  });
  return (kind, id) => inUsd(find(kind, id));
}

function inUsd(price: ModelPrice | undefined): ModelPrice | undefined {
  if (price === undefined) return undefined;
  // The same members, each divided.
  return JSON.parse(
    JSON.stringify(price, (name, value: unknown) =>
      typeof value === "number" && name !== "aboveInputTokens" ? value / 1_000_000 : value,
    ),
  ) as ModelPrice;
}

describe("a line of a price sheet", () => {
  it("holds input, output, cache read and cache write", () => {
    expect(finderOf("1,2,3,4|m")("v", "m")).toEqual({ input: 1, output: 2, cacheRead: 3, cacheWrite: 4 });
  });

  it("leaves out what the vendor does not price", () => {
    expect(finderOf("1,2|m")("v", "m")).toEqual({ input: 1, output: 2 });
    expect(finderOf("1,2,,4|m")("v", "m")).toEqual({ input: 1, output: 2, cacheWrite: 4 });
    expect(finderOf("1|m")("v", "m")).toEqual({ input: 1, output: 0 });
  });

  it("names several ids", () => {
    const find = finderOf("1,1|a b\n2,2|c");
    expect(["a", "b", "c"].map((id) => find("v", id)?.input)).toEqual([1, 1, 2]);
  });

  it("matches by start, end or middle where an id has stars", () => {
    const find = finderOf("1|start*\n2|*end\n3|*middle*");
    const ids = ["start-x", "x-start", "x-end", "end-x", "x-middle-x", "middle"];
    expect(ids.map((id) => find("v", id)?.input)).toEqual([1, undefined, 2, undefined, 3, 3]);
  });
});

describe("looking a model up", () => {
  it("ignores case", () => {
    expect(finderOf("1|model-a")("v", "Model-A")?.input).toBe(1);
  });

  it("prefers the id itself over any pattern", () => {
    expect(finderOf("1|model*\n2|model-a\n3|*model-a*")("v", "model-a")?.input).toBe(2);
  });

  it("prefers the longest of several patterns, wherever it stands", () => {
    const find = finderOf("1|model*\n3|model-a-b*\n2|model-a*");
    expect(["model-x", "model-a-x", "model-a-b-x"].map((id) => find("v", id)?.input)).toEqual([1, 2, 3]);
  });

  it.each(["m-2025-07-18", "m-20250718", "m@20250718"])("takes %s for a snapshot of m", (id) => {
    expect(finderOf("1|m\n2|m-*")("v", id)?.input).toBe(1);
  });

  it("prefers a snapshot's own price", () => {
    expect(finderOf("1|m\n2|m-2024-05-13")("v", "m-2024-05-13")?.input).toBe(2);
  });

  it.each(["m-2025-13-18", "m-2025-0718", "m-0718", "m-2025-07-18-x", "m-20250718x", "m2025-07-18"])(
    "does not take %s for a snapshot of m",
    (id) => {
      expect(finderOf("1|m")("v", id)).toBeUndefined();
    },
  );

  it("looks into a kind's sheets in order", () => {
    const find = finderOf("1|own shared", "2|shared resold");
    expect(["own", "shared", "resold"].map((id) => find("v", id)?.input)).toEqual([1, 1, 2]);
  });

  it("stops at an id that is marked as having no price", () => {
    const find = finderOf("1|m*\n-|m-speech", "2|m-speech");
    expect(find("v", "m-speech")).toBeUndefined();
    expect(find("v", "m-text")?.input).toBe(1);
  });

  it("knows no price for an unknown kind, an unknown or an empty id", () => {
    const find = finderOf("1|m");
    expect(find("w", "m")).toBeUndefined();
    expect(find("v", "n")).toBeUndefined();
    expect(find("v", "")).toBeUndefined();
    expect(find("constructor", "m")).toBeUndefined();
    expect(find("v", "__proto__")).toBeUndefined();
  });

  it("does not search for ids longer than any vendor's", () => {
    expect(finderOf("1|m*")("v", `m${"x".repeat(255)}`)?.input).toBe(1);
    expect(finderOf("1|m*")("v", `m${"x".repeat(256)}`)).toBeUndefined();
  });

  it("gives the same answer again, also after more made-up ids than it remembers", () => {
    const find = createPriceFinder({ kinds: { v: ["v"] }, sheets: { v: "1|m*\n2|known" } });
    const answers = Array.from({ length: 1_200 }, (_, index) => find("v", `m${index}`)?.input);
    expect(new Set(answers)).toEqual(new Set([1_000_000]));
    expect(find("v", "known")).toBe(find("v", "known"));
    expect(find("v", "unknown")).toBe(find("v", "unknown"));
    expect(find("v", "m0")?.input).toBe(1_000_000);
  });
});

describe("a reseller's model", () => {
  const find = createPriceFinder({
    kinds: { shop: ["shop"] },
    sheets: { shop: "9|maker/c\n-|maker/d*", maker: "1|a\n2|b*\n3|c\n4|d" },
    resold: { shop: { maker: "maker" } },
  });
  const dollars = (id: string): number | undefined => {
    const input = find("shop", id)?.input;
    return input === undefined ? undefined : input / 1_000_000;
  };

  it("has its maker's price where its own sheet has none, dated and under a variant too", () => {
    expect(["maker/a", "maker/a:beta", "maker/a-2026-01-31"].map(dollars)).toEqual([1, 1, 1]);
  });

  it("has the reseller's own price, or none, where that is said", () => {
    expect(["maker/c", "maker/d"].map(dollars)).toEqual([9, undefined]);
  });

  it("is not guessed from its maker's patterns, nor from another maker's models", () => {
    expect(["maker/b-new", "other/a", "a", "/a", "__proto__/a"].map(dollars)).toEqual(
      Array.from({ length: 5 }, () => undefined),
    );
  });
});
