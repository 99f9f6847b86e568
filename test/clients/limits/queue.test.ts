// The tenant's queue through HTTP: budgets, a revoked key in the middle of a stream, an upstream's Retry-After, and what an operator sees
// and orders. Its fairness, in milliseconds, is queue-fairness.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeKey, makeTenant } from "../../support/clients/test-tenant.ts";
import { pause, sendRequest, type TimedAnswer } from "../../support/clients/queued-request.ts";

const LONG_MS = 90_000;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const admin = (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> =>
  adminJson(stack.gateway, method, path, body);

const seen = (answers: readonly TimedAnswer[]): readonly unknown[] =>
  answers.map(({ status, code }) => code ?? status);

describe.concurrent("a budget", () => {
  test("refuses once it is spent, in numbers that agree, and starts with what was spent before it was set", async () => {
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    const model = "up/gpt-4o-mini";
    const url = stack.gateway.url;
    stack.upstream.script("gpt-4o-mini", {
      kind: "answer",
      usage: { inputTokens: 1_000_000, outputTokens: 100_000 },
    });
    const paid = await sendRequest({ url, key: tenant.key, model });
    const costUsd = Number(paid.headers.get("x-headgate-cost-usd"));
    expect(costUsd).toBeGreaterThan(0.1);
    await pause(1200);
    const record = await admin("GET", `/admin/tenants/${tenant.id}`);
    await admin("PUT", `/admin/tenants/${tenant.id}`, {
      ...record,
      budget: { usd: costUsd / 2, period: "day" },
    });
    const refused = await sendRequest({ url, key: tenant.key, model });
    expect(refused).toMatchObject({ status: 429, code: "budget_exceeded" });
    const untilMidnightMs = 86_400_000 - (Date.now() % 86_400_000);
    const retryMs = Number(refused.headers.get("retry-after-ms"));
    expect(Math.abs(retryMs - untilMidnightMs)).toBeLessThan(5000);
    const snapshot = await admin("GET", `/admin/tenants/${tenant.id}/queue`);
    expect(snapshot["limits"]).toMatchObject({ budgetMicroUsd: { remaining: 0 } });
    await admin("PATCH", `/admin/tenants/${tenant.id}`, { budget: { usd: costUsd * 3, period: "day" } });
    expect((await sendRequest({ url, key: tenant.key, model })).status).toBe(200);
  });
});

describe.concurrent("a full queue", () => {
  test("has a place for a key that waits less than the one that fills it", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", delayMs: 400 });
    const limits = { concurrency: 2, queue: { maxDepth: 10 } };
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, limits });
    const other = await makeKey(stack.gateway, tenant.id);
    const { url } = stack.gateway;
    const greedy = Array.from({ length: 20 }, () =>
      sendRequest({ url, key: tenant.key, model: `up/${model}` }),
    );
    await expect
      .poll(async () => (await admin("GET", `/admin/tenants/${tenant.id}/queue`))["depth"], { timeout: 5000 })
      .toBe(10);
    const modest = await sendRequest({ url, key: other.key, model: `up/${model}` });
    expect(modest.status).toBe(200);
    const refused = (await Promise.all(greedy)).filter(({ status }) => status === 429);
    // Two run and ten wait; the newest of those has given its place away.
    expect(refused).toHaveLength(9);
    expect(refused.every(({ code }) => code === "queue_full")).toBe(true);
  });
});

describe.concurrent("an upstream's Retry-After", () => {
  test("closes that target for all requests until then: others are asked, and it is not", async () => {
    const limited = uniqueModel();
    const spare = uniqueModel();
    stack.upstream.script(limited, ({ earlier }) =>
      earlier === 0
        ? { kind: "error", status: 429, headers: { "retry-after": "3" } }
        : { kind: "answer", text: "back" },
    );
    const targets = [limited, spare].map((model) => ({ provider: "up", model }));
    const tenant = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      routes: { chat: { targets }, alone: { targets: targets.slice(0, 1) } },
    });
    const { url } = stack.gateway;
    const sentAt = Date.now();
    const answers = [];
    for (let n = 0; n < 5; n += 1) answers.push(await sendRequest({ url, key: tenant.key, model: "chat" }));
    expect(answers.map(({ headers }) => headers.get("x-headgate-target"))).toEqual(
      answers.map(() => `up/${spare}`),
    );
    expect(stack.upstream.requestsFor(limited)).toHaveLength(1);
    // With no other target it is waited for.
    const waited = await sendRequest({ url, key: tenant.key, model: "alone" });
    expect([waited.status, Date.now() - sentAt >= 3000]).toEqual([200, true]);
    expect(stack.upstream.requestsFor(limited)).toHaveLength(2);
    const again = await sendRequest({ url, key: tenant.key, model: "chat" });
    expect(again.headers.get("x-headgate-target")).toBe(`up/${limited}`);
  });
});

describe.concurrent.each([
  ["is revoked", "DELETE", "/keys/:id", undefined],
  ["is paused", "PATCH", "/keys/:id", { status: "paused" }],
  ["is rotated out", "POST", "/keys/:id/rotate", {}],
  ["loses its tenant by a suspension", "PATCH", "", { status: "suspended" }],
  ["loses its tenant by a deletion", "DELETE", "", undefined],
] as const)("a key that %s while it streams", (_, method, path, body) => {
  test(
    "loses its streams within a lease's renewal, with an error and without an end mark",
    { timeout: LONG_MS },
    async ({ expect }) => {
      const model = uniqueModel();
      const chunks = Array.from({ length: 600 }, (_, n) => `w${n} `);
      stack.upstream.script(model, { kind: "answer", chunks, paceMs: 100 });
      const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
      const ask = (endpoint: string, name: string): Promise<Response> =>
        fetch(`${stack.gateway.url}/${endpoint}`, {
          method: "POST",
          headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
          body: JSON.stringify({ model: name, stream: true, messages: [{ role: "user", content: "hello" }] }),
        });
      const translated = await ask("v1/chat/completions", `up/${model}`);
      const native = await ask("proxy/up/chat/completions", model);
      const startedAt = Date.now();
      const bodies = [translated.text(), native.text().catch(() => "cut off")];
      await pause(1000);
      await admin(method, `/admin/tenants/${tenant.id}${path.replace(":id", tenant.keyId)}`, body);
      const [text, nativeText] = await Promise.all(bodies);
      expect(Date.now() - startedAt).toBeLessThan(45_000);
      expect(text).toContain("permission_denied");
      expect(text).not.toContain("[DONE]");
      expect(nativeText).not.toContain("[DONE]");
      const traces = [translated, native].map(({ headers }) =>
        stack.otlp.waitForTrace(headers.get("x-trace-id") ?? ""),
      );
      const roots = (await Promise.all(traces)).map(
        (spans) => spans.find(({ parentSpanId }) => parentSpanId === undefined)?.attributes,
      );
      expect(roots).toMatchObject([
        { "gateway.outcome": "rejected", "gateway.stream.outcome": "cut" },
        { "gateway.outcome": "rejected" },
      ]);
    },
  );
});

describe.concurrent("an operator", () => {
  test("watches the queue live, raises a limit for those who wait, and drains it", async ({ expect }) => {
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", delayMs: 3000 });
    const tenant = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      limits: { concurrency: 1, queue: { maxDepth: 10, maxWaitMs: 30_000 } },
    });
    const { url } = stack.gateway;
    const samples: Record<string, unknown>[] = [];
    // Node's WebSocket takes headers; the browser's type, which is all that is declared, has protocols there.
    const options = {
      headers: { authorization: "Bearer test-admin-token-of-this-gateway" },
    } as unknown as string[];
    const socket = new WebSocket(
      `${url.replace("http", "ws")}/admin/tenants/${tenant.id}/queue/live`,
      options,
    );
    socket.addEventListener("message", ({ data }) => void samples.push(JSON.parse(String(data))));
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    const answers = [1, 2, 3].map(() => sendRequest({ url, key: tenant.key, model: `up/${model}` }));
    await expect.poll(() => samples.at(-1), { timeout: 5000 }).toMatchObject({ depth: 2, leases: 1 });
    await admin("POST", `/admin/tenants/${tenant.id}/queue/limits`, {
      limits: { concurrency: 3 },
      forSeconds: 60,
    });
    await expect
      .poll(() => samples.at(-1), { timeout: 5000 })
      .toMatchObject({
        depth: 0,
        leases: 3,
        orders: { raised: { limits: { concurrency: 3 } } },
      });
    expect(stack.upstream.inFlight(model)).toBe(3);
    await admin("POST", `/admin/tenants/${tenant.id}/queue/drain`, { forSeconds: 60 });
    const refused = await sendRequest({ url, key: tenant.key, model: `up/${model}` });
    expect(refused).toMatchObject({ status: 429, code: "queue_full" });
    expect(seen(await Promise.all(answers))).toEqual([200, 200, 200]);
    await admin("POST", `/admin/tenants/${tenant.id}/queue/drain`, { forSeconds: 0 });
    expect((await sendRequest({ url, key: tenant.key, model: `up/${model}` })).status).toBe(200);
    const response = await stack.gateway.admin("GET", "/admin/audit?limit=100");
    const { items }: { items: { tenant: string; action: string }[] } = JSON.parse(await response.text());
    const orders = items.filter((entry) => entry.tenant === tenant.id && entry.action.startsWith("queue."));
    expect(orders.map(({ action }) => action)).toEqual(["queue.drain", "queue.drain", "queue.limits"]);
    socket.close();
  });

  test("learns what is wrong with an order, and that the live view wants a WebSocket", async () => {
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    const path = `/admin/tenants/${tenant.id}/queue`;
    const misspelt = await stack.gateway.admin("POST", `${path}/limits`, {
      limits: { rpm: 1 },
      forSeconds: 5,
    });
    expect([misspelt.status, await misspelt.text()]).toEqual([400, expect.stringContaining("limits.rpm")]);
    expect((await stack.gateway.admin("POST", `${path}/drain`, { forSeconds: -1 })).status).toBe(400);
    expect((await stack.gateway.admin("GET", `${path}/live`)).status).toBe(426);
    expect(
      (await stack.gateway.admin("POST", "/admin/tenants/nobody/queue/drain", { forSeconds: 1 })).status,
    ).toBe(404);
  });
});
