// The pipeline and the semantic cache: who is answered by whose answer, what is written down of it, and that nothing which goes
// wrong there ever fails a request.
import { describe, expect, test } from "vitest";
import { QueueUnreachable } from "../../../src/limits/isolate/queue-client.ts";
import { createQueueMachine } from "../../../src/limits/queue/queue-machine.ts";
import { usd } from "../../../src/pricing/cost.ts";
import { summarize } from "../../../src/telemetry/trace/summary.ts";
import type { ContentSink } from "../../../src/telemetry/content/content.ts";
import {
  createFakeCache,
  createFakeGateway,
  createLoneCircuits,
  type FakeGatewayOptions,
  spanNamed,
  spansNamed,
} from "../../support/fakes/fake-gateway.ts";
import { createFakeIndex } from "../../support/fakes/fake-index.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { completion, failure, type FakeReply, hang } from "../../support/fakes/fake-upstream.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../support/checkers/flat-trace.ts";

const ON = { mode: "on" } as const;
const EMBEDDING_USAGE = { prompt_tokens: 100, total_tokens: 100 };
/** By the fake gateway's price of 0.15 µ$ a token. */
const EMBEDDING_MICRO_USD = 15;

function embedding(...vector: readonly number[]): Response {
  return Response.json({
    object: "list",
    data: [{ object: "embedding", index: 0, embedding: vector }],
    model: "embed-1",
    usage: EMBEDDING_USAGE,
  });
}

function bundleWith(semantic: object = {}, more: object = {}, budget: object = {}) {
  return fakeBundle({
    record: { budget: { usd: 1, period: "day", ...budget } },
    routes: {
      chat: {
        targets: [{ provider: "a", model: "gpt-4o-mini" }],
        retries: { maxAttempts: 1 },
        cache: { semantic: { embedding: "b/embed-1", ...semantic } },
        ...more,
      },
    },
  });
}

/** A world in which requests follow one another: one cache, one index. */
function world(semantic: object = {}, more: object = {}) {
  const cacheStore = createFakeCache();
  const index = createFakeIndex();
  const ask = (prompt: string, replies: readonly FakeReply[], options: FakeGatewayOptions = {}) => {
    const gateway = createFakeGateway({
      bundle: bundleWith(semantic, more),
      cache: ON,
      cacheStore,
      replies,
      ...options,
      chat: { model: "chat", messages: [{ role: "user", content: prompt }], ...options.chat },
      deps: { semanticIndex: () => index, ...options.deps },
    });
    return gateway;
  };
  const asked = async (prompt: string, replies: readonly FakeReply[], options: FakeGatewayOptions = {}) => {
    const gateway = ask(prompt, replies, options);
    const { body } = await gateway.generate();
    const trace = await gateway.finish();
    expect(checkTrace(asFlat(trace))).toEqual([]);
    return { ...gateway, body, trace, near: spansNamed(trace, "gateway.cache.lookup")[1] };
  };
  return { cacheStore, index, ask, asked };
}

describe("a request whose meaning was asked before", () => {
  test("gets that answer, for the price of an embedding, and passes no queue", async () => {
    const { asked, index } = world();
    const first = await asked("How tall is the Eiffel Tower?", [
      embedding(1, 0, 0),
      completion({ text: "330 m" }),
    ]);
    const hit = await asked("What's the Eiffel Tower's height?", [embedding(1, 0.1, 0)]);
    expect(hit.body).toBe(first.body);
    expect(hit.upstream.calls.map(({ json }) => json)).toEqual([
      { model: "embed-1", input: "What's the Eiffel Tower's height?" },
    ]);
    expect(hit.queue.asks).toEqual([]);
    expect(index.entries).toHaveLength(1);
    expect(hit.facts).toMatchObject({
      cache: "HIT",
      cacheKind: "semantic",
      cacheSimilarity: 0.995037,
      attempts: 0,
    });
    expect(hit.trace.root.attributes).toMatchObject({
      "gateway.outcome": "cache_hit",
      "gateway.cache.status": "hit",
      "gateway.cache.kind": "semantic",
      "gateway.cache.similarity": 0.995037,
      "gateway.cache.saved_usd": 0.00045,
      "gateway.cost.usd": EMBEDDING_MICRO_USD / 1e6,
      "gateway.cache.embedding_cost_usd": EMBEDDING_MICRO_USD / 1e6,
    });
    expect(hit.near?.attributes).toMatchObject({
      "gateway.cache.status": "hit",
      "gateway.cache.kind": "semantic",
      "gateway.cache.similarity": 0.995037,
      "gateway.cache.threshold": 0.95,
      "gateway.cache.compared": 1,
      "gateway.cache.age_s": 0,
    });
    const producer = spanNamed(first.trace, "chat gpt-4o-mini");
    expect(hit.near?.links).toMatchObject([
      { spanId: producer.spanId, attributes: { "gateway.link.type": "cached_from" } },
    ]);
  });

  test("is asked by a call under the look-up, whose cost the ledger hears of by itself, hit or miss", async () => {
    const { asked } = world();
    const miss = await asked("One", [embedding(1, 0), completion()]);
    const hit = await asked("Two", [embedding(1, 0)]);
    const expense = {
      requestId: "req_1",
      keyId: "key-1",
      costMicroUsd: EMBEDDING_MICRO_USD,
      usage: [["main\t\tb\tembed-1\tchat", [0, 0, 0, 0, 100, 0, 0, 0, 0, EMBEDDING_MICRO_USD, 0, 0]]],
    };
    expect(miss.queue.expenses).toEqual([expense]);
    expect(hit.queue.expenses).toEqual([expense]);
    expect(miss.queue.settlements).toMatchObject([{ costMicroUsd: 450 }]);
    expect(miss.trace.root.attributes["gateway.cost.usd"]).toBe((450 + EMBEDDING_MICRO_USD) / 1e6);
    const call = spanNamed(hit.trace, "embeddings embed-1");
    expect(call).toMatchObject({
      kind: "client",
      parentSpanId: hit.near?.spanId,
      attributes: {
        "gateway.attempt.reason": "cache",
        "gateway.attempt.target": "b/embed-1",
        "gateway.attempt.outcome": "ok",
        "gen_ai.usage.input_tokens": 100,
      },
    });
    expect(miss.facts).toMatchObject({ attempts: 1, target: "a/gpt-4o-mini", usage: { inputTokens: 1000 } });
  });

  test("is paid for beside an answer that went without the queue, and neither is taken for the other's repetition", async () => {
    const { asked } = world();
    const away = { answer: async (): Promise<never> => Promise.reject(new QueueUnreachable("timeout")) };
    const { queue, trace } = await asked("One", [embedding(1, 0), completion()], { queue: away });
    const ledger = createQueueMachine(0);
    const expenses = queue.expenses.map((each, n) => ({ ...each, sender: "isolate", number: n + 1 }));
    for (let times = 0; times < 2; times += 1) {
      ledger.settle([], 0, { starts: [], unused: [], cooldowns: [], expenses });
    }
    const spentUsd = (450 + EMBEDDING_MICRO_USD) / 1e6;
    expect(ledger.snapshot(0).spentUsd.day).toBe(spentUsd);
    expect(trace.root.attributes["gateway.cost.usd"]).toBe(spentUsd);
  });

  test("has its embedded text among the trace's content, where that is kept", async () => {
    const { asked } = world();
    const noted = new Map<string, { readonly of: object; readonly input: unknown }>();
    const content: ContentSink = {
      note: ({ trace, chat }, { spanId }) => void noted.set(spanId, { of: trace, input: chat.body["input"] }),
    };
    const { trace, call } = await asked("One", [embedding(1, 0), completion()], { deps: { content } });
    const { spanId } = spanNamed(trace, "embeddings embed-1");
    expect(noted.get(spanId)).toEqual({ of: call.trace, input: "One" });
  });

  test("is answered by the exact cache where it is the very same, and is not embedded", async () => {
    const { asked } = world();
    await asked("One", [embedding(1, 0), completion()]);
    const hit = await asked("One", []);
    expect(hit.near).toBeUndefined();
    expect(hit.trace.root.attributes["gateway.cache.kind"]).toBe("exact");
  });

  test.each([
    [0.95, 0.94, "miss"],
    [0.94, 0.94, "hit"],
    [1, 0.99, "miss"],
  ])("counts by a threshold of %d: %d is a %s", async (threshold, cosine, status) => {
    const { asked } = world({ threshold });
    const first = await asked("One", [embedding(1, 0), completion()]);
    const second = await asked("Two", [embedding(cosine, Math.sqrt(1 - cosine ** 2)), completion()]);
    expect(second.near?.attributes).toMatchObject({
      "gateway.cache.status": status,
      "gateway.cache.similarity": cosine,
    });
    expect(second.near?.links).toMatchObject([
      {
        spanId: spanNamed(first.trace, "chat gpt-4o-mini").spanId,
        attributes: { "gateway.link.type": status === "hit" ? "cached_from" : "near_to" },
      },
    ]);
  });

  test("is not told one who asks another model, or with another system prompt", async () => {
    const { asked } = world();
    await asked("One", [embedding(1, 0), completion()]);
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "One" },
    ];
    const other = await asked("", [embedding(1, 0), completion()], { chat: { model: "chat", messages } });
    expect(other.near?.attributes).toMatchObject({
      "gateway.cache.status": "miss",
      "gateway.cache.compared": 0,
    });
  });
});

describe("what is not looked up by meaning", () => {
  test.each<[string, FakeGatewayOptions]>([
    ["refresh", { cache: { mode: "refresh" } }],
    ["off", { cache: { mode: "off", reason: "request_off" } }],
  ])("is a request that says %s", async (_, options) => {
    const { asked, index } = world();
    const { near, queue } = await asked("One", [completion()], options);
    expect(near).toBeUndefined();
    expect(queue.expenses).toEqual([]);
    expect(index.entries).toEqual([]);
  });

  test("is a last turn with more than text: the span says so, and the answer is stored as ever", async () => {
    const { asked, index, cacheStore } = world();
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
    ];
    const { near } = await asked("", [completion()], {
      chat: { model: "chat", messages: [{ role: "user", content }] },
    });
    expect(near?.attributes).toMatchObject({
      "gateway.cache.status": "bypass",
      "gateway.cache.reason": "not_only_text",
    });
    expect(index.entries).toEqual([]);
    expect(cacheStore.entries.size).toBe(1);
  });

  test("is a request of a route without it: no second look-up, no index", async () => {
    const gateway = createFakeGateway({
      cache: ON,
      replies: [completion()],
      deps: {
        semanticIndex() {
          throw new Error("nobody asks it");
        },
      },
    });
    await gateway.generate();
    expect(spansNamed(await gateway.finish(), "gateway.cache.lookup")).toHaveLength(1);
  });
});

describe("only-if-cached", () => {
  const only: FakeGatewayOptions = { cache: { mode: "only-if-cached" } };

  test("takes an answer by meaning", async () => {
    const { asked } = world();
    const { body } = await asked("One", [embedding(1, 0), completion()]);
    expect((await asked("Two", [embedding(1, 0)], only)).body).toBe(body);
  });

  test("is a 504 where there is none, or none can be looked for", async () => {
    const { ask } = world();
    for (const replies of [[embedding(1, 0)], [failure(500)]]) {
      const gateway = ask("One", replies, only);
      expect(await gateway.refusal()).toMatchObject({ code: "cache_miss" });
      await gateway.finish();
    }
    const gateway = ask(" ", [], only);
    expect(await gateway.refusal()).toMatchObject({ code: "cache_miss" });
  });
});

describe("an embedding with a known price", () => {
  test("keeps its cost where the answer has no price, and the sum says what it leaves out", async () => {
    const { asked } = world({}, {});
    const { facts, trace } = await asked("One", [embedding(1, 0), completion()], {
      bundle: bundleWith({}, {}, { onUnpriced: "allow" }),
      deps: {
        priceOf: (_, model) => (model === "embed-1" ? { input: 150_000, output: 0 } : undefined),
      },
    });
    expect(facts.costUsd).toBe(usd(EMBEDDING_MICRO_USD));
    expect(trace.root.attributes).toMatchObject({
      "gateway.cost.basis": "partial",
      "gateway.cost.missing": ["model:a/gpt-4o-mini"],
      "gateway.cost.usd": usd(EMBEDDING_MICRO_USD),
    });
    expect(summarize(trace)).toMatchObject({ costBasis: "partial", costUsd: usd(EMBEDDING_MICRO_USD) });
  });
});

describe("a look-up that fails", () => {
  test("after its text was sent is paid for, in the ledger as on its span, and marked as an estimate", async () => {
    const { asked } = world({ timeoutMs: 50 });
    const { queue, trace } = await asked("What is one ".repeat(20), [hang, completion()], {
      isRealTime: true,
    });
    const costUsd = spanNamed(trace, "embeddings embed-1").attributes["gateway.attempt.cost_usd"];
    expect(queue.expenses).toMatchObject([{ costMicroUsd: expect.any(Number) }]);
    expect(usd(queue.expenses[0]?.costMicroUsd ?? 0)).toBe(costUsd);
    expect(trace.root.attributes).toMatchObject({
      "gateway.cache.embedding_cost_usd": costUsd,
      "gateway.cost.basis": "estimate",
      "gateway.usage.source": "provider",
    });
  });

  test.each<[string, FakeReply, object]>([
    ["embedding_failed", failure(500), {}],
    ["embedding_failed", Response.json({ data: "nonsense" }), {}],
    ["embedding_empty", embedding(0, 0), {}],
    ["embedding_timeout", hang, { timeoutMs: 50 }],
  ])("is a miss (%s), and the answer comes and is stored", async (reason, reply, semantic) => {
    const { asked, index, cacheStore } = world(semantic);
    const { near, trace } = await asked("One", [reply, completion()], { isRealTime: true });
    expect(near?.attributes).toMatchObject({
      "gateway.cache.status": "miss",
      "gateway.cache.reason": reason,
    });
    expect(trace.root.attributes["gateway.outcome"]).toBe("ok");
    expect(index.entries).toEqual([]);
    expect(cacheStore.entries.size).toBe(1);
  });

  test("for want of the provider makes no call", async () => {
    const { asked } = world({ embedding: "gone/embed-1" });
    const { near } = await asked("One", [completion()]);
    expect(near?.attributes["gateway.cache.reason"]).toBe("embedding_unknown");
  });

  test("by an index that can't be reached still stores, and says that it is not indexed", async () => {
    const { asked, cacheStore } = world();
    const down = (): Promise<never> => Promise.reject(new Error("down"));
    const index = { nearest: down, add: down, forget: down };
    const { near, trace } = await asked("One", [embedding(1, 0), completion()], {
      deps: { semanticIndex: () => index },
    });
    expect(near?.attributes["gateway.cache.reason"]).toBe("index_unreachable");
    expect(spanNamed(trace, "gateway.cache.store").attributes["gateway.cache.indexed"]).toBe(false);
    expect(cacheStore.entries.size).toBe(1);
  });

  test("by an answer that is gone is generated again, and the index forgets the old one", async () => {
    const { asked, index, cacheStore } = world();
    await asked("One", [embedding(1, 0), completion()]);
    cacheStore.entries.clear();
    const { near } = await asked("Two", [embedding(1, 0), completion()]);
    expect(near?.attributes).toMatchObject({
      "gateway.cache.status": "miss",
      "gateway.cache.reason": "answer_gone",
    });
    expect(index.forgotten).toEqual([index.entries[0]?.key]);
    expect(index.entries).toHaveLength(2);
  });

  test("five times opens a circuit that no client's own embeddings know of", async () => {
    const { ask } = world();
    // A clock that stands still: the circuit's pause does not pass meanwhile.
    const targets = { circuits: createLoneCircuits(() => 0) };
    for (let n = 0; n < 5; n += 1) await ask(String(n), [failure(500), completion()], { targets }).generate();
    const sixth = ask("5", [completion()], { targets });
    await sixth.generate();
    const [, near] = spansNamed(await sixth.finish(), "gateway.cache.lookup");
    expect(near?.attributes["gateway.cache.reason"]).toBe("embedding_open");
    expect(targets.circuits.of("b/embed-1", "key-1", 0).state).toBe("closed");
  });
});

describe("a key over its limits", () => {
  test("pays for no embedding: its requests are not looked up by meaning until its Retry-After", async () => {
    const { ask } = world();
    const gateway = ask("One", [completion()], { queue: { isBlocked: true } });
    await gateway.generate();
    const [, near] = spansNamed(await gateway.finish(), "gateway.cache.lookup");
    expect(near?.attributes).toMatchObject({
      "gateway.cache.status": "miss",
      "gateway.cache.reason": "over_limit",
    });
    expect(gateway.upstream.calls).toHaveLength(1);
    expect(gateway.queue.expenses).toEqual([]);
  });
});

describe("what is stored", () => {
  test("is placed by scope, epoch, route and end of life", async () => {
    const { asked, index } = world({ maxEntries: 7 });
    const { trace, deps, cacheStore } = await asked("One", [embedding(3, 4), completion()]);
    const [key = ""] = cacheStore.entries.keys();
    const { traceId, spanId } = spanNamed(trace, "chat gpt-4o-mini");
    expect(index.entries).toEqual([
      {
        epoch: 1,
        scope: expect.stringMatching(/^[0-9a-f]{64}$/),
        vector: new Float32Array([0.6, 0.8]),
        key: key.split("/")[1],
        trace: { traceId, spanId },
        expiresAt: deps.now() + 3_600_000,
        route: "chat",
        maxEntries: 7,
      },
    ]);
    expect(spanNamed(trace, "gateway.cache.store").attributes["gateway.cache.indexed"]).toBe(true);
  });

  test("is nothing that the store has not taken", async () => {
    const { asked, index, cacheStore } = world();
    const full = { ...cacheStore, put: async () => ({ status: "too_large" }) as const };
    const { trace } = await asked("One", [embedding(1, 0), completion()], { deps: { cacheStore: full } });
    expect(index.entries).toEqual([]);
    expect(spanNamed(trace, "gateway.cache.store").attributes["gateway.cache.indexed"]).toBeUndefined();
  });

  test("is nothing of an answer that may not be stored", async () => {
    const { asked, index } = world();
    await asked("One", [embedding(1, 0), completion({ finishReason: "content_filter" })]);
    expect(index.entries).toEqual([]);
  });

  test("is found only in its epoch: what an isolate has just heard of a purge counts", async () => {
    const { asked, index } = world();
    await asked("One", [embedding(1, 0), completion()]);
    const purged = { deps: { semanticIndex: () => index, confirmEpoch: async () => 2 } };
    const after = await asked("Two", [embedding(1, 0), completion()], purged);
    expect(after.near?.attributes).toMatchObject({
      "gateway.cache.status": "miss",
      "gateway.cache.compared": 0,
    });
    const again = await asked("Three", [embedding(1, 0)], purged);
    expect(again.near?.attributes["gateway.cache.status"]).toBe("hit");
  });
});
