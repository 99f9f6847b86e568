// Faults that other gateways' limiters shipped, as tests, each named by where it was reported. What needs the object's clock or
// several isolates is in test/worker/limits/tenant-queue-peers.test.ts.
import { afterAll, beforeAll, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { pause, sendRequest } from "../../support/clients/queued-request.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const leasesOf = async (tenantId: string): Promise<unknown> => {
  const response = await stack.gateway.admin("GET", `/admin/tenants/${tenantId}/queue`);
  return Object(await response.json())["leases"];
};

test("BerriAI/litellm#20256: a request that times out gives its slot back at once", async () => {
  const stuck = uniqueModel();
  stack.upstream.script(stuck, { kind: "hang" });
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    limits: { concurrency: 1 },
  });
  const { url } = stack.gateway;
  const headers = { "x-headgate-timeout-ms": "200", "x-headgate-max-wait-ms": "5000" };
  const route = { targets: [{ provider: "up", model: stuck }], retries: { maxAttempts: 1 } };
  await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/routes/stuck`, route);
  for (let n = 0; n < 3; n += 1) {
    const timedOut = await sendRequest({ url, key: tenant.key, model: "stuck", headers });
    expect(timedOut).toMatchObject({ status: 504, code: "upstream_timeout" });
    expect(timedOut.queueMs).toBeLessThan(100);
  }
  expect(
    (await sendRequest({ url, key: tenant.key, model: `up/${uniqueModel()}`, headers })).queueMs,
  ).toBeLessThan(100);
  await expect.poll(() => leasesOf(tenant.id), { timeout: 3000 }).toBe(0);
});

test("BerriAI/litellm#27955: answers from the cache hold no slot and cost no limit", async () => {
  const model = uniqueModel();
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    limits: { concurrency: 1, requestsPerMinute: 60, burst: 3 },
    cache: { enabled: true },
  });
  const { url } = stack.gateway;
  const body = { temperature: 0 };
  const ask = () => sendRequest({ url, key: tenant.key, model: `up/${model}`, body });
  await ask();
  await expect.poll(async () => (await ask()).headers.get("x-headgate-cache"), { timeout: 5000 }).toBe("HIT");
  const hits = await Promise.all(Array.from({ length: 40 }, ask));
  expect(hits.map(({ headers }) => headers.get("x-headgate-cache"))).toEqual(hits.map(() => "HIT"));
  await expect.poll(() => leasesOf(tenant.id), { timeout: 3000 }).toBe(0);
  const other = await sendRequest({
    url,
    key: tenant.key,
    model: `up/${uniqueModel()}`,
    headers: NEVER_WAIT,
  });
  expect(other.status).toBe(200);
});

const NEVER_WAIT = { "x-headgate-max-wait-ms": "0" };

test("BerriAI/litellm#39309: a refused request consumes nothing of the rate", async () => {
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    limits: { requestsPerMinute: 30, burst: 2 },
  });
  const { url } = stack.gateway;
  const ask = () => sendRequest({ url, key: tenant.key, model: `up/${uniqueModel()}`, headers: NEVER_WAIT });
  expect([(await ask()).status, (await ask()).status]).toEqual([200, 200]);
  const refused = [];
  const until = Date.now() + 1000;
  while (Date.now() < until) refused.push(await ask());
  expect(refused.length).toBeGreaterThan(20);
  expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["rate_limited"]));
  await pause(Number(refused.at(-1)?.headers.get("retry-after-ms")));
  expect((await ask()).status).toBe(200);
});

test("BerriAI/litellm#18730: calls of one moment can't pass the token limit together", async () => {
  const model = uniqueModel();
  stack.upstream.script(model, {
    kind: "answer",
    delayMs: 200,
    usage: { inputTokens: 10, outputTokens: 290 },
  });
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    limits: { tokensPerMinute: 6000 },
  });
  const { url } = stack.gateway;
  // A burst is a thousand tokens; each call reserves a little over 300.
  const call = () =>
    sendRequest({
      url,
      key: tenant.key,
      model: `up/${model}`,
      headers: NEVER_WAIT,
      body: { max_tokens: 300 },
    });
  const answers = await Promise.all(Array.from({ length: 10 }, call));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
  expect(new Set(answers.map(({ code }) => code))).toEqual(new Set([undefined, "rate_limited"]));
});
