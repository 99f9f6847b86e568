// Answers that cost something else than their model's price on the list: each tier, region and tool, and what has no price.
import { describe, expect, test } from "vitest";
import { asBilled, type BilledBy } from "../../../src/pricing/as-billed.ts";
import { costMicroUsd } from "../../../src/pricing/cost.ts";
import { findPrice } from "../../../src/pricing/prices.ts";
import type { TokenUsage } from "../../../src/schema/chat.ts";

const MILLION = 1_000_000;
const USAGE: TokenUsage = { inputTokens: MILLION, outputTokens: MILLION };

/** Dollars for a million tokens in and out at the list's price, and what of it has none. */
function bill(by: BilledBy, usage: Partial<TokenUsage> = {}): readonly [number, readonly string[]] {
  const price = findPrice(by.kind, by.model);
  if (price === undefined) throw new Error(`no price for ${by.model}`);
  // Below the steps for long prompts.
  const used = { ...USAGE, inputTokens: 100_000, outputTokens: 100_000, ...usage };
  const billed = asBilled({ price, basis: "list" }, used, by);
  return [Number((costMicroUsd(billed.price, used) / MILLION).toFixed(6)), billed.missing];
}

describe("a tier", () => {
  test.each<[string, string, string, number]>([
    ["openai", "gpt-5", "flex", (0.125 + 1) / 2],
    ["openai", "gpt-5", "batch", (0.125 + 1) / 2],
    // The prices of https://openai.com/api-priority-processing: 2.50 and 20, 4.25 and 17, 0.25 and 1, 2 and 8.
    ["openai", "gpt-5", "priority", 0.25 + 2],
    ["openai", "gpt-5-2025-08-07", "priority", 0.25 + 2],
    ["openai", "gpt-4o", "priority", 0.425 + 1.7],
    ["openai", "gpt-4o-mini", "priority", 0.025 + 0.1],
    ["openai", "o4-mini", "priority", 0.2 + 0.8],
    ["openai", "gpt-4.1-nano", "priority", 0.02 + 0.08],
    ["anthropic", "claude-opus-4-6", "batch", (0.5 + 2.5) / 2],
    ["anthropic", "claude-opus-4-6", "fast", 3 + 15],
    ["groq", "llama-3.3-70b-versatile", "flex", bill({ kind: "groq", model: "llama-3.3-70b-versatile" })[0]],
  ])("%s %s %s", (kind, model, tier, usd) => {
    const [cost, missing] = bill({ kind, model }, { tier });
    expect(cost).toBeCloseTo(usd, 6);
    expect(missing).toEqual([]);
  });

  test.each([
    ["openai", "gpt-5", "scale"],
    ["openai", "gpt-5-pro", "priority"],
    ["openai", "gpt-5-nano", "priority"],
    ["anthropic", "claude-haiku-4-5", "priority"],
    ["anthropic", "claude-haiku-4-5", "fast"],
    ["deepseek", "deepseek-chat", "batch"],
  ])("%s %s %s has no price on the list: the sum says so", (kind, model, tier) => {
    expect(bill({ kind, model }, { tier })).toEqual([bill({ kind, model })[0], [`tier:${tier}`]]);
  });
});

describe("a region costs a tenth more", () => {
  test.each<[BilledBy, Partial<TokenUsage>, number]>([
    [{ kind: "anthropic", model: "claude-opus-4-6" }, { region: "us" }, 1.1],
    [{ kind: "openai", model: "gpt-5.4", baseUrl: "https://eu.api.openai.com/v1" }, {}, 1.1],
    [{ kind: "openai", model: "gpt-5", baseUrl: "https://eu.api.openai.com/v1" }, {}, 1],
    [{ kind: "openai", model: "gpt-5.4", baseUrl: "https://api.openai.com/v1" }, {}, 1],
    [{ kind: "vertex", model: "claude-haiku-4-5@20251001", location: "europe-west1" }, {}, 1.1],
    [{ kind: "vertex", model: "claude-haiku-4-5@20251001", location: "global" }, {}, 1],
    [{ kind: "vertex", model: "gemini-2.5-flash", location: "europe-west1" }, {}, 1],
  ])("%j", (by, usage, factor) => {
    const { kind, model } = by;
    expect(bill(by, usage)[0]).toBeCloseTo(bill({ kind, model })[0] * factor, 6);
  });

  test("on Bedrock the list has both", () => {
    const price = (prefix: string) =>
      findPrice("bedrock", `${prefix}.anthropic.claude-haiku-4-5-20251001-v1:0`)?.input;
    expect(price("eu")).toBe(1.1 * (price("global") ?? 0));
  });
});

describe("a vendor's own tools cost by the call", () => {
  test.each<[string, string, Partial<TokenUsage>, number]>([
    ["openai", "gpt-5", { webSearches: 2 }, 0.02],
    ["openai", "gpt-5", { fileSearches: 4 }, 0.01],
    ["openai", "gpt-5", { codeContainers: 1 }, 0.03],
    ["anthropic", "claude-haiku-4-5", { webSearches: 3 }, 0.03],
    ["gemini", "gemini-2.5-flash", { webSearches: 4 }, 0.035],
    ["gemini", "gemini-3-pro-preview", { webSearches: 2 }, 0.028],
  ])("%s %s %j", (kind, model, usage, usd) => {
    const [cost, missing] = bill({ kind, model }, usage);
    expect(cost - bill({ kind, model })[0]).toBeCloseTo(usd, 6);
    expect(missing).toEqual([]);
  });

  test("and not less in a tier that is cheaper", () => {
    const by = { kind: "openai", model: "gpt-5" };
    expect(bill(by, { webSearches: 1, tier: "flex" })[0] - bill(by, { tier: "flex" })[0]).toBeCloseTo(
      0.01,
      6,
    );
  });

  test("one without a price is named", () => {
    expect(bill({ kind: "xai", model: "grok-4" }, { webSearches: 1 })[1]).toEqual(["web_search"]);
    expect(bill({ kind: "anthropic", model: "claude-haiku-4-5" }, { codeContainers: 1 })[1]).toEqual([
      "code_interpreter",
    ]);
  });
});

describe("a tenant's own price", () => {
  const own = { price: { input: 1, output: 1, perWebSearch: 5 }, basis: "own" } as const;

  test("has its own tools, half in a tier at half price, and no list's region or unknown tier", () => {
    const by = { kind: "anthropic", model: "claude-opus-4-6" };
    const usage = { inputTokens: MILLION, outputTokens: 0, region: "us", webSearches: 2 };
    expect(costMicroUsd(asBilled(own, usage, by).price, usage)).toBe(1 + 10);
    const batch = { ...usage, tier: "batch" };
    expect(costMicroUsd(asBilled(own, batch, by).price, batch)).toBe(0.5 + 10);
    expect(asBilled(own, { ...usage, tier: "priority" }, by).missing).toEqual([]);
    expect(asBilled(own, { ...usage, fileSearches: 1 }, by).missing).toEqual(["file_search"]);
  });
});

test("steps for long prompts are scaled too", () => {
  const by = { kind: "anthropic", model: "claude-sonnet-4-5" };
  const long = { inputTokens: 300_000, outputTokens: 1000 };
  expect(bill(by, { ...long, tier: "batch" })[0]).toBeCloseTo(bill(by, long)[0] / 2, 6);
});
