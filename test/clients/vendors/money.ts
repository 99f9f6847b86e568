// Reports about what an answer costs: by the life of a cache's entry, by the length of the prompt, and by the call. The prices are those of
// the vendors' pages (src/pricing/).
import { expect } from "vitest";
import { claudeText, geminiAnswer, geminiReply, type ReportCase, type Seen } from "./report-case.ts";

const MESSAGES = { max_tokens: 100, messages: [{ role: "user", content: "hi" }] };
const CONTENTS = { contents: [{ role: "user", parts: [{ text: "x" }] }] };
/** Digits after the point: more than any bill has. */
const EXACT = 9;

const costs = (usd: number) => async (seen: Seen) => {
  expect(seen.status, seen.text).toBe(200);
  expect((await seen.root())["gateway.cost.usd"]).toBeCloseTo(usd, EXACT);
};

const longPrompt = (promptTokenCount: number) =>
  geminiReply(
    geminiAnswer([{ text: "ok" }], {
      usageMetadata: {
        promptTokenCount,
        candidatesTokenCount: 1000,
        totalTokenCount: promptTokenCount + 1000,
      },
    }),
  );

export const MONEY_REPORTS: Readonly<Record<string, readonly ReportCase[]>> = {
  "a price that is not that of a token": [
    {
      // 10 × 3 + 400 × 3.75 + 600 × 6 + 5 × 15 per million.
      name: "entries of a cache that live for an hour",
      vendor: "anthropic",
      model: "claude-sonnet-4-5",
      client: "messages",
      body: MESSAGES,
      reply: claudeText("ok", {
        cache_creation_input_tokens: 1000,
        cache_read_input_tokens: 0,
        cache_creation: { ephemeral_5m_input_tokens: 400, ephemeral_1h_input_tokens: 600 },
        output_tokens: 5,
      }),
      check: costs(0.005205),
    },
    {
      // The whole request at 2.50 and 15 per million.
      name: "a prompt above 200,000 tokens at Gemini",
      vendor: "gemini",
      model: "gemini-2.5-pro",
      client: "gemini",
      body: CONTENTS,
      reply: longPrompt(250_000),
      check: costs(0.64),
    },
    {
      // Three at 10 dollars per 1,000, and 10 × 3 + 5 × 15 per million.
      name: "searches of the web",
      vendor: "anthropic",
      model: "claude-sonnet-4-5",
      client: "messages",
      body: MESSAGES,
      reply: claudeText("ok", { output_tokens: 5, server_tool_use: { web_search_requests: 3 } }),
      check: costs(0.030105),
    },
    {
      // 10 × 1 + 600 × 2 + 5 × 5 per million.
      name: "variant: an hour's entries at another model, for a client of OpenAI's",
      vendor: "anthropic",
      model: "claude-haiku-4-5",
      client: "chat",
      body: { messages: MESSAGES.messages },
      reply: claudeText("ok", {
        cache_creation_input_tokens: 600,
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 600 },
        output_tokens: 5,
      }),
      check: costs(0.001235),
    },
    {
      // One token below the step, at 1.25 and 10 per million.
      name: "variant: a prompt of 200,000 tokens, which is not above",
      vendor: "gemini",
      model: "gemini-2.5-pro",
      client: "messages",
      body: MESSAGES,
      reply: longPrompt(200_000),
      check: costs(0.26),
    },
    {
      name: "variant: a tier that has no price is said",
      vendor: "anthropic",
      model: "claude-sonnet-4-5",
      client: "messages",
      body: MESSAGES,
      reply: claudeText("ok", { service_tier: "priority" }),
      check: async ({ root }) => {
        expect((await root())["gateway.cost.basis"]).toMatch(/partial|list/);
      },
    },
  ],
};
