// `idempotency-key`: the same key and body are one generation for a day, running or finished, stream or whole. Through HTTP.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  chat,
  linksOf,
  post,
  read,
  rootOf,
  spanOf,
  spansOf,
  type Ask,
} from "../../support/clients/chat-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";

let stack: GatewayStack;
let tenant: TestTenant;
beforeAll(async () => {
  stack = await startGatewayStack();
  tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
});
afterAll(() => stack.close());

const keyed = (ask: Ask, idempotencyKey: string = randomUUID()): Ask => ({
  ...ask,
  headers: { ...ask.headers, "idempotency-key": idempotencyKey },
});

describe("the same key and body", () => {
  test.each([false, true])(
    "answer again with what was answered, without a call or a cost (stream: %s)",
    async (stream) => {
      const model = uniqueModel();
      stack.upstream.script(model, ({ earlier }) => ({ kind: "answer", text: `answer number ${earlier}` }));
      const ask = keyed({ model: `up/${model}`, stream });
      const first = await chat(stack, tenant.key, ask);
      const again = await chat(stack, tenant.key, ask);
      expect(again.text).toBe(first.text);
      expect(again.status).toBe(200);
      expect(again.headers.get("content-type")).toBe(first.headers.get("content-type"));
      expect(stack.upstream.requestsFor(model)).toHaveLength(1);
      expect([first, again].map(({ headers }) => headers.get("idempotent-replayed"))).toEqual([null, "true"]);
      expect(again.headers.get("x-headgate-attempts")).toBe("0");

      const [own, replayed] = await Promise.all([spansOf(stack, first), spansOf(stack, again)]);
      expect(checkTrace(own)).toEqual([]);
      expect(checkTrace(replayed, { others: own })).toEqual([]);
      const span = spanOf(replayed, "gateway.idempotency");
      expect(span.attributes["gateway.idempotency.status"]).toBe("replayed");
      expect(linksOf(span, "retried_from")).toEqual([first.traceId]);
      expect(rootOf(replayed).attributes).toMatchObject({
        "gateway.outcome": "replayed",
        "gateway.cost.usd": 0,
      });
      expect(rootOf(own).attributes["gateway.outcome"]).toBe("ok");
    },
  );

  test("are refused where the answer was longer than what is kept: it is not bought a second time", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "x".repeat(9 * 1024 * 1024) });
    const ask = keyed({ model: `up/${model}` });
    const first = await chat(stack, tenant.key, ask);
    expect([first.status, first.content.length]).toEqual([200, 9 * 1024 * 1024]);
    const again = await chat(stack, tenant.key, ask);
    expect(again).toMatchObject({ status: 409, error: "conflict" });
    expect(again.text).toContain("no longer kept");
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
  });

  test("attach to the generation that runs, live", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "one two three four", paceMs: 150 });
    const ask = keyed({ model: `up/${model}`, stream: true });
    const first = chat(stack, tenant.key, ask);
    await stack.upstream.waitForRequest(model);
    const second = await post(stack.gateway.url, tenant.key, ask);
    expect(stack.upstream.inFlight(model)).toBe(1);
    expect(second.headers.get("idempotent-replayed")).toBe("true");
    expect(read(second, await second.text()).text).toBe((await first).text);
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
    const spans = await spansOf(stack, { traceId: second.headers.get("x-trace-id") ?? "" });
    expect(linksOf(spanOf(spans, "gateway.idempotency"), "retried_from")).toEqual([(await first).traceId]);
    expect(rootOf(spans).attributes["gateway.outcome"]).toBe("coalesced");
  });

  test("find the answer of a generation whose own client had left", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "one two three four", paceMs: 150 });
    const ask = keyed({ model: `up/${model}`, stream: true });
    const leaving = new AbortController();
    const first = await post(stack.gateway.url, tenant.key, { ...ask, signal: leaving.signal });
    await first.body?.getReader().read();
    leaving.abort();
    const request = await stack.upstream.waitForRequest(model);
    await request.ended;
    expect(request.outcome).toBe("complete");
    const again = await chat(stack, tenant.key, ask);
    expect(again.content).toBe("one two three four");
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
  });

  test("belong to the gateway key, and to no other tenant's", async () => {
    const model = uniqueModel();
    const ask = keyed({ model: `up/${model}` });
    const { key } = await makeKey(stack.gateway, tenant.id);
    const other = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    await chat(stack, tenant.key, ask);
    expect((await chat(stack, tenant.key, ask)).headers.get("idempotent-replayed")).toBe("true");
    expect((await chat(stack, key, ask)).headers.get("idempotent-replayed")).toBeNull();
    expect((await chat(stack, other.key, ask)).headers.get("idempotent-replayed")).toBeNull();
    expect(stack.upstream.requestsFor(model)).toHaveLength(3);
  });

  test("are the tenant's where its record shares them between its keys", async () => {
    const model = uniqueModel();
    const ask = keyed({ model: `up/${model}` });
    const sharing = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      cache: { share: "tenant" },
    });
    const { key } = await makeKey(stack.gateway, sharing.id);
    await chat(stack, sharing.key, ask);
    expect((await chat(stack, key, ask)).headers.get("idempotent-replayed")).toBe("true");
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
  });

  test("mean the same body whatever its members' order and white space", async () => {
    const model = uniqueModel();
    const send = (body: string) =>
      fetch(`${stack.gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${tenant.key}`,
          "content-type": "application/json",
          "idempotency-key": model,
        },
        body,
      });
    const messages = `"messages":[{"role":"user","content":"Hi"}]`;
    await (await send(`{"model":"up/${model}",${messages}}`)).text();
    const again = await send(`{ ${messages}, "model" : "up/${model}" }`);
    await again.text();
    expect(again.headers.get("idempotent-replayed")).toBe("true");
  });
});

describe("another body under the same key", () => {
  test("is a conflict, while the first runs and when it is over", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "x", delayMs: 300 });
    const ask = keyed({ model: `up/${model}` });
    const other = { ...ask, prompt: "Something else?" };
    const first = chat(stack, tenant.key, ask);
    await stack.upstream.waitForRequest(model);
    const conflicts = [await chat(stack, tenant.key, other)];
    await first;
    conflicts.push(
      await chat(stack, tenant.key, other),
      await chat(stack, tenant.key, { ...ask, stream: true }),
    );
    for (const answer of conflicts) {
      expect(answer).toMatchObject({ status: 409, error: "conflict" });
      const spans = await spansOf(stack, answer);
      expect(checkTrace(spans)).toEqual([]);
      expect(rootOf(spans).attributes).toMatchObject({
        "gateway.outcome": "rejected",
        "gateway.decision": "conflict",
      });
    }
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
  });
});

describe("a key is free again", () => {
  test.each<[string, object]>([
    ["an upstream's failure", { kind: "error", status: 500 }],
    ["a refusal of the request", { kind: "error", status: 400 }],
  ])("after %s", async (_, reply) => {
    const model = uniqueModel();
    stack.upstream.script(model, ({ earlier }) =>
      earlier === 0 ? (reply as { kind: "error"; status: number }) : { kind: "answer", text: "good" },
    );
    const routes = { [model]: { targets: [{ provider: "up", model }], retries: { maxAttempts: 1 } } };
    const { key } = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, routes });
    const ask = keyed({ model });
    expect((await chat(stack, key, ask)).status).toBeGreaterThanOrEqual(400);
    expect(await chat(stack, key, ask)).toMatchObject({ status: 200, content: "good" });
  });

  test("after a stream that was cut, and keeps the whole one that follows", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, ({ earlier }) =>
      earlier === 0
        ? { kind: "answer", text: "half of it", end: "cut", endAfterChunks: 2 }
        : { kind: "answer", text: `whole ${earlier}` },
    );
    const ask = keyed({ model: `up/${model}`, stream: true });
    expect((await chat(stack, tenant.key, ask)).error).toBe("upstream_error");
    expect((await chat(stack, tenant.key, ask)).content).toBe("whole 1");
    expect((await chat(stack, tenant.key, ask)).content).toBe("whole 1");
  });
});

test("a key of no or of too many characters is refused by name", async () => {
  const answer = await chat(stack, tenant.key, keyed({ model: "up/x" }, "k".repeat(256)));
  expect(answer).toMatchObject({ status: 400, error: "invalid_request" });
  expect(answer.text).toContain("idempotency-key");
});

test("a key works beside coalescing and the cache: one call, one answer", async () => {
  const model = uniqueModel();
  stack.upstream.script(model, { kind: "answer", text: "shared by all", firstChunkDelayMs: 300 });
  const cache = { enabled: true, coalesce: true };
  const { key } = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, cache });
  const ask = { model: `up/${model}`, stream: true };
  const asks = [keyed(ask, "k1"), keyed(ask, "k1"), keyed(ask, "k2"), ask];
  const answers = await Promise.all(asks.map((one) => chat(stack, key, one)));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
  expect(answers[0]?.content).toBe("shared by all");
  expect(stack.upstream.requestsFor(model)).toHaveLength(1);
});
