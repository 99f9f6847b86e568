// The official OpenAI SDK when something goes wrong: each fault of caller, gateway and upstream as the SDK's own error class, and
// what happens when the client leaves. The good cases are in openai.test.ts.
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import { makeTenant, type TenantOptions, type TestTenant } from "../../support/clients/test-tenant.ts";

const MESSAGES: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "Say hello." }];
/** A place is free again well within this after its holder has left; a lost one would come back only with its lease, in 45 s. */
const SOON_MS = 3_000;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

type Setup = {
  readonly client: OpenAI;
  readonly model: string;
  readonly upstreamModel: string;
  readonly tenant: TestTenant;
};

async function setUp(script: Script, options: TenantOptions = {}): Promise<Setup> {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, ...options });
  const upstreamModel = uniqueModel();
  stack.upstream.script(upstreamModel, script);
  return {
    client: clientOf(tenant.key),
    model: `${tenant.provider}/${upstreamModel}`,
    upstreamModel,
    tenant,
  };
}

function clientOf(apiKey: string, maxRetries = 0): OpenAI {
  return new OpenAI({ apiKey, baseURL: `${stack.gateway.url}/v1`, maxRetries });
}

/** The API error a call ends with; fails the test where it ends well or with another kind of error. */
async function errorOf(call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof OpenAI.APIError) return error;
  throw new Error(`expected an APIError, got ${String(error)}`);
}

describe("the caller's faults", () => {
  test.for(["hg_garbage", "sk-something-else", `hg_${"a".repeat(38)}`])(
    "the key %s is a 401",
    async (key) => {
      const error = await errorOf(
        clientOf(key).chat.completions.create({ model: "any/model", messages: MESSAGES }),
      );
      expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
      expect(error).toMatchObject({ status: 401, code: "invalid_api_key" });
      expect(error.requestID).toBeTruthy();
    },
  );

  test("a revoked key is a 401 within 30 seconds, here at once", async () => {
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    const path = `/admin/tenants/${tenant.id}/keys/${tenant.keyId}`;
    expect((await stack.gateway.admin("DELETE", path)).status).toBe(204);
    const call = clientOf(tenant.key).chat.completions.create({ model: "up/m", messages: MESSAGES });
    expect(await errorOf(call)).toMatchObject({ status: 401, code: "invalid_api_key" });
  });

  test("an unknown route or provider is a 404", async () => {
    const { client } = await setUp({ kind: "answer" });
    for (const model of ["no-such-route", "nobody/model"]) {
      const error = await errorOf(client.chat.completions.create({ model, messages: MESSAGES }));
      expect(error).toBeInstanceOf(OpenAI.NotFoundError);
      expect(error).toMatchObject({ status: 404, code: "model_not_found" });
    }
  });

  test("a request without messages is a 400 that names the parameter", async () => {
    const { client, model, upstreamModel } = await setUp({ kind: "answer" });
    // The SDK's types forbid what this test is about.
    const request = { model } as OpenAI.ChatCompletionCreateParamsNonStreaming;
    const error = await errorOf(client.chat.completions.create(request));
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param: "messages" });
    expect(stack.upstream.requestsFor(upstreamModel)).toHaveLength(0);
  });

  test("what the upstream calls the caller's fault is passed on once, with its message", async () => {
    const body = {
      error: { message: "max_tokens is too large: 9e9", type: "invalid_request_error", param: "max_tokens" },
    };
    const { client, model, upstreamModel } = await setUp({ kind: "error", status: 400, body });
    const error = await errorOf(client.chat.completions.create({ model, messages: MESSAGES }));
    expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    expect(error).toMatchObject({ status: 400, code: "upstream_rejected" });
    expect(error.message).toContain("max_tokens is too large: 9e9");
    expect(stack.upstream.requestsFor(upstreamModel)).toHaveLength(1);
  });
});

describe("limits", () => {
  test("a request over the limit is a 429 that says which limit and when to come back", async () => {
    const { client, model } = await setUp({ kind: "answer" }, { limits: { requestsPerMinute: 6, burst: 1 } });
    const headers = { "x-headgate-max-wait-ms": "0" };
    await client.chat.completions.create({ model, messages: MESSAGES }, { headers });
    const error = await errorOf(client.chat.completions.create({ model, messages: MESSAGES }, { headers }));
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error).toMatchObject({ status: 429, code: "rate_limited" });
    expect(error.message).toMatch(/6/);
    expect(Number(error.headers?.get("retry-after"))).toBeGreaterThan(0);
    expect(Number(error.headers?.get("retry-after"))).toBeLessThanOrEqual(10);
    expect(Number(error.headers?.get("retry-after-ms"))).toBeGreaterThan(5_000);
    expect(Number(error.headers?.get("retry-after-ms"))).toBeLessThanOrEqual(10_000);
  });

  test("the SDK's own retry succeeds because Retry-After was true", async () => {
    const tenant = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      limits: { requestsPerMinute: 60, burst: 1 },
    });
    const client = clientOf(tenant.key, 1);
    const request = { model: `up/${uniqueModel()}`, messages: MESSAGES };
    const headers = { "x-headgate-max-wait-ms": "0" };
    await client.chat.completions.create(request, { headers });
    const second = await client.chat.completions.create(request, { headers });
    expect(second.choices).toHaveLength(1);
  });
});

describe("the upstream's faults", () => {
  test.for([401, 403])("a credential refused with %i is a 502, never a 401", async (status) => {
    const { client, model } = await setUp({ kind: "error", status });
    const error = await errorOf(client.chat.completions.create({ model, messages: MESSAGES }));
    expect(error).toBeInstanceOf(OpenAI.InternalServerError);
    expect(error).toMatchObject({ status: 502, code: "upstream_auth" });
  });

  test("no first byte in time is a 504", async () => {
    const { client, model, upstreamModel } = await setUp({ kind: "hang" });
    const headers = { "x-headgate-timeout-ms": "150" };
    const error = await errorOf(client.chat.completions.create({ model, messages: MESSAGES }, { headers }));
    expect(error).toMatchObject({ status: 504, code: "upstream_timeout" });
    const requests = stack.upstream.requestsFor(upstreamModel);
    await Promise.all(requests.map(({ ended }) => ended));
    expect(requests.map(({ outcome }) => outcome)).toEqual(requests.map(() => "client_closed"));
  });

  test("an answer that is not JSON is a 502", async () => {
    const { client, model } = await setUp({ kind: "raw", body: '{"id": "chatcmpl-1", "choices": [' });
    const error = await errorOf(client.chat.completions.create({ model, messages: MESSAGES }));
    expect(error).toMatchObject({ status: 502, code: "upstream_malformed" });
  });

  test("an answer cut half-way is a 502", async () => {
    const { client, model } = await setUp({
      kind: "raw",
      body: '{"id": "chatcmpl-1", "choices": [',
      cut: true,
    });
    const error = await errorOf(client.chat.completions.create({ model, messages: MESSAGES }));
    expect(error.status).toBe(502);
  });

  test("a redirect is not followed", async () => {
    const { client, model } = await setUp({ kind: "redirect", location: `${stack.upstream.url}/elsewhere` });
    const error = await errorOf(client.chat.completions.create({ model, messages: MESSAGES }));
    expect(error.status).toBe(502);
    expect(stack.upstream.requests.filter(({ path }) => path === "/elsewhere")).toHaveLength(0);
  });

  test("an overloaded upstream is a 503 with Retry-After", async () => {
    const route = (model: string): TenantOptions => ({
      routes: { r: { targets: [{ provider: "up", model }], retries: { maxAttempts: 1 } } },
    });
    const overloaded = uniqueModel();
    stack.upstream.script(overloaded, { kind: "error", status: 503 });
    const { client } = await setUp({ kind: "answer" }, route(overloaded));
    const error = await errorOf(client.chat.completions.create({ model: "r", messages: MESSAGES }));
    expect(error).toMatchObject({ status: 503, code: "upstream_overloaded" });
    expect(Number(error.headers?.get("retry-after"))).toBeGreaterThan(0);
  });

  test("a Retry-After of the upstream beyond the deadline is not slept through", async () => {
    const limited = uniqueModel();
    stack.upstream.script(limited, { kind: "error", status: 429, headers: { "retry-after": "60" } });
    const targets = [{ provider: "up", model: limited }];
    const { client } = await setUp(
      { kind: "answer" },
      { routes: { r: { targets, timeouts: { totalMs: 5_000 } } } },
    );
    const startedAt = Date.now();
    const error = await errorOf(client.chat.completions.create({ model: "r", messages: MESSAGES }));
    expect(error).toBeInstanceOf(OpenAI.RateLimitError);
    expect(error).toMatchObject({ status: 429, code: "upstream_rate_limited" });
    expect(Date.now() - startedAt).toBeLessThan(4_000);
    expect(stack.upstream.requestsFor(limited)).toHaveLength(1);
  });

  test.for(["cut", "stall", "error-event"] as const)(
    "a stream that ends with %s raises an APIError",
    async (end) => {
      const broken = uniqueModel();
      stack.upstream.script(broken, {
        kind: "answer",
        text: "a b c d e f",
        end,
        endAfterChunks: 3,
        paceMs: 5,
      });
      const targets = [{ provider: "up", model: broken }];
      const { client } = await setUp(
        { kind: "answer" },
        { routes: { r: { targets, timeouts: { idleMs: 300 } } } },
      );
      const stream = await client.chat.completions.create({ model: "r", messages: MESSAGES, stream: true });
      let received = 0;
      const reading = (async () => {
        for await (const _ of stream) received += 1;
      })();
      expect(await errorOf(reading)).toBeInstanceOf(OpenAI.APIError);
      expect(received).toBe(3);
    },
  );
});

describe("a client that leaves", () => {
  test("in the middle of a stream ends the upstream call and frees its place", async () => {
    const long = {
      kind: "answer",
      chunks: Array.from({ length: 400 }, (_, n) => `w${n} `),
      paceMs: 25,
    } as const;
    const { client, model, upstreamModel } = await setUp(
      ({ earlier }) => (earlier === 0 ? long : { kind: "answer", text: "my turn" }),
      { limits: { concurrency: 1 } },
    );
    const stream = await client.chat.completions.create({ model, messages: MESSAGES, stream: true });
    let seen = 0;
    for await (const _ of stream) {
      seen += 1;
      if (seen === 3) break; // leaving the loop aborts the request
    }
    const request = await stack.upstream.waitForRequest(upstreamModel);
    await request.ended;
    expect(request.outcome).toBe("client_closed");
    const headers = { "x-headgate-max-wait-ms": String(SOON_MS) };
    const next = await client.chat.completions.create({ model, messages: MESSAGES }, { headers });
    expect(next.choices[0]?.message.content).toBe("my turn");
  });

  test("before the first byte does too", async () => {
    const { client, model, upstreamModel, tenant } = await setUp(
      ({ earlier }) => (earlier === 0 ? { kind: "hang" } : { kind: "answer", text: "my turn" }),
      { limits: { concurrency: 1 } },
    );
    await askAndLeave(tenant.key, model, 200);
    const request = await stack.upstream.waitForRequest(upstreamModel);
    await request.ended;
    expect(request.outcome).toBe("client_closed");
    const headers = { "x-headgate-max-wait-ms": String(SOON_MS) };
    const next = await client.chat.completions.create({ model, messages: MESSAGES }, { headers });
    expect(next.choices[0]?.message.content).toBe("my turn");
  });

  test("while it waits in the queue gives its place to the next at once", async () => {
    const { client, model, upstreamModel, tenant } = await setUp(
      ({ earlier }) => ({ kind: "answer", text: "x", delayMs: earlier === 0 ? 1_500 : 0 }),
      { limits: { concurrency: 1, queue: { maxDepth: 1 } } },
    );
    const first = client.chat.completions.create({ model, messages: MESSAGES });
    const holder = await stack.upstream.waitForRequest(upstreamModel);
    const leaving = askAndLeave(tenant.key, model, 400);
    await expect.poll(() => queueDepth(tenant.id), { timeout: SOON_MS }).toBe(1);
    await leaving;
    await expect.poll(() => queueDepth(tenant.id), { timeout: SOON_MS }).toBe(0);
    expect(holder.outcome).toBe("open");
    const third = client.chat.completions.create({ model, messages: MESSAGES });
    expect((await Promise.all([first, third])).map(({ choices }) => choices.length)).toEqual([1, 1]);
    expect(stack.upstream.requestsFor(upstreamModel)).toHaveLength(2);
    expect(stack.upstream.maxInFlight(upstreamModel)).toBe(1);
  });

  /** Asks as a client that is gone after `leaveAfterMs`; see Gateway.leaverUrl for why not simply by an abort. */
  async function askAndLeave(key: string, model: string, leaveAfterMs: number): Promise<void> {
    const response = await fetch(`${stack.gateway.leaverUrl}/v1/chat/completions`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        "x-leave-after-ms": String(leaveAfterMs),
      },
      body: JSON.stringify({ model, messages: MESSAGES }),
    });
    expect(response.status).toBe(499);
  }

  async function queueDepth(tenantId: string): Promise<unknown> {
    const response = await stack.gateway.admin("GET", `/admin/tenants/${tenantId}/queue`);
    return Object(await response.json())["depth"];
  }
});
