// Answers found by meaning, on a route with the semantic cache, and why they were not. Played by scenarios.test.ts.
import { expect } from "vitest";
import { spanOf } from "../../support/clients/chat-client.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import type { TestTenant } from "../../support/clients/test-tenant.ts";
import { CHAT, SETTLED, targets, type Scenario, type ScenarioContext } from "./scenario.ts";

/** With a price: $0.02 a million tokens. */
const EMBEDDER = "text-embedding-3-small";
const EMBEDDING_TOKENS = 1000;
const EMBEDDING_USD = 0.000_02;
const THRESHOLD = 0.95;

/** `… @0.97`: a text whose cosine to any `… @1` is 0.97. */
const embed: Script = ({ json }) => {
  const cosine = Number(/@(?<cosine>[\d.]+)$/u.exec(String(json["input"]))?.groups?.["cosine"] ?? 1);
  const embedding = [cosine, Math.sqrt(1 - cosine ** 2), 0];
  const usage = { prompt_tokens: EMBEDDING_TOKENS, total_tokens: EMBEDDING_TOKENS };
  const data = [{ object: "embedding", index: 0, embedding }];
  return { kind: "raw", body: JSON.stringify({ object: "list", data, model: EMBEDDER, usage }) };
};

/** A tenant whose route `r` looks answers up by meaning, with that embedding model. */
function seeking(
  context: ScenarioContext,
  embedder = EMBEDDER,
  model = context.model("m"),
): Promise<TestTenant> {
  context.stack.upstream.script(EMBEDDER, embed);
  context.aliases.set(embedder, "e");
  const semantic = { embedding: `up/${embedder}`, threshold: THRESHOLD };
  return context.tenant({
    cache: { enabled: true },
    routes: { r: { targets: targets(model), retries: { maxAttempts: 1 }, cache: { semantic } } },
  });
}

/** Asks once, waits until what was to be stored is, and asks in other words. */
async function twice(context: ScenarioContext, tenant: TestTenant, first: string, second: string) {
  const before = await context.trace(tenant, { model: "r", prompt: first });
  return { before, after: await context.trace(tenant, { model: "r", prompt: second }) };
}

/** The second look-up of a trace. */
function nearOf(spans: readonly FlatSpan[]): FlatSpan {
  const near = spans.find(({ attributes }) => attributes["gateway.cache.threshold"] !== undefined);
  if (near === undefined) throw new Error("nothing was looked up by meaning");
  return near;
}

const ROUTED = ["  auth", "  config.load", "  route strategy=fallback reason='first in the route's order'"];
const MISSED = [...ROUTED, "  cache.lookup cache=miss"] as const;
const EMBEDDED = ["    embeddings e 200 reason=cache ok", "    usage.count usage=provider"] as const;
const ASKED = ["  admission", "    queue.wait", "  chat m 200 ok", ...SETTLED];

export const BY_MEANING: readonly Scenario[] = [
  {
    name: "semantic miss, stored",
    done: "A new question on a route with the semantic cache: the text is embedded, and the answer stored and indexed.",
    tree: [
      `${CHAT} ok 200`,
      ...MISSED,
      "  cache.lookup cache=miss kind=semantic",
      ...EMBEDDED,
      ...ASKED,
      "  cache.store indexed=true",
    ],
    async play(context) {
      const spans = await context.trace(await seeking(context), { model: "r", prompt: "How tall is it? @1" });
      expect(nearOf(spans).attributes).toMatchObject({
        "gateway.cache.threshold": THRESHOLD,
        "gateway.cache.compared": 0,
      });
      const root = spanOf(spans, CHAT).attributes;
      // What an embedding costs that the cache is asked by is the request's, though none of its attempts.
      expect(root).toMatchObject({
        "gateway.attempt.count": 1,
        "gateway.cache.embedding_cost_usd": EMBEDDING_USD,
      });
      return spans;
    },
  },
  {
    name: "semantic hit",
    done: "The same in other words: no model but the embedding's is called. The link leads to the call that made the answer.",
    tree: [
      `${CHAT} cache_hit 200 cache=hit`,
      ...MISSED,
      "  cache.lookup cache=hit kind=semantic from=memory similarity=0.96 →cached_from",
      ...EMBEDDED,
    ],
    async play(context) {
      // With a price, so that there is something to save.
      const usage = { inputTokens: 900, outputTokens: 90 };
      context.stack.upstream.script("gpt-4o-mini", { kind: "answer", usage });
      const tenant = await seeking(context, EMBEDDER, "gpt-4o-mini");
      const { before, after } = await twice(
        context,
        tenant,
        "How tall is it? @1",
        "What is its height? @0.96",
      );
      const near = nearOf(after);
      expect(near.links.map(({ spanId }) => spanId)).toEqual([spanOf(before, "chat gpt-4o-mini").spanId]);
      expect(near.attributes).toMatchObject({
        "gateway.cache.compared": 1,
        "gateway.cache.saved_usd": expect.any(Number),
      });
      expect(spanOf(after, CHAT).attributes).toMatchObject({
        "gateway.cache.kind": "semantic",
        "gateway.cache.similarity": 0.96,
        "gateway.cache.embedding_cost_usd": EMBEDDING_USD,
        "gateway.cost.usd": EMBEDDING_USD,
        "gateway.attempt.count": 0,
      });
      return after;
    },
  },
  {
    name: "semantic miss, not similar enough",
    done: "A different question. The link leads to the call that made the nearest answer.",
    tree: [
      `${CHAT} ok 200`,
      ...MISSED,
      "  cache.lookup cache=miss kind=semantic similarity=0.94 →near_to",
      ...EMBEDDED,
      ...ASKED,
      "  cache.store indexed=true",
    ],
    async play(context) {
      const model = context.model("m");
      const tenant = await seeking(context, EMBEDDER, model);
      const { before, after } = await twice(context, tenant, "How tall is it? @1", "How old is it? @0.94");
      expect(nearOf(after).links.map(({ spanId }) => spanId)).toEqual([
        spanOf(before, `chat ${model}`).spanId,
      ]);
      return after;
    },
  },
  {
    name: "embedding failed",
    done: "The embedding's target answers 500: the request goes on as if nothing had been found. Its answer is stored, but not indexed.",
    tree: [
      `${CHAT} ok 200`,
      ...MISSED,
      "  cache.lookup cache=miss kind=semantic cache_reason=embedding_failed",
      "    embeddings e 500 reason=cache upstream_error ERROR",
      ...ASKED,
      "  cache.store",
    ],
    async play(context) {
      const embedder = context.model("e", { kind: "error", status: 500 });
      return context.trace(await seeking(context, embedder), { model: "r" });
    },
  },
  {
    name: "embedding too slow",
    done: "The embedding doesn't come within the route's `cache.semantic.timeoutMs`, one second by default.",
    tree: [
      `${CHAT} ok 200`,
      ...MISSED,
      "  cache.lookup cache=miss kind=semantic cache_reason=embedding_timeout",
      "    embeddings e reason=cache upstream_timeout timeout=total usage=estimate ERROR",
      "    usage.count usage=estimate",
      ...ASKED,
      "  cache.store",
    ],
    play: async (context) =>
      context.trace(await seeking(context, context.model("e", { kind: "hang" })), { model: "r" }),
  },
  {
    name: "not only text",
    done: "The question contains an image: nothing is embedded, equal requests are still found.",
    tree: [
      `${CHAT} ok 200`,
      ...MISSED,
      "  cache.lookup cache=bypass kind=semantic cache_reason=not_only_text",
      ...ASKED,
      "  cache.store",
    ],
    async play(context) {
      const image = { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } };
      const content = [{ type: "text", text: "What is this?" }, image];
      return context.trace(await seeking(context), {
        model: "r",
        body: { messages: [{ role: "user", content }] },
      });
    },
  },
];
