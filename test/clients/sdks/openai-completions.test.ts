// Text completions by the official OpenAI SDK against a scripted upstream: what arrives, what is billed, and what is refused where a
// target has no such path.
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const USAGE = { prompt_tokens: 40, completion_tokens: 7, total_tokens: 47 };

async function setUp(usage: object | undefined = USAGE) {
  const upstreamModel = uniqueModel();
  const model = `up/${upstreamModel}`;
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    record: {
      budget: { usd: 1, period: "day" },
      prices: { [model]: { input: 1000, output: 2000 } },
    },
  });
  const client = new OpenAI({ apiKey: tenant.key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
  stack.upstream.script(upstreamModel, ({ json }) => {
    const part = (text: string) => ({
      id: "cmpl-1",
      object: "text_completion",
      created: 1,
      model: upstreamModel,
      choices: [{ index: 0, text, logprobs: null, finish_reason: text === " time" ? "length" : null }],
    });
    if (json["stream"] !== true) return raw(JSON.stringify({ ...part(" time"), usage }));
    const asked = (json["stream_options"] as { include_usage?: boolean } | undefined)?.include_usage === true;
    const parts = [part(" upon"), part(" a"), part(" time")];
    const last = asked && usage ? [{ ...part(""), choices: [], usage }] : [];
    return raw(events([...parts, ...last]), "text/event-stream");
  });
  return { client, model, upstreamModel, tenant };
}

const raw = (body: string, contentType = "application/json") => ({ kind: "raw", contentType, body }) as const;
const events = (parts: readonly object[]): string =>
  [...parts.map((part) => JSON.stringify(part)), "[DONE]"].map((data) => `data: ${data}\n\n`).join("");

async function hasSpent({ id }: TestTenant, isExpected: (usd: number) => boolean): Promise<void> {
  await vi.waitFor(
    async () => {
      const { spentUsd } = (await adminJson(stack.gateway, "GET", `/admin/tenants/${id}/queue`)) as {
        readonly spentUsd: { readonly day: number };
      };
      expect(spentUsd.day).toSatisfy(isExpected);
    },
    { timeout: 5000, interval: 50 },
  );
}

const COST_USD = (40 * 1000 + 7 * 2000) / 1e6;
const isCost = (usd: number): boolean => Math.abs(usd - COST_USD) < 1e-6;

describe("text completions", () => {
  test("whole: forwarded as they are, traced as such, billed by their usage", async () => {
    const { client, model, upstreamModel, tenant } = await setUp();
    const ask = { model, prompt: ["Once", "Twice"], max_tokens: 5, echo: true, suffix: "!" };
    const { data, response } = await client.completions.create(ask).withResponse();
    expect(data.choices[0]?.text).toBe(" time");
    expect(response.headers.get("x-headgate-cost-usd")).toBe(String(COST_USD));
    const sent = stack.upstream.requestsFor(upstreamModel)[0];
    expect(sent).toMatchObject({ path: "/v1/completions", json: { ...ask, model: upstreamModel } });
    const spans = await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
    const attempt = spans.find(({ attributes }) => attributes["gen_ai.operation.name"] === "text_completion");
    expect(attempt?.attributes).toMatchObject({
      "gen_ai.request.max_tokens": 5,
      "gen_ai.usage.output_tokens": 7,
    });
    await hasSpent(tenant, isCost);
  });

  test("streamed: the usage is asked for, and billed", async () => {
    const { client, model, upstreamModel, tenant } = await setUp();
    let text = "";
    for await (const chunk of await client.completions.create({ model, prompt: "Once", stream: true }))
      text += chunk.choices[0]?.text ?? "";
    expect(text).toBe(" upon a time");
    const sent = stack.upstream.requestsFor(upstreamModel)[0];
    expect(sent?.json).toMatchObject({ stream: true, stream_options: { include_usage: true } });
    await hasSpent(tenant, isCost);
  });

  test("a client that refuses the usage, and an upstream that has none: billed by an estimate of the texts", async () => {
    for (const isRefused of [true, false]) {
      const { client, model, tenant } = await setUp(isRefused ? USAGE : {});
      const stream = await client.completions.create({
        model,
        prompt: "Once",
        stream: true,
        ...(isRefused && { stream_options: { include_usage: false } }),
      });
      let chunks = 0;
      for await (const _ of stream) chunks += 1;
      expect(chunks).toBe(isRefused ? 3 : 4);
      // A token of the prompt and some three of the answer.
      await hasSpent(tenant, (usd) => usd >= 0.004 && usd <= 0.012);
    }
  });

  test("a target that speaks another API is refused by name", async () => {
    const upstreamUrl = stack.upstream.url;
    const { key, provider } = await makeTenant(stack.gateway, { upstreamUrl, providerKind: "anthropic" });
    const client = new OpenAI({ apiKey: key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
    const call = client.completions.create({ model: `${provider}/claude`, prompt: "Once" });
    await expect(call).rejects.toMatchObject({
      status: 400,
      param: "model",
      message: expect.stringContaining("it has no /completions"),
    });
  });
});
