// The limits of time through HTTP: what counts as a sign of life, what a limit that was reached leads to, and whom it concerns.
// Its slowest tests wait for longer than the default limits last.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat } from "../../support/clients/chat-client.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";

/** Beyond the 30 s of `firstByteMs` and `idleMs`. */
const LONG_MS = 31_500;
const TEST_MS = 60_000;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

interface Scripted extends TestTenant {
  readonly model: string;
}

/** A tenant with the route `r` to one target of that behaviour; `route` says the rest of it. */
async function withTarget(reply: Reply, route: object = {}): Promise<Scripted> {
  const model = uniqueModel();
  stack.upstream.script(model, reply);
  const routes = { r: { targets: [{ provider: "up", model }], ...route } };
  return { ...(await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, routes })), model };
}

const callsOf = ({ model }: Scripted): number => stack.upstream.requestsFor(model).length;

const COMPLETION = JSON.stringify({
  id: "c-1",
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: "at last" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 2 },
});
const EVENTS = [{ content: "at last" }, {}]
  .map((delta, index) =>
    JSON.stringify({ id: "c-1", choices: [{ index: 0, delta, finish_reason: index === 0 ? null : "stop" }] }),
  )
  .map((data) => `data: ${data}\n\n`)
  .join("");

/** White space, comments or nothing until the answer. */
function after(signs: number, sign: string, paceMs: number, isStream: boolean): Reply {
  const last = isStream ? `${EVENTS}data: [DONE]\n\n` : COMPLETION;
  const contentType = isStream ? "text/event-stream" : "application/json";
  return {
    kind: "pieces",
    contentType,
    paceMs,
    pieces: [...Array.from({ length: signs }, () => sign), last],
  };
}

describe.concurrent("an answer that takes longer than the default limits", () => {
  test.each<[string, boolean, Reply]>([
    ["whole, silent until its head", false, { kind: "answer", text: "at last", delayMs: LONG_MS }],
    ["whole, silent behind its head", false, after(1, "", LONG_MS, false)],
    ["whole, with white space before it", false, after(17, "\n", 2000, false)],
    ["streamed, with comments before it", true, after(17, ": PROCESSING\n\n", 2000, true)],
  ])(
    "%s, arrives and is asked for once",
    async (_, stream, reply) => {
      const tenant = await withTarget(reply);
      const answer = await chat(stack, tenant.key, { model: "r", stream });
      expect(answer).toMatchObject({
        status: 200,
        error: undefined,
        text: expect.stringContaining("at last"),
      });
      expect(callsOf(tenant)).toBe(1);
    },
    TEST_MS,
  );
});

describe("bytes of any kind restart the idle limit", () => {
  const timeouts = { idleMs: 400 };
  test.each<[string, boolean, string]>([
    ["line feeds of a whole answer", false, "\n"],
    ["spaces of a whole answer", false, "  "],
    ["comments of a stream", true, ": ping\n\n"],
    ["line feeds of a stream", true, "\n"],
  ])("%s", async (_, stream, sign) => {
    const tenant = await withTarget(after(10, sign, 100, stream), { timeouts });
    const answer = await chat(stack, tenant.key, { model: "r", stream });
    expect(answer).toMatchObject({ status: 200, text: expect.stringContaining("at last") });
    expect(callsOf(tenant)).toBe(1);
  });

  test.each<[string, Reply, boolean]>([
    [
      "a whole answer",
      { kind: "pieces", contentType: "application/json", pieces: ["\n"], end: "stall" },
      false,
    ],
    ["a stream", { kind: "pieces", pieces: [": ping\n\n"], end: "stall" }, true],
  ])("and %s without any for that long is an idle timeout", async (_, reply, stream) => {
    const tenant = await withTarget(reply, { timeouts });
    const answer = await chat(stack, tenant.key, { model: "r", stream });
    expect(answer).toMatchObject({ status: 504, error: "upstream_timeout" });
    expect(answer.text).toContain("sent no data for 0.4 s (idle timeout)");
  });
});

describe("a limit that was reached", () => {
  const timeouts = { firstByteMs: 150 };

  test.each([false, true])("is not tried again at the same target (stream: %s)", async (stream) => {
    const tenant = await withTarget({ kind: "hang" }, { timeouts });
    const answer = await chat(stack, tenant.key, { model: "r", stream });
    expect(answer).toMatchObject({ status: 504, error: "upstream_timeout" });
    expect(callsOf(tenant)).toBe(1);
  });

  test("is, where the route lists time-outs", async () => {
    const retries = { maxAttempts: 2, baseDelayMs: 1, on: ["timeout"] };
    const tenant = await withTarget({ kind: "hang" }, { timeouts, retries });
    expect((await chat(stack, tenant.key, { model: "r" })).status).toBe(504);
    expect(callsOf(tenant)).toBe(2);
  });

  test("leads to the next target", async () => {
    const good = uniqueModel();
    const slow = uniqueModel();
    stack.upstream.script(slow, { kind: "hang" });
    stack.upstream.script(good, { kind: "answer", text: "at last" });
    const targets = [slow, good].map((model) => ({ provider: "up", model }));
    const { key } = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      routes: { r: { targets, timeouts } },
    });
    expect((await chat(stack, key, { model: "r" })).content).toBe("at last");
    expect(stack.upstream.requestsFor(slow)).toHaveLength(1);
  });
});

describe("whom a limit concerns", () => {
  /** Slower than the impatient client, fast enough for the others. */
  const SLOW: Reply = { kind: "answer", text: "at last", delayMs: 120 };
  const IMPATIENT = { "x-headgate-timeout-ms": "20" };
  /** More than open a circuit. */
  const MANY = 8;

  test.each([false, true])("the client's own closes a model to no other key (stream: %s)", async (stream) => {
    const tenant = await withTarget(SLOW);
    for (let asked = 0; asked < MANY; asked += 1)
      expect((await chat(stack, tenant.key, { model: "r", stream, headers: IMPATIENT })).status).toBe(504);
    const other = await makeKey(stack.gateway, tenant.id);
    expect((await chat(stack, other.key, { model: "r", stream })).content).toBe("at last");
  });

  test("the route's own opens the circuit", async () => {
    const tenant = await withTarget({ kind: "hang" }, { timeouts: { firstByteMs: 20 } });
    const errors: (string | undefined)[] = [];
    for (let asked = 0; asked < MANY; asked += 1)
      errors.push((await chat(stack, tenant.key, { model: "r" })).error);
    expect(errors.at(0)).toBe("upstream_timeout");
    expect(errors.at(-1)).toBe("upstream_overloaded");
    expect(callsOf(tenant)).toBeLessThan(MANY);
  });

  test("the client's own, where it is longer than the route's, opens it too", async () => {
    const tenant = await withTarget({ kind: "hang" }, { timeouts: { firstByteMs: 10 } });
    for (let asked = 0; asked < MANY; asked += 1)
      await chat(stack, tenant.key, { model: "r", headers: IMPATIENT });
    expect(callsOf(tenant)).toBeLessThan(MANY);
  });
});

describe("whom failures concern", () => {
  const MANY = 8;
  const FAILS: Reply = { kind: "error", status: 500 };
  const ONCE = { retries: { maxAttempts: 1 } };

  test("one key's failures close the model to that key, and to no other", async () => {
    const tenant = await withTarget(FAILS, ONCE);
    for (let asked = 0; asked < MANY; asked += 1) await chat(stack, tenant.key, { model: "r" });
    expect(callsOf(tenant)).toBe(5);
    stack.upstream.script(tenant.model, { kind: "answer", text: "at last" });
    const other = await makeKey(stack.gateway, tenant.id);
    expect((await chat(stack, other.key, { model: "r" })).content).toBe("at last");
    const refused = await chat(stack, tenant.key, { model: "r" });
    expect(refused).toMatchObject({ status: 503, error: "upstream_overloaded" });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    const health = await stack.gateway.admin("GET", `/admin/tenants/${tenant.id}/health`);
    expect(await health.json()).toMatchObject({
      items: [{ circuit: "open", openForKeys: [tenant.keyId] }],
    });
  });

  test("the failures of two keys close it to all", async () => {
    const tenant = await withTarget(FAILS, ONCE);
    const [second, third] = [
      await makeKey(stack.gateway, tenant.id),
      await makeKey(stack.gateway, tenant.id),
    ];
    for (const key of [tenant.key, second.key])
      for (let asked = 0; asked < MANY; asked += 1) await chat(stack, key, { model: "r" });
    const calls = callsOf(tenant);
    expect(calls).toBe(7);
    expect(await chat(stack, third.key, { model: "r" })).toMatchObject({ status: 503 });
    expect(callsOf(tenant)).toBe(calls);
  });
});

describe("a Retry-After", () => {
  const limited = (ms: number): Reply => ({
    kind: "error",
    status: 429,
    headers: { "retry-after-ms": String(ms) },
  });

  test("of 20 s is not slept through: the client hears of it at once", async () => {
    const tenant = await withTarget(limited(20_000));
    const startedAt = Date.now();
    const answer = await chat(stack, tenant.key, { model: "r" });
    expect(answer).toMatchObject({ status: 429, error: "upstream_rate_limited" });
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(19);
    expect(Date.now() - startedAt).toBeLessThan(5000);
    expect(callsOf(tenant)).toBe(1);
    // Nor by the next request, which finds the target in its cooldown.
    const next = await chat(stack, tenant.key, { model: "r" });
    expect(next).toMatchObject({ status: 429, error: "upstream_rate_limited" });
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    expect(callsOf(tenant)).toBe(1);
  });

  test.each([
    [500, 499, 1],
    [300, 1000, 2],
  ])("of %i ms under a limit of %i ms: %i calls", async (ms, maxRetryAfterMs, calls) => {
    const retries = { maxAttempts: 2, maxRetryAfterMs };
    const tenant = await withTarget(limited(ms), { retries });
    expect((await chat(stack, tenant.key, { model: "r" })).status).toBe(429);
    expect(callsOf(tenant)).toBe(calls);
  });
});
