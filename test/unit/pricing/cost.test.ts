/** costMicroUsd and usd: what a generation costs, down to cached tokens and broken counts. */
import { describe, expect, it } from "vitest";
import { costMicroUsd, usd } from "../../../src/pricing/cost.ts";
import type { ModelPrice } from "../../../src/pricing/price-finder.ts";

/** $3 in, $15 out, $0.30 read from and $3.75 written to the cache, per million tokens. */
const PRICE: ModelPrice = { input: 3_000_000, output: 15_000_000, cacheRead: 300_000, cacheWrite: 3_750_000 };

describe("the cost of a generation", () => {
  it("is input and output tokens at their prices", () => {
    expect(costMicroUsd(PRICE, { inputTokens: 1_000, outputTokens: 100 })).toBe(3_000 + 1_500);
  });

  it("takes cached tokens out of the input and bills them at their own prices", () => {
    const usage = { inputTokens: 1_000, outputTokens: 0, cacheReadTokens: 600, cacheWriteTokens: 300 };
    expect(costMicroUsd(PRICE, usage)).toBe(100 * 3 + 600 * 0.3 + 300 * 3.75);
  });

  it("bills cached tokens as input where the vendor states no price for them", () => {
    const usage = { inputTokens: 1_000, outputTokens: 0, cacheReadTokens: 600, cacheWriteTokens: 300 };
    expect(costMicroUsd({ input: 3_000_000, output: 0 }, usage)).toBe(3_000);
  });

  it("bills a cached token at nothing where the vendor says that it is free", () => {
    const usage = { inputTokens: 1_000, outputTokens: 0, cacheReadTokens: 600 };
    expect(costMicroUsd({ ...PRICE, cacheRead: 0 }, usage)).toBe(400 * 3);
  });

  it("does not bill reasoning a second time, since it is part of the output", () => {
    const usage = { inputTokens: 0, outputTokens: 100, reasoningTokens: 80 };
    expect(costMicroUsd(PRICE, usage)).toBe(1_500);
  });

  it("bills audio at its own prices, heard, cached and said", () => {
    const price: ModelPrice = {
      ...PRICE,
      inputAudio: 32_000_000,
      outputAudio: 64_000_000,
      cacheReadAudio: 400_000,
    };
    const usage = {
      inputTokens: 1_000,
      inputAudioTokens: 700,
      cacheReadTokens: 500,
      cacheReadAudioTokens: 400,
      outputTokens: 100,
      outputAudioTokens: 80,
    };
    // Of 700 heard tokens 400 were cached, of 300 tokens of text 100.
    const input = 200 * 3 + 300 * 32 + 100 * 0.3 + 400 * 0.4;
    expect(costMicroUsd(price, usage)).toBe(input + 20 * 15 + 80 * 64);
  });

  it("bills audio as text where the vendor states no price for it", () => {
    const usage = { inputTokens: 1_000, inputAudioTokens: 700, outputTokens: 100, outputAudioTokens: 80 };
    expect(costMicroUsd(PRICE, usage)).toBe(1_000 * 3 + 100 * 15);
  });

  it("keeps fractions of a micro-dollar", () => {
    expect(costMicroUsd({ input: 150_000, output: 600_000 }, { inputTokens: 1, outputTokens: 0 })).toBe(0.15);
  });

  it("is exact for a million requests' worth of tokens", () => {
    const usage = { inputTokens: 1_000_000_001, outputTokens: 0 };
    expect(costMicroUsd({ input: 75_000, output: 0 }, usage)).toBe(75_000_000.075);
  });

  it("is undefined for a model without a price, and zero for a free one", () => {
    const usage = { inputTokens: 1_000, outputTokens: 100 };
    expect(costMicroUsd(undefined, usage)).toBeUndefined();
    expect(costMicroUsd({ input: 0, output: 0 }, usage)).toBe(0);
  });

  it.each([-5, Number.NaN, Number.POSITIVE_INFINITY])("counts a reported %d tokens as none", (broken) => {
    const usage = {
      inputTokens: broken,
      outputTokens: broken,
      cacheReadTokens: broken,
      cacheWriteTokens: broken,
    };
    expect(costMicroUsd(PRICE, usage)).toBe(0);
  });

  it("bills what a vendor reports that has more cached tokens than input tokens, and never a negative rest", () => {
    const usage = { inputTokens: 100, outputTokens: 0, cacheReadTokens: 1_000 };
    expect(costMicroUsd(PRICE, usage)).toBe(300);
  });
});

describe("US dollars for the edge", () => {
  it.each([
    [1_234_567, 1.234567],
    [4_500, 0.0045],
    [1.5, 0.000002],
    [0.15, 0],
    [0, 0],
  ])("are %d micro-dollars to the nearest one: %d", (microUsd, dollars) => {
    expect(usd(microUsd)).toBe(dollars);
  });
});

describe("a price with steps for long prompts", () => {
  const gemini: ModelPrice = {
    input: 1_250_000,
    output: 10_000_000,
    steps: [
      { aboveInputTokens: 200_000, prices: { input: 2_500_000, output: 15_000_000 } },
      { aboveInputTokens: 500_000, prices: { input: 5_000_000, output: 20_000_000 } },
    ],
  };

  it.each([
    [200_000, 250_000 + 10_000],
    [200_001, 500_002.5 + 15_000],
    [250_000, 640_000],
    [500_001, 2_500_005 + 20_000],
  ])("bills a whole request of %i input tokens at the step it reaches", (inputTokens, microUsd) => {
    expect(costMicroUsd(gemini, { inputTokens, outputTokens: 1000 })).toBe(microUsd);
  });

  it("counts cached tokens towards the step", () => {
    const usage = { inputTokens: 250_000, cacheReadTokens: 249_000, outputTokens: 0 };
    expect(costMicroUsd(gemini, usage)).toBe(625_000);
  });
});
