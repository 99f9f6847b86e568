// Faults seen in another gateway's cache (Portkey's, 1.15.2), as tests, each named by what it did. The rules themselves are tested in
// cache.test.ts.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Answer, type Ask, chat, rootOf, spanOf, spansOf } from "../../support/clients/chat-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const caching = (): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, cache: { enabled: true } });
const cacheOf = ({ headers }: Answer): string | null => headers.get("x-headgate-cache");
const callsOf = (model: string): number => stack.upstream.requestsFor(model).length;

/** Answered, with its trace complete: what was to be stored is. */
async function ask(key: string, question: Ask): Promise<Answer> {
  const answer = await chat(stack, key, question);
  await spansOf(stack, answer);
  return answer;
}

test("Portkey: a refusal of the upstream came out of the cache as a 200", async () => {
  const model = uniqueModel();
  stack.upstream.script(model, ({ earlier }) =>
    earlier === 0 ? { kind: "error", status: 429 } : { kind: "answer", text: "sound" },
  );
  const tenant = await caching();
  const route = { targets: [{ provider: "up", model }], retries: { maxAttempts: 1 } };
  await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/routes/r`, route);
  expect(await ask(tenant.key, { model: "r" })).toMatchObject({
    status: 429,
    error: "upstream_rate_limited",
  });
  const second = await ask(tenant.key, { model: "r" });
  expect([second.status, cacheOf(second), second.content]).toEqual([200, "MISS", "sound"]);
});

test("Portkey: an answer was given to a client with any other key", async () => {
  const model = uniqueModel();
  stack.upstream.script(model, ({ earlier }) => ({ kind: "answer", text: `secret ${earlier}` }));
  const [one, other] = await Promise.all([caching(), caching()]);
  expect((await ask(one.key, { model: `up/${model}` })).content).toBe("secret 0");
  const theirs = await ask(other.key, { model: `up/${model}` });
  expect([cacheOf(theirs), theirs.content]).toEqual(["MISS", "secret 1"]);
  expect(cacheOf(await ask(one.key, { model: `up/${model}` }))).toBe("HIT");
});

test("Portkey: a time to live of 60 seconds was 60 milliseconds", async () => {
  const model = uniqueModel();
  const { key } = await caching();
  const question = { model: `up/${model}`, headers: { "x-headgate-cache-ttl": "60" } };
  await ask(key, question);
  await new Promise((resolve) => setTimeout(resolve, 1200));
  const hit = await ask(key, question);
  expect(cacheOf(hit)).toBe("HIT");
  expect(Number(hit.headers.get("age"))).toBeGreaterThanOrEqual(1);
});

test('Portkey: `"stream": false` was never cached', async () => {
  const model = uniqueModel();
  const { key } = await caching();
  await ask(key, { model: `up/${model}`, stream: false });
  expect(cacheOf(await ask(key, { model: `up/${model}`, stream: false }))).toBe("HIT");
  expect(callsOf(model)).toBe(1);
});

test("Portkey: a stream that was cut ended like a whole one, and could be kept as such", async () => {
  const model = uniqueModel();
  stack.upstream.script(model, ({ earlier }) =>
    earlier === 0
      ? { kind: "answer", text: "a b c d", end: "cut", endAfterChunks: 2 }
      : { kind: "answer", text: "a b c d" },
  );
  const { key } = await caching();
  const cut = await ask(key, { model: `up/${model}`, stream: true });
  expect(cut.error).toBe("upstream_error");
  expect(cut.text).not.toContain("[DONE]");
  const spans = await spansOf(stack, cut);
  expect(rootOf(spans).attributes["gateway.outcome"]).toBe("upstream_error");
  expect(spanOf(spans, "gateway.cache.store").attributes["gateway.cache.reason"]).toBe("incomplete");
  const whole = await ask(key, { model: `up/${model}`, stream: true });
  expect([cacheOf(whole), whole.content]).toEqual(["MISS", "a b c d"]);
});
