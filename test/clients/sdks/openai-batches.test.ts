// Files and batches through the official OpenAI SDK: a batch of 100 is billed once, at batch prices, alike in trace, ledger and metrics; two tenants on
// one account of a vendor can reach their own objects alone.
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parsePrometheus, total } from "../../support/checkers/prometheus-text.ts";
import { adminJson } from "../../support/clients/admin-client.ts";
import { linksOf, rootOf } from "../../support/clients/chat-client.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
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

const newTenant = (record: object = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: vendor.url, record: { ...record } });
const clientOf = (key: string): OpenAI =>
  new OpenAI({ apiKey: key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });

/** GPT-5 mini for a million tokens: $0.25 in, $0.025 from the cache, $2 out (https://developers.openai.com/api/docs/pricing, seen 2026-11); a batch costs half. */
const { input, cached, output } = RESULT_USAGE;
const RESULT_USD = ((input - cached) * 0.25 + cached * 0.025 + output * 2) / 1e6 / 2;

const requests = (count: number, model = "gpt-5-mini", prefix = "request"): string =>
  Array.from({ length: count }, (_, at) =>
    JSON.stringify({
      custom_id: `${prefix}-${at}`,
      method: "POST",
      url: "/v1/chat/completions",
      body: { model, messages: [{ role: "user", content: `Grüezi ${at}` }] },
    }),
  ).join("\n");

async function upload(client: OpenAI, content: string): Promise<string> {
  const { id } = await client.files.create({
    file: await toFile(Buffer.from(content), "a.jsonl"),
    purpose: "batch",
  });
  return id;
}

const startBatch = (client: OpenAI, inputId: string) =>
  client.batches.create({
    input_file_id: inputId,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
    metadata: { job: "nightly" },
  });

/** A batch that has ended, and the id of its results. */
async function endedBatch(
  client: OpenAI,
  content: string,
): Promise<{ readonly id: string; readonly resultsId: string }> {
  const { id } = await startBatch(client, await upload(client, content));
  vendor.finish(id);
  const { output_file_id: resultsId } = await client.batches.retrieve(id);
  return { id, resultsId: resultsId ?? "" };
}

const spentBy = async ({ id }: TestTenant): Promise<number> => {
  // The queue's answer has this among others.
  const { spentUsd } = (await adminJson(stack.gateway, "GET", `/admin/tenants/${id}/queue`)) as {
    readonly spentUsd: { readonly day: number };
  };
  return spentUsd.day;
};

async function rootOfAnswer({ headers }: Response): Promise<FlatSpan> {
  return rootOf(await stack.otlp.waitForTrace(headers.get("x-trace-id") ?? ""));
}

const missing = (param: string) => ({ status: 404, code: "not_found", param });

describe("batches", () => {
  test("of 100: one bill at batch prices, the same in trace, ledger and metrics, however often it is fetched", async () => {
    const tenant = await newTenant({ budget: { usd: 1, period: "day" } });
    const client = clientOf(tenant.key);
    const inputId = await upload(client, requests(100));
    const made = await startBatch(client, inputId).withResponse();
    expect(made.data).toMatchObject({ status: "in_progress", metadata: { job: "nightly" } });
    vendor.finish(made.data.id);
    const ended = await client.batches.retrieve(made.data.id);
    expect(ended.status).toBe("completed");
    expect(await spentBy(tenant)).toBe(0);

    const first = await client.files.content(ended.output_file_id ?? "");
    const lines = (await first.text()).split("\n");
    expect(lines).toHaveLength(100);
    expect(JSON.parse(lines[99] ?? "")).toMatchObject({ custom_id: "request-99" });
    const root = await rootOfAnswer(first);
    expect(root.attributes).toMatchObject({
      "gateway.cost.usd": expect.closeTo(100 * RESULT_USD, 6),
      "gateway.cost.basis": "list",
      "gen_ai.usage.input_tokens": 100 * input,
      "gen_ai.usage.cache_read.input_tokens": 100 * cached,
      "gen_ai.usage.output_tokens": 100 * output,
    });
    await vi.waitFor(async () => expect(await spentBy(tenant)).toBeCloseTo(100 * RESULT_USD, 6), {
      timeout: 5000,
    });
    expect(linksOf(root, "created_by")).toEqual([made.response.headers.get("x-trace-id")]);

    const again = await Promise.all([1, 2].map(() => client.files.content(ended.output_file_id ?? "")));
    for (const response of again) {
      expect(await response.text()).toBe(lines.join("\n"));
      expect((await rootOfAnswer(response)).attributes["gateway.cost.usd"]).toBeUndefined();
    }
    expect(await spentBy(tenant)).toBeCloseTo(100 * RESULT_USD, 6);
    const families = parsePrometheus(await (await stack.gateway.admin("GET", "/metrics")).text());
    const usage = await adminJson(stack.gateway, "GET", `/admin/tenants/${tenant.id}/usage?group_by=model`);
    expect(usage).toMatchObject({
      total: {
        inputTokens: 100 * input,
        outputTokens: 100 * output,
        costUsd: expect.closeTo(100 * RESULT_USD, 6),
      },
      items: expect.arrayContaining([
        expect.objectContaining({ group: { model: "gpt-5-mini" }, outputTokens: 100 * output }),
      ]),
    });
    const costUsd = total(families, "gateway_cost_USD_total", { gateway_tenant_id: tenant.id });
    expect(costUsd).toBeCloseTo(100 * RESULT_USD, 6);
  });

  test("fetched by several at once, and cut off in between: each result is billed once", async () => {
    const tenant = await newTenant();
    const client = clientOf(tenant.key);
    const { resultsId } = await endedBatch(client, requests(50));
    vendor.cutResultsAfter(6000);
    await expect(client.files.content(resultsId).then((response) => response.text())).rejects.toThrow(
      "terminated",
    );
    vendor.cutResultsAfter(undefined);
    await vi.waitFor(async () => expect(await spentBy(tenant)).toBeGreaterThan(0), { timeout: 5000 });
    expect(await spentBy(tenant)).toBeLessThan(50 * RESULT_USD);
    const fetches = await Promise.all([1, 2, 3, 4].map(() => client.files.content(resultsId)));
    for (const response of fetches) {
      await response.text();
      await rootOfAnswer(response);
    }
    await vi.waitFor(async () => expect(await spentBy(tenant)).toBeCloseTo(50 * RESULT_USD, 6), {
      timeout: 5000,
    });
    // Another file that is fetched is not a batch's, and costs nothing.
    await (await client.files.content(await upload(client, requests(3)))).text();
    expect(await spentBy(tenant)).toBeCloseTo(50 * RESULT_USD, 6);
  });

  test("with failed requests: those cost nothing, and a part of the results can't be asked for", async () => {
    const tenant = await newTenant();
    const client = clientOf(tenant.key);
    const content = `${requests(4)}\n${requests(3, "gpt-5-mini", "bad")}`;
    const { id, resultsId } = await endedBatch(client, content);
    const response = await client.files.content(resultsId, { headers: { range: "bytes=0-10" } });
    expect((await response.text()).split("\n")).toHaveLength(4);
    const { error_file_id: errorsId } = await client.batches.retrieve(id);
    expect((await (await client.files.content(errorsId ?? "")).text()).split("\n")).toHaveLength(3);
    await vi.waitFor(async () => expect(await spentBy(tenant)).toBeCloseTo(4 * RESULT_USD, 6), {
      timeout: 5000,
    });
    // Deleted at the vendor, it stays billed.
    await client.files.delete(resultsId);
    await expect(client.files.retrieve(resultsId)).rejects.toMatchObject(missing("id"));
  });

  test("are not counted among the tokens of the minute that fetches them, and each call is among its calls", async () => {
    const limited = async (limits: object): Promise<OpenAI> => {
      const { key } = await newTenant({ limits });
      return clientOf(key).withOptions({ defaultHeaders: { "x-headgate-max-wait-ms": "0" } });
    };
    const client = await limited({ tokensPerMinute: 500 });
    const { resultsId } = await endedBatch(client, requests(100));
    for (let fetches = 0; fetches < 2; fetches++) await (await client.files.content(resultsId)).text();
    expect((await client.batches.list()).data).toHaveLength(1);
    const slow = await limited({ requestsPerMinute: 6 });
    await slow.files.list();
    await expect(slow.files.list()).rejects.toMatchObject({ status: 429, code: "rate_limited" });
  });
});

describe("two tenants on one account", () => {
  test("see their own files and batches alone, by any id and in every list", async () => {
    const [own, other] = (await Promise.all([newTenant(), newTenant()])).map(({ key }) => clientOf(key));
    if (own === undefined || other === undefined) throw new Error("no tenants");
    const inputId = await upload(own, requests(2));
    const theirs = await upload(other, requests(2));
    const { id, resultsId } = await endedBatch(own, requests(2));
    const before = vendor.calls.length;
    for (const fileId of [inputId, resultsId]) {
      await expect(other.files.retrieve(fileId)).rejects.toMatchObject(missing("id"));
      await expect(other.files.content(fileId)).rejects.toMatchObject({ status: 404 });
      await expect(other.files.delete(fileId)).rejects.toMatchObject(missing("id"));
      await expect(startBatch(other, fileId)).rejects.toMatchObject(missing("input_file_id"));
    }
    await expect(other.batches.retrieve(id)).rejects.toMatchObject(missing("id"));
    await expect(other.batches.cancel(id)).rejects.toMatchObject(missing("id"));
    expect(vendor.calls.length).toBe(before);
    expect((await other.files.list()).data.map((file) => file.id)).toEqual([theirs]);
    expect((await other.files.list({ after: inputId })).data).toEqual([]);
    expect((await other.batches.list()).data).toEqual([]);
    const listed = await own.files.list();
    expect(listed.data.map((file) => file.id)).toContain(inputId);
    expect(listed.data.map((file) => file.id)).not.toContain(theirs);
    expect((await own.batches.list()).data).toMatchObject([{ id, status: "completed" }]);
  });

  test("page through their lists, which say how batches are now", async () => {
    const client = clientOf((await newTenant()).key);
    const inputId = await upload(client, requests(1));
    const ids: string[] = [];
    for (let at = 0; at < 5; at++) ids.push((await startBatch(client, inputId)).id);
    vendor.finish(ids[4] ?? "");
    const seen: (readonly [string, string])[] = [];
    for await (const { id, status } of client.batches.list({ limit: 2 })) seen.push([id, status]);
    expect(seen).toEqual(ids.toReversed().map((id, at) => [id, at === 0 ? "completed" : "in_progress"]));
    expect((await client.files.list({ purpose: "assistants" })).data).toEqual([]);
    expect((await client.files.list({ order: "asc", limit: 1 })).data).toMatchObject([{ id: inputId }]);
    await expect(client.files.list({ limit: 0 })).rejects.toMatchObject({ status: 400, param: "limit" });
  });
});

describe("what a batch may hold", () => {
  test("the models of a key, and those with a price where a budget asks for one", async () => {
    const tenant = await newTenant({ budget: { usd: 1, period: "day" } });
    const client = clientOf(tenant.key);
    const inputId = await upload(client, `${requests(1)}\n${requests(1, "unheard-of")}`);
    await expect(startBatch(client, inputId)).rejects.toMatchObject({ status: 400, code: "unpriced" });
    const limited = clientOf(
      (await makeKey(stack.gateway, tenant.id, { allowedModels: ["up/gpt-5-nano"] })).key,
    );
    const priced = await upload(client, requests(1));
    await expect(startBatch(limited, priced)).rejects.toMatchObject({
      status: 403,
      message: expect.stringContaining("'up/gpt-5-mini', which is in the batch"),
    });
    const unread = await upload(client, `${requests(1)}\nnot JSON`);
    await expect(startBatch(limited, unread)).rejects.toMatchObject({ status: 403 });
    await expect(startBatch(client, unread)).rejects.toMatchObject({ code: "unpriced" });
  });

  test("a provider is named where several have the API, and each object stays with its own", async () => {
    const tenant = await newTenant();
    const second = await startScriptedObjects();
    await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/providers/second`, {
      kind: "openai",
      baseUrl: `${second.url}/v1`,
      apiKey: "sk-second",
    });
    const client = clientOf(tenant.key);
    const file = await toFile(Buffer.from(requests(1)), "a.jsonl");
    await expect(client.files.create({ file, purpose: "batch" })).rejects.toMatchObject({
      status: 400,
      param: "x-headgate-provider",
      message: expect.stringContaining("second, up"),
    });
    const headers = { "x-headgate-provider": "second" };
    const { id } = await client.files.create({ file, purpose: "batch" }, { headers });
    await startBatch(client, id);
    expect(second.calls).toEqual(["POST /v1/files", "POST /v1/batches"]);
    expect(second.credentials).toEqual(["Bearer sk-second", "Bearer sk-second"]);
    await expect(
      client.files.create({ file, purpose: "batch" }, { headers: { "x-headgate-provider": "none" } }),
    ).rejects.toMatchObject({ status: 404, param: "x-headgate-provider" });
    await second.close();
  });
});
