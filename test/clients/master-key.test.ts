// MASTER_KEY is changed while clients are served: isolates with the settings before and after share the objects, no request fails, and
// at the end the old key can be dropped. The real gateway, twice over one state.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { adminJson, adminPlane } from "../support/clients/admin-client.ts";
import { makeTenant, type TestTenant } from "../support/clients/test-tenant.ts";
import { startGateway, type Gateway } from "../support/servers/gateway-process.ts";
import { startScriptedUpstream } from "../support/servers/scripted-upstream.ts";

const [OLD, NEW] = ["old", "new"].map((name) => Buffer.alloc(32, name).toString("base64")) as [
  string,
  string,
];
const TENANTS = 3;
const PROVIDERS = 2;

const cleanUps: (() => unknown)[] = [];
afterAll(async () => {
  for (const cleanUp of cleanUps.toReversed()) await cleanUp();
});

async function ask(url: string, tenant: TestTenant): Promise<number> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "up/m", messages: [{ role: "user", content: "hello" }] }),
  });
  await response.arrayBuffer();
  return response.status;
}

const progress = (gateway: Gateway) => adminJson(gateway, "GET", "/admin/master-keys");

test("a change of MASTER_KEY fails no request, and the old key can be dropped when it is done", async () => {
  const persistTo = mkdtempSync(join(tmpdir(), "headgate-master-key-"));
  cleanUps.push(() => rmSync(persistTo, { recursive: true, force: true }));
  const upstream = await startScriptedUpstream();
  cleanUps.push(() => upstream.close());
  const during = await startGateway({
    persistTo,
    hasTwin: true,
    vars: { MASTER_KEY: NEW, MASTER_KEY_PREVIOUS: OLD },
    // An isolate that has not been replaced yet.
    twinVars: { MASTER_KEY: OLD, MASTER_KEY_NEXT: NEW },
  });
  const before = adminPlane(during.twinUrl);
  const tenants: TestTenant[] = [];
  for (let count = 0; count < TENANTS; count += 1) {
    const tenant = await makeTenant(before, { upstreamUrl: upstream.url });
    for (let at = 0; at < PROVIDERS; at += 1) {
      const body = { kind: "openai", baseUrl: `${upstream.url}/v1`, apiKey: `sk-further-${at}-0123456789` };
      await adminJson(before, "PUT", `/admin/tenants/${tenant.id}/providers/further-${at}`, body);
    }
    tenants.push(tenant);
  }

  const statuses: number[] = [];
  const over = new AbortController();
  const traffic = [during.url, during.twinUrl].flatMap((url) =>
    tenants.map(async (tenant) => {
      while (!over.signal.aborted) statuses.push(await ask(url, tenant));
    }),
  );
  await expect
    .poll(() => progress(during), { timeout: 20_000, interval: 200 })
    .toMatchObject({
      status: "done",
      remaining: 0,
      unreadable: [],
      keys: [
        { use: "seals", secrets: TENANTS * (PROVIDERS + 1) },
        { use: "opens", secrets: 0 },
      ],
    });
  // What is new is sealed by an isolate of either kind, and ends under the new key as well.
  await adminJson(before, "PUT", `/admin/tenants/${tenants[0]?.id}/providers/late`, {
    kind: "openai",
    baseUrl: `${upstream.url}/v1`,
    apiKey: "sk-late-0123456789abcdef",
  });
  await expect
    .poll(() => progress(during), { timeout: 10_000 })
    .toMatchObject({ status: "done", remaining: 0 });
  over.abort();
  await Promise.all(traffic);
  expect(statuses.length).toBeGreaterThan(10);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  const audit = await adminJson(during, "GET", "/admin/audit");
  expect(JSON.stringify(audit)).toContain('"action":"master-key.done"');
  await during.stop();

  const after = await startGateway({ persistTo, vars: { MASTER_KEY: NEW } });
  cleanUps.push(() => after.stop());
  for (const tenant of tenants) expect(await ask(after.url, tenant)).toBe(200);
  const credentials = new Set(upstream.requests.map(({ headers }) => headers.authorization));
  expect(credentials).toEqual(new Set(tenants.map(({ credential }) => `Bearer ${credential}`)));
  expect((await progress(after)).keys).toMatchObject([
    { use: "seals", secrets: TENANTS * (PROVIDERS + 1) + 1 },
  ]);
});
