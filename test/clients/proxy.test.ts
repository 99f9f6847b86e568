// `/proxy`: a vendor's own API as it is, with the account's credential in place of the gateway key. Raw HTTP and the vendor's SDK.
import OpenAI from "openai";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../support/servers/gateway-stack.ts";
import { checkTrace } from "../support/checkers/trace-invariants.ts";
import { fixtureText } from "../support/builders/wire-fixtures.ts";
import { ADMIN_PATHS } from "../support/builders/native-paths.ts";
import { makeKey, makeTenant, type TenantOptions, type TestTenant } from "../support/clients/test-tenant.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const setUp = (options: TenantOptions = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, ...options });

function call(tenant: TestTenant, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${tenant.key}`);
  return fetch(`${stack.gateway.url}/proxy/${tenant.provider}/${path}`, { ...init, headers });
}

describe("a call", () => {
  test("reaches the vendor's path with method, query, headers and body, and its credential", async () => {
    const tenant = await setUp();
    const mark = randomUUID();
    const body = JSON.stringify({ model: "", mark });
    stack.upstream.script("", { kind: "raw", body: '{"ok":true}' });
    const response = await call(tenant, `files/${mark}?limit=2&after=a%2Fb`, {
      method: "PUT",
      headers: { "content-type": "application/json", "openai-beta": "x=v2", "x-custom": "1", cookie: "a=b" },
      body,
    });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ok: true });
    const request = stack.upstream.requests.findLast(({ path }) => path.includes(mark));
    expect(request).toMatchObject({ method: "PUT", path: `/v1/files/${mark}?limit=2&after=a%2Fb`, body });
    const { credential } = tenant;
    expect(request?.headers).toMatchObject({ authorization: `Bearer ${credential}`, "openai-beta": "x=v2" });
    expect(request?.headers).not.toHaveProperty("cookie");
    expect(request?.headers).not.toHaveProperty("x-custom");
    expect(JSON.stringify(request?.headers)).not.toContain(tenant.key);
  });

  test("of the SDK with its base URL there does what it does at the vendor's", async () => {
    const tenant = await setUp();
    const model = uniqueModel();
    stack.upstream.script(model, { kind: "answer", text: "Füße 🚀", writeBytes: 1 });
    const baseURL = `${stack.gateway.url}/proxy/${tenant.provider}`;
    const client = new OpenAI({ apiKey: tenant.key, baseURL, maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "Hi" }];
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe("Füße 🚀");
    const { body } = stack.upstream.requestsFor(model)[0] ?? {};
    // A stream is asked for its usage, as on the gateway's own paths.
    const stream_options = { include_usage: true };
    expect(JSON.parse(body ?? "")).toEqual({ model, messages, stream: true, stream_options });
  });

  test("of bytes that are no text brings and takes them unchanged", async () => {
    const tenant = await setUp();
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    stack.upstream.script("", { kind: "pieces", contentType: "application/octet-stream", pieces: [bytes] });
    const response = await call(tenant, "files/f1/content");
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
  });

  test("of a vendor's refusal gives it as it is, but never its judgement of our credential", async () => {
    const tenant = await setUp();
    const refuse = async (status: number): Promise<Response> => {
      const body = { error: { message: `said ${status}`, type: "t" } };
      stack.upstream.script("", { kind: "error", status, body, headers: { "retry-after": "7" } });
      return call(tenant, "anything");
    };
    const limited = await refuse(429);
    expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "7"]);
    expect(await limited.json()).toEqual({ error: { message: "said 429", type: "t" } });
    const unknown = await refuse(404);
    expect([unknown.status, await unknown.text()]).toEqual([
      404,
      '{"error":{"message":"said 404","type":"t"}}',
    ]);
    const unauthorized = await refuse(401);
    expect(unauthorized.status).toBe(502);
    expect(await unauthorized.json()).toMatchObject({ error: { code: "upstream_auth" } });
  });

  test("of a refusal that repeats the credential gives it scrubbed, and nothing but text", async () => {
    const tenant = await setUp();
    const { credential } = tenant;
    const body = { error: { message: `bad key Bearer ${credential}`, type: "t" } };
    stack.upstream.script("", { kind: "error", status: 400, body, headers: { "x-echo": credential } });
    const echoed = await call(tenant, "anything");
    expect(echoed.status).toBe(400);
    const text = await echoed.text();
    expect(text).toContain("[redacted]");
    expect(text + JSON.stringify([...echoed.headers])).not.toContain(credential);
    expect(echoed.headers.get("x-content-type-options")).toBe("nosniff");
    expect(echoed.headers.get("content-security-policy")).toContain("sandbox");
  });

  test("of a refusal that is cut within the credential gives no part of it", async () => {
    const tenant = await setUp();
    // Like no vendor's keys: only the account's own secret can be looked for.
    const apiKey = `plain${randomUUID().replaceAll("-", "")}`;
    const account = { kind: "openai", baseUrl: `${stack.upstream.url}/v1`, apiKey, native: "all" };
    const path = `/admin/tenants/${tenant.id}/providers/${tenant.provider}`;
    expect((await stack.gateway.admin("PUT", path, account)).ok).toBe(true);
    for (const shown of [apiKey.length - 1, 5]) {
      // 64 Ki characters are passed on, so that what is before the credential decides where it is cut.
      const body = `${".".repeat(64 * 1024 - shown)}${apiKey} is wrong`;
      stack.upstream.script("", { kind: "raw", status: 400, contentType: "text/plain", body });
      const text = await (await call(tenant, "long")).text();
      expect(text.replaceAll(".", "")).toBe("");
      expect(text.length).toBe(64 * 1024 - shown);
    }
  });

  test("of a redirect is not followed", async () => {
    const tenant = await setUp();
    stack.upstream.script("", { kind: "redirect", location: `${stack.gateway.url}/healthz` });
    const response = await call(tenant, "moved", { redirect: "manual" });
    expect(response.status).toBe(502);
    expect(response.headers.get("location")).toBeNull();
  });

  test("of a cut answer breaks off", async () => {
    const tenant = await setUp();
    stack.upstream.script("", { kind: "raw", contentType: "text/plain", body: "half", cut: true });
    const response = await call(tenant, "half");
    await expect(response.text()).rejects.toThrow(/terminated|other side closed|aborted/);
  });
});

describe("who may call", () => {
  test("refuses clients without a key, and with one that is bound to models", async () => {
    const tenant = await setUp();
    const keyless = await fetch(`${stack.gateway.url}/proxy/${tenant.provider}/models`);
    expect(keyless.status).toBe(401);
    const { key } = await makeKey(stack.gateway, tenant.id, { allowedModels: ["up/*"] });
    expect((await call({ ...tenant, key }, "models")).status).toBe(403);
  });

  test("only what the provider's record opens, which says how to open it", async () => {
    const tenant = await setUp({ native: ["POST v1/images/*", "GET v1/models"] });
    const before = stack.upstream.requests.length;
    stack.upstream.script("", { kind: "raw", body: "{}" });
    for (const [method, path, status] of [
      ["GET", "v1/models", 200],
      ["GET", "v1/files", 403],
      ["DELETE", "v1/models", 403],
      ["POST", "v1/organization/admin_api_keys", 403],
      ["GET", "v1/models%2F..%2Ffiles", 400],
    ] as const) {
      expect([path, (await call(tenant, path, { method })).status]).toEqual([path, status]);
    }
    const refused: unknown = await (await call(tenant, "v1/files")).json();
    expect(refused).toMatchObject({ error: { code: "permission_denied" } });
    expect(JSON.stringify(refused)).toContain("GET v1/files");
    expect(stack.upstream.requests.length).toBe(before + 1);
  });

  test("never what makes a vendor's credential, though all is open", async () => {
    const tenant = await setUp();
    const before = stack.upstream.requests.length;
    for (const path of ADMIN_PATHS) {
      expect([path, (await call(tenant, path, { method: "POST" })).status]).toEqual([path, 403]);
    }
    expect(stack.upstream.requests.length).toBe(before);
  });

  test("only with a key whose endpoints name it", async () => {
    const tenant = await setUp();
    stack.upstream.script("", { kind: "raw", body: "{}" });
    const statusOf = async (fields: object, path = "models"): Promise<number> => {
      const { key } = await makeKey(stack.gateway, tenant.id, { ...fields });
      return (await call({ ...tenant, key }, path)).status;
    };
    expect(await statusOf({ endpoints: ["chat", "models"] })).toBe(403);
    expect(await statusOf({ endpoints: [] })).toBe(403);
    expect(await statusOf({ endpoints: ["native"] })).toBe(200);
    expect(await statusOf({ endpoints: ["native"], allowedModels: ["up/*"] })).toBe(200);
  });

  test("only at the tenant's own providers", async () => {
    const tenant = await setUp();
    expect((await call({ ...tenant, provider: "other" }, "models")).status).toBe(404);
  });

  test.for(["%2e%2e%2f%2e%2e%2fadmin", "..%2fadmin", "%252e%252e/x", "a%5c..%5cb"])(
    "never outside the vendor's base: %s",
    async (path) => {
      const tenant = await setUp();
      const before = stack.upstream.requests.length;
      const response = await call(tenant, path);
      expect(response.status).toBe(400);
      expect(stack.upstream.requests.length).toBe(before);
    },
  );

  test("within the tenant's limits", async () => {
    const tenant = await setUp({ limits: { requestsPerMinute: 1, burst: 1, queue: { maxWaitMs: 0 } } });
    stack.upstream.script("", { kind: "raw", body: "{}" });
    expect((await call(tenant, "models")).status).toBe(200);
    const second = await call(tenant, "models");
    expect(second.status).toBe(429);
    expect(await second.json()).toMatchObject({ error: { code: "rate_limited" } });
  });

  test("with a body no larger than allowed, also where it doesn't tell its length", async () => {
    const tenant = await setUp({ limits: { maxBodyBytes: 1000 } });
    stack.upstream.script("", { kind: "raw", body: "{}" });
    const big = "x".repeat(2000);
    expect((await call(tenant, "files", { method: "POST", body: big })).status).toBe(413);
    const stream = new Blob([big]).stream();
    const init = { method: "POST", body: stream, duplex: "half" } as RequestInit;
    expect((await call(tenant, "files", init)).status).toBe(413);
  });
});

describe("its trace", () => {
  test.for([true, false])("has the call with the usage read from the answer (stream: %s)", async (stream) => {
    const tenant = await setUp();
    const model = uniqueModel();
    stack.upstream.script(model, {
      kind: "answer",
      text: "a b",
      usage: { inputTokens: 12, outputTokens: 3 },
      usageChunk: "always",
    });
    const response = await call(tenant, "chat/completions", {
      method: "POST",
      body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "Hi" }] }),
    });
    await response.text();
    const spans = await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
    expect(checkTrace(spans)).toEqual([]);
    const named = (name: string) => spans.find((span) => span.name === name);
    const root = named("POST /proxy/:provider/:path{.+}");
    expect(named("POST openai")?.attributes).toMatchObject({
      "http.request.method": "POST",
      "http.response.status_code": 200,
      "gen_ai.usage.input_tokens": 12,
      "gen_ai.usage.output_tokens": 3,
      "gen_ai.response.model": model,
    });
    expect(root?.attributes).toMatchObject({ "gateway.outcome": "ok", "gen_ai.usage.input_tokens": 12 });
  });

  test.for([
    ["bedrock", "model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse", "bedrock/text.json", 15],
    [
      "vertex",
      "v1/projects/p/locations/global/publishers/anthropic/models/claude-haiku-4-5:rawPredict",
      "anthropic/text.json",
      15,
    ],
  ] as const)(
    "of %s has usage and cost too, by the model in the path",
    async ([kind, path, fixture, output]) => {
      const tenant = await setUp();
      const account = {
        kind,
        baseUrl: stack.upstream.url,
        apiKey: "canary",
        options: { project: "p" },
        native: "all",
      };
      const made = await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/providers/up`, account);
      expect(made.status).toBe(200);
      stack.upstream.script("", { kind: "raw", body: fixtureText(fixture) });
      const response = await call(tenant, path, { method: "POST", body: "{}" });
      await response.text();
      const spans = await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
      const root = spans.find(({ parentSpanId }) => parentSpanId === undefined);
      expect(root?.attributes).toMatchObject({ "gen_ai.usage.output_tokens": output });
      expect(root?.attributes["gateway.cost.usd"]).toBeGreaterThan(0);
    },
  );
});
