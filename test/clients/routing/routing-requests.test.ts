// What a request and a route's targets may say for themselves, through HTTP: a pin, a target's own parameters, prices and latencies
// as orders, an upstream's Retry-After in each form, and the deadline that all attempts share.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attemptsOf, chat, spanOf, spansOf } from "../../support/clients/chat-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const withRoute = (route: object): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, routes: { r: route } });
const targets = (...models: readonly string[]) => models.map((model) => ({ provider: "up", model }));
const callsOf = (model: string): number => stack.upstream.requestsFor(model).length;
const targetOf = ({ headers }: { readonly headers: Headers }) => headers.get("x-headgate-target");

describe("x-headgate-target", () => {
  test("pins a target of the route, and there is no other behind it", async () => {
    const [first, second] = [uniqueModel(), uniqueModel()];
    const { key } = await withRoute({ targets: targets(first, second), retries: { maxAttempts: 1 } });
    const pin = { "x-headgate-target": `up/${second}` };
    const answer = await chat(stack, key, { model: "r", headers: pin });
    expect(targetOf(answer)).toBe(`up/${second}`);
    expect(spanOf(await spansOf(stack, answer), "gateway.route").attributes).toMatchObject({
      "gateway.route.strategy": "pinned",
      "gateway.route.rejected": [`up/${first}: another target is pinned`],
    });
    stack.upstream.script(second, { kind: "error", status: 500 });
    expect(await chat(stack, key, { model: "r", headers: pin })).toMatchObject({
      status: 502,
      error: "upstream_error",
    });
    expect(callsOf(first)).toBe(0);
  });

  test("outside the route is refused by name, and no target is called", async () => {
    const [own, other] = [uniqueModel(), uniqueModel()];
    const { key } = await withRoute({ targets: targets(own) });
    const answer = await chat(stack, key, { model: "r", headers: { "x-headgate-target": `up/${other}` } });
    expect(answer).toMatchObject({ status: 400, error: "invalid_request" });
    expect(answer.text).toContain("x-headgate-target");
    expect(callsOf(own) + callsOf(other)).toBe(0);
  });
});

test("a target's own parameters win over the client's, for that target only", async () => {
  const [first, second] = [uniqueModel(), uniqueModel()];
  stack.upstream.script(first, { kind: "error", status: 500 });
  const { key } = await withRoute({
    targets: [
      { provider: "up", model: first, params: { temperature: 0, max_tokens: 7 } },
      { provider: "up", model: second },
    ],
    retries: { maxAttempts: 1 },
  });
  const answer = await chat(stack, key, { model: "r", body: { temperature: 0.9, top_p: 0.5 } });
  expect(targetOf(answer)).toBe(`up/${second}`);
  expect(stack.upstream.requestsFor(first)[0]?.json).toMatchObject({
    temperature: 0,
    max_tokens: 7,
    top_p: 0.5,
  });
  const [plain] = stack.upstream.requestsFor(second);
  expect(plain?.json).toMatchObject({ temperature: 0.9, top_p: 0.5 });
  expect(plain?.json).not.toHaveProperty("max_tokens");
});

describe("an order by what is known", () => {
  test("least-cost asks the cheaper model first, whatever the route's order", async () => {
    const { key } = await withRoute({ strategy: "least-cost", targets: targets("gpt-4o", "gpt-4o-mini") });
    const answer = await chat(stack, key, { model: "r" });
    expect(targetOf(answer)).toBe("up/gpt-4o-mini");
    const { attributes } = spanOf(await spansOf(stack, answer), "gateway.route");
    expect(attributes["gateway.route.reason"]).toMatch(/^lowest expected cost \(\$[\d.]+\)$/);
    expect(attributes["gateway.route.rejected"]).toEqual([
      expect.stringMatching(/^up\/gpt-4o: expected cost \$[\d.]+$/),
    ]);
  });

  test("least-latency tries what it doesn't know, then stays with the faster one", async () => {
    const [slow, fast] = [uniqueModel(), uniqueModel()];
    stack.upstream.script(slow, { kind: "answer", text: "x", delayMs: 150 });
    const { key } = await withRoute({ strategy: "least-latency", targets: targets(slow, fast) });
    const answers = [];
    for (let asked = 0; asked < 8; asked += 1) answers.push(await chat(stack, key, { model: "r" }));
    expect([callsOf(slow), callsOf(fast)]).toEqual([1, 7]);
    const reasons = [];
    for (const answer of answers.slice(0, 3))
      reasons.push(spanOf(await spansOf(stack, answer), "gateway.route").attributes["gateway.route.reason"]);
    expect(reasons).toEqual([
      "not measured lately",
      "not measured lately",
      expect.stringMatching(/^lowest latency \(\d+ ms\)$/),
    ]);
  });
});

describe("an upstream's wish to be left alone", () => {
  /** The headers at the moment of the refusal, and how long they ask for, at least. */
  const FORMS: readonly (readonly [string, () => Readonly<Record<string, string>>, number])[] = [
    ["`retry-after` in seconds", () => ({ "retry-after": "1" }), 1000],
    ["`retry-after-ms`", () => ({ "retry-after-ms": "700" }), 700],
    // Whole seconds: the date named is one to two seconds away.
    ["`retry-after` as a date", () => ({ "retry-after": new Date(Date.now() + 2000).toUTCString() }), 1000],
    [
      "`x-ratelimit-reset-…` of what is used up",
      () => ({ "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "800ms" }),
      800,
    ],
  ];

  test.each(FORMS)(
    "by %s is heeded: the same target is asked again, and not before",
    async (_, headers, ms) => {
      const model = uniqueModel();
      stack.upstream.script(model, ({ earlier }) =>
        earlier === 0 ? { kind: "error", status: 429, headers: headers() } : { kind: "answer" },
      );
      const { key } = await withRoute({
        targets: targets(model),
        retries: { maxAttempts: 2, baseDelayMs: 1 },
      });
      const answer = await chat(stack, key, { model: "r" });
      expect(answer.status).toBe(200);
      const [first, second] = stack.upstream.requestsFor(model);
      expect((second?.startedAt ?? 0) - (first?.startedAt ?? 0)).toBeGreaterThanOrEqual(ms - 20);
      const spans = await spansOf(stack, answer);
      expect(checkTrace(spans)).toEqual([]);
      expect(attemptsOf(spans)).toEqual([
        `up/${model} initial upstream_rate_limited retry`,
        `up/${model} retry ok`,
      ]);
    },
  );
});

test("the total is a deadline for all attempts together: the last is cut by it, not by its own limit", async () => {
  const [one, two] = [uniqueModel(), uniqueModel()];
  for (const model of [one, two]) stack.upstream.script(model, { kind: "hang" });
  const { key } = await withRoute({
    targets: targets(one, two),
    retries: { maxAttempts: 1 },
    timeouts: { firstByteMs: 500, totalMs: 800 },
  });
  const startedAt = Date.now();
  const answer = await chat(stack, key, { model: "r" });
  expect(answer).toMatchObject({ status: 504, error: "upstream_timeout" });
  expect(Date.now() - startedAt).toBeGreaterThanOrEqual(790);
  const spans = await spansOf(stack, answer);
  expect(checkTrace(spans)).toEqual([]);
  const kinds = spans.map(({ attributes }) => attributes["gateway.timeout.kind"]).filter(Boolean);
  expect(kinds).toEqual(["first_byte", "total"]);
  const [last] = stack.upstream.requestsFor(two);
  await last?.ended;
  expect((last?.endedAt ?? 0) - (last?.startedAt ?? 0)).toBeLessThan(480);
});
