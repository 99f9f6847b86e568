// Equal requests under way at once share one upstream call, opted in by the tenant: through HTTP, with what each client, the
// upstream and each trace see of it.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, linksOf, post, read, rootOf, spanOf, spansOf } from "../../support/clients/chat-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";

let stack: GatewayStack;
let tenant: TestTenant;
beforeAll(async () => {
  stack = await startGatewayStack();
  tenant = await coalescing();
});
afterAll(() => stack.close());

const coalescing = (options: object = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, cache: { coalesce: true }, ...options });

/** A stream that takes half a second. */
const SLOW = { kind: "answer", text: "one two three four five", paceMs: 100 } as const;

describe("equal requests under way", () => {
  test("share one upstream call: streams, live and whole, each with its own trace", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, SLOW);
    const ask = { model: `up/${model}`, stream: true };
    const leader = chat(stack, tenant.key, ask);
    await stack.upstream.waitForRequest(model);
    const late = await post(stack.gateway.url, tenant.key, ask);
    expect(stack.upstream.inFlight(model)).toBe(1);
    const [first, second] = await Promise.all([leader, late.text().then((text) => read(late, text))]);
    expect(second.text).toBe(first.text);
    expect(second.content).toBe("one two three four five");
    expect(second.text.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
    expect(first.headers.get("x-headgate-cache")).toBe("BYPASS");
    expect(second.headers.get("x-headgate-cache")).toBe("COALESCED");
    expect(second.headers.get("x-headgate-attempts")).toBe("0");
    expect(second.headers.get("x-headgate-target")).toBe(`up/${model}`);

    const [own, followed] = await Promise.all([spansOf(stack, first), spansOf(stack, second)]);
    expect(checkTrace(own)).toEqual([]);
    expect(checkTrace(followed, { others: own })).toEqual([]);
    expect(rootOf(own).attributes).toMatchObject({
      "gateway.outcome": "ok",
      "gen_ai.usage.output_tokens": 5,
    });
    expect(spanOf(own, "gateway.coalesce.wait").attributes["gateway.coalesce.status"]).toBe("lead");
    expect(rootOf(followed).attributes).toMatchObject({
      "gateway.outcome": "coalesced",
      "gateway.cost.usd": 0,
      "gateway.cache.status": "coalesced",
    });
    expect(rootOf(followed).attributes["gen_ai.usage.output_tokens"]).toBeUndefined();
    const wait = spanOf(followed, "gateway.coalesce.wait");
    expect(wait.attributes["gateway.coalesce.status"]).toBe("attached");
    expect(linksOf(wait, "coalesced_into")).toEqual([first.traceId]);
    expect(followed.map(({ name }) => name)).not.toContain("gateway.admission");
  });

  test("share one whole answer", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "whole", delayMs: 300 });
    const ask = { model: `up/${model}` };
    const answers = await Promise.all(Array.from({ length: 8 }, () => chat(stack, tenant.key, ask)));
    expect(new Set(answers.map(({ content }) => content))).toEqual(new Set(["whole"]));
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
    const statuses = answers.map(({ headers }) => headers.get("x-headgate-cache") ?? "").toSorted();
    expect(statuses).toEqual(["BYPASS", ...Array.from({ length: 7 }, () => "COALESCED")]);
  });

  test("a thousand at once make one upstream call, and 999 get the live stream", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, {
      kind: "answer",
      text: "a b c d e f",
      firstChunkDelayMs: 1500,
      paceMs: 200,
    });
    const { key } = await coalescing({ limits: { concurrency: 1, queue: { maxDepth: 0 } } });
    const ask = { model: `up/${model}`, stream: true };
    const answers = await Promise.all(Array.from({ length: 1000 }, () => chat(stack, key, ask)));
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.content).toBe("a b c d e f");
    expect(answers.filter(({ headers }) => headers.get("x-headgate-cache") === "COALESCED")).toHaveLength(
      999,
    );
  }, 60_000);

  test.each<[string, object, object]>([
    ["another prompt", { prompt: "Other?" }, {}],
    ["another form", { stream: true }, {}],
    ["another usage chunk", { body: { stream_options: { include_usage: true } } }, { stream: true }],
    ["the cache switched off for the request", { headers: { "x-headgate-cache": "off" } }, {}],
  ])("are not joined by %s", async (_, other, both) => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "x", delayMs: 200, firstChunkDelayMs: 200 });
    const ask = { model: `up/${model}`, ...both };
    await Promise.all([chat(stack, tenant.key, ask), chat(stack, tenant.key, { ...ask, ...other })]);
    expect(stack.upstream.requestsFor(model)).toHaveLength(2);
  });

  test("are never joined across tenants, nor where the tenant has not opted in", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "x", delayMs: 200 });
    const others = await Promise.all([coalescing(), coalescing({ cache: { coalesce: false } })]);
    const keys = [tenant.key, ...others.map(({ key }) => key), others[1]?.key ?? ""];
    const answers = await Promise.all(keys.map((key) => chat(stack, key, { model: `up/${model}` })));
    expect(stack.upstream.requestsFor(model)).toHaveLength(4);
    for (const { headers } of answers) expect(headers.get("x-headgate-cache")).toBe("BYPASS");
  });
});

describe("the leader", () => {
  test("that leaves doesn't end its followers' stream, and is billed once", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { ...SLOW, text: "one two three four five six seven eight", paceMs: 150 });
    const ask = { model: `up/${model}`, stream: true };
    const leaving = new AbortController();
    const leader = await post(stack.gateway.url, tenant.key, { ...ask, signal: leaving.signal });
    const follower = await post(stack.gateway.url, tenant.key, ask);
    await leader.body?.getReader().read();
    leaving.abort();
    const { content, text } = read(follower, await follower.text());
    expect(content).toBe("one two three four five six seven eight");
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    const [request] = stack.upstream.requestsFor(model);
    expect(request?.outcome).toBe("complete");
    const spans = await spansOf(stack, { traceId: leader.headers.get("x-trace-id") ?? "" });
    expect(checkTrace(spans)).toEqual([]);
    expect(rootOf(spans).attributes).toMatchObject({
      "gateway.outcome": "client_disconnected",
      "gen_ai.usage.output_tokens": request?.billed?.outputTokens,
    });
  });

  test("alone that leaves stops the upstream", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "w ".repeat(200), paceMs: 50 });
    const leaving = new AbortController();
    const leader = await post(stack.gateway.url, tenant.key, {
      model: `up/${model}`,
      stream: true,
      signal: leaving.signal,
    });
    await leader.body?.getReader().read();
    leaving.abort();
    const request = await stack.upstream.waitForRequest(model);
    await request.ended;
    expect(request.outcome).toBe("client_closed");
  });

  test("that leaves before the first byte hands its place on, or takes the upstream call with it", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "late", delayMs: 1500 });
    const ask = { model: `up/${model}` };
    const leaver = post(stack.gateway.leaverUrl, tenant.key, {
      ...ask,
      headers: { "x-leave-after-ms": "400" },
    });
    await stack.upstream.waitForRequest(model);
    const follower = await chat(stack, tenant.key, ask);
    expect((await leaver).status).toBe(499);
    expect(follower).toMatchObject({ status: 200, content: "late" });
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);

    const alone = uniqueModel();
    stack.upstream.script(alone, { kind: "hang" });
    await post(stack.gateway.leaverUrl, tenant.key, {
      model: `up/${alone}`,
      headers: { "x-leave-after-ms": "200" },
    });
    const request = await stack.upstream.waitForRequest(alone);
    await request.ended;
    expect(request.outcome).toBe("client_closed");
  });

  test("that fails is replaced once, then all get its fault", async () => {
    const [once, always] = [uniqueModel(), uniqueModel()];
    const fault = { kind: "error", status: 500, delayMs: 200 } as const;
    stack.upstream.script(once, ({ earlier }) =>
      earlier === 0 ? fault : { kind: "answer", text: "second" },
    );
    stack.upstream.script(always, fault);
    const { key } = await coalescing({
      routes: Object.fromEntries(
        [once, always].map((model) => [
          model,
          { targets: [{ provider: "up", model }], retries: { maxAttempts: 1 } },
        ]),
      ),
    });
    const five = (model: string) => Promise.all(Array.from({ length: 5 }, () => chat(stack, key, { model })));
    const first = await five(once);
    expect(first.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 200, 502]);
    expect(stack.upstream.requestsFor(once)).toHaveLength(2);
    const second = await five(always);
    expect(second.map(({ status, error }) => `${status} ${error}`)).toEqual(
      Array.from({ length: 5 }, () => "502 upstream_error"),
    );
    expect(stack.upstream.requestsFor(always)).toHaveLength(2);
  });

  test("whose upstream is cut in mid-stream says so to every follower, never with an end mark", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { ...SLOW, end: "cut", endAfterChunks: 3 });
    const ask = { model: `up/${model}`, stream: true };
    const answers = await Promise.all(Array.from({ length: 3 }, () => chat(stack, tenant.key, ask)));
    for (const { error, text } of answers) {
      expect(error).toBe("upstream_error");
      expect(text).not.toContain("[DONE]");
    }
    const outcomes = await Promise.all(
      answers.map(async (answer) => rootOf(await spansOf(stack, answer)).attributes["gateway.outcome"]),
    );
    expect(outcomes).toEqual(["upstream_error", "upstream_error", "upstream_error"]);
  });
});
