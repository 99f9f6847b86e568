// The promises that need everything at once: each request leaves one valid trace, tenants can't reach each other, nothing secret
// leaves. Black box: HTTP in, HTTP and OTLP out. The crowd at the queue is in crowd.test.ts.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkOtlp } from "../support/checkers/otlp-proto.ts";
import type { FlatSpan } from "../support/checkers/otlp-spans.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../support/servers/gateway-stack.ts";
import { makeTenant, type TestTenant } from "../support/clients/test-tenant.ts";
import { checkTrace, splitRequests } from "../support/checkers/trace-invariants.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

type Ask = {
  readonly model: string;
  readonly prompt?: string;
  readonly stream?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
};

function chat(
  key: string,
  { model, prompt = "Hello?", stream = false, headers = {} }: Ask,
): Promise<Response> {
  return fetch(`${stack.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, stream, messages: [{ role: "user", content: prompt }] }),
  });
}

/** Asks, reads the answer to its end and returns its trace as it arrived at the OTLP receiver. */
async function traceOf(
  key: string,
  ask: Ask,
): Promise<{ readonly status: number; readonly spans: readonly FlatSpan[] }> {
  const response = await chat(key, ask);
  await response.text();
  const spans = await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
  return { status: response.status, spans };
}

const tenantWithUpstream = (options: object = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, ...options });

function rootOf(spans: readonly FlatSpan[]): FlatSpan | undefined {
  return spans.find(({ parentSpanId }) => parentSpanId === undefined);
}

describe("traces", () => {
  test("each request, answered or refused, arrives once and valid", async () => {
    const { key } = await tenantWithUpstream();
    const sound = `up/${uniqueModel()}`;
    const failing = uniqueModel();
    stack.upstream.script(failing, { kind: "error", status: 400 });
    const asks: (Ask & { readonly expected: number })[] = [
      { model: sound, expected: 200 },
      { model: sound, stream: true, expected: 200 },
      { model: `up/${failing}`, expected: 400 },
      { model: "no-such-route", expected: 404 },
    ];
    for (const ask of asks) {
      const { status, spans } = await traceOf(key, ask);
      const traceId = spans[0]?.traceId ?? "none";
      expect(status).toBe(ask.expected);
      expect(spans.filter(({ parentSpanId }) => parentSpanId === undefined)).toHaveLength(1);
      expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
      const posts = stack.otlp.exports.filter(
        ({ path, text }) => path === "/v1/traces" && text.includes(traceId),
      );
      expect(posts).toHaveLength(1);
      expect(posts.flatMap(({ json }) => checkOtlp(json))).toEqual([]);
      expect(checkTrace(spans)).toEqual([]);
    }
  });

  test("a stream's root lasts until its last byte, and its usage is what the upstream billed", async () => {
    const { key } = await tenantWithUpstream();
    const model = uniqueModel();
    const usage = { inputTokens: 12, outputTokens: 34 };
    stack.upstream.script(model, { kind: "answer", text: "a b c d e", paceMs: 50, usage });
    const { spans } = await traceOf(key, { model: `up/${model}`, stream: true });
    const root = rootOf(spans);
    const inference = spans.find(({ name }) => name === `chat ${model}`);
    const durationMs =
      Number(BigInt(root?.endTimeUnixNano ?? 0) - BigInt(root?.startTimeUnixNano ?? 0)) / 1e6;
    expect(durationMs).toBeGreaterThanOrEqual(200);
    expect(inference?.attributes).toMatchObject({
      "gen_ai.usage.input_tokens": stack.upstream.requestsFor(model)[0]?.billed?.inputTokens,
      "gen_ai.usage.output_tokens": stack.upstream.requestsFor(model)[0]?.billed?.outputTokens,
    });
  });

  test("two overlapping requests that share the caller's trace keep their own spans", async () => {
    const { key } = await tenantWithUpstream();
    const model = uniqueModel();
    stack.upstream.script(model, ({ earlier }) => ({
      kind: "answer",
      text: "x",
      delayMs: earlier === 0 ? 300 : 0,
    }));
    const traceId = randomUUID().replaceAll("-", "");
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
    const ask = { model: `up/${model}`, headers };
    const slow = chat(key, ask).then((response) => response.text());
    await stack.upstream.waitForRequest(model);
    await Promise.all([slow, chat(key, ask).then((response) => response.text())]);
    const rootsOf = (): readonly FlatSpan[] =>
      stack.otlp.spansOf(traceId).filter(({ name }) => name === "POST /v1/chat/completions");
    await stack.otlp.waitUntil(() => rootsOf().length === 2);
    const durations = rootsOf().map(
      (root) => Number(BigInt(root.endTimeUnixNano) - BigInt(root.startTimeUnixNano)) / 1e6,
    );
    expect(Math.max(...durations)).toBeGreaterThanOrEqual(300);
    expect(Math.min(...durations)).toBeLessThan(300);
    expect(stack.otlp.spansOf(traceId).filter(({ name }) => name === `chat ${model}`)).toHaveLength(2);
    expect(splitRequests(stack.otlp.spansOf(traceId)).flatMap((spans) => checkTrace(spans))).toEqual([]);
  });

  test("a client that left is in the trace as such", async () => {
    const { key } = await tenantWithUpstream();
    const model = uniqueModel();
    stack.upstream.script(model, {
      kind: "answer",
      chunks: Array.from({ length: 100 }, () => "x "),
      paceMs: 30,
    });
    const response = await chat(key, { model: `up/${model}`, stream: true });
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    const spans = await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
    expect(rootOf(spans)?.attributes["gateway.outcome"]).toBe("client_disconnected");
    expect(checkTrace(spans)).toEqual([]);
    const [request] = stack.upstream.requestsFor(model);
    await request?.ended;
    expect(request?.outcome).toBe("client_closed");
  });
});

describe("two tenants", () => {
  test("share neither key, provider nor route", async () => {
    const route = { targets: [{ provider: "up", model: uniqueModel() }] };
    const [a, b] = await Promise.all([
      tenantWithUpstream({ routes: { mine: route } }),
      makeTenant(stack.gateway),
    ]);
    expect((await chat(a.key, { model: "mine" })).status).toBe(200);
    expect((await chat(b.key, { model: "mine" })).status).toBe(404);
    expect((await chat(b.key, { model: `up/${route.targets[0]?.model}` })).status).toBe(404);
    const models = await fetch(`${stack.gateway.url}/v1/models`, {
      headers: { authorization: `Bearer ${b.key}` },
    });
    expect(await models.text()).not.toContain("mine");
  });

  test("with providers of one name are sent out with their own credentials", async () => {
    const model = uniqueModel();
    const [a, b] = await Promise.all([tenantWithUpstream(), tenantWithUpstream()]);
    for (const { key } of [a, b]) expect((await chat(key, { model: `up/${model}` })).status).toBe(200);
    const seen = stack.upstream.requestsFor(model).map(({ headers }) => headers.authorization);
    expect(seen).toEqual([`Bearer ${a.credential}`, `Bearer ${b.credential}`]);
  });

  test("share no cache entry, though request, route and model are the same", async () => {
    const model = `up/${uniqueModel()}`;
    const cache = { enabled: true };
    const [a, b] = await Promise.all([tenantWithUpstream({ cache }), tenantWithUpstream({ cache })]);
    const statusOf = async ({ key }: TestTenant): Promise<string | null> => {
      const response = await chat(key, { model });
      await response.text();
      await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
      return response.headers.get("x-headgate-cache");
    };
    expect(await statusOf(a)).toBe("MISS");
    expect(await statusOf(a)).toBe("HIT");
    expect(await statusOf(b)).toBe("MISS");
  });

  test("are kept apart in the traces", async () => {
    const [a, b] = await Promise.all([tenantWithUpstream(), tenantWithUpstream()]);
    const model = `up/${uniqueModel()}`;
    const { spans } = await traceOf(a.key, { model });
    await traceOf(b.key, { model });
    expect(rootOf(spans)?.attributes["gateway.tenant.id"]).toBe(a.id);
    const list = await (await stack.gateway.admin("GET", `/admin/traces?tenant=${b.id}`)).text();
    expect(list).toContain(b.id);
    expect(list).not.toContain(a.id);
    expect(list).not.toContain(spans[0]?.traceId);
  });
});

describe("secrets", () => {
  test("prompt, completion, gateway key and credential are in no exported byte and no log line", async () => {
    const { key, credential } = await tenantWithUpstream({ cache: { enabled: true } });
    const [prompt, completion] = [`prompt-canary-${randomUUID()}`, `completion-canary-${randomUUID()}`];
    const sound = uniqueModel();
    const quoting = uniqueModel();
    const cutting = uniqueModel();
    stack.upstream.script(sound, { kind: "answer", text: completion });
    stack.upstream.script(quoting, ({ headers }) => ({
      kind: "error",
      status: 400,
      body: {
        error: { message: `bad key ${headers.authorization} for ${prompt}`, type: "invalid_request_error" },
      },
    }));
    stack.upstream.script(cutting, {
      kind: "answer",
      text: `${completion} x x`,
      end: "cut",
      endAfterChunks: 2,
    });
    const asks: Ask[] = [
      { model: `up/${sound}`, prompt },
      { model: `up/${sound}`, prompt },
      { model: `up/${sound}`, prompt, stream: true },
      { model: `up/${quoting}`, prompt },
      { model: `up/${cutting}`, prompt, stream: true },
    ];
    for (const ask of asks) {
      const response = await chat(key, ask);
      const answer = await response.text().catch(() => "");
      expect(answer).not.toContain(credential);
      await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
    }
    const garbage = await fetch(`${stack.gateway.url}/v1/chat/completions?key=${key}`, {
      method: "POST",
      body: prompt,
    });
    await garbage.text();

    const traces = await (await stack.gateway.admin("GET", "/admin/traces?limit=100")).text();
    const written = [stack.otlp.allText(), stack.gateway.logs(), traces].join("\n");
    expect(written).toContain(`chat ${sound}`);
    const canaries = { prompt, completion, key, keyWithoutItsForm: key.slice(3, 35), credential };
    const found = Object.entries(canaries).filter(([, canary]) => written.includes(canary));
    expect(found.map(([name]) => name)).toEqual([]);
  });
});
