// What an upstream says of its own work, and what its counts and prices do to a budget. Played by scenarios.test.ts.
import { expect } from "vitest";
import { spanOf } from "../../support/clients/chat-client.ts";
import { CHAT, ESTIMATED, PASSED, SETTLED, type Scenario } from "./scenario.ts";

const USAGE = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 };

function answer(fields: object): string {
  const choices = [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }];
  return JSON.stringify({ id: "c1", model: "m", created: 1, choices, ...fields });
}

export const REPORTED: readonly Scenario[] = [
  {
    name: "the upstream's own clock",
    done: "The upstream says how long its queue, the prompt and the answer took, what served the call, and what is left of its limits.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const model = context.model("m", async () => {
        await new Promise((resolve) => setTimeout(resolve, 120));
        return {
          kind: "pieces",
          contentType: "application/json",
          headers: {
            "x-ms-region": "Sweden Central",
            "azureml-model-session": "d089-2024",
            "cf-ray": "8f-ZRH",
            "x-ratelimit-limit-requests": "100",
            "x-ratelimit-remaining-requests": "99",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-limit-tokens": "6000",
            "x-ratelimit-remaining-tokens": "5900",
            "x-ratelimit-reset-tokens": "2s",
          },
          pieces: [
            answer({
              usage: USAGE,
              system_fingerprint: "fp_1",
              service_tier: "default",
              time_info: { queue_time: 0.01, prompt_time: 0.02, completion_time: 0.03, total_time: 0.06 },
            }),
          ],
        };
      });
      const spans = await context.trace(await context.tenant(), { model: `up/${model}` });
      expect(spanOf(spans, `chat ${model}`).attributes).toMatchObject({
        "gateway.upstream.reported.queue_ms": 10,
        "gateway.upstream.reported.prefill_ms": 20,
        "gateway.upstream.reported.decode_ms": 30,
        "gateway.upstream.reported.total_ms": 60,
        "gateway.upstream.ratelimit.tokens_remaining": 5900,
        "gateway.upstream.service_tier": "default",
      });
      return spans;
    },
  },
  {
    name: "a clock that doesn't fit",
    done: "The upstream says that its call took an hour. The times are there, and marked as doubtful.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const body = answer({ usage: USAGE, time_info: { total_time: 3600 } });
      const model = context.model("m", { kind: "raw", body });
      const spans = await context.trace(await context.tenant(), { model: `up/${model}` });
      expect(spanOf(spans, `chat ${model}`).attributes).toMatchObject({
        "gateway.upstream.reported.total_ms": 3_600_000,
        "gateway.upstream.reported.doubtful": true,
      });
      return spans;
    },
  },
  {
    name: "a count that can't be true",
    done: "The upstream says that the prompt had a million million tokens. They are estimated instead.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok usage=estimate", ...ESTIMATED],
    async play(context) {
      const body = answer({ usage: { prompt_tokens: 1e12, completion_tokens: 3, total_tokens: 1e12 + 3 } });
      const model = context.model("m", { kind: "raw", body });
      const spans = await context.trace(await context.tenant(), { model: `up/${model}` });
      expect(spanOf(spans, `chat ${model}`).attributes["gateway.usage.refused"]).toBe(true);
      return spans;
    },
  },
  {
    name: "half of the budget",
    done: "The cost of one request brings its tenant's budget of $1 to more than half.",
    tree: [`${CHAT} ok 200 +budget.alert`, ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const model = context.model("m", { kind: "answer", usage: { inputTokens: 10, outputTokens: 120_000 } });
      const tenant = await context.tenant({
        record: {
          budget: { usd: 1, period: "day", onExceeded: "alert" },
          prices: { [`up/${model}`]: { input: 1, output: 5 } },
        },
      });
      const spans = await context.trace(tenant, { model: `up/${model}`, body: { max_tokens: 131_072 } });
      const [alert] = spanOf(spans, CHAT).events;
      expect(alert?.attributes).toMatchObject({
        "gateway.budget.threshold": 0.5,
        "gateway.budget.holder": "tenant",
      });
      return spans;
    },
  },
];
