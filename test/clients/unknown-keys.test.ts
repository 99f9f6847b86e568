// Well-formed keys that were never issued: what they make the gateway look up is bounded, and clients with valid keys are served meanwhile.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generateKey } from "../../src/tenants/key-format.ts";
import { makeKey, makeTenant, type TestTenant } from "../support/clients/test-tenant.ts";
import { startGateway, type Gateway } from "../support/servers/gateway-process.ts";

let gateway: Gateway;
let tenant: TestTenant;
beforeAll(async () => {
  gateway = await startGateway();
  tenant = await makeTenant(gateway);
});
afterAll(() => gateway.stop());

/** As the edge passes a request on: it sets the client's address itself. */
async function list(headers: Readonly<Record<string, string>>, address: string): Promise<Response> {
  const response = await fetch(`${gateway.url}/v1/models`, {
    headers: { ...headers, "cf-connecting-ip": address },
  });
  await response.arrayBuffer();
  return response;
}

const unissued = (): string => generateKey((count) => randomBytes(count));

const HEADERS = [
  (key: string) => ({ authorization: `Bearer ${key}` }),
  (key: string) => ({ "x-api-key": key }),
  (key: string) => ({ "x-goog-api-key": key }),
];

test("unknown keys are refused with 401, then with 429 for their network, then with 503 for all; valid ones are served", async () => {
  const known = { authorization: `Bearer ${tenant.key}` };
  expect((await list(known, "2001:db8:7:7::1")).status).toBe(200);
  const statuses: number[] = [];
  for (let count = 0; count < 40; count += 1) {
    const headers = HEADERS[count % HEADERS.length]?.(unissued()) ?? {};
    const response = await list(headers, `2001:db8:7:7::${count.toString(16)}`);
    statuses.push(response.status);
    if (response.status === 429) expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  }
  expect(statuses.slice(0, 30)).toEqual(Array.from({ length: 30 }, () => 401));
  expect(statuses).toContain(429);
  expect((await list(known, "2001:db8:7:7::1")).status).toBe(200);
  const { key } = await makeKey(gateway, tenant.id);
  expect((await list({ authorization: `Bearer ${key}` }, "198.51.100.1")).status).toBe(200);

  const others = await Promise.all(
    Array.from({ length: 100 }, (_, at) =>
      list({ authorization: `Bearer ${unissued()}` }, `203.0.113.${at}`),
    ),
  );
  expect(others.some(({ status }) => status === 503)).toBe(true);
  expect((await list(known, "203.0.113.1")).status).toBe(200);
});
