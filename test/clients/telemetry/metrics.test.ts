// Metrics through the HTTP surface: `GET /metrics` and the OTLP export say what happened, no more and no less.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GEN_AI_METRICS } from "../../../src/telemetry/metrics/instruments.ts";
import { startGateway } from "../../support/servers/gateway-process.ts";
import { checkOtlpMetrics } from "../../support/checkers/otlp-proto.ts";
import { parsePrometheus, total, type Family } from "../../support/checkers/prometheus-text.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant, type TenantOptions, type TestTenant } from "../../support/clients/test-tenant.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

type Families = ReadonlyMap<string, Family>;

async function readMetrics(query = ""): Promise<Families> {
  const response = await stack.gateway.admin("GET", `/metrics${query}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return parsePrometheus(await response.text());
}

type Ask = {
  readonly model: string;
  readonly stream?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
};

/** Asks, reads the answer to its end, and waits until its trace has come: by then it has been counted. */
async function chat(key: string, { model, stream = false, headers = {} }: Ask): Promise<Response> {
  const response = await fetch(`${stack.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "Hello?" }] }),
  });
  await response.text();
  await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
  return response;
}

const tenantWithUpstream = (options: TenantOptions = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, ...options });

/** The sum over a tenant's series. */
function of(
  tenant: TestTenant,
  families: Families,
  name: string,
  labels: Readonly<Record<string, string>> = {},
  suffix: "" | "_count" | "_sum" = "",
): number {
  return total(families, name, { gateway_tenant_id: tenant.id, ...labels }, suffix);
}

describe("GET /metrics", () => {
  test("has each request once, with its tokens, calls, waits and outcomes", async () => {
    const model = uniqueModel();
    const failing = uniqueModel();
    // Metrics name the models that a price or a route lists.
    const routeTo = (name: string) => ({ targets: [{ provider: "up", model: name }] });
    const tenant = await tenantWithUpstream({
      limits: { requestsPerMinute: 600, concurrency: 4 },
      routes: { [model]: routeTo(model), [failing]: routeTo(failing) },
    });
    stack.upstream.script(model, {
      kind: "answer",
      text: "a b c",
      usage: { inputTokens: 12, outputTokens: 34 },
    });
    stack.upstream.script(failing, { kind: "error", status: 400 });
    for (let n = 0; n < 3; n++) await chat(tenant.key, { model: model });
    await chat(tenant.key, { model: model, stream: true });
    expect((await chat(tenant.key, { model: failing })).status).toBe(400);
    expect((await chat(tenant.key, { model: "no-such-route" })).status).toBe(404);

    const families = await readMetrics();
    const sum = (
      name: string,
      labels?: Readonly<Record<string, string>>,
      suffix?: "_count" | "_sum",
    ): number => of(tenant, families, name, labels, suffix);
    expect(sum("gateway_requests_total")).toBe(6);
    expect(sum("gateway_requests_total", { gateway_outcome: "ok", gen_ai_request_model: model })).toBe(4);
    expect(sum("gateway_requests_total", { error_type: "upstream_rejected" })).toBe(1);
    expect(sum("gateway_refusals_total", { gateway_decision: "model_not_found" })).toBe(1);
    expect(sum("gateway_request_duration_seconds", {}, "_count")).toBe(6);
    expect(sum("gateway_attempts_total", { gen_ai_request_model: model })).toBe(4);
    expect(sum("gateway_attempts_total", { gateway_attempt_outcome: "upstream_rejected" })).toBe(1);
    const duration = "gen_ai_client_operation_duration_seconds";
    expect(sum(duration, { gen_ai_request_model: model }, "_count")).toBe(4);
    expect(sum(duration, { gen_ai_request_model: failing, error_type: "400" }, "_count")).toBe(1);
    expect(sum("gen_ai_client_operation_time_to_first_chunk_seconds", {}, "_count")).toBe(1);
    const billed = stack.upstream.requestsFor(model).map((request) => request.billed);
    const tokens = (type: string): number =>
      sum("gen_ai_client_token_usage", { gen_ai_token_type: type, gen_ai_request_model: model }, "_sum");
    expect(tokens("input")).toBe(billed.reduce((all, usage) => all + (usage?.inputTokens ?? 0), 0));
    expect(tokens("output")).toBe(billed.reduce((all, usage) => all + (usage?.outputTokens ?? 0), 0));
    // The unknown model never came to the queue.
    expect(sum("gateway_queue_wait_seconds", {}, "_count")).toBe(5);
    expect(sum("gateway_cache_lookups_total", { gateway_cache_status: "bypass" })).toBe(5);
    expect(sum("gateway_queue_depth")).toBe(0);
  });

  test("has cache hits, fallbacks, waits and refusals as they were", async () => {
    const [broken, sound] = [uniqueModel(), uniqueModel()];
    stack.upstream.script(broken, { kind: "error", status: 500 });
    stack.upstream.script(sound, { kind: "answer", text: "x", delayMs: 300 });
    const targets = [
      { provider: "up", model: broken },
      { provider: "up", model: sound },
    ];
    const tenant = await tenantWithUpstream({
      cache: { enabled: true },
      limits: { concurrency: 1 },
      routes: { mine: { targets, retries: { maxAttempts: 1 } } },
    });
    await chat(tenant.key, { model: "mine" });
    await chat(tenant.key, { model: "mine" });
    const off = { "x-headgate-cache": "off" };
    const slow = chat(tenant.key, { model: "mine", headers: off });
    await stack.upstream.waitForRequest(sound, { nth: 2 });
    const [refused, waited] = await Promise.all([
      chat(tenant.key, { model: "mine", headers: { ...off, "x-headgate-max-wait-ms": "0" } }),
      chat(tenant.key, { model: "mine", headers: off }),
      slow,
    ]);
    expect([refused.status, waited.status]).toEqual([429, 200]);

    const families = await readMetrics();
    const sum = (name: string, labels?: Readonly<Record<string, string>>): number =>
      of(tenant, families, name, labels);
    expect(sum("gateway_requests_total", { gateway_outcome: "cache_hit" })).toBe(1);
    expect(sum("gateway_cache_lookups_total", { gateway_cache_status: "hit" })).toBe(1);
    expect(sum("gateway_cache_lookups_total", { gateway_cache_status: "miss" })).toBe(1);
    expect(sum("gateway_attempts_total", { gateway_attempt_reason: "fallback" })).toBe(3);
    expect(sum("gateway_refusals_total", { gateway_limit_name: "concurrency" })).toBe(1);
    const held = of(
      tenant,
      families,
      "gateway_queue_wait_seconds",
      { gateway_queue_limit: "concurrency" },
      "_sum",
    );
    expect(held).toBeGreaterThan(0.05);
  });

  test("counts the spend to the micro-dollar", async () => {
    const tenant = await tenantWithUpstream();
    const usage = { inputTokens: 1000, outputTokens: 1000 };
    stack.upstream.script("gpt-4o-mini", { kind: "answer", text: "x", usage });
    let spentUsd = 0;
    for (let n = 0; n < 3; n++) {
      const response = await chat(tenant.key, { model: "up/gpt-4o-mini" });
      spentUsd += Number(response.headers.get("x-headgate-cost-usd"));
    }
    expect(spentUsd).toBeGreaterThan(0);
    const labels = { gen_ai_provider_name: "openai", gen_ai_request_model: "gpt-4o-mini" };
    expect(of(tenant, await readMetrics(), "gateway_cost_USD_total", labels)).toBeCloseTo(spentUsd, 6);
  });

  test("has the hit ratio of the cache, and what its hits have saved", async () => {
    const tenant = await tenantWithUpstream({ cache: { enabled: true } });
    const usage = { inputTokens: 1000, outputTokens: 1000 };
    stack.upstream.script("gpt-4o-mini", { kind: "answer", text: "x", usage });
    const first = await chat(tenant.key, { model: "up/gpt-4o-mini" });
    const costUsd = Number(first.headers.get("x-headgate-cost-usd"));
    for (let n = 0; n < 3; n++) await chat(tenant.key, { model: "up/gpt-4o-mini" });
    const families = await readMetrics();
    const lookups = (status: string): number =>
      of(tenant, families, "gateway_cache_lookups_total", { gateway_cache_status: status });
    expect([lookups("hit"), lookups("miss")]).toEqual([3, 1]);
    expect(of(tenant, families, "gateway_cache_saved_USD_total")).toBeCloseTo(3 * costUsd, 6);
    expect(of(tenant, families, "gateway_cost_USD_total")).toBeCloseTo(costUsd, 6);
  });

  test("of one tenant has that tenant's numbers alone", async () => {
    const [a, b] = await Promise.all([tenantWithUpstream(), tenantWithUpstream()]);
    for (const { key } of [a, b]) await chat(key, { model: `up/${uniqueModel()}` });
    const families = await readMetrics(`?tenant=${a.id}`);
    const owners = new Set(
      [...families.values()].flatMap(({ samples }) =>
        samples.map(({ labels }) => labels["gateway_tenant_id"]),
      ),
    );
    expect([...owners]).toEqual([a.id]);
  });

  test("holds no key, no credential, no request and no metadata", async () => {
    const tenant = await tenantWithUpstream();
    const headers = {
      "x-headgate-metadata": '{"team":"canary-team"}',
      "x-headgate-session": "canary-session",
    };
    const response = await chat(tenant.key, { model: `up/${uniqueModel()}`, headers });
    const text = await (await stack.gateway.admin("GET", "/metrics")).text();
    const canaries = [tenant.key, tenant.keyId, tenant.credential, "canary-team", "canary-session"];
    for (const canary of [...canaries, response.headers.get("x-request-id") ?? "none"])
      expect(text).not.toContain(canary);
  });

  test("has the export's counters, and their sums are whole", async () => {
    const tenant = await tenantWithUpstream();
    await chat(tenant.key, { model: `up/${uniqueModel()}` });
    await expect
      .poll(async () => {
        const families = await readMetrics();
        const sum = (name: string): number =>
          total(families, name, { gateway_export_destination: "(operator)" });
        const enqueued = sum("gateway_export_enqueued_total");
        const settled = sum("gateway_export_delivered_total") + sum("gateway_export_dropped_total");
        return enqueued > 0 && enqueued === settled + sum("gateway_export_pending");
      })
      .toBe(true);
  });

  test("needs the admin token, and leaves no trace", async () => {
    const before = stack.otlp.spans().length;
    expect((await fetch(`${stack.gateway.url}/metrics`)).status).toBe(401);
    expect((await fetch(`${stack.gateway.url}/metrics?tenant=..`, { headers: {} })).status).toBe(401);
    expect((await stack.gateway.admin("GET", "/metrics?tenant=..")).status).toBe(400);
    expect((await stack.gateway.admin("POST", "/metrics")).status).toBe(405);
    await readMetrics();
    expect(stack.otlp.spans().length).toBe(before);
  });
});

describe("metrics by OTLP", () => {
  type Point = { readonly attributes: readonly unknown[]; readonly asInt?: string; readonly count?: string };
  type Metric = {
    readonly name: string;
    readonly sum?: { dataPoints: Point[] };
    readonly histogram?: { dataPoints: Point[] };
  };

  /** The newest export of a tenant. */
  function metricsOf(tenant: TestTenant): readonly Metric[] {
    const text = stack.otlp.metricExports.findLast((post) => post.text.includes(tenant.id))?.text ?? "{}";
    // The shape is checked by checkOtlpMetrics.
    const { resourceMetrics = [] } = JSON.parse(text) as {
      resourceMetrics?: { scopeMetrics: { metrics: Metric[] }[] }[];
    };
    return resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
  }

  test("come soon after the first traffic, valid, with the numbers of GET /metrics", async () => {
    const tenant = await tenantWithUpstream();
    const model = uniqueModel();
    for (let n = 0; n < 4; n++) await chat(tenant.key, { model: `up/${model}` });
    const families = await readMetrics();
    await stack.otlp.waitUntil(() => metricsOf(tenant).length > 0);
    const posts = stack.otlp.metricExports.filter(({ text }) => text.includes(tenant.id));
    expect(posts.flatMap(({ json }) => checkOtlpMetrics(json))).toEqual([]);
    expect(posts.every(({ path }) => path === "/v1/metrics")).toBe(true);
    const metrics = new Map(metricsOf(tenant).map((metric) => [metric.name, metric]));
    const points = metrics.get("gateway.requests")?.sum?.dataPoints ?? [];
    expect(points.reduce((sum, { asInt }) => sum + Number(asInt), 0)).toBe(
      of(tenant, families, "gateway_requests_total"),
    );
    expect(metrics.get(GEN_AI_METRICS.duration)?.histogram?.dataPoints[0]?.count).toBe("4");
    expect(JSON.stringify(points)).not.toContain(tenant.keyId);
  });
});

test("a number that was read never goes back, though the gateway dies at once", async () => {
  const persistTo = mkdtempSync(join(tmpdir(), "headgate-metrics-"));
  const first = await startGateway({ persistTo });
  const tenant = await makeTenant(first);
  for (let n = 0; n < 3; n++) {
    const response = await fetch(`${first.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "sim/echo", messages: [{ role: "user", content: "Hello?" }] }),
    });
    expect(response.status).toBe(200);
    await response.text();
  }
  const readFrom = async (gateway: typeof first): Promise<number> => {
    const text = await (await gateway.admin("GET", `/metrics?tenant=${tenant.id}`)).text();
    return total(parsePrometheus(text), "gateway_requests_total", { gateway_outcome: "ok" });
  };
  await expect.poll(() => readFrom(first)).toBe(3);
  await first.kill();
  const second = await startGateway({ persistTo });
  expect(await readFrom(second)).toBe(3);
  await second.stop();
  rmSync(persistTo, { recursive: true, force: true });
});
