// What the queue's fairness costs and saves in time: a key that floods beside a quiet one, a tenant that floods beside a calm one. Runs
// alone, since it compares milliseconds; the queue's other behaviour through HTTP is queue.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { pause, percentile, sendRequest, type TimedAnswer } from "../../support/clients/queued-request.ts";

const LONG_MS = 90_000;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const admin = (method: string, path: string, body?: unknown): Promise<Record<string, unknown>> =>
  adminJson(stack.gateway, method, path, body);

const anotherKey = async (tenant: TestTenant): Promise<string> =>
  String((await admin("POST", `/admin/tenants/${tenant.id}/keys`, { name: "other" }))["key"]);

describe("two keys of a tenant", () => {
  test(
    "one floods with a thousand requests: the other's waits stay below two service times",
    { timeout: LONG_MS },
    async () => {
      const model = uniqueModel();
      const serviceMs = 500;
      stack.upstream.script(model, { kind: "answer", delayMs: serviceMs });
      const tenant = await makeTenant(stack.gateway, {
        upstreamUrl: stack.upstream.url,
        limits: { concurrency: 20, queue: { maxDepth: 2000, maxWaitMs: 120_000 } },
      });
      const url = stack.gateway.url;
      const quietKey = await anotherKey(tenant);
      const flood = Promise.all(
        Array.from({ length: 1000 }, async (_, n) => {
          await pause(n);
          return sendRequest({ url, key: tenant.key, model: `up/${model}` });
        }),
      );
      await pause(2000);
      const quiet: Promise<TimedAnswer>[] = [];
      for (let n = 0; n < 15; n += 1) {
        quiet.push(sendRequest({ url, key: quietKey, model: `up/${model}` }));
        await pause(1000);
      }
      const waits = (await Promise.all(quiet)).map(({ queueMs }) => queueMs);
      const flooded = await flood;
      expect(flooded.every(({ status }) => status === 200)).toBe(true);
      // The flood did fill the queue all the while.
      expect(
        percentile(
          flooded.map(({ queueMs }) => queueMs),
          0.9,
        ),
      ).toBeGreaterThan(15_000);
      expect(percentile(waits, 0.95)).toBeLessThanOrEqual(2 * serviceMs);
      expect(stack.upstream.maxInFlight(model)).toBeLessThanOrEqual(20);
    },
  );
});

describe("two tenants", () => {
  test("the queue of one is nothing to the other", { timeout: LONG_MS }, async () => {
    const slow = uniqueModel();
    const quick = uniqueModel();
    stack.upstream.script(slow, { kind: "answer", delayMs: 2000 });
    stack.upstream.script(quick, { kind: "answer", delayMs: 20 });
    const options = {
      upstreamUrl: stack.upstream.url,
      limits: { concurrency: 4, queue: { maxDepth: 1000, maxWaitMs: 60_000 } },
    };
    const [busy, calm] = await Promise.all([
      makeTenant(stack.gateway, options),
      makeTenant(stack.gateway, options),
    ]);
    const url = stack.gateway.url;
    const measure = async (): Promise<number[]> => {
      const times: number[] = [];
      for (let n = 0; n < 40; n += 1)
        times.push((await sendRequest({ url, key: calm.key, model: `up/${quick}` })).totalMs);
      return times;
    };
    await measure();
    const alone: number[] = [];
    const beside: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      alone.push(...(await measure()));
      const leaving = new AbortController();
      const flood = Array.from({ length: 200 }, () =>
        fetch(`${url}/v1/chat/completions`, {
          method: "POST",
          signal: leaving.signal,
          headers: { authorization: `Bearer ${busy.key}`, "content-type": "application/json" },
          body: JSON.stringify({ model: `up/${slow}`, messages: [{ role: "user", content: "x" }] }),
        }).catch(() => undefined),
      );
      await pause(1000);
      expect(Number((await admin("GET", `/admin/tenants/${busy.id}/queue`))["depth"])).toBeGreaterThan(100);
      beside.push(...(await measure()));
      await admin("POST", `/admin/tenants/${busy.id}/queue/drain`, { forSeconds: 1, waiting: "drop" });
      leaving.abort();
      await Promise.all(flood);
      await pause(2500);
    }
    // Medians of interleaved rounds; a queue that was shared would add seconds.
    expect(percentile(beside, 0.5) - percentile(alone, 0.5)).toBeLessThan(15);
  });
});
