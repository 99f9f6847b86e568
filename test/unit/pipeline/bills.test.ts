// The sums of what a request's attempts used.
import { expect, test } from "vitest";
import { basisOf, type Bill, billedUsage, missingOf } from "../../../src/pipeline/bills.ts";
import { mergeUsage, type TokenUsage } from "../../../src/schema/chat.ts";

/** Every count that there is: a new one doesn't compile until it is here. */
const USAGE: Required<Omit<TokenUsage, "isUnsound">> = {
  inputTokens: 1,
  outputTokens: 2,
  tier: "flex",
  region: "us",
  cacheReadTokens: 3,
  cacheWriteTokens: 4,
  cacheWriteHourTokens: 5,
  webSearches: 6,
  fileSearches: 15,
  codeContainers: 16,
  reasoningTokens: 7,
  inputAudioTokens: 8,
  cacheReadAudioTokens: 9,
  outputAudioTokens: 10,
  inputImageTokens: 11,
  images: 12,
  audioSeconds: 13,
  characters: 14,
};
const COUNTS = Object.entries(USAGE).filter(([name]) => name !== "tier" && name !== "region");

const billOf = (usage: TokenUsage, attempt = 1): Bill => ({
  attempt,
  target: "openai/gpt",
  usage,
  isEstimate: false,
  costMicroUsd: 1,
  basis: "list",
  missing: [],
  isLost: false,
});

test("every count of all attempts is in the sum", () => {
  const doubled = Object.fromEntries(COUNTS.map(([name, count]) => [name, Number(count) * 2]));
  expect(billedUsage([billOf(USAGE), billOf(USAGE, 2)])).toEqual(doubled);
});

test("a count that one attempt alone has is in the sum; one that none has is not", () => {
  const plain = { inputTokens: 1, outputTokens: 1 };
  const sum = billedUsage([billOf(plain), billOf({ ...plain, webSearches: 2, cacheWriteHourTokens: 3 }, 2)]);
  expect(sum).toEqual({ inputTokens: 2, outputTokens: 2, webSearches: 2, cacheWriteHourTokens: 3 });
});

test("of two counts in one stream each is the larger", () => {
  const zeros = Object.fromEntries(COUNTS.map(([name]) => [name, 0]));
  expect(mergeUsage(USAGE, { ...zeros, inputTokens: 0, outputTokens: 0 })).toEqual(USAGE);
});

test("a sum with a part that has no price is partial, and names each part once", () => {
  const whole = billOf(USAGE);
  const unpriced = { ...whole, missing: ["tier:scale", "web_search"] };
  expect([basisOf([whole, unpriced]), missingOf([whole, unpriced, unpriced])]).toEqual([
    "partial",
    ["tier:scale", "web_search"],
  ]);
  expect([basisOf([whole]), missingOf([whole])]).toEqual(["list", []]);
});
