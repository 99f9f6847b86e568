// What an upstream or a vendor's own call may not do to a tenant's limits, through HTTP: a count that can't be true is not booked,
// and a call under /proxy reserves what it says.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { adminJson, TEST_VARS } from "../../support/clients/admin-client.ts";
import { chat, spansOf } from "../../support/clients/chat-client.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

async function spentUsd({ id }: TestTenant): Promise<number> {
  const { spentUsd: spent } = (await adminJson(stack.gateway, "GET", `/admin/tenants/${id}/queue`)) as {
    readonly spentUsd: { readonly day: number };
  };
  return spent.day;
}

test("a prompt of a million million tokens locks no key out and spends nothing, and the trace says so", async () => {
  const model = uniqueModel();
  const usage = { prompt_tokens: 1e12, completion_tokens: 3, total_tokens: 1e12 + 3 };
  const choices = [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hello" } }];
  stack.upstream.script(model, { kind: "raw", body: JSON.stringify({ id: "c", model, choices, usage }) });
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    limits: { tokensPerMinute: 1_000_000 },
    record: { prices: { [`up/${model}`]: { input: 10, output: 30 } } },
  });
  const other = await makeKey(stack.gateway, tenant.id);
  const answer = await chat(stack, tenant.key, { model: `up/${model}` });
  expect([answer.status, answer.content]).toEqual([200, "Hello"]);
  expect(Number(answer.headers.get("x-headgate-cost-usd"))).toBeLessThan(0.001);
  const attempt = (await spansOf(stack, answer)).find(({ name }) => name.startsWith("chat "));
  expect(attempt?.attributes).toMatchObject({
    "gateway.usage.refused": true,
    "gateway.usage.source": "estimate",
  });
  expect((await chat(stack, other.key, { model: `up/${model}` })).status).toBe(200);
  expect(await spentUsd(tenant)).toBeLessThan(0.001);
});

test.each([
  ["priority", "0.075", undefined],
  // Prepaid: the list has no price for it.
  ["scale", "0.045", "tier:scale"],
])("an answer in the tier %s costs %s dollars, and says what that leaves out", async (tier, usd, missing) => {
  const usage = { prompt_tokens: 100_000, completion_tokens: 50_000, total_tokens: 150_000 };
  const choices = [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hello" } }];
  const body = JSON.stringify({ id: "c", model: "gpt-4o-mini", choices, usage, service_tier: tier });
  stack.upstream.script("gpt-4o-mini", { kind: "raw", body });
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const answer = await chat(stack, tenant.key, { model: "up/gpt-4o-mini" });
  expect(answer.headers.get("x-headgate-cost-usd")).toBe(usd);
  expect(answer.headers.get("x-headgate-cost-missing") ?? undefined).toBe(missing);
  const root = (await spansOf(stack, answer)).find(({ name }) => name.startsWith("POST "));
  expect(root?.attributes["gateway.cost.basis"]).toBe(missing === undefined ? "list" : "partial");
  const drawn = await fetch(`${stack.gateway.url}/admin/traces/${answer.traceId}?width=160`, {
    headers: { authorization: `Bearer ${TEST_VARS["ADMIN_TOKEN"]}`, accept: "text/plain" },
  });
  expect((await drawn.text()).includes("at least $")).toBe(missing !== undefined);
  // A settlement may go with the next call, a second later.
  await vi.waitFor(async () => expect(await spentUsd(tenant)).toBeCloseTo(Number(usd), 6), 5000);
});

/** `leaveAfterMs`: as a client that is gone after that time. */
function native(
  { key, provider }: TestTenant,
  path: string,
  body: object,
  leaveAfterMs?: number,
): Promise<Response> {
  const { url, leaverUrl } = stack.gateway;
  return fetch(`${leaveAfterMs === undefined ? url : leaverUrl}/proxy/${provider}/${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      ...(leaveAfterMs !== undefined && { "x-leave-after-ms": String(leaveAfterMs) }),
    },
    body: JSON.stringify(body),
  });
}

const CONTENT = "How are you? ".repeat(1000);

test.each([
  ["openai", "chat/completions", { messages: [{ role: "user", content: CONTENT }], max_tokens: 5000 }],
  ["openai", "responses", { input: CONTENT, max_output_tokens: 5000 }],
  ["anthropic", "v1/messages", { messages: [{ role: "user", content: CONTENT }], max_tokens: 5000 }],
] as const)("a call of %s's own %s reserves its prompt and its longest answer", async (kind, path, body) => {
  const model = uniqueModel();
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, providerKind: kind });
  const answer = await native(tenant, path, { model, ...body });
  await answer.text();
  const spans = await stack.otlp.waitForTrace(answer.headers.get("x-trace-id") ?? "");
  const record = spans.find(({ name }) => name === "gateway.usage.record");
  const reserved = Number(record?.attributes["gateway.usage.reserved_tokens"]);
  expect(reserved).toBeGreaterThan(5000 + 2000);
  expect(reserved).toBeLessThan(5000 + 6000);
});

test.each([
  ["before its head", { kind: "hang" }],
  ["in the middle of a stream", { kind: "answer", text: "a b c d e f g h", paceMs: 200 }],
] as const)("a call of a vendor's own API that its client leaves %s owes its prompt", async (_, script) => {
  const model = "gpt-4.1-mini-2025-04-14";
  stack.upstream.script(model, script);
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const ask = { model, stream: true, messages: [{ role: "user", content: CONTENT }] };
  const isStreaming = script.kind === "answer";
  const answer = await native(tenant, "chat/completions", ask, isStreaming ? undefined : 500);
  if (isStreaming) {
    const reader = answer.body?.getReader();
    await reader?.read();
    await reader?.cancel();
  }
  // More than 2,500 tokens at 40 cents a million.
  await vi.waitFor(async () => expect(await spentUsd(tenant)).toBeGreaterThan(0.001), { timeout: 5000 });
  expect(await spentUsd(tenant)).toBeLessThan(0.0025);
});

test("20 streams of a vendor's own API at once hold a budget of 5 cents", async () => {
  const model = "gpt-4.1-2025-04-14";
  // 2 dollars a million for the prompt, 8 for the answer: one costs as much as it has reserved, 1,024 tokens of answer.
  const usage = { inputTokens: 10, outputTokens: 1024 };
  stack.upstream.script(model, { kind: "answer", text: "a b c", firstChunkDelayMs: 800, usage });
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    limits: { queue: { maxWaitMs: 0 } },
    record: { budget: { usd: 0.05, period: "day" } },
  });
  const ask = { model, stream: true, messages: [{ role: "user", content: "Hello" }] };
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => native(tenant, "chat/completions", ask)),
  );
  await Promise.all(answers.map((answer) => answer.text()));
  const admitted = answers.filter(({ status }) => status === 200).length;
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 429]));
  expect(admitted).toBeLessThanOrEqual(6);
});
