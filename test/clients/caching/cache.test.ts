// The response cache through HTTP: what is stored, who gets it, what it says of itself. Some of it are bugs seen at another
// gateway (errors cached as 200, hits across keys, a ttl in the wrong unit, `stream: false` never cached, a
// cut stream kept as if it were whole).
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  type Answer,
  type Ask,
  chat,
  linksOf,
  rootOf,
  spanOf,
  spansOf,
} from "../../support/clients/chat-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";

let stack: GatewayStack;
let tenant: TestTenant;
beforeAll(async () => {
  stack = await startGatewayStack();
  tenant = await caching();
});
afterAll(() => stack.close());

const caching = (options: object = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, cache: { enabled: true }, ...options });

const cacheOf = ({ headers }: Answer): string | null => headers.get("x-headgate-cache");
const callsOf = (model: string): number => stack.upstream.requestsFor(model).length;

/** Asks, and again when what was to be stored is. */
async function twice(
  first: Ask,
  second: Ask = first,
  keys = [tenant.key, tenant.key],
): Promise<[Answer, Answer]> {
  const one = await chat(stack, keys[0] ?? "", first);
  // The trace leaves when all of it has ended: the store, too.
  await spansOf(stack, one);
  return [one, await chat(stack, keys[1] ?? "", second)];
}

describe("a hit", () => {
  test.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])("gives what was stored (stream: %s) as the client wants it (stream: %s)", async (stored, wanted) => {
    const model = uniqueModel();
    stack.upstream.script(model, ({ earlier }) => ({ kind: "answer", text: `Grüezi 🚀 number ${earlier}` }));
    const [first, hit] = await twice(
      { model: `up/${model}`, stream: stored },
      { model: `up/${model}`, stream: wanted },
    );
    expect([cacheOf(first), cacheOf(hit)]).toEqual(["MISS", "HIT"]);
    expect(hit.content).toBe("Grüezi 🚀 number 0");
    expect(hit.headers.get("content-type")).toContain(wanted ? "text/event-stream" : "application/json");
    if (wanted) expect(hit.text.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(callsOf(model)).toBe(1);
  });

  test("says its age, what it saved, and whose answer it is; costs no limit and no attempt", async () => {
    const model = uniqueModel();
    stack.upstream.script("gpt-4o-mini", {
      kind: "answer",
      text: model,
      delayMs: 120,
      usage: { inputTokens: 1000, outputTokens: 1000 },
    });
    const limited = await caching({ limits: { requestsPerMinute: 1, burst: 1, queue: { maxDepth: 0 } } });
    const ask = { model: "up/gpt-4o-mini" };
    const [first, hit] = await twice(ask, ask, [limited.key, limited.key]);
    expect(hit.status).toBe(200);
    expect(Number(hit.headers.get("age"))).toBeGreaterThanOrEqual(0);
    expect(hit.headers.get("x-headgate-saved-usd")).toBe(first.headers.get("x-headgate-cost-usd"));
    expect(Number(hit.headers.get("x-headgate-saved-ms"))).toBeGreaterThanOrEqual(110);
    expect(hit.headers.get("x-headgate-cost-usd")).toBe("0");
    expect(hit.headers.get("x-headgate-attempts")).toBe("0");
    const [own, spans] = await Promise.all([spansOf(stack, first), spansOf(stack, hit)]);
    expect(checkTrace(spans, { others: own })).toEqual([]);
    expect(linksOf(spanOf(spans, "gateway.cache.lookup"), "cached_from")).toEqual([first.traceId]);
    expect(rootOf(spans).attributes).toMatchObject({ "gateway.outcome": "cache_hit", "gateway.cost.usd": 0 });
    expect(rootOf(spans).attributes["gateway.cache.saved_usd"]).toBeCloseTo(0.00075, 6);
    expect(spans.map(({ name }) => name)).not.toContain("gateway.admission");
  });

  test("is refused to a key that may not use the model: policies come before the cache", async () => {
    const model = uniqueModel();
    const bound = await makeKey(stack.gateway, tenant.id, { allowedModels: ["up/other"] });
    const ask = { model: `up/${model}` };
    const [, refused] = await twice(ask, ask, [tenant.key, bound.key]);
    expect(refused).toMatchObject({ status: 403, error: "permission_denied" });
  });

  test("is shared by the tenant's keys, and never by another tenant", async () => {
    const model = uniqueModel();
    const other = await caching();
    const sibling = await makeKey(stack.gateway, tenant.id);
    const ask = { model: `up/${model}` };
    const [, hit] = await twice(ask, ask, [tenant.key, sibling.key]);
    expect(cacheOf(hit)).toBe("HIT");
    expect(cacheOf(await chat(stack, other.key, ask))).toBe("MISS");
    expect(callsOf(model)).toBe(2);
  });
});

test("an answer is not found once its provider's record was changed, and is made again", async () => {
  const model = uniqueModel();
  const own = await caching();
  const ask = { model: `up/${model}` };
  expect((await twice(ask, ask, [own.key, own.key])).map(cacheOf)).toEqual(["MISS", "HIT"]);
  const changed = await stack.gateway.admin("PUT", `/admin/tenants/${own.id}/providers/up`, {
    kind: "openai",
    apiKey: own.credential,
    baseUrl: `${stack.upstream.url}/v1/`,
  });
  expect(changed.status).toBe(200);
  await vi.waitFor(async () => expect(cacheOf(await chat(stack, own.key, ask))).toBe("MISS"), {
    timeout: 10_000,
    interval: 200,
  });
  expect(callsOf(model)).toBe(2);
});

describe("what is never stored", () => {
  const calls = [{ id: "t1", name: "f", arguments: "{}" }];
  test.each<[string, Reply, boolean]>([
    ["an error, which is no 200 the next time either", { kind: "error", status: 400 }, false],
    ["an error sent as a 200", { kind: "raw", body: '{"error":{"message":"overloaded"}}' }, false],
    ["a stream that was cut", { kind: "answer", text: "a b c d", end: "cut", endAfterChunks: 2 }, true],
    [
      "a stream with an error in it",
      { kind: "answer", text: "a b c", end: "error-event", endAfterChunks: 2 },
      true,
    ],
    ["a body that was cut", { kind: "raw", body: '{"choices":[', cut: true }, false],
    ["what a content filter stopped", { kind: "answer", text: "no", finishReason: "content_filter" }, false],
    ["the same as a stream", { kind: "answer", text: "no", finishReason: "content_filter" }, true],
    ["a call of tools", { kind: "answer", toolCalls: calls }, false],
    ["the same as a stream", { kind: "answer", toolCalls: calls }, true],
  ])("%s", async (_, reply, stream) => {
    const model = uniqueModel();
    stack.upstream.script(model, reply);
    const routes = { [model]: { targets: [{ provider: "up", model }], retries: { maxAttempts: 1 } } };
    const { key } = await caching({ routes });
    const [, second] = await twice({ model, stream }, { model, stream }, [key, key]);
    expect(cacheOf(second)).toBe("MISS");
    expect(callsOf(model)).toBe(2);
  });

  test("but a call of tools is, where the tenant has opted in", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", toolCalls: calls });
    const { key } = await caching({ cache: { enabled: true, toolCalls: true } });
    const [first, hit] = await twice({ model: `up/${model}` }, { model: `up/${model}` }, [key, key]);
    expect(cacheOf(hit)).toBe("HIT");
    expect(hit.text).toBe(first.text);
  });
});

describe("the request's own word", () => {
  const withCache = (model: string, value: string, more: Record<string, string> = {}): Ask => ({
    model: `up/${model}`,
    headers: { "x-headgate-cache": value, ...more },
  });

  test("refresh calls the upstream again, answers MISS and stores what it got", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, ({ earlier }) => ({ kind: "answer", text: `number ${earlier}` }));
    const [, fresh] = await twice({ model: `up/${model}` }, withCache(model, "refresh"));
    expect([cacheOf(fresh), fresh.content]).toEqual(["MISS", "number 1"]);
    await spansOf(stack, fresh);
    expect((await chat(stack, tenant.key, { model: `up/${model}` })).content).toBe("number 1");
  });

  test("only-if-cached answers 504 to what is not there, and calls no upstream", async () => {
    const model = uniqueModel();
    const answer = await chat(stack, tenant.key, withCache(model, "only-if-cached"));
    expect(answer).toMatchObject({ status: 504, error: "cache_miss" });
    expect(callsOf(model)).toBe(0);
  });

  test("on works where the tenant has the cache off, off where it has it on", async () => {
    const [on, off] = [uniqueModel(), uniqueModel()];
    const { key } = await caching({ cache: { enabled: false } });
    const [, hit] = await twice(withCache(on, "on"), withCache(on, "on"), [key, key]);
    const [, bypass] = await twice(withCache(off, "off"));
    expect([cacheOf(hit), cacheOf(bypass)]).toEqual(["HIT", "BYPASS"]);
    expect(callsOf(off)).toBe(2);
  });

  test("about the ttl is in seconds: 60 are a minute, and 0.5 or 60000000 are refused by name", async () => {
    const model = uniqueModel();
    const [first] = await twice(withCache(model, "on", { "x-headgate-cache-ttl": "60" }));
    const store = spanOf(await spansOf(stack, first), "gateway.cache.store");
    expect(store.attributes["gateway.cache.ttl_s"]).toBe(60);
    for (const ttl of ["0.5", "60000000", "59"]) {
      const answer = await chat(stack, tenant.key, withCache(model, "on", { "x-headgate-cache-ttl": ttl }));
      expect(answer).toMatchObject({ status: 400, error: "invalid_request" });
      expect(answer.text).toContain("x-headgate-cache-ttl");
    }
  });
});

describe("what counts as the same request", () => {
  test.each<[string, object, boolean]>([
    ["`stream: false` and no `stream`", { body: { stream: false } }, true],
    ["another end user", { body: { user: "someone-else" } }, true],
    ["another temperature", { body: { temperature: 0.1 } }, false],
    ["another seed", { body: { seed: 7 } }, false],
    ["a field that we don't know", { body: { future_field: 1 } }, false],
    ["another prompt", { prompt: "Hello!" }, false],
  ])("%s", async (_, other, isSame) => {
    const model = uniqueModel();
    const [, second] = await twice({ model: `up/${model}` }, { model: `up/${model}`, ...other });
    expect(cacheOf(second)).toBe(isSame ? "HIT" : "MISS");
  });
});

describe("a purge", () => {
  test("works at once when it has answered, for its own tenant only", async () => {
    const model = uniqueModel();
    const other = await caching();
    const ask = { model: `up/${model}` };
    const [, before] = await twice(ask);
    await twice(ask, ask, [other.key, other.key]);
    expect(cacheOf(before)).toBe("HIT");
    const purged = await stack.gateway.admin("POST", `/admin/tenants/${tenant.id}/cache/purge`);
    expect(purged.status).toBe(200);
    const after = await chat(stack, tenant.key, ask);
    expect(cacheOf(after)).toBe("MISS");
    expect(cacheOf(await chat(stack, other.key, ask))).toBe("HIT");
    await spansOf(stack, after);
    expect(cacheOf(await chat(stack, tenant.key, ask))).toBe("HIT");
  });
});

describe("embeddings", () => {
  async function embed(key: string, input: unknown) {
    const response = await fetch(`${stack.gateway.url}/v1/embeddings`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "sim/echo", input }),
    });
    const body = await response.json<{
      readonly data: readonly { readonly index: number; readonly embedding: readonly number[] }[];
      readonly usage: { readonly prompt_tokens: number };
    }>();
    const spans = await spansOf(stack, { traceId: response.headers.get("x-trace-id") ?? "" });
    expect(checkTrace(spans)).toEqual([]);
    return { headers: response.headers, body, spans };
  }

  test("are cached text by text: only new ones are asked for, and the answer is the whole one", async () => {
    const { key } = await makeTenant(stack.gateway, { cache: { enabled: true } });
    const first = await embed(key, ["one text", "another text"]);
    const mixed = await embed(key, ["a third", "one text", "another text"]);
    const all = await embed(key, ["another text", "a third"]);
    const single = await embed(key, "one text");
    expect([first, mixed, all, single].map(({ headers }) => headers.get("x-headgate-cache"))).toEqual([
      "MISS",
      "MISS",
      "HIT",
      "HIT",
    ]);
    expect(mixed.body.data.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(mixed.body.data[1]?.embedding).toEqual(first.body.data[0]?.embedding);
    expect(all.body.data.map(({ embedding }) => embedding)).toEqual([
      first.body.data[1]?.embedding,
      mixed.body.data[0]?.embedding,
    ]);
    expect(single.body.data[0]?.embedding).toEqual(first.body.data[0]?.embedding);
    const lookup = spanOf(mixed.spans, "gateway.cache.lookup");
    expect(lookup.attributes).toMatchObject({ "gateway.cache.inputs": 3, "gateway.cache.inputs_found": 2 });
    expect(lookup.links).toHaveLength(1);
    // Two words of new text were billed, not those that were there.
    expect(rootOf(mixed.spans).attributes["gen_ai.usage.input_tokens"]).toBeLessThan(
      mixed.body.usage.prompt_tokens,
    );
  });
});
