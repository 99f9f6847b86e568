/** The committed price table against the package it was compiled from: it is fresh, and it answers as the package does. */
import {
  calcPrice,
  findProvider,
  type MatchLogic,
  type ModelPrice as CatalogPrice,
} from "@pydantic/genai-prices";
import { describe, expect, it } from "vitest";
import { compilePrices, VENDORS_BY_KIND } from "../../../src/local/generate/compile-prices.ts";
import { costMicroUsd } from "../../../src/pricing/cost.ts";
import { PRICE_TABLE, PRICES_AS_OF } from "../../../src/pricing/price-table.ts";
import { findPrice } from "../../../src/pricing/prices.ts";

type Usage = NonNullable<Parameters<typeof calcPrice>[0]>;

const MICRO_USD_PER_USD = 1_000_000;

/** Noon: outside every window of hours with a price of its own that lasts less than half a day. */
const NOON = new Date(`${PRICES_AS_OF}T12:00:00Z`);

function catalogPrice(vendor: string, modelId: string): CatalogPrice | undefined {
  return calcPrice({ input_tokens: 1 }, modelId, { providerId: vendor, timestamp: NOON })?.model_price;
}

/** A catalogue price in our unit; of a price by length of input, the one of short inputs. */
function microUsd(price: CatalogPrice | undefined, key: string): number | undefined {
  const usdPerMillion = price?.[key];
  if (usdPerMillion === undefined) return undefined;
  return Math.round(
    (typeof usdPerMillion === "number" ? usdPerMillion : usdPerMillion.base) * MICRO_USD_PER_USD,
  );
}

function literalsOf(match: MatchLogic): readonly string[] {
  if ("or" in match) return match.or.flatMap(literalsOf);
  if ("and" in match) return match.and.flatMap(literalsOf);
  return "regex" in match ? [] : Object.values(match);
}

/** Every id the catalogue names for a vendor, and what such ids look like in the wild. */
function idsOf(vendor: string): readonly string[] {
  const literals =
    findProvider({ providerId: vendor })?.models.flatMap(({ match }) => literalsOf(match)) ?? [];
  return literals.flatMap((id) => [id, `${id}-unheard-of`, `us.${id}`, `${id}-v1:0`]);
}

describe("the price table", () => {
  it("is what `npm run prices` makes of the installed package", () => {
    const { table } = compilePrices((providerId) => findProvider({ providerId }), PRICES_AS_OF);
    expect(PRICE_TABLE.kinds).toEqual(table.kinds);
    const committed = Object.entries(PRICE_TABLE.sheets).map(([name, sheet]) => [name, sheet.trim()]);
    expect(Object.fromEntries(committed)).toEqual(table.sheets);
  });

  it.each([
    ["openai", "openai", "gpt-4o-mini"],
    ["anthropic", "anthropic", "claude-haiku-4-5"],
    ["gemini", "google", "gemini-2.5-flash"],
    ["bedrock", "aws", "us.anthropic.claude-haiku-4-5-20251001-v1:0"],
    ["azure-openai", "azure", "gpt-4o-mini"],
    ["openrouter", "openrouter", "anthropic/claude-haiku-4.5"],
  ])("has the catalogue's price at %s (%s) for %s", (kind, vendor, modelId) => {
    const expected = catalogPrice(vendor, modelId);
    const found = findPrice(kind, modelId);
    expect(found?.input).toBeGreaterThan(0);
    expect(found?.input).toBe(microUsd(expected, "input_mtok"));
    expect(found?.output).toBe(microUsd(expected, "output_mtok"));
    expect(found?.cacheRead).toBe(microUsd(expected, "cache_read_mtok"));
    expect(found?.cacheWrite).toBe(microUsd(expected, "cache_write_mtok"));
  });

  it("has gpt-4o-mini at the price that OpenAI publishes: $0.15 in, $0.075 cached, $0.60 out", () => {
    expect(findPrice("openai", "gpt-4o-mini")).toEqual({
      input: 150_000,
      output: 600_000,
      cacheRead: 75_000,
    });
  });

  it.each(Object.entries(VENDORS_BY_KIND))("never contradicts the catalogue at %s", (kind, vendors) => {
    const [vendor = ""] = vendors;
    const contradictions = vendors.flatMap(idsOf).filter((id) => {
      const found = findPrice(kind, id);
      const expected = catalogPrice(vendor, id);
      // `:free` is a rule of the reseller there, and a list of models in the catalogue.
      if (found === undefined || id.endsWith(":free")) return false;
      return (
        expected === undefined ||
        found.input !== (microUsd(expected, "input_mtok") ?? 0) ||
        found.output !== (microUsd(expected, "output_mtok") ?? 0) ||
        found.cacheRead !== microUsd(expected, "cache_read_mtok") ||
        found.cacheWrite !== microUsd(expected, "cache_write_mtok")
      );
    });
    expect(contradictions).toEqual([]);
  });

  it.each(Object.entries(VENDORS_BY_KIND))(
    "knows the models of %s, but for those not billed by text",
    (kind, vendors) => {
      const ids = vendors.slice(0, 1).flatMap((vendor) => {
        const models = findProvider({ providerId: vendor })?.models ?? [];
        return models
          .filter(({ prices }) => !Array.isArray(prices) && "input_mtok" in prices)
          .flatMap(({ match }) => literalsOf(match));
      });
      const unknown = ids.filter((id) => findPrice(kind, id) === undefined);
      expect(ids.length).toBeGreaterThan(0);
      expect(
        unknown.filter((id) => !/audio|image|live|native|realtime|rerank|sonic|transcribe|tts|omni/.test(id)),
      ).toEqual([]);
    },
  );

  it("prices a dated id like the model it is a snapshot of, listed or not", () => {
    const price = findPrice("openai", "gpt-4o-mini");
    expect(findPrice("openai", "gpt-4o-mini-2024-07-18")).toEqual(price);
    expect(findPrice("openai", "gpt-4o-mini-2031-01-31")).toEqual(price);
    expect(findPrice("anthropic", "claude-haiku-4-5-20251001")).toEqual(
      findPrice("anthropic", "claude-haiku-4-5"),
    );
  });

  it("keeps the price of a snapshot that differs from its model's", () => {
    expect(findPrice("openai", "gpt-4o-2024-05-13")?.input).toBe(5_000_000);
    expect(findPrice("openai", "gpt-4o")?.input).toBe(2_500_000);
  });

  it("prices a fine-tuned model by its prefix", () => {
    expect(findPrice("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc123")?.input).toBe(300_000);
  });

  it("takes an embedding model's output as free", () => {
    expect(findPrice("openai", "text-embedding-3-small")).toEqual({ input: 20_000, output: 0 });
  });

  it("has a free model at zero, and no price for a model it does not know", () => {
    expect(findPrice("openrouter", "deepseek/deepseek-r1:free")).toEqual({ input: 0, output: 0 });
    expect(findPrice("openai", "no-such-model")).toBeUndefined();
    expect(findPrice("openai-compatible", "gpt-4o-mini")).toBeUndefined();
    expect(findPrice("sim", "echo")).toBeUndefined();
  });

  it.each<readonly [string, Usage]>([
    [
      "gpt-realtime",
      { input_tokens: 1000, input_audio_tokens: 600, output_tokens: 500, output_audio_tokens: 400 },
    ],
    ["gpt-realtime-2025-08-28", { input_tokens: 10, output_tokens: 5 }],
    [
      "gpt-realtime-mini",
      { input_tokens: 1000, cache_read_tokens: 300, input_audio_tokens: 600, cache_audio_read_tokens: 200 },
    ],
    ["gpt-4o-realtime-preview-2024-12-17", { input_tokens: 900, input_audio_tokens: 900, output_tokens: 1 }],
    ["gpt-audio", { input_tokens: 700, input_audio_tokens: 500, output_tokens: 80, output_audio_tokens: 60 }],
  ])("bills what %s hears and says as the catalogue does", (modelId, usage) => {
    const expected = calcPrice(usage, modelId, { providerId: "openai", timestamp: NOON })?.total_price;
    const price = findPrice("openai", modelId);
    const cost = costMicroUsd(price, {
      inputTokens: usage.input_tokens ?? 0,
      outputTokens: usage.output_tokens ?? 0,
      cacheReadTokens: usage.cache_read_tokens ?? 0,
      inputAudioTokens: usage.input_audio_tokens ?? 0,
      cacheReadAudioTokens: usage.cache_audio_read_tokens ?? 0,
      outputAudioTokens: usage.output_audio_tokens ?? 0,
    });
    expect(cost).toBeCloseTo((expected ?? Number.NaN) * MICRO_USD_PER_USD, 6);
  });

  it.each([
    ["openai", "gpt-4o-audio-preview"],
    ["openai", "gpt-4o-mini-audio-preview"],
    ["openai", "gpt-4o-mini-transcribe"],
    ["openrouter", "openai/gpt-audio"],
    ["gemini", "gemini-live-2.5-flash"],
    ["gemini", "gemini-2.5-pro-preview-tts"],
  ])("has no text price for %s/%s, whose tokens are not text", (kind, modelId) => {
    expect(findPrice(kind, modelId)).toBeUndefined();
  });
});

describe("the cost of a real request", () => {
  it.each([
    ["openai", "openai", "gpt-4o-mini"],
    ["anthropic", "anthropic", "claude-haiku-4-5"],
    ["gemini", "google", "gemini-2.5-flash"],
  ])("at %s is the catalogue's own, cached tokens included", (kind, vendor, modelId) => {
    const counts = {
      input_tokens: 4_740,
      cache_read_tokens: 1_024,
      cache_write_tokens: 0,
      output_tokens: 255,
    };
    const usage = { inputTokens: 4_740, cacheReadTokens: 1_024, cacheWriteTokens: 0, outputTokens: 255 };
    const expected =
      calcPrice(counts, modelId, { providerId: vendor, timestamp: NOON })?.total_price ?? Number.NaN;
    expect(costMicroUsd(findPrice(kind, modelId), usage)).toBeCloseTo(expected * MICRO_USD_PER_USD, 6);
  });
});

describe("models that cost more with a long prompt", () => {
  const LENGTHS = [1000, 128_001, 200_000, 200_001, 271_999, 272_000, 272_001, 1_000_000];
  const stepped = Object.entries(VENDORS_BY_KIND).flatMap(([kind, [vendor = ""]]) =>
    (findProvider({ providerId: vendor })?.models ?? [])
      .filter(({ id }) => findPrice(kind, id)?.steps !== undefined)
      .map(({ id }) => [kind, vendor, id] as const),
  );

  it("are in the table", () => {
    expect(stepped.length).toBeGreaterThan(20);
    expect(stepped.map(([, , id]) => id)).toContain("gemini-2.5-pro");
  });

  it.each(stepped)(
    "%s: %s/%s is billed as the package bills it, below and above each step",
    (kind, vendor, id) => {
      for (const inputTokens of LENGTHS) {
        const usage = { input_tokens: inputTokens, output_tokens: 1000 };
        const expected = calcPrice(usage, id, { providerId: vendor, timestamp: NOON })?.total_price ?? 0;
        const cost = costMicroUsd(findPrice(kind, id), { inputTokens, outputTokens: 1000 });
        expect(cost).toBeCloseTo(expected * MICRO_USD_PER_USD, 3);
      }
    },
  );
});
