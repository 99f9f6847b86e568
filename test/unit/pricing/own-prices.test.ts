// A tenant's own prices: which of them is a model's, in which unit, and where a request goes by them.
import { expect, test } from "vitest";
import { costMicroUsd } from "../../../src/pricing/cost.ts";
import { pricesSchema } from "../../../src/tenants/records/price-record.ts";
import { findOwnPrice } from "../../../src/pricing/own-prices.ts";
import { completion } from "../../support/fakes/fake-upstream.ts";
import { createFakeGateway } from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";

const PRICES = {
  "a/gpt-4o-mini": { input: 1, output: 2, cacheRead: 0.1 },
  "a/gpt-audio": { input: 2, output: 10, inputAudio: 32, outputAudio: 64, cacheReadAudio: 0.4 },
  "a/gpt-*": { input: 3, output: 4 },
  "a/gpt-4*": { input: 5, output: 6 },
  "a/*": { input: 0, output: 0 },
};

test("a long prompt is billed at the step that it reaches, and a cache write by its life", async () => {
  const prices = {
    "a/gpt-4o-mini": {
      input: 1,
      output: 2,
      cacheWriteHour: 3,
      steps: [{ aboveInputTokens: 999, input: 10, output: 20 }],
    },
  };
  const gateway = priced(prices);
  await gateway.generate();
  await gateway.finish();
  // 1,000 tokens in, 500 out.
  expect(gateway.facts.costUsd).toBe(0.02);
  const price = findOwnPrice(prices, "a/gpt-4o-mini");
  const written = { inputTokens: 100, outputTokens: 0, cacheWriteTokens: 100, cacheWriteHourTokens: 100 };
  expect(costMicroUsd(price, written)).toBe(300);
});

test.each<[string, object]>([
  ["steps that don't rise", { steps: [{ aboveInputTokens: 2 }, { aboveInputTokens: 2 }] }],
  ["a step without its length", { steps: [{ input: 1 }] }],
  ["a step with a price by the piece", { steps: [{ aboveInputTokens: 1, perImage: 1 }] }],
])("a record with %s is refused", (_, price) => {
  expect(pricesSchema.safeParse({ "a/m": price }).success).toBe(false);
  expect(pricesSchema.safeParse({ "a/m": { steps: [{ aboveInputTokens: 1 }] } }).success).toBe(true);
});

test.each([
  ["a/gpt-4o-mini", { input: 1_000_000, output: 2_000_000, cacheRead: 100_000 }],
  [
    "a/gpt-audio",
    {
      input: 2_000_000,
      output: 10_000_000,
      inputAudio: 32_000_000,
      outputAudio: 64_000_000,
      cacheReadAudio: 400_000,
    },
  ],
  ["a/gpt-4o", { input: 5_000_000, output: 6_000_000 }],
  ["a/gpt-5", { input: 3_000_000, output: 4_000_000 }],
  ["a/llama", { input: 0, output: 0 }],
  ["b/gpt-4o", undefined],
  ["constructor", undefined],
])("%s costs %j", (label, price) => {
  expect(findOwnPrice(PRICES, label)).toEqual(price);
});

const priced = (prices: object, budget: object = {}) =>
  createFakeGateway({
    bundle: fakeBundle({ record: { prices, ...budget } }),
    // The list's price is 0.15 and 0.6 dollars, for every model.
    replies: [completion()],
  });

test("what was used is counted at the tenant's own price, and settled so", async () => {
  const gateway = priced({ "a/gpt-4o*": { input: 10, output: 20 } });
  await gateway.generate();
  await gateway.finish();
  expect(gateway.facts.costUsd).toBe(0.02);
  expect(gateway.queue.settlements).toMatchObject([{ costMicroUsd: 1000 * 10 + 500 * 20 }]);
});

test("so is what is reserved of a budget", async () => {
  const budget = { budget: { usd: 5, period: "day" } };
  const gateway = priced({ "a/gpt-4o-mini": { input: 10, output: 20 } }, budget);
  await gateway.generate();
  const { inputTokens = 0, outputTokens = 0, costMicroUsd } = gateway.queue.asks[0]?.estimate ?? {};
  expect(costMicroUsd).toBeCloseTo(inputTokens * 10 + outputTokens * 20, 6);
});

test("models without an own price cost what the list says", async () => {
  const gateway = priced({ "b/*": { input: 10, output: 20 } });
  await gateway.generate();
  expect(gateway.facts.costUsd).toBe(0.000_45);
});

test("least-cost asks whom the tenant pays least", async () => {
  const targets = ["a", "b"].map((provider) => ({ provider, model: "m" }));
  const gateway = createFakeGateway({
    bundle: fakeBundle({
      record: { prices: { "b/m": { input: 0.01, output: 0.01 } } },
      routes: { r: { strategy: "least-cost", targets } },
    }),
    chat: { model: "r" },
    replies: [completion()],
  });
  await gateway.generate();
  expect(gateway.facts.target).toBe("b/m");
});

test.each([
  ["a", "flex", 0.000_225, "list"],
  // Two thirds more: https://openai.com/api-priority-processing.
  ["a", "priority", 0.000_75, "list"],
  ["a", "default", 0.000_45, "list"],
  // Prepaid, so the list has no price for it.
  ["a", "scale", 0.000_45, "partial"],
  // Groq's flex is another thing, at the same price.
  ["groq", "flex", 0.000_45, "list"],
])("an answer of %s in the tier %s costs %d dollars (%s)", async (provider, tier, costUsd, basis) => {
  const body = { ...JSON.parse(await completion().text()), service_tier: tier };
  const gateway = createFakeGateway({
    bundle: fakeBundle({ providers: { a: {}, groq: { kind: "groq" } } }),
    chat: { model: `${provider}/gpt-4o-mini` },
    replies: [Response.json(body)],
  });
  await gateway.generate();
  expect([gateway.facts.costUsd, gateway.facts.costBasis]).toEqual([costUsd, basis]);
});
