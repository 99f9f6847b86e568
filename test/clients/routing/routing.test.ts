// Routing through HTTP: shares, conditions, sessions, circuits, the retry budget, hedges, limits of time, and what an operator is
// shown of it. Faults one by one are in routing-faults.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attemptsOf, chat, rootOf, spanOf, spansOf } from "../../support/clients/chat-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const withRoute = (route: object, options: object = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, routes: { r: route }, ...options });

const targets = (...models: readonly string[]) => models.map((model) => ({ provider: "up", model }));
const callsOf = (model: string): number => stack.upstream.requestsFor(model).length;

/** As many requests, some at a time. */
async function askMany(count: number, key: string): Promise<readonly number[]> {
  const statuses: number[] = [];
  const AT_ONCE = 50;
  for (let done = 0; done < count; done += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - done) }, () =>
      chat(stack, key, { model: "r" }),
    );
    statuses.push(...(await Promise.all(some)).map(({ status }) => status));
  }
  return statuses;
}

async function dryRun(tenant: TestTenant, body: object, headers: Record<string, string> = {}, query = "") {
  const response = await fetch(`${stack.gateway.url}/admin/tenants/${tenant.id}/routes/r/dry-run${query}`, {
    method: "POST",
    headers: {
      authorization: "Bearer test-admin-token-of-this-gateway",
      "content-type": "application/json",
      ...headers,
    },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json<Record<string, unknown>>() };
}

const HELLO = { messages: [{ role: "user", content: "Hello?" }] };

describe("a weighted route", () => {
  test("gives 80 and 20 of a hundred over a thousand requests, within one per cent", async () => {
    const [often, seldom] = [uniqueModel(), uniqueModel()];
    const { key } = await withRoute({
      strategy: "weighted",
      targets: [
        { provider: "up", model: often, weight: 80 },
        { provider: "up", model: seldom, weight: 20 },
      ],
    });
    await askMany(1000, key);
    expect(Math.abs(callsOf(often) - 800)).toBeLessThanOrEqual(10);
    expect(callsOf(often) + callsOf(seldom)).toBe(1000);
  }, 60_000);

  test("keeps a session at its target", async () => {
    const models = [uniqueModel(), uniqueModel(), uniqueModel()];
    const { key } = await withRoute({ strategy: "weighted", sticky: "session", targets: targets(...models) });
    const ask = { model: "r", headers: { "x-headgate-session": "conversation-7" } };
    const answered = new Set<string | null>();
    for (let turn = 0; turn < 6; turn += 1)
      answered.add((await chat(stack, key, ask)).headers.get("x-headgate-target"));
    expect(answered.size).toBe(1);
  });
});

describe("a conversation with a vendor's prompt cache", () => {
  test("stays with the target that answered it, on a route that would choose the cheapest again", async () => {
    const [cheap, dear] = [uniqueModel(), uniqueModel()];
    stack.upstream.script(cheap, ({ earlier }) =>
      earlier === 0 ? { kind: "error", status: 500 } : { kind: "answer" },
    );
    const { key } = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      record: {
        prices: { [`up/${cheap}`]: { input: 1, output: 1 }, [`up/${dear}`]: { input: 2, output: 2 } },
      },
      routes: { r: { strategy: "least-cost", targets: targets(cheap, dear), retries: { maxAttempts: 1 } } },
    });
    const marked = { model: "r", body: { prompt_cache_key: "conversation" } };
    const answered = [
      await chat(stack, key, marked),
      await chat(stack, key, marked),
      await chat(stack, key, { model: "r" }),
    ];
    expect(answered.map(({ headers }) => headers.get("x-headgate-target"))).toEqual([
      `up/${dear}`,
      `up/${dear}`,
      `up/${cheap}`,
    ]);
  });
});

describe("a session on a fallback route", () => {
  test("stays with the target that answered it, when the first one is back", async () => {
    const [first, second] = [uniqueModel(), uniqueModel()];
    stack.upstream.script(first, ({ earlier }) =>
      earlier === 0 ? { kind: "error", status: 500 } : { kind: "answer" },
    );
    const { key } = await withRoute({
      sticky: "session",
      targets: targets(first, second),
      retries: { maxAttempts: 1 },
    });
    const session = { model: "r", headers: { "x-headgate-session": "s1" } };
    const answered = [
      await chat(stack, key, session),
      await chat(stack, key, session),
      await chat(stack, key, { model: "r" }),
    ];
    expect(answered.map(({ headers }) => headers.get("x-headgate-target"))).toEqual([
      `up/${second}`,
      `up/${second}`,
      `up/${first}`,
    ]);
    const route = spanOf(await spansOf(stack, answered[1] ?? { traceId: "" }), "gateway.route");
    expect(route.attributes["gateway.route.reason"]).toBe("the session's target");
  });
});

describe("conditions", () => {
  test("choose the targets before any strategy does, and the span says which held", async () => {
    const [own, long, gold, tools] = [uniqueModel(), uniqueModel(), uniqueModel(), uniqueModel()];
    const { key } = await withRoute({
      targets: targets(own),
      when: [
        { if: { promptTokens: { min: 500 } }, targets: targets(long) },
        { if: { metadata: { tier: "gold" } }, targets: targets(gold) },
        { if: { needs: ["tools"] }, targets: targets(tools) },
      ],
    });
    const f = { type: "function", function: { name: "f", parameters: { type: "object" } } };
    const asks = [
      { model: "r" },
      { model: "r", prompt: "word ".repeat(1000) },
      { model: "r", headers: { "x-headgate-metadata": '{"tier":"gold"}' } },
      { model: "r", body: { tools: [f] } },
    ];
    const answers = [];
    for (const ask of asks) answers.push(await chat(stack, key, ask));
    expect(answers.map(({ headers }) => headers.get("x-headgate-target"))).toEqual(
      [own, long, gold, tools].map((model) => `up/${model}`),
    );
    const route = spanOf(await spansOf(stack, answers[3] ?? { traceId: "" }), "gateway.route");
    expect(route.attributes["gateway.route.reason"]).toBe("first in the route's order; when[2]: needs tools");
  });
});

describe("a dead target", () => {
  test("is asked five times, then once per pause; the other answers everything", async () => {
    const [dead, good] = [uniqueModel(), uniqueModel()];
    stack.upstream.script(dead, { kind: "error", status: 500 });
    const tenant = await withRoute({ targets: targets(dead, good), retries: { maxAttempts: 1 } });
    for (let asked = 0; asked < 40; asked += 1)
      expect((await chat(stack, tenant.key, { model: "r" })).status).toBe(200);
    expect(callsOf(dead)).toBe(5);
    expect(callsOf(good)).toBe(40);
    const answer = await chat(stack, tenant.key, { model: "r" });
    const route = spanOf(await spansOf(stack, answer), "gateway.route");
    expect(route.attributes["gateway.route.chosen"]).toBe(`up/${good}`);
    expect(route.attributes["gateway.route.rejected"]).toEqual([
      expect.stringMatching(
        new RegExp(
          `^up/${dead}: circuit open for \\d+ s, asked again in \\d+ s, found by trace [0-9a-f]{32}$`,
        ),
      ),
    ]);
    const health = await stack.gateway.admin("GET", `/admin/tenants/${tenant.id}/health`);
    expect(await health.json()).toMatchObject({
      circuitsOf: "tenant",
      items: [
        { target: `up/${dead}`, circuit: "open", failures: 5, calls: 5 },
        { target: `up/${good}`, circuit: "closed", failures: 0, wholeAnswerMs: expect.any(Number) },
      ],
    });
  });

  test("without another is a 503 with a retry-after, and no call", async () => {
    const dead = uniqueModel();
    stack.upstream.script(dead, { kind: "error", status: 500 });
    const { key } = await withRoute({ targets: targets(dead), retries: { maxAttempts: 5, baseDelayMs: 1 } });
    expect((await chat(stack, key, { model: "r" })).status).toBe(502);
    const refused = await chat(stack, key, { model: "r" });
    expect(refused).toMatchObject({ status: 503, error: "upstream_overloaded" });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.headers.get("x-headgate-attempts")).toBeNull();
    expect(callsOf(dead)).toBe(5);
    const spans = await spansOf(stack, refused);
    expect(rootOf(spans).events.map(({ name }) => name)).toContain("gateway.circuit_open");
    expect(checkTrace(spans)).toEqual([]);
  });
});

describe("the retry budget", () => {
  test("holds retries at a fifth of the requests while everything fails", async () => {
    const model = uniqueModel();
    // A limit is no defect: no circuit opens, and every attempt would be repeated.
    stack.upstream.script(model, { kind: "error", status: 429, headers: { "retry-after-ms": "1" } });
    const { key } = await withRoute({ targets: targets(model), retries: { maxAttempts: 3, baseDelayMs: 1 } });
    const startedAt = Date.now();
    const statuses = await askMany(400, key);
    expect(new Set(statuses)).toEqual(new Set([429]));
    // A window more may begin on a slow machine.
    const windows = 1 + Math.floor((Date.now() - startedAt) / 10_000);
    expect(callsOf(model)).toBeLessThanOrEqual(400 + Math.max(80, 10 * windows) + 10);
    expect(callsOf(model)).toBeGreaterThanOrEqual(400 + 10);
    const last = await chat(stack, key, { model: "r" });
    const spans = await spansOf(stack, last);
    const refusals = spans.map(({ attributes }) => attributes["gateway.retry.refused"]).filter(Boolean);
    expect(refusals).toEqual(["budget"]);
  }, 60_000);
});

describe("a hedged route", () => {
  const hedged = (slow: string, fast: string) =>
    withRoute({ targets: targets(slow, fast), hedge: { afterMs: 100 }, retries: { maxAttempts: 1 } });

  test.each([false, true])(
    "takes the faster answer, stops the other call and counts its cost (stream: %s)",
    async (stream) => {
      // A model with a price, whose script is shared by name: this test is alone in using it.
      const slow = stream ? "gpt-4.1-mini" : "gpt-4.1";
      const fast = uniqueModel();
      stack.upstream.script(slow, { kind: "answer", text: "slow", delayMs: 5_000 });
      stack.upstream.script(fast, { kind: "answer", text: "fast" });
      const { key } = await hedged(slow, fast);
      const answer = await chat(stack, key, { model: "r", stream, prompt: "word ".repeat(400) });
      expect(answer.content).toBe("fast");
      expect(answer.headers.get("x-headgate-target")).toBe(`up/${fast}`);
      const request = await stack.upstream.waitForRequest(slow);
      await request.ended;
      expect(request.outcome).toBe("client_closed");
      const spans = await spansOf(stack, answer);
      expect(checkTrace(spans)).toEqual([]);
      expect(attemptsOf(spans)).toEqual([`up/${slow} initial hedge_lost hedge`, `up/${fast} hedge ok`]);
      expect(rootOf(spans).events.map(({ name }) => name)).toEqual(["gateway.hedge"]);
      expect(rootOf(spans).attributes["gateway.hedge.cost_usd"]).toBeGreaterThan(0);
    },
  );

  test("calls no other target where the first answers in time, or fails in time", async () => {
    const [first, second] = [uniqueModel(), uniqueModel()];
    const { key } = await hedged(first, second);
    expect((await chat(stack, key, { model: "r" })).headers.get("x-headgate-target")).toBe(`up/${first}`);
    expect(callsOf(second)).toBe(0);
    stack.upstream.script(first, { kind: "error", status: 422 });
    expect((await chat(stack, key, { model: "r" })).status).toBe(422);
    expect(callsOf(second)).toBe(0);
  });

  test("still answers with the slow one where the hedge fails", async () => {
    const [slow, bad] = [uniqueModel(), uniqueModel()];
    stack.upstream.script(slow, { kind: "answer", text: "slow but sound", delayMs: 400 });
    stack.upstream.script(bad, { kind: "error", status: 500 });
    const { key } = await hedged(slow, bad);
    const answer = await chat(stack, key, { model: "r" });
    expect(answer.content).toBe("slow but sound");
    const spans = await spansOf(stack, answer);
    expect(attemptsOf(spans)).toEqual([`up/${slow} initial ok`, `up/${bad} hedge upstream_error give_up`]);
    expect(rootOf(spans).attributes["gateway.outcome"]).toBe("ok");
    expect(checkTrace(spans)).toEqual([]);
  });

  test("says the first one's fault where both fail", async () => {
    const [slow, bad] = [uniqueModel(), uniqueModel()];
    stack.upstream.script(slow, { kind: "error", status: 503, delayMs: 300 });
    stack.upstream.script(bad, { kind: "error", status: 500 });
    const { key } = await hedged(slow, bad);
    expect(await chat(stack, key, { model: "r" })).toMatchObject({
      status: 503,
      error: "upstream_overloaded",
    });
  });
});

describe("each limit of time", () => {
  test.each<[string, object, object, boolean, string]>([
    ["first_byte", { kind: "hang" }, { firstByteMs: 100 }, false, "(first-byte timeout)"],
    [
      "idle",
      { kind: "answer", text: "a b c d", end: "stall", endAfterChunks: 1 },
      { idleMs: 300 },
      true,
      "(idle timeout)",
    ],
    [
      "total",
      { kind: "answer", text: "a b c d e f g h", paceMs: 200 },
      { totalMs: 500 },
      true,
      "total time limit",
    ],
  ])("%s is an error of its own", async (kind, reply, timeouts, stream, words) => {
    const model = uniqueModel();
    stack.upstream.script(model, reply as Parameters<GatewayStack["upstream"]["script"]>[1]);
    const { key } = await withRoute({ targets: targets(model), timeouts, retries: { maxAttempts: 1 } });
    const answer = await chat(stack, key, { model: "r", stream });
    expect(answer.error).toBe("upstream_timeout");
    expect(answer.text).toContain(words);
    const spans = await spansOf(stack, answer);
    expect(spans.map(({ attributes }) => attributes["gateway.timeout.kind"]).filter(Boolean)).toEqual([kind]);
  });
});

describe("a dry run", () => {
  test("shows plan, reasons, prices, needs and cache, and calls no target", async () => {
    const model = uniqueModel();
    const tenant = await withRoute(
      { strategy: "least-cost", targets: targets(model, "gpt-4o", "gpt-4o-mini"), hedge: { afterMs: 50 } },
      { cache: { enabled: true } },
    );
    const before = stack.upstream.requests.length;
    const { status, body } = await dryRun(tenant, { ...HELLO, max_tokens: 100, stream: true });
    expect(status).toBe(200);
    expect(stack.upstream.requests.length).toBe(before);
    expect(body).toMatchObject({
      route: "r",
      strategy: "least-cost",
      reason: expect.stringMatching(/^lowest expected cost \(\$\d+\.\d+\)$/),
      targets: [
        { target: "up/gpt-4o-mini", circuit: "closed", expectedCostUsd: expect.any(Number), latencyMs: null },
        { target: "up/gpt-4o" },
        { target: `up/${model}`, expectedCostUsd: null },
      ],
      hedge: { afterMs: 50 },
      request: { dialect: "openai-chat", stream: true, outputTokens: 100, needs: [] },
      cache: { mode: "on", status: "miss", coalesce: false },
    });
    expect(body["rejected"]).toHaveLength(2);
  });

  test("reads any dialect and the request's headers, takes no turn, and finds a cached answer", async () => {
    const [one, two] = [uniqueModel(), uniqueModel()];
    const tenant = await withRoute(
      { strategy: "weighted", targets: targets(one, two) },
      { cache: { enabled: true } },
    );
    const first = async (): Promise<unknown> => {
      const { body } = await dryRun(tenant, HELLO);
      return (body["targets"] as readonly { target: string }[])[0]?.target;
    };
    const expected = await first();
    expect(await first()).toBe(expected);
    const answer = await chat(stack, tenant.key, { model: "r" });
    expect(answer.headers.get("x-headgate-target")).toBe(expected);
    await spansOf(stack, answer);
    expect((await dryRun(tenant, HELLO)).body["cache"]).toMatchObject({
      status: "hit",
      ageSeconds: expect.any(Number),
    });
    const pinned = await dryRun(
      tenant,
      { ...HELLO, max_tokens: 5 },
      { "x-headgate-target": `up/${two}` },
      "?dialect=anthropic-messages",
    );
    expect(pinned.body).toMatchObject({ strategy: "pinned", request: { dialect: "anthropic-messages" } });
    expect((await dryRun(tenant, HELLO, {}, "?dialect=klingon")).status).toBe(400);
    expect((await dryRun(tenant, { messages: "no" })).status).toBe(400);
  });
});
