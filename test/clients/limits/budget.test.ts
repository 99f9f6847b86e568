// Budgets that hold: money that is still under way counts, what can't be priced is kept out, and a vendor's own API is no way
// around. Everything through HTTP against a scripted upstream.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { billedBy } from "../../support/checkers/ledger-sums.ts";
import { adminJson } from "../../support/clients/admin-client.ts";
import { chat } from "../../support/clients/chat-client.ts";
import { pause } from "../../support/clients/queued-request.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const withBudget = (budget: object, prices?: object): Promise<TestTenant> =>
  makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    record: { budget: { period: "day", ...budget }, ...(prices !== undefined && { prices }) },
  });

async function spentUsd({ id }: TestTenant): Promise<number> {
  const { spentUsd: spent } = (await adminJson(stack.gateway, "GET", `/admin/tenants/${id}/queue`)) as {
    readonly spentUsd: { readonly day: number };
  };
  return spent.day;
}

const native = (tenant: TestTenant, path: string, body: unknown): Promise<Response> =>
  fetch(`${stack.gateway.url}/proxy/up/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });

const MESSAGES = [{ role: "user", content: "Hello" }];

describe("a budget of 5 cents", () => {
  test("holds for 100 streams at once without `max_tokens`: what is under way is reserved", async () => {
    const model = "gpt-4o-2024-08-06";
    const usage = { inputTokens: 1000, outputTokens: 1000 };
    stack.upstream.script(model, { kind: "answer", text: "a b c", firstChunkDelayMs: 1500, usage });
    const tenant = await withBudget({ usd: 0.05 });
    await adminJson(stack.gateway, "PATCH", `/admin/tenants/${tenant.id}`, {
      limits: { queue: { maxDepth: 1, maxWaitMs: 0 } },
    });
    const ask = { model: `up/${model}`, stream: true };
    const answers = await Promise.all(Array.from({ length: 100 }, () => chat(stack, tenant.key, ask)));
    const answered = answers.filter(({ status }) => status === 200);
    expect(answered.length).toBeGreaterThan(0);
    expect(new Set(answers.filter(({ status }) => status !== 200).map(({ status }) => status))).toEqual(
      new Set([429]),
    );
    const { microUsd } = billedBy(stack.upstream, model);
    // The estimate of one request in flight is all by which it may be wrong: the output was as long as the floor.
    expect(microUsd / 1e6).toBeLessThanOrEqual(0.05 + microUsd / 1e6 / answered.length);
    await pause(1500);
    expect(await spentUsd(tenant)).toBeCloseTo(microUsd / 1e6, 6);
  });
});

/** Requests of a route whose calls cost alike, many at once against 5 cents. */
async function spendAtOnce(route: (model: string) => object, before: (model: string) => void, count: number) {
  const model = "gpt-4o-2024-11-20";
  const usage = { inputTokens: 100, outputTokens: 1000 };
  stack.upstream.script(model, { kind: "answer", text: "a b c", firstChunkDelayMs: 600, usage });
  before(model);
  const tenant = await withBudget({ usd: 0.05 });
  const path = `/admin/tenants/${tenant.id}`;
  await adminJson(stack.gateway, "PATCH", path, { limits: { queue: { maxWaitMs: 0 } } });
  await adminJson(stack.gateway, "PUT", `${path}/routes/r`, route(model));
  const ask = { model: "r", stream: true };
  const answers = await Promise.all(Array.from({ length: count }, () => chat(stack, tenant.key, ask)));
  await pause(1500);
  const [spent, alerts] = await Promise.all([spentUsd(tenant), alertsOf(tenant)]);
  return { statuses: answers.map(({ status }) => status), spent, alerts };
}

async function alertsOf({ id }: TestTenant): Promise<readonly string[]> {
  const { items } = (await adminJson(stack.gateway, "GET", "/admin/audit?limit=1000")) as {
    readonly items: readonly { readonly tenant: string; readonly action: string; readonly subject: string }[];
  };
  const own = items.filter(({ tenant, action }) => tenant === id && action === "budget.alert");
  return own.map(({ subject }) => /\d+%/.exec(subject)?.[0] ?? "").toReversed();
}

describe("5 cents hold, and alert once for each threshold,", () => {
  const target = (model: string) => ({ provider: "up", model });

  test("where each request falls back to a dearer model", async () => {
    const cheap = "gpt-4o-mini-2024-07-18";
    stack.upstream.script(cheap, { kind: "error", status: 500 });
    const route = (model: string) => ({
      targets: [target(cheap), target(model)],
      retries: { maxAttempts: 2 },
    });
    const { statuses, spent, alerts } = await spendAtOnce(route, () => {}, 40);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect(spent).toBeGreaterThan(0.02);
    expect(spent).toBeLessThanOrEqual(0.05);
    expect(alerts).toEqual(["50%", "80%", "100%"].slice(0, alerts.length));
  });

  test("where each request is hedged, and both calls come to their ends", async () => {
    const other = "gpt-4o-2024-05-13";
    const usage = { inputTokens: 100, outputTokens: 1000 };
    const script = (): void =>
      stack.upstream.script(other, { kind: "answer", text: "a b c", firstChunkDelayMs: 500, usage });
    const route = (model: string) => ({
      targets: [target(model), target(other)],
      hedge: { afterMs: 50 },
      retries: { maxAttempts: 1 },
    });
    const { statuses, spent } = await spendAtOnce(route, script, 40);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect(spent).toBeGreaterThan(0.01);
    expect(spent).toBeLessThanOrEqual(0.05);
  });
});

describe.concurrent("a call that can't be priced", () => {
  test("is refused under a budget, by name and with what to do", async () => {
    const model = uniqueModel();
    const tenant = await withBudget({ usd: 1 });
    const answer = await chat(stack, tenant.key, { model: `up/${model}` });
    expect(answer).toMatchObject({ status: 400, error: "unpriced" });
    expect(answer.text).toContain(`'up/${model}' has no known price`);
    expect(answer.text).toContain("onUnpriced");
    expect(stack.upstream.requestsFor(model)).toEqual([]);
  });

  test("is let through with `onUnpriced: allow`, with a price of the tenant's own, and without a budget", async () => {
    const model = uniqueModel();
    const own = { [`up/${model}`]: { input: 1, output: 1 } };
    const tenants = [
      await withBudget({ usd: 1, onUnpriced: "allow" }),
      await withBudget({ usd: 1 }, own),
      await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url }),
    ];
    for (const { key } of tenants)
      expect((await chat(stack, key, { model: `up/${model}` })).status).toBe(200);
  });

  test("is passed over for the route's next target, which has a price", async () => {
    const model = uniqueModel();
    const tenant = await withBudget({ usd: 1 });
    const targets = [model, "gpt-4o-mini"].map((name) => ({ provider: "up", model: name }));
    await adminJson(stack.gateway, "PUT", `/admin/tenants/${tenant.id}/routes/r`, { targets });
    const answer = await chat(stack, tenant.key, { model: "r" });
    expect(answer.headers.get("x-headgate-target")).toBe("up/gpt-4o-mini");
    expect(stack.upstream.requestsFor(model)).toEqual([]);
  });

  test("an image and a speech are refused before the call, a moderation is free", async () => {
    const tenant = await withBudget({ usd: 1 });
    const send = (path: string, body: object): Promise<Response> =>
      fetch(`${stack.gateway.url}/v1/${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const image = uniqueModel();
    expect((await send("images/generations", { model: `up/${image}`, prompt: "x" })).status).toBe(400);
    expect((await send("audio/speech", { model: `up/${image}`, input: "x", voice: "v" })).status).toBe(400);
    expect((await send("moderations", { model: `up/${image}`, input: "x" })).status).toBe(200);
  });
});

describe.concurrent("a vendor's own API under a budget", () => {
  test("counts a chat stream that did not ask for its usage", async () => {
    const model = "gpt-4.1-mini";
    const usage = { inputTokens: 100_000, outputTokens: 1000 };
    stack.upstream.script(model, { kind: "answer", text: "a b c", usage });
    const tenant = await withBudget({ usd: 1 });
    const answer = await native(tenant, "chat/completions", { model, stream: true, messages: MESSAGES });
    expect([answer.status, (await answer.text()).slice(0, 200)]).toMatchObject([200, /./]);
    await pause(1500);
    expect(await spentUsd(tenant)).toBeCloseTo(billedBy(stack.upstream, model).microUsd / 1e6, 6);
    expect(await spentUsd(tenant)).toBeGreaterThan(0.03);
  });

  test("is closed to what it can't count: an unknown model, an unknown path", async () => {
    const tenant = await withBudget({ usd: 1 });
    const model = uniqueModel();
    const unknown = await native(tenant, "chat/completions", { model, messages: MESSAGES });
    expect(unknown.status).toBe(400);
    expect(await unknown.text()).toContain("no known price");
    expect((await native(tenant, "files", {})).status).toBe(400);
    expect(stack.upstream.requestsFor(model)).toEqual([]);
  });
});
