// Images, speech and transcriptions under a budget, through HTTP against a scripted upstream: what they cost is reserved, booked
// and shown; only what has no price is refused.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const makeBudgeted = (usd: number, record: object = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    record: { budget: { usd, period: "day" }, limits: { queue: { maxWaitMs: 0 } }, ...record },
  });

/** `leaveAfterMs`: as a client that is gone after that time. */
function send({ key }: TestTenant, path: string, body: object, leaveAfterMs?: number): Promise<Response> {
  const { url, leaverUrl } = stack.gateway;
  return fetch(`${leaveAfterMs === undefined ? url : leaverUrl}/v1/${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      ...(leaveAfterMs !== undefined && { "x-leave-after-ms": String(leaveAfterMs) }),
    },
    body: JSON.stringify(body),
  });
}

const json = (body: object) => ({ kind: "raw", body: JSON.stringify(body) }) as const;

async function spentUsd({ id }: TestTenant): Promise<number> {
  const { spentUsd: spent } = (await adminJson(stack.gateway, "GET", `/admin/tenants/${id}/queue`)) as {
    readonly spentUsd: { readonly day: number };
  };
  return spent.day;
}

/** The ledger has exactly this, once the request's end has reached it. */
const hasSpent = (tenant: TestTenant, usd: number): Promise<void> =>
  vi.waitFor(async () => expect(await spentUsd(tenant)).toBeCloseTo(usd, 6), { timeout: 5000, interval: 50 });

async function costOnTrace(response: Response) {
  const spans = await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
  const root = spans.find(({ name }) => name.startsWith("POST /v1/"));
  return [root?.attributes["gateway.cost.usd"], root?.attributes["gateway.cost.basis"]];
}

test("images cost by size and quality: header, trace and ledger agree", async () => {
  const tenant = await makeBudgeted(1);
  stack.upstream.script("dall-e-3", json({ data: [{ url: "a" }, { url: "b" }] }));
  const ask = { model: "up/dall-e-3", prompt: "A cat", n: 2, size: "1024x1792", quality: "hd" };
  const answer = await send(tenant, "images/generations", ask);
  await answer.text();
  expect([answer.status, answer.headers.get("x-headgate-cost-usd")]).toEqual([200, "0.24"]);
  expect(await costOnTrace(answer)).toEqual([0.24, "list"]);
  await hasSpent(tenant, 0.24);
});

test("an image model that reports its tokens costs by them, whole and as a stream", async () => {
  const tenant = await makeBudgeted(1);
  const usage = {
    input_tokens: 50,
    output_tokens: 1000,
    total_tokens: 1050,
    input_tokens_details: { text_tokens: 10, image_tokens: 40 },
  };
  const expected = (10 * 5 + 40 * 10 + 1000 * 40) / 1e6;
  stack.upstream.script("gpt-image-1", ({ json: body }) => {
    if (body["stream"] !== true) return json({ data: [{ b64_json: "AAAA" }], usage });
    const done = { type: "image_generation.completed", b64_json: "A".repeat(100_000), usage };
    const text = `event: image_generation.partial_image\ndata: {"b64_json":"AAAA"}\n\ndata: ${JSON.stringify(done)}\n\n`;
    return { kind: "raw", contentType: "text/event-stream", body: text };
  });
  const ask = { model: "up/gpt-image-1", prompt: "A cat" };
  const whole = await send(tenant, "images/generations", ask);
  await whole.text();
  expect(whole.headers.get("x-headgate-cost-usd")).toBe(String(expected));
  const streamed = await send(tenant, "images/generations", { ...ask, stream: true });
  await streamed.text();
  expect(await costOnTrace(streamed)).toEqual([expected, "list"]);
  await hasSpent(tenant, 2 * expected);
});

test("speech costs by its characters, a transcription by its seconds", async () => {
  const tenant = await makeBudgeted(1);
  stack.upstream.script("tts-1", { kind: "raw", contentType: "audio/mpeg", body: "not really sound" });
  const spoken = await send(tenant, "audio/speech", {
    model: "up/tts-1",
    input: "x".repeat(1000),
    voice: "v",
  });
  await spoken.text();
  expect(await costOnTrace(spoken)).toEqual([0.015, "list"]);
  // The scripted upstream reads no model from a form.
  stack.upstream.script("", json({ text: "hello", usage: { type: "duration", seconds: 30 } }));
  const form = new FormData();
  form.set("model", "up/whisper-1");
  form.set("file", new Blob([new Uint8Array(100_000)], { type: "audio/mpeg" }), "a.mp3");
  const heard = await fetch(`${stack.gateway.url}/v1/audio/transcriptions`, {
    method: "POST",
    headers: { authorization: `Bearer ${tenant.key}` },
    body: form,
  });
  await heard.text();
  expect([heard.status, heard.headers.get("x-headgate-cost-usd")]).toEqual([200, "0.003"]);
  await hasSpent(tenant, 0.018);
});

test("images under way are reserved: ten at once never cost more than a budget of 10 cents", async () => {
  const tenant = await makeBudgeted(0.1);
  stack.upstream.script("dall-e-2", { ...json({ data: [{ url: "a" }] }) });
  const ask = { model: "up/dall-e-2", prompt: "A cat", n: 2, size: "1024x1024" };
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => send(tenant, "images/generations", ask)),
  );
  const statuses = await Promise.all(answers.map(async (answer) => (await answer.text(), answer.status)));
  expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(5);
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  expect(await spentUsd(tenant)).toBeLessThanOrEqual(0.1);
});

test("a client that leaves before its image is made owes it, as an estimate", async () => {
  const tenant = await makeBudgeted(1);
  const model = uniqueModel();
  await adminJson(stack.gateway, "PATCH", `/admin/tenants/${tenant.id}`, {
    prices: { [`up/${model}`]: { perImage: 0.05 } },
  });
  stack.upstream.script(model, { kind: "hang" });
  const ask = { model: `up/${model}`, prompt: "x", n: 3 };
  const left = await send(tenant, "images/generations", ask, 300);
  expect(left.status).toBe(499);
  await hasSpent(tenant, 0.15);
});

test("what has no price is refused by name; a price of the tenant's own opens it", async () => {
  const model = uniqueModel();
  stack.upstream.script(model, json({ data: [{ url: "a" }] }));
  const ask = { model: `up/${model}`, prompt: "x" };
  const refused = await send(await makeBudgeted(1), "images/generations", ask);
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining("no known price")]);
  const opened = await makeBudgeted(1, { prices: { [`up/${model}`]: { perImage: 0.05 } } });
  const answer = await send(opened, "images/generations", ask);
  expect([answer.status, answer.headers.get("x-headgate-cost-usd")]).toEqual([200, "0.05"]);
  expect(await costOnTrace(answer)).toEqual([0.05, "own"]);
});
