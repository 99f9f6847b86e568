// What an upstream says of its own work, and what its counts and prices do to a budget. Played by scenarios.test.ts.
import { expect } from "vitest";
import { type Ask, spanOf } from "../../support/clients/chat-client.ts";
import { CHAT, ESTIMATED, HELLO, PASSED, SETTLED, passed, targets, type Scenario } from "./scenario.ts";

const USAGE = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 };

function answer(fields: object): string {
  const choices = [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }];
  return JSON.stringify({ id: "c1", model: "m", created: 1, choices, ...fields });
}

/** An answer to 4,000 tokens, so many of them from the vendor's prompt cache. */
function cached(cached_tokens: number): string {
  const usage = { prompt_tokens: 4000, completion_tokens: 2, prompt_tokens_details: { cached_tokens } };
  return answer({ usage });
}

function inSession(model: string, system: string, pin?: string): Ask {
  return {
    model,
    headers: { "x-headgate-session": "s", ...(pin !== undefined && { "x-headgate-target": pin }) },
    body: { messages: [{ role: "system", content: system }, ...HELLO] },
  };
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
    name: "the prompt cache gave less",
    done: "The second request of a session has another system prompt: none of its tokens come from the vendor's prompt cache, which held most of them.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok", ...SETTLED, "  prompt_cache"],
    async play(context) {
      const model = context.model("m", { kind: "raw", body: cached(3584) });
      const prices = { [`up/${model}`]: { input: 2, output: 8, cacheRead: 0.5 } };
      const tenant = await context.tenant({ record: { prices } });
      await context.trace(tenant, inSession(`up/${model}`, "It is 12:00."));
      context.stack.upstream.script(model, { kind: "raw", body: cached(0) });
      const spans = await context.trace(tenant, inSession(`up/${model}`, "It is 12:01."));
      expect(spanOf(spans, CHAT).attributes).toMatchObject({
        "gateway.prompt_cache.cause": "prefix_changed",
        "gateway.prompt_cache.changed_at": "messages[0]",
        "gateway.prompt_cache.earlier_share": 0.896,
        "gateway.prompt_cache.lost_tokens": 3584,
        "gateway.prompt_cache.wasted_usd": 0.005_376,
      });
      return spans;
    },
  },
  {
    name: "another target, another cache",
    done: "The second request of a session goes to another target, whose prompt cache does not know the session.",
    tree: [
      `${CHAT} ok 200`,
      ...passed(
        " strategy=pinned reason='pinned by x-headgate-target' rejected='up/m: another target is pinned'",
      ),
      "  chat m2 200 ok",
      ...SETTLED,
      "  prompt_cache",
    ],
    async play(context) {
      const model = context.model("m", { kind: "raw", body: cached(3584) });
      const other = context.model("m2", { kind: "raw", body: cached(0) });
      const tenant = await context.tenant({ routes: { r: { targets: targets(model, other) } } });
      await context.trace(tenant, inSession("r", "Be brief.", `up/${model}`));
      const spans = await context.trace(tenant, inSession("r", "Be brief.", `up/${other}`));
      expect(spanOf(spans, CHAT).attributes).toMatchObject({
        "gateway.prompt_cache.cause": "target_changed",
        "gateway.prompt_cache.earlier_target": `up/${model}`,
      });
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
