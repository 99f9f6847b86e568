// Reported: prices that depend on how long a cache entry lives, and what is billed by the call, were left out of the cost.
import { expect, test } from "vitest";
import { asBilled } from "../../../../src/pricing/as-billed.ts";
import { costMicroUsd } from "../../../../src/pricing/cost.ts";
import { findPrice } from "../../../../src/pricing/prices.ts";
import { readAnthropicUsage } from "../../../../src/wires/anthropic/upstream-answer.ts";
import { mergeUsage } from "../../../../src/schema/chat.ts";
import { askedOf } from "./asked.ts";

const costOf = (usage: object): number | undefined => {
  const read = readAnthropicUsage(usage);
  const by = { kind: "anthropic", model: "claude-sonnet-4-5" };
  const price = findPrice(by.kind, by.model);
  return read && price && costMicroUsd(asBilled({ price, basis: "list" }, read, by).price, read);
};

test("a cache entry that lives for an hour costs twice an input token", () => {
  const usage = {
    input_tokens: 10,
    cache_creation_input_tokens: 1000,
    cache_read_input_tokens: 0,
    cache_creation: { ephemeral_5m_input_tokens: 400, ephemeral_1h_input_tokens: 600 },
    output_tokens: 5,
  };
  expect(costOf(usage)).toBeCloseTo(5205, 6);
  expect(costOf({ ...usage, cache_creation: { ephemeral_5m_input_tokens: 1000 } })).toBeCloseTo(3855, 6);
});

test("searches of the web are billed by the call", () => {
  const usage = { input_tokens: 10, output_tokens: 5, server_tool_use: { web_search_requests: 3 } };
  expect(costOf(usage)).toBeCloseTo(30_105, 6);
});

test("both survive a later count that leaves them out", () => {
  const first = {
    inputTokens: 10,
    outputTokens: 1,
    cacheWriteTokens: 6,
    cacheWriteHourTokens: 6,
    webSearches: 2,
  };
  expect(mergeUsage(first, { inputTokens: 10, outputTokens: 9 })).toEqual({ ...first, outputTokens: 9 });
});

test("a long prompt is billed whole at the price above the step", () => {
  const body = {
    candidates: [{ content: { role: "model", parts: [{ text: "ok" }] }, finishReason: "STOP", index: 0 }],
    usageMetadata: { promptTokenCount: 250_000, candidatesTokenCount: 1000, totalTokenCount: 251_000 },
    responseId: "r1",
    modelVersion: "gemini-2.5-pro",
  };
  const contents = [{ role: "user", parts: [{ text: "x" }] }];
  const { usage } = askedOf("gemini", { contents }, "gemini").response(body);
  expect(usage && costMicroUsd(findPrice("gemini", "gemini-2.5-pro"), usage)).toBeCloseTo(640_000, 3);
});

test("a region and a fast answer cost more, by what Anthropic says of them", () => {
  const usage = { input_tokens: 10, output_tokens: 5 };
  expect(readAnthropicUsage({ ...usage, inference_geo: "us" })?.region).toBe("us");
  expect(readAnthropicUsage({ ...usage, inference_geo: "global" })).not.toHaveProperty("region");
  expect(readAnthropicUsage({ ...usage, speed: "fast", service_tier: "standard" })?.tier).toBe("fast");
  expect(readAnthropicUsage({ ...usage, speed: "standard", service_tier: "standard" })).not.toHaveProperty(
    "tier",
  );
});
