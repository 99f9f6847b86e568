// DEFAULT_LIMITS and MAX_LIMITS: what they do to tenants that were written before them, to new ones, and to those who ask for more.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { adminJson } from "../../support/clients/admin-client.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGateway, type Gateway } from "../../support/servers/gateway-process.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

async function ask(gateway: Gateway, { key }: TestTenant): Promise<Response> {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "x-headgate-max-wait-ms": "0",
    },
    body: JSON.stringify({ model: "sim/echo", messages: [{ role: "user", content: "hello" }] }),
  });
  await response.arrayBuffer();
  return response;
}

test("a new deployment's defaults and ceilings hold for tenants that were there before", async () => {
  const persistTo = mkdtempSync(join(tmpdir(), "headgate-limits-"));
  cleanUps.push(() => rmSync(persistTo, { recursive: true, force: true }));
  const before = await startGateway({ persistTo });
  const open = await makeTenant(before);
  const high = await makeTenant(before, { limits: { requestsPerMinute: 90_000, burst: 900 } });
  const { id: keyId } = await makeKey(before, high.id, { limits: { concurrency: 50, tokensPerMinute: 7 } });
  expect((await ask(before, open)).headers.get("x-ratelimit-limit-requests")).toBeNull();
  expect((await ask(before, high)).headers.get("x-ratelimit-limit-requests")).toBe("90000");
  await before.stop();

  const after = await startGateway({
    persistTo,
    vars: {
      DEFAULT_LIMITS: JSON.stringify({ requestsPerMinute: 60, burst: 3 }),
      MAX_LIMITS: JSON.stringify({ requestsPerMinute: 600, concurrency: 4 }),
    },
  });
  cleanUps.push(() => after.stop());
  const statuses: number[] = [];
  for (let count = 0; count < 5; count += 1) {
    const { status, headers } = await ask(after, open);
    statuses.push(status);
    expect(headers.get("x-ratelimit-limit-requests")).toBe("60");
  }
  expect(statuses.slice(0, 3)).toEqual([200, 200, 200]);
  expect(statuses).toContain(429);
  expect((await ask(after, high)).headers.get("x-ratelimit-limit-requests")).toBe("600");
  expect(await adminJson(after, "GET", `/admin/tenants/${high.id}`)).toMatchObject({
    limits: { requestsPerMinute: 600, burst: 900 },
    effectiveLimits: { requestsPerMinute: 600, burst: 900, concurrency: 4 },
  });
  expect(await adminJson(after, "GET", `/admin/tenants/${high.id}/queue`)).toMatchObject({
    limits: { requestsPerMinute: { limit: 600 }, concurrency: { limit: 4 } },
  });

  // Another field of such a record can still be changed; more than the ceiling can't be asked for.
  await adminJson(after, "PATCH", `/admin/tenants/${high.id}`, { name: "renamed" });
  const key = `/admin/tenants/${high.id}/keys/${keyId}`;
  const paused = await adminJson(after, "PATCH", key, { status: "paused" });
  expect(paused).toMatchObject({ status: "paused", limits: { concurrency: 4, tokensPerMinute: 7 } });
  await adminJson(after, "PATCH", key, { limits: { concurrency: 2 }, expiresAt: "2099-01-01T00:00:00Z" });
  for (const [path, method, body] of [
    [`/admin/tenants/${high.id}`, "PATCH", { limits: { concurrency: 5 } }],
    [`/admin/tenants/${high.id}/keys`, "POST", { name: "k", limits: { concurrency: 5 } }],
    [key, "PATCH", { limits: { concurrency: 5 } }],
    // An expiry that stays as it is must not be a way round.
    [key, "PATCH", { limits: { concurrency: 5 }, expiresAt: "2099-01-01T00:00:00Z" }],
    [`/admin/tenants/${high.id}/queue/limits`, "POST", { limits: { concurrency: 5 }, forSeconds: 60 }],
  ] as const) {
    const refused = await after.admin(method, path, body);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ param: "limits.concurrency" });
  }
});

test("a wrong setting is a 503 that names it", async () => {
  const gateway = await startGateway({ vars: { MAX_LIMITS: '{"concurency":3}' } });
  cleanUps.push(() => gateway.stop());
  const response = await gateway.admin("GET", "/admin/tenants");
  expect(response.status).toBe(503);
  expect(await response.text()).toContain("MAX_LIMITS");
});
