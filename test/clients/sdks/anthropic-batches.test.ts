// Message batches through the official Anthropic SDK: results are billed once, at batch prices, and two tenants on one account can reach their own alone.
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { linksOf, rootOf } from "../../support/clients/chat-client.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import {
  RESULT_USAGE,
  type ScriptedObjects,
  startScriptedObjects,
} from "../../support/servers/scripted-objects.ts";

let stack: GatewayStack;
let vendor: ScriptedObjects;
beforeAll(async () => {
  [stack, vendor] = await Promise.all([startGatewayStack(), startScriptedObjects()]);
});
afterAll(() => Promise.all([stack.close(), vendor.close()]));

const newTenant = (): Promise<TestTenant> =>
  makeTenant(stack.gateway, {
    upstreamUrl: vendor.url,
    providerKind: "anthropic",
    record: { budget: { usd: 1, period: "day" } },
  });
const clientOf = (apiKey: string): Anthropic =>
  new Anthropic({ apiKey, baseURL: stack.gateway.url, maxRetries: 0 });

const requests = (
  count: number,
  model: string,
  prefix = "request",
): Anthropic.Messages.BatchCreateParams.Request[] =>
  Array.from({ length: count }, (_, at) => ({
    custom_id: `${prefix}-${at}`,
    params: { model, max_tokens: 100, messages: [{ role: "user", content: `Grüezi ${at}` }] },
  }));

/** For a million tokens: Haiku 4.5 $1 in, $0.10 from the cache, $5 out; Sonnet 4.5 three times as much (https://platform.claude.com/docs/en/about-claude/pricing, seen 2026-11); a batch costs half. */
const { input, cached, output } = RESULT_USAGE;
const HAIKU_USD = ((input - cached) * 1 + cached * 0.1 + output * 5) / 1e6 / 2;

describe("message batches", () => {
  test("of two models: each result is billed at its own model's batch price, once", async () => {
    const tenant = await newTenant();
    const client = clientOf(tenant.key);
    const asked = [
      ...requests(10, "claude-haiku-4-5"),
      ...requests(2, "claude-haiku-4-5", "bad"),
      ...requests(5, "claude-sonnet-4-5"),
    ];
    const made = await client.messages.batches.create({ requests: asked }).withResponse();
    expect(made.data.processing_status).toBe("in_progress");
    expect(vendor.credentials.at(-1)).toBe(tenant.credential);
    vendor.finish(made.data.id);
    const traces: string[] = [];
    // The SDK calls the address that the batch names.
    const resultsOf = client.withOptions({
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        traces.push(response.headers.get("x-trace-id") ?? "");
        return response;
      },
    });
    for (let fetches = 0; fetches < 2; fetches++) {
      const seen: string[] = [];
      for await (const { custom_id: id, result } of await resultsOf.messages.batches.results(made.data.id))
        seen.push(`${id} ${result.type}`);
      expect(seen).toHaveLength(17);
      expect(seen[10]).toBe("bad-0 errored");
    }
    const root = rootOf(await stack.otlp.waitForTrace(traces[1] ?? ""));
    const costUsd = (10 + 5 * 3) * HAIKU_USD;
    expect(root.attributes).toMatchObject({
      "gateway.cost.usd": expect.closeTo(costUsd, 6),
      "gen_ai.usage.input_tokens": 15 * input,
    });
    expect(linksOf(root, "created_by")).toEqual([made.response.headers.get("x-trace-id")]);
    await stack.otlp.waitForTrace(traces[3] ?? "");
    await vi.waitFor(
      async () => {
        // The queue's answer has this among others.
        const { spentUsd } = (await adminJson(stack.gateway, "GET", `/admin/tenants/${tenant.id}/queue`)) as {
          readonly spentUsd: { readonly day: number };
        };
        expect(spentUsd.day).toBeCloseTo(costUsd, 6);
      },
      { timeout: 5000 },
    );
  });

  test("are listed, cancelled and deleted by their own tenant alone", async () => {
    const [tenant, rival] = await Promise.all([newTenant(), newTenant()]);
    const [own, other] = [clientOf(tenant.key), clientOf(rival.key)];
    const ids: string[] = [];
    for (let at = 0; at < 3; at++)
      ids.push((await own.messages.batches.create({ requests: requests(1, "claude-haiku-4-5") })).id);
    const [first = "", second = "", third = ""] = ids;
    for (const call of [
      () => other.messages.batches.retrieve(first),
      () => other.messages.batches.cancel(first),
      () => other.messages.batches.delete(first),
      () => other.messages.batches.results(first),
    ])
      await expect(call()).rejects.toMatchObject({
        status: 404,
        error: { error: { type: "not_found_error" } },
      });
    expect((await other.messages.batches.list()).data).toEqual([]);
    vendor.finish(second);
    expect((await own.messages.batches.cancel(first)).processing_status).toBe("canceling");
    const page = await own.messages.batches.list({ limit: 2 });
    expect(page.data.map(({ id }) => id)).toEqual([third, second]);
    expect(page.data[1]?.results_url).toBe(`${stack.gateway.url}/v1/messages/batches/${second}/results`);
    const seen: string[] = [];
    for await (const { id } of page) seen.push(id);
    expect(seen).toEqual([third, second, first]);
    const before = await own.messages.batches.list({ before_id: first, limit: 1 });
    expect(before.data.map(({ id }) => id)).toEqual([second]);
    await own.messages.batches.delete(second);
    await expect(own.messages.batches.retrieve(second)).rejects.toMatchObject({ status: 404 });
    expect((await own.messages.batches.list()).data.map(({ id }) => id)).toEqual([third, first]);
  });

  test("hold the models of the key, and those with a price", async () => {
    const tenant = await newTenant();
    const { key } = await makeKey(stack.gateway, tenant.id, { allowedModels: ["up/claude-haiku-*"] });
    const asked = requests(1, "claude-sonnet-4-5");
    await expect(clientOf(key).messages.batches.create({ requests: asked })).rejects.toMatchObject({
      status: 403,
    });
    await expect(
      clientOf(tenant.key).messages.batches.create({ requests: requests(1, "unheard-of") }),
    ).rejects.toMatchObject({ status: 400 });
    await expect(clientOf(tenant.key).messages.batches.create({ requests: [] })).rejects.toMatchObject({
      status: 400,
    });
  });
});
