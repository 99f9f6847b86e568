// The pipeline and the response cache: what is stored, who is answered from it, and what that costs.
import { describe, expect, test } from "vitest";
import type { CacheLookup } from "../../../src/cache/store.ts";
import {
  createFakeCache,
  createFakeGateway,
  type FakeCache,
  type FakeGatewayOptions,
  spanNamed,
  spansNamed,
} from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { completion, failure, type FakeAnswer } from "../../support/fakes/fake-upstream.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../support/checkers/flat-trace.ts";

const ON = { mode: "on" } as const;

/** A cache that holds one answer to the fixture's request, stored by a request that was billed. */
async function warmed(options: FakeGatewayOptions = {}) {
  const cacheStore = createFakeCache();
  const gateway = createFakeGateway({ cache: ON, cacheStore, replies: [completion()], ...options });
  const { body } = await gateway.generate();
  const trace = await gateway.finish();
  return { cacheStore, body, trace };
}

describe("a miss", () => {
  test("is answered by the upstream and stored", async () => {
    const { cacheStore, body, trace } = await warmed();
    const attempt = spanNamed(trace, "chat gpt-4o-mini");
    expect([...cacheStore.entries.values()]).toEqual([
      {
        form: "json",
        contentType: "application/json",
        body,
        usage: { inputTokens: 1000, outputTokens: 500 },
        costMicroUsd: 450,
        durationMs: 0,
        storedAt: expect.any(Number),
        ttlSeconds: 3600,
        trace: { traceId: attempt.traceId, spanId: attempt.spanId },
        model: "gpt-4o-mini-2024-07-18",
        target: "a/gpt-4o-mini",
      },
    ]);
    expect(spanNamed(trace, "gateway.cache.lookup").attributes["gateway.cache.status"]).toBe("miss");
    expect(spanNamed(trace, "gateway.cache.store").attributes).toMatchObject({
      "db.operation.name": "put",
      "gateway.cache.ttl_s": 3600,
      "gateway.cache.bytes": typeof body === "string" ? body.length : undefined,
    });
    expect(trace.root.attributes["gateway.cache.status"]).toBe("miss");
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test.each<[string, FakeAnswer]>([
    ["content_filter", { finishReason: "content_filter" }],
    ["refusal", { message: { content: null, refusal: "No." } }],
    [
      "tool_calls",
      {
        finishReason: "tool_calls",
        message: {
          content: null,
          tool_calls: [{ id: "t", type: "function", function: { name: "f", arguments: "{}" } }],
        },
      },
    ],
  ])("whose answer is unfit (%s) is not stored, and the span says why", async (reason, answer) => {
    const { cacheStore, trace } = await warmed({ replies: [completion(answer)] });
    expect(cacheStore.entries.size).toBe(0);
    expect(spanNamed(trace, "gateway.cache.store").attributes).toMatchObject({
      "gateway.cache.status": "bypass",
      "gateway.cache.reason": reason,
    });
  });

  test("whose upstream fails stores nothing", async () => {
    const gateway = createFakeGateway({ cache: ON, replies: [failure(400)] });
    await gateway.refusal();
    const trace = await gateway.finish();
    expect(gateway.cacheStore.entries.size).toBe(0);
    expect(spansNamed(trace, "gateway.cache.store")).toEqual([]);
  });

  test("with only-if-cached is a 504, and neither the queue nor an upstream hears of it", async () => {
    const gateway = createFakeGateway({ cache: { mode: "only-if-cached" } });
    expect(await gateway.refusal()).toMatchObject({ code: "cache_miss", status: 504 });
    const trace = await gateway.finish();
    expect(gateway.queue.asks).toEqual([]);
    expect(gateway.upstream.calls).toEqual([]);
    expect(spanNamed(trace, "gateway.cache.lookup").attributes["gateway.cache.status"]).toBe("miss");
  });
});

describe("a hit", () => {
  test("has the stored bytes, takes no lease, calls no upstream and costs nothing", async () => {
    const { cacheStore, body } = await warmed();
    const gateway = createFakeGateway({ cache: ON, cacheStore });
    gateway.pass(90_500);
    expect(await gateway.generate()).toEqual({ contentType: "application/json", body });
    expect(gateway.queue.asks).toEqual([]);
    expect(gateway.queue.settlements).toEqual([]);
    expect(gateway.facts).toMatchObject({
      outcome: "cache_hit",
      cache: "HIT",
      cacheAgeSeconds: 90,
      attempts: 0,
      costUsd: 0,
      savedUsd: 0.000_45,
      target: "a/gpt-4o-mini",
    });
    expect(gateway.facts.usage).toBeUndefined();
  });

  test("has no inference span, and a link to the one that made the answer", async () => {
    const { cacheStore, trace: made } = await warmed();
    const gateway = createFakeGateway({ cache: ON, cacheStore });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(trace.spans.map(({ name }) => name)).toEqual([
      "POST /v1/chat/completions",
      "gateway.route",
      "gateway.cache.lookup",
    ]);
    const lookup = spanNamed(trace, "gateway.cache.lookup");
    expect(lookup.attributes).toMatchObject({
      "gateway.cache.status": "hit",
      "gateway.cache.age_s": 0,
      "gateway.cache.ttl_s": 3600,
      "gateway.cache.saved_usd": 0.000_45,
      "gateway.cache.saved_ms": 0,
    });
    const { traceId, spanId } = spanNamed(made, "chat gpt-4o-mini");
    expect(lookup.links).toEqual([{ traceId, spanId, attributes: { "gateway.link.type": "cached_from" } }]);
    expect(checkTrace(asFlat(trace), { others: asFlat(made) })).toEqual([]);
  });

  test("satisfies only-if-cached", async () => {
    const { cacheStore } = await warmed();
    const gateway = createFakeGateway({ cache: { mode: "only-if-cached" }, cacheStore });
    await gateway.generate();
    expect(gateway.facts.cache).toBe("HIT");
  });

  test("of a whole answer is a stream for a client who wants one", async () => {
    const { cacheStore } = await warmed();
    const gateway = createFakeGateway({ cache: ON, cacheStore, chat: { stream: true } });
    const { body, contentType } = await gateway.generate();
    expect(contentType).toMatch(/^text\/event-stream/);
    expect(body).toMatch(/"Hello"[^]*data: \[DONE\]\n\n$/);
    // Nothing will end it later: the middleware does.
    expect(gateway.releases).toBe(0);
  });

  test("that can't be put into the form asked for is a miss", async () => {
    const { cacheStore } = await warmed();
    for (const [name, entry] of cacheStore.entries) cacheStore.entries.set(name, { ...entry, body: "{" });
    const gateway = createFakeGateway({
      cache: { mode: "only-if-cached" },
      cacheStore,
      chat: { stream: true },
    });
    expect(await gateway.refusal()).toMatchObject({ code: "cache_miss" });
    expect(gateway.facts.cache).toBe("MISS");
    const lookup = spanNamed(await gateway.finish(), "gateway.cache.lookup");
    expect(lookup.attributes).toMatchObject({
      "gateway.cache.status": "miss",
      "gateway.cache.reason": "not_replayable",
    });
  });
});

describe("who shares an answer", () => {
  const isHit = async (cacheStore: FakeCache, options: FakeGatewayOptions): Promise<boolean> => {
    const gateway = createFakeGateway({ cache: ON, cacheStore, replies: [completion()], ...options });
    await gateway.generate();
    return gateway.facts.cache === "HIT";
  };

  test.each<[string, FakeGatewayOptions]>([
    ["another tenant", { bundle: fakeBundle({ id: "other" }) }],
    ["another question", { chat: { messages: [{ role: "user", content: "Ho" }] } }],
    ["another temperature", { chat: { temperature: 0.1 } }],
    ["another model", { chat: { model: "a/gpt-4o" } }],
    ["a beta header that is passed on", { headers: { "openai-beta": "x" } }],
    ["a purge", { bundle: { ...fakeBundle(), cacheEpoch: 2 } }],
  ])("%s does not", async (_, options) => {
    const { cacheStore } = await warmed();
    expect(await isHit(cacheStore, options)).toBe(false);
  });

  test.each<[string, FakeGatewayOptions]>([
    ["another user of the same tenant", { chat: { user: "u-2" } }],
    ["a header that is not passed on", { headers: { "user-agent": "x", "x-headgate-priority": "batch" } }],
  ])("%s does", async (_, options) => {
    const { cacheStore } = await warmed();
    expect(await isHit(cacheStore, options)).toBe(true);
  });

  test("a request that draws another target of the same weighted route does", async () => {
    const targets = [
      { provider: "a", model: "x" },
      { provider: "b", model: "y" },
    ];
    const bundle = fakeBundle({ routes: { r: { strategy: "weighted", targets } } });
    const asked = { bundle, chat: { model: "r" } };
    const { cacheStore } = await warmed({ ...asked, deps: { random: () => 0 } });
    expect(await isHit(cacheStore, { ...asked, deps: { random: () => 0.99 } })).toBe(true);
  });
});

describe("a cache out of the request", () => {
  test("when refreshed is not looked at, answers MISS, and is written", async () => {
    const { cacheStore } = await warmed();
    const gateway = createFakeGateway({
      cache: { mode: "refresh" },
      cacheStore,
      replies: [completion({ text: "Newer" })],
    });
    await gateway.generate();
    await gateway.finish();
    expect(gateway.facts.cache).toBe("MISS");
    expect([...cacheStore.entries.values()].map(({ body }) => body)).toEqual([
      expect.stringContaining("Newer"),
    ]);
  });

  test("when off is neither read nor written", async () => {
    const { cacheStore } = await warmed();
    const gateway = createFakeGateway({
      cache: { mode: "off", reason: "request_off" },
      cacheStore,
      replies: [completion({ text: "Newer" })],
    });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(gateway.facts.cache).toBe("BYPASS");
    expect(JSON.stringify([...cacheStore.entries])).not.toContain("Newer");
    expect(spansNamed(trace, "gateway.cache.store")).toEqual([]);
    expect(spanNamed(trace, "gateway.cache.lookup").attributes["gateway.cache.reason"]).toBe("request_off");
  });
});

describe("a cache that fails", () => {
  const broken = (lookup: CacheLookup) => ({
    cacheStore: {
      get: async () => lookup,
      put: async () => ({ status: "error", cause: new Error("kv") }) as const,
    },
  });

  test("takes nothing from the answer, and its spans say so", async () => {
    const gateway = createFakeGateway({
      cache: ON,
      replies: [completion()],
      deps: broken({ status: "error", cause: new Error("kv") }),
    });
    expect((await gateway.generate()).body).toContain("Hello");
    const trace = await gateway.finish();
    expect(spanNamed(trace, "gateway.cache.lookup")).toMatchObject({
      isError: true,
      attributes: { "error.type": "kv_error", "gateway.cache.status": "error" },
    });
    expect(spanNamed(trace, "gateway.cache.store")).toMatchObject({ isError: true });
  });

  test("with an entry past its time answers from the upstream", async () => {
    const { cacheStore } = await warmed();
    const [entry] = cacheStore.entries.values();
    if (!entry) throw new Error("nothing was stored");
    const gateway = createFakeGateway({
      cache: ON,
      replies: [completion()],
      deps: broken({ status: "stale", entry }),
    });
    await gateway.generate();
    expect(gateway.facts.cache).toBe("MISS");
    expect(gateway.upstream.calls).toHaveLength(1);
    expect(spanNamed(await gateway.finish(), "gateway.cache.lookup").attributes["gateway.cache.status"]).toBe(
      "stale",
    );
  });
});
