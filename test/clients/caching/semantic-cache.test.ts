// The semantic cache through HTTP: an answer given by meaning, to whom and to whom never, what it says of itself, what it costs,
// and that nothing which goes wrong with it reaches a client. The scripted upstream gives each text the vector a test wants.
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Answer,
  type Ask,
  chat,
  linksOf,
  post,
  rootOf,
  spansOf,
} from "../../support/clients/chat-client.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";

const EMBEDDING_MODEL = "text-embedding-3-small";
/** 1,000 tokens at $0.02 a million. */
const EMBEDDING_TOKENS = 1000;
const EMBEDDING_USD = 0.000_02;
/** Long enough for a crowd to gather. */
const SLOW_MS = 400;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
  stack.upstream.script(EMBEDDING_MODEL, async ({ json }) => {
    const text = String(json["input"]);
    if (text.startsWith("Slow")) await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
    return vectorReply(text);
  });
});
afterAll(() => stack.close());

/** `… @0.97`: a text whose cosine to any `… @1` is 0.97. */
function vectorReply(text: string): Reply {
  const cosine = Number(/@(?<cosine>[\d.]+)$/u.exec(text)?.groups?.["cosine"] ?? 1);
  return {
    kind: "raw",
    body: JSON.stringify({
      object: "list",
      data: [{ object: "embedding", index: 0, embedding: [cosine, Math.sqrt(1 - cosine ** 2), 0] }],
      model: EMBEDDING_MODEL,
      usage: { prompt_tokens: EMBEDDING_TOKENS, total_tokens: EMBEDDING_TOKENS },
    }),
  };
}

interface Setup {
  readonly tenant: TestTenant;
  /** The upstream's name of the model behind the route `chat`. */
  readonly model: string;
}

async function setUp(semantic: object = {}, options: object = {}, model = uniqueModel()): Promise<Setup> {
  stack.upstream.script(model, ({ earlier }) => ({ kind: "answer", text: `Grüezi 🚀 number ${earlier}` }));
  const route = {
    targets: [{ provider: "up", model }],
    cache: { semantic: { embedding: `up/${EMBEDDING_MODEL}`, ...semantic } },
  };
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    cache: { enabled: true },
    routes: { chat: route },
    ...options,
  });
  return { tenant, model };
}

const cacheOf = ({ headers }: Answer): string | null => headers.get("x-headgate-cache");
const similarityOf = ({ headers }: Answer): string | null => headers.get("x-headgate-cache-similarity");
const callsOf = (model: string): number => stack.upstream.requestsFor(model).length;
const embeddingsOf = (text: string): number =>
  stack.upstream.requestsFor(EMBEDDING_MODEL).filter(({ json }) => json["input"] === text).length;

/** Asks, and waits until what was to be stored is: the trace leaves after that. */
async function ask({ tenant }: Setup, prompt: string, more: Partial<Ask> = {}): Promise<Answer> {
  const answer = await chat(stack, tenant.key, { model: "chat", prompt, ...more });
  await spansOf(stack, answer);
  return answer;
}

/** The look-up by meaning; undefined where there was none. */
function nearOf(spans: readonly FlatSpan[]): FlatSpan | undefined {
  return spans.find(
    ({ name, attributes }) =>
      name === "gateway.cache.lookup" && attributes["gateway.cache.kind"] === "semantic",
  );
}

describe("a question in other words", () => {
  test.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])("gets what was stored (stream: %s) as the client wants it (stream: %s)", async (stored, wanted) => {
    const setup = await setUp();
    const first = await ask(setup, "How tall is it? @1", { stream: stored });
    const hit = await ask(setup, "What is its height? @0.9731", { stream: wanted });
    expect([cacheOf(first), similarityOf(first)]).toEqual(["MISS", null]);
    expect([cacheOf(hit), similarityOf(hit)]).toEqual(["HIT", "0.973"]);
    expect(hit.content).toBe("Grüezi 🚀 number 0");
    expect(hit.headers.get("content-type")).toContain(wanted ? "text/event-stream" : "application/json");
    if (wanted) expect(hit.text.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(callsOf(setup.model)).toBe(1);
  });

  test("says how near it was, whose answer it is, what it saved and what it cost", async () => {
    const limits = { requestsPerMinute: 1, burst: 1, queue: { maxDepth: 0 } };
    const setup = await setUp({}, { limits }, "gpt-4o-mini");
    stack.upstream.script("gpt-4o-mini", {
      kind: "answer",
      text: "330 m",
      usage: { inputTokens: 1000, outputTokens: 1000 },
    });
    const first = await ask(setup, "How tall is it? @1");
    const hit = await ask(setup, "What is its height? @0.96");
    expect(hit.status).toBe(200);
    expect(Number(hit.headers.get("age"))).toBeGreaterThanOrEqual(0);
    expect(hit.headers.get("x-headgate-saved-usd")).toBe("0.00075");
    expect(first.headers.get("x-headgate-cost-usd")).toBe("0.00077");
    expect(hit.headers.get("x-headgate-cost-usd")).toBe("0.00002");
    expect(hit.headers.get("x-headgate-attempts")).toBe("0");

    const [own, spans] = await Promise.all([spansOf(stack, first), spansOf(stack, hit)]);
    expect(checkTrace(own)).toEqual([]);
    expect(checkTrace(spans, { others: own })).toEqual([]);
    expect(rootOf(spans).attributes).toMatchObject({
      "gateway.outcome": "cache_hit",
      "gateway.cache.status": "hit",
      "gateway.cache.kind": "semantic",
      "gateway.cache.similarity": 0.96,
      "gateway.cost.usd": EMBEDDING_USD,
      "gateway.cache.embedding_cost_usd": EMBEDDING_USD,
      "gateway.attempt.count": 0,
    });
    const near = nearOf(spans);
    expect(near?.attributes).toMatchObject({
      "gateway.cache.status": "hit",
      "gateway.cache.similarity": 0.96,
      "gateway.cache.threshold": 0.95,
      "gateway.cache.compared": 1,
    });
    expect(linksOf(near ?? rootOf(spans), "cached_from")).toEqual([first.traceId]);
    const embedding = spans.find(({ name }) => name === `embeddings ${EMBEDDING_MODEL}`);
    expect(embedding).toMatchObject({
      parentSpanId: near?.spanId,
      attributes: {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.usage.input_tokens": EMBEDDING_TOKENS,
        "gateway.attempt.target": `up/${EMBEDDING_MODEL}`,
        "gateway.attempt.reason": "cache",
      },
    });
    expect(spans.map(({ name }) => name)).not.toContain("gateway.admission");
  });

  test("is listed under the model it asked for, not under the one that embedded it", async () => {
    const setup = await setUp();
    await ask(setup, "One @1");
    const hit = await ask(setup, "Two @1");
    const listed = await stack.gateway.admin("GET", `/admin/traces?tenant=${setup.tenant.id}`);
    const { items } = await listed.json<{ items: readonly Readonly<Record<string, unknown>>[] }>();
    expect(items.find(({ traceId }) => traceId === hit.traceId)).toMatchObject({
      model: "chat",
      outcome: "cache_hit",
      cache: "hit",
    });
  });

  test.each<[string, (text: string) => object]>([
    ["/v1/chat/completions", (content) => ({ messages: [{ role: "user", content }] })],
    ["/v1/responses", (input) => ({ input })],
    ["/v1/messages", (content) => ({ max_tokens: 99, messages: [{ role: "user", content }] })],
    ["/v1beta/models/chat:generateContent", (text) => ({ contents: [{ parts: [{ text }] }] })],
  ])("is answered on %s", async (path, bodyOf) => {
    const setup = await setUp({}, { providerKind: "openai-compatible" });
    const send = async (text: string) => {
      const response = await fetch(`${stack.gateway.url}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${setup.tenant.key}`, "content-type": "application/json" },
        body: JSON.stringify({ ...(path.startsWith("/v1/") && { model: "chat" }), ...bodyOf(text) }),
      });
      const body = await response.text();
      await spansOf(stack, { traceId: response.headers.get("x-trace-id") ?? "" });
      return { cache: response.headers.get("x-headgate-cache"), body };
    };
    const first = await send("How tall is it? @1");
    expect(first.cache).toBe("MISS");
    expect(await send("What is its height? @0.99")).toEqual({ cache: "HIT", body: first.body });
    expect(callsOf(setup.model)).toBe(1);
  });

  test("is answered to the official SDK", async () => {
    const { tenant, model } = await setUp();
    const client = new OpenAI({ apiKey: tenant.key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
    const create = (content: string) =>
      client.chat.completions.create({ model: "chat", messages: [{ role: "user", content }] }).withResponse();
    const first = await create("How tall is it? @1");
    await spansOf(stack, { traceId: first.response.headers.get("x-trace-id") ?? "" });
    const second = await create("What is its height? @0.99");
    expect(second.data).toEqual(first.data);
    expect(second.response.headers.get("x-headgate-cache-similarity")).toBe("0.99");
    expect(callsOf(model)).toBe(1);
  });

  test("works with nothing but the simulated models, as a first run has them", async () => {
    const cache = { semantic: { embedding: "sim/embed", threshold: 0.8 } };
    const tenant = await makeTenant(stack.gateway, {
      cache: { enabled: true },
      routes: { chat: { targets: [{ provider: "sim", model: "echo" }], cache } },
    });
    const setup = { tenant, model: "echo" };
    const first = await ask(setup, "How tall is the Eiffel Tower in Paris?");
    const hit = await ask(setup, "How tall is the Eiffel Tower in Paris, please?");
    const other = await ask(setup, "Which river flows through Vienna?");
    expect([first, hit, other].map(cacheOf)).toEqual(["MISS", "HIT", "MISS"]);
    expect(hit.content).toBe("How tall is the Eiffel Tower in Paris?");
  });
});

test("a dry run shows what would be looked up by meaning, and embeds nothing", async () => {
  const { tenant, model } = await setUp({ threshold: 0.9 });
  const path = `/admin/tenants/${tenant.id}/routes/chat/dry-run`;
  const text = `Rehearsed ${model}`;
  const response = await stack.gateway.admin("POST", path, { messages: [{ role: "user", content: text }] });
  expect(await response.json()).toMatchObject({
    cache: {
      status: "miss",
      semantic: { embedding: `up/${EMBEDDING_MODEL}`, threshold: 0.9, maxEntries: 1000, timeoutMs: 1000 },
    },
  });
  expect(embeddingsOf(text)).toBe(0);
});

describe("what is not near enough", () => {
  test.each([
    [0.95, 0.949, "MISS"],
    [0.95, 0.951, "HIT"],
    [0.99, 0.98, "MISS"],
    [0.6, 0.61, "HIT"],
  ])("is decided by the route's threshold: of %d, %d is a %s", async (threshold, cosine, status) => {
    const setup = await setUp({ threshold });
    const first = await ask(setup, "One @1");
    const second = await ask(setup, `Two @${cosine}`);
    expect(cacheOf(second)).toBe(status);
    const spans = await spansOf(stack, second);
    expect(checkTrace(spans, { others: await spansOf(stack, first) })).toEqual([]);
    expect(rootOf(spans).attributes["gateway.cache.similarity"]).toBe(cosine);
    expect(nearOf(spans)?.attributes["gateway.cache.similarity"]).toBe(cosine);
    if (status === "HIT") return;
    expect(similarityOf(second)).toBeNull();
    expect(linksOf(nearOf(spans) ?? rootOf(spans), "near_to")).toEqual([first.traceId]);
    expect(second.content).toBe("Grüezi 🚀 number 1");
  });
});

describe("who never gets it", () => {
  test("one with another system prompt, other parameters or another history", async () => {
    const setup = await setUp();
    await ask(setup, "One @1");
    const user = { role: "user", content: "Two @1" };
    for (const body of [
      { messages: [{ role: "system", content: "Be rude." }, user] },
      { messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hi" }, user] },
      { messages: [user], temperature: 0.3 },
      { messages: [user], tools: [{ type: "function", function: { name: "f", parameters: {} } }] },
    ]) {
      const answer = await ask(setup, "", { body });
      expect([cacheOf(answer), similarityOf(answer)]).toEqual(["MISS", null]);
    }
    expect(callsOf(setup.model)).toBe(5);
  });

  test("another tenant with the very same route", async () => {
    const setup = await setUp();
    const other = await setUp({}, {}, setup.model);
    await ask(setup, "One @1");
    const answer = await ask(other, "Two @1");
    expect(cacheOf(answer)).toBe("MISS");
    expect(nearOf(await spansOf(stack, answer))?.attributes["gateway.cache.compared"]).toBe(0);
  });

  test("one who asks after a purge", async () => {
    const setup = await setUp();
    await ask(setup, "One @1");
    expect(cacheOf(await ask(setup, "Two @1"))).toBe("HIT");
    const purged = await stack.gateway.admin("POST", `/admin/tenants/${setup.tenant.id}/cache/purge`);
    expect(purged.status).toBe(200);
    const after = await ask(setup, "Three @1");
    expect([cacheOf(after), after.content]).toEqual(["MISS", "Grüezi 🚀 number 1"]);
    const again = await ask(setup, "Four @1");
    expect([cacheOf(again), again.content]).toEqual(["HIT", "Grüezi 🚀 number 1"]);
  });

  test("one who sends an image too: it is not even embedded", async () => {
    const setup = await setUp();
    const url = "data:image/png;base64,AAAA";
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url } },
    ];
    const answer = await ask(setup, "", { body: { messages: [{ role: "user", content }] } });
    expect(nearOf(await spansOf(stack, answer))?.attributes).toMatchObject({
      "gateway.cache.status": "bypass",
      "gateway.cache.reason": "not_only_text",
    });
    expect(embeddingsOf("What is this?")).toBe(0);
  });
});

describe("the request's own word", () => {
  const say = (value: string): Partial<Ask> => ({ headers: { "x-headgate-cache": value } });

  test("only-if-cached takes an answer by meaning, and is a 504 without one", async () => {
    const setup = await setUp();
    await ask(setup, "One @1");
    expect(cacheOf(await ask(setup, "Two @1", say("only-if-cached")))).toBe("HIT");
    const missed = await ask(setup, "Three @0.2", say("only-if-cached"));
    expect(missed).toMatchObject({ status: 504, error: "cache_miss" });
    expect(checkTrace(await spansOf(stack, missed))).toEqual([]);
    expect(callsOf(setup.model)).toBe(1);
  });

  test("off and refresh look nothing up, and embed nothing", async () => {
    const setup = await setUp();
    await ask(setup, "One @1");
    for (const value of ["off", "refresh"]) {
      const text = `Two ${value} ${setup.model} @1`;
      const answer = await ask(setup, text, say(value));
      expect(cacheOf(answer)).not.toBe("HIT");
      expect(embeddingsOf(text)).toBe(0);
    }
  });

  test("on works where the tenant has the cache off", async () => {
    const setup = await setUp({}, { cache: { enabled: false } });
    await ask(setup, "One @1", say("on"));
    expect(cacheOf(await ask(setup, "Two @1", say("on")))).toBe("HIT");
    const off = await ask(setup, "Three @1");
    expect([cacheOf(off), nearOf(await spansOf(stack, off))]).toEqual(["BYPASS", undefined]);
  });
});

describe("an embedding target in trouble", () => {
  test.each<[string, Reply, object]>([
    ["embedding_failed", { kind: "error", status: 500 }, {}],
    ["embedding_failed", { kind: "error", status: 401 }, {}],
    ["embedding_failed", { kind: "raw", body: "[]" }, {}],
    ["embedding_timeout", { kind: "hang" }, { timeoutMs: 200 }],
  ])("costs a request nothing but a moment (%s)", async (reason, reply, semantic) => {
    const embedder = uniqueModel();
    stack.upstream.script(embedder, reply);
    const setup = await setUp({ embedding: `up/${embedder}`, ...semantic });
    const answer = await ask(setup, "One @1");
    expect([answer.status, answer.content]).toEqual([200, "Grüezi 🚀 number 0"]);
    const spans = await spansOf(stack, answer);
    expect(checkTrace(spans)).toEqual([]);
    expect(nearOf(spans)?.attributes).toMatchObject({
      "gateway.cache.status": "miss",
      "gateway.cache.reason": reason,
    });
    expect(rootOf(spans).attributes).toMatchObject({ "gateway.outcome": "ok", "gateway.attempt.count": 1 });
    expect(callsOf(embedder)).toBe(1);
    // Stored as ever: the very same request is answered by the exact cache.
    expect(cacheOf(await ask(setup, "One @1"))).toBe("HIT");
  });

  test("is not asked any more after five failures: its circuit is open", async () => {
    const embedder = uniqueModel();
    stack.upstream.script(embedder, { kind: "error", status: 503 });
    const setup = await setUp({ embedding: `up/${embedder}` });
    for (let n = 0; n < 5; n += 1) await ask(setup, `Number ${n}`);
    const sixth = await ask(setup, "Number 5");
    expect(nearOf(await spansOf(stack, sixth))?.attributes["gateway.cache.reason"]).toBe("embedding_open");
    expect(callsOf(embedder)).toBe(5);
    expect(sixth.status).toBe(200);
  });

  test("whose provider was deleted is a miss too", async () => {
    const setup = await setUp();
    const root = `/admin/tenants/${setup.tenant.id}`;
    await stack.gateway.admin("PUT", `${root}/providers/emb`, { kind: "sim" });
    await stack.gateway.admin("PUT", `${root}/routes/chat`, {
      targets: [{ provider: "up", model: setup.model }],
      cache: { semantic: { embedding: "emb/x" } },
    });
    await stack.gateway.admin("DELETE", `${root}/providers/emb`);
    const answer = await ask(setup, "One");
    expect(answer.status).toBe(200);
    expect(nearOf(await spansOf(stack, answer))?.attributes["gateway.cache.reason"]).toBe(
      "embedding_unknown",
    );
  });

  test("that could never work is refused when the route is written", async () => {
    const { tenant } = await setUp();
    const root = `/admin/tenants/${tenant.id}`;
    await stack.gateway.admin("PUT", `${root}/providers/claude`, { kind: "anthropic", apiKey: "sk-1" });
    for (const embedding of ["nobody/e", "claude/e", "up"]) {
      const refused = await stack.gateway.admin("PUT", `${root}/routes/chat`, {
        targets: [{ provider: "up", model: "m" }],
        cache: { semantic: { embedding } },
      });
      expect(refused.status).toBe(400);
      expect(await refused.json()).toMatchObject({ param: "cache.semantic.embedding" });
    }
  });
});

describe("the money", () => {
  test("of each embedding is on the ledger, hit or miss, and equals what the traces say", async () => {
    const budget = { usd: 1, period: "day" };
    const setup = await setUp({}, { record: { budget } }, "gpt-4o-mini");
    stack.upstream.script("gpt-4o-mini", {
      kind: "answer",
      text: "330 m",
      usage: { inputTokens: 1000, outputTokens: 1000 },
    });
    const answers = [await ask(setup, "One @1"), await ask(setup, "Two @1"), await ask(setup, "Three @0.1")];
    expect(answers.map(cacheOf)).toEqual(["MISS", "HIT", "MISS"]);
    const traces = await Promise.all(answers.map((answer) => spansOf(stack, answer)));
    const costs = traces.map((spans) => Number(rootOf(spans).attributes["gateway.cost.usd"]));
    expect(costs).toEqual([0.000_77, 0.000_02, 0.000_77]);
    await expect
      .poll(() => spentMicroUsd(setup.tenant), { timeout: 5000 })
      .toBe(costs.reduce((sum, cost) => sum + Math.round(cost * 1e6), 0));
  });

  async function spentMicroUsd({ id }: TestTenant): Promise<number> {
    const response = await stack.gateway.admin("GET", `/admin/tenants/${id}/queue`);
    const { limits } = await response.json<{
      limits: { budgetMicroUsd: { limit: number; remaining: number } };
    }>();
    return limits.budgetMicroUsd.limit - limits.budgetMicroUsd.remaining;
  }
});

describe("a key over its limits", () => {
  test("stops paying for embeddings once a request of it was refused", async () => {
    const setup = await setUp({}, { limits: { requestsPerMinute: 1, burst: 1 } });
    // Angles of 25 degrees between them: none is similar to another.
    const texts = [1, 0.906, 0.643, 0.259, 0].map((cosine) => `Question of ${setup.model} @${cosine}`);
    const statuses: number[] = [];
    for (const text of texts) statuses.push((await ask(setup, text)).status);
    expect(statuses).toEqual([200, 429, 429, 429, 429]);
    expect(texts.map(embeddingsOf)).toEqual([1, 1, 0, 0, 0]);
  });
});

describe("equal requests under way", () => {
  test("are embedded once, and all get the leader's answer, found by meaning or made", async () => {
    const setup = await setUp({}, { cache: { enabled: true, coalesce: true } });
    await ask(setup, "One @1");
    const text = `Slow ${setup.model} @1`;
    const crowd = Array.from({ length: 20 }, async () => {
      const response = await post(stack.gateway.url, setup.tenant.key, { model: "chat", prompt: text });
      return [response.headers.get("x-headgate-cache"), await response.text()];
    });
    const answers = await Promise.all(crowd);
    expect(new Set(answers.map(([, body]) => body)).size).toBe(1);
    expect(callsOf(setup.model)).toBe(1);
    expect(embeddingsOf(text)).toBe(1);
    const statuses = answers.map(([cache]) => cache ?? "").toSorted();
    expect(statuses).toEqual([...Array.from({ length: 19 }, () => "COALESCED"), "HIT"]);
  });
});
