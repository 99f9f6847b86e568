// Answers that come from the cache, from an equal request under way, or from an earlier one with the same idempotency key, and
// why they did not. Played by scenarios.test.ts.
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { linksOf, post as send, read, spanOf, type Ask } from "../../support/clients/chat-client.ts";
import type { TestTenant } from "../../support/clients/test-tenant.ts";
import { CHAT, ENTRY, SETTLED, post, type Scenario, type ScenarioContext } from "./scenario.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const caching = (context: ScenarioContext): Promise<TestTenant> =>
  context.tenant({ cache: { enabled: true } });
const cacheHeader = (value: string): Readonly<Record<string, string>> => ({ "x-headgate-cache": value });

/** Asks once, waits until what was to be stored is, and asks again. */
async function twice(context: ScenarioContext, tenant: TestTenant, first: Ask, second: Ask = first) {
  const one = await context.ask(tenant, first);
  const before = await context.spansOf(one);
  return { before, after: await context.trace(tenant, second) };
}

export const SHARED: readonly Scenario[] = [
  {
    name: "cache miss",
    done: "A new question to a tenant with a cache.",
    tree: [
      `${CHAT} ok 200`,
      ...ENTRY,
      "  cache.lookup cache=miss",
      "  admission",
      "    queue.wait",
      "  chat m 200 ok",
      ...SETTLED,
      "  cache.store",
    ],
    play: async (context) => context.trace(await caching(context), { model: `up/${context.model("m")}` }),
  },
  {
    name: "cache hit",
    done: "The same again, at the same isolate, which has it in memory: no model is called. The link leads to the call that made the answer.",
    tree: [`${CHAT} cache_hit 200 cache=hit`, ...ENTRY, "  cache.lookup cache=hit from=memory →cached_from"],
    async play(context) {
      // With a price, so that there is something to save.
      context.stack.upstream.script("gpt-4o-mini", {
        kind: "answer",
        usage: { inputTokens: 900, outputTokens: 90 },
      });
      const ask = { model: "up/gpt-4o-mini", prompt: randomUUID() };
      const { before, after } = await twice(context, await caching(context), ask);
      const lookup = spanOf(after, "gateway.cache.lookup");
      expect(lookup.links.map(({ spanId }) => spanId)).toEqual([spanOf(before, "chat gpt-4o-mini").spanId]);
      expect(lookup.attributes["gateway.cache.saved_usd"]).toBeGreaterThan(0);
      expect(spanOf(after, CHAT).attributes).toMatchObject({
        "gateway.cost.usd": 0,
        "gateway.attempt.count": 0,
      });
      return after;
    },
  },
  {
    name: "cache hit, from KV",
    done: "The same again, at another isolate: it reads the answer from KV, and keeps it in memory from then on.",
    tree: [`${CHAT} cache_hit 200 cache=hit`, ...ENTRY, "  cache.lookup cache=hit →cached_from"],
    async play(context) {
      const { key } = await caching(context);
      const ask = { model: `up/${context.model("m")}` };
      await context.trace({ key }, ask);
      const elsewhere = async () => {
        const response = await send(context.gateway.twinUrl, key, ask);
        return context.spansOf(read(response, await response.text()));
      };
      const spans = await elsewhere();
      expect(spanOf(spans, "gateway.cache.lookup").attributes).toMatchObject({
        "db.system.name": "cloudflare.kv",
        "db.operation.name": "get",
      });
      const again = spanOf(await elsewhere(), "gateway.cache.lookup").attributes;
      expect(again).toMatchObject({ "gateway.cache.source": "memory" });
      expect(again).not.toHaveProperty("db.operation.name");
      return spans;
    },
  },
  {
    name: "cache bypassed by the client",
    done: "`x-headgate-cache: off`: neither looked up nor stored.",
    tree: [
      `${CHAT} ok 200`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=request_off",
      "  admission",
      "    queue.wait",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    play: async (context) =>
      context.trace(await caching(context), {
        model: `up/${context.model("m")}`,
        headers: cacheHeader("off"),
      }),
  },
  {
    name: "cache refreshed",
    done: "`x-headgate-cache: refresh`: not looked up, stored again.",
    tree: [
      `${CHAT} ok 200`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=refresh",
      "  admission",
      "    queue.wait",
      "  chat m 200 ok",
      ...SETTLED,
      "  cache.store",
    ],
    play: async (context) =>
      context.trace(await caching(context), {
        model: `up/${context.model("m")}`,
        headers: cacheHeader("refresh"),
      }),
  },
  {
    name: "only if cached, and it is not",
    done: "`x-headgate-cache: only-if-cached` with nothing cached: 504, and no upstream was called.",
    tree: [
      `${CHAT} rejected 504 decision=cache_miss error=cache_miss ERROR`,
      ...ENTRY,
      "  cache.lookup cache=miss",
    ],
    play: async (context) =>
      context.trace(await caching(context), {
        model: `up/${context.model("m")}`,
        headers: cacheHeader("only-if-cached"),
      }),
  },
  {
    name: "not stored",
    done: "The answer calls a tool, which this tenant doesn't have cached.",
    tree: [
      `${CHAT} ok 200`,
      ...ENTRY,
      "  cache.lookup cache=miss",
      "  admission",
      "    queue.wait",
      "  chat m 200 ok finish=tool_calls",
      ...SETTLED,
      "  cache.store cache=bypass cache_reason=tool_calls",
    ],
    async play(context) {
      const toolCalls = [{ id: "call_1", name: "look", arguments: "{}" }];
      const model = context.model("m", { kind: "answer", toolCalls });
      return context.trace(await caching(context), { model: `up/${model}` });
    },
  },
  {
    name: "embeddings, half of them cached",
    done: "Three texts, of which one was embedded before.",
    tree: [
      "POST /v1/embeddings ok 200",
      ...ENTRY,
      "  cache.lookup cache=miss inputs=3 found=1 →cached_from",
      "  admission",
      "    queue.wait",
      "  embeddings m 200 ok",
      ...SETTLED,
      "  cache.store inputs=2",
    ],
    async play(context) {
      const { key } = await caching(context);
      const model = context.model("m", ({ json }) => {
        const input = Array.isArray(json["input"]) ? json["input"] : [json["input"]];
        const data = input.map((_, index) => ({ object: "embedding", index, embedding: [0.5, 0.25] }));
        const usage = { prompt_tokens: 2 * input.length, total_tokens: 2 * input.length };
        return { kind: "raw", body: JSON.stringify({ object: "list", data, model, usage }) };
      });
      const embed = (...input: readonly string[]) =>
        context.send("/v1/embeddings", { key, ...post({ model: `up/${model}`, input }) });
      await context.spansOf(await embed("a", "b"));
      return context.spansOf(await embed("a", "c", "d"));
    },
  },
  {
    name: "leads equal requests",
    done: "The first of two equal requests at once, where the tenant lets them share.",
    tree: [
      `${CHAT} ok 200`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  coalesce.wait coalesce=lead",
      "  admission",
      "    queue.wait",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    play: async (context) => (await overlap(context)).leader,
  },
  {
    name: "coalesced",
    done: "The second of the two: it gets the first one's answer. The link leads to it.",
    tree: [
      `${CHAT} coalesced 200 cache=coalesced`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  coalesce.wait coalesce=attached →coalesced_into",
    ],
    async play(context) {
      const { leader, follower } = await overlap(context);
      const [root] = leader;
      expect(linksOf(spanOf(follower, "gateway.coalesce.wait"), "coalesced_into")).toEqual([root?.traceId]);
      return follower;
    },
  },
  {
    name: "coalesced stream",
    done: "The same, streamed: the second gets the first one's bytes as they come.",
    tree: [
      `${CHAT} coalesced 200 cache=coalesced`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  coalesce.wait coalesce=attached →coalesced_into",
    ],
    play: async (context) => (await overlap(context, STREAM, true)).follower,
  },
  {
    name: "coalesced stream, cut",
    done: "The upstream cuts the stream that both get.",
    tree: [
      `${CHAT} upstream_error 200 cache=coalesced stream=upstream_error error=upstream_error ERROR`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  coalesce.wait coalesce=attached →coalesced_into",
    ],
    play: async (context) =>
      (await overlap(context, { ...STREAM, end: "cut", endAfterChunks: 4 }, true)).follower,
  },
  {
    name: "coalesced into a failure",
    done: "The same, but the upstream refuses the request, which is then the answer of both.",
    tree: [
      `${CHAT} upstream_error 422 decision=upstream_rejected`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  coalesce.wait coalesce=failed →coalesced_into",
    ],
    play: async (context) => (await overlap(context, { kind: "error", status: 422, delayMs: 300 })).follower,
  },
  {
    name: "not coalesced",
    done: "Two equal requests before it were refused a slot, which says nothing about this one: it calls the upstream itself.",
    tree: [
      `${CHAT} ok 200 waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  coalesce.wait coalesce=alone coalesce_reason=leader_refused",
      "  admission",
      "    queue.wait held_by=concurrency position=1 waited →queued_behind →admitted_by",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { concurrency: 1 }, cache: { coalesce: true } });
      const slow = context.model("slow", { kind: "answer", delayMs: 2000 });
      const holding = context.ask(tenant, { model: `up/${slow}` });
      await context.stack.upstream.waitForRequest(slow);
      const model = `up/${context.model("m")}`;
      const impatient = { model, headers: { "x-headgate-max-wait-ms": "600" } };
      // Each must have joined before the next does: they take the lead in that order.
      const asked = [];
      for (const ask of [impatient, impatient, { model }]) {
        asked.push(context.ask(tenant, ask));
        await pause(200);
      }
      const [first, second, third] = await Promise.all(asked);
      expect([first?.status, second?.status, third?.status]).toEqual([429, 429, 200]);
      await context.spansOf(await holding);
      return context.spansOf(third ?? { traceId: "" });
    },
  },
  {
    name: "idempotent replay",
    done: "A client tries again with its `idempotency-key`. The link leads to the request that was answered.",
    tree: [`${CHAT} replayed 200`, ...ENTRY, "  idempotency key=replayed →retried_from"],
    async play(context) {
      const headers = { "idempotency-key": randomUUID() };
      const { before, after } = await twice(context, await context.tenant(), {
        model: `up/${context.model("m")}`,
        headers,
      });
      expect(spanOf(before, "gateway.idempotency").attributes["gateway.idempotency.status"]).toBe("lead");
      const { links } = spanOf(after, "gateway.idempotency");
      expect(links.map(({ spanId }) => spanId)).toEqual([spanOf(before, CHAT).spanId]);
      return after;
    },
  },
  {
    name: "idempotency conflict",
    done: "The same key with another question: 409.",
    tree: [`${CHAT} rejected 409 decision=conflict`, ...ENTRY, "  idempotency key=conflict"],
    async play(context) {
      const ask = { model: `up/${context.model("m")}`, headers: { "idempotency-key": randomUUID() } };
      const { after } = await twice(context, await context.tenant(), ask, {
        ...ask,
        prompt: "Something else?",
      });
      return after;
    },
  },
];

const STREAM = { kind: "answer", text: "one two three four five six", paceMs: 100 } as const;

async function overlap(
  context: ScenarioContext,
  reply: Parameters<ScenarioContext["model"]>[1] = { kind: "answer", delayMs: 300 },
  stream = false,
) {
  const tenant = await context.tenant({ cache: { coalesce: true } });
  const model = context.model("m", reply);
  const ask = { model: `up/${model}`, stream };
  const leading = context.ask(tenant, ask);
  await context.stack.upstream.waitForRequest(model);
  const [first, second] = await Promise.all([leading, context.ask(tenant, ask)]);
  return { leader: await context.spansOf(first), follower: await context.spansOf(second) };
}
