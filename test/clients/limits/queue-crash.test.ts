// The gateway is killed (kill -9) with fifty requests in flight and started again on the same storage: their slots come back within
// one lease time, no client gets two answers, and each dead request has left a trace. Real time, since that is what is promised.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { LEASE_TTL_MS } from "../../../src/limits/protocol.ts";
import { startGateway } from "../../support/servers/gateway-process.ts";
import { uniqueModel } from "../../support/servers/gateway-stack.ts";
import { startScriptedUpstream, type ScriptedUpstream } from "../../support/servers/scripted-upstream.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { pause, sendRequest } from "../../support/clients/queued-request.ts";

const IN_FLIGHT = 50;
/** Beyond the lease time: the wait's own grain, and two shared cores. */
const GRACE_MS = 3000;

let upstream: ScriptedUpstream;
const dir = mkdtempSync(join(tmpdir(), "headgate-crash-"));
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(async () => {
  await upstream.close();
  rmSync(dir, { recursive: true, force: true });
});

test("no slot of a killed gateway stays lost for longer than a lease", { timeout: 120_000 }, async () => {
  const hanging = uniqueModel();
  const working = uniqueModel();
  upstream.script(hanging, { kind: "hang" });
  const before = await startGateway({ persistTo: dir });
  const tenant = await makeTenant(before, {
    upstreamUrl: upstream.url,
    limits: { concurrency: IN_FLIGHT, queue: { maxDepth: 100, maxWaitMs: 60_000 } },
  });
  const { key } = tenant;
  let answers = 0;
  const lost = Array.from({ length: IN_FLIGHT }, () =>
    sendRequest({ url: before.url, key, model: `up/${hanging}` }).then(
      () => (answers += 1),
      () => "cut",
    ),
  );
  await upstream.waitForRequest(hanging, { nth: IN_FLIGHT });
  const admittedAt = Date.now();
  // The queue's row is written within a second.
  await pause(1500);
  await before.kill();
  expect(await Promise.all(lost)).toEqual(lost.map(() => "cut"));

  const after = await startGateway({ persistTo: dir });
  try {
    const ghosts = await (await after.admin("GET", `/admin/tenants/${tenant.id}/queue`)).json();
    expect(ghosts).toMatchObject({ leases: IN_FLIGHT, depth: 0 });
    const next = await sendRequest({ url: after.url, key, model: `up/${working}` });
    expect(next.status).toBe(200);
    expect(Date.now() - admittedAt).toBeLessThan(LEASE_TTL_MS + GRACE_MS);
    expect(next.queueMs).toBeGreaterThan(LEASE_TTL_MS / 2);
    const freed = await Promise.all(
      Array.from({ length: IN_FLIGHT }, () => sendRequest({ url: after.url, key, model: `up/${working}` })),
    );
    expect(freed.filter(({ status, queueMs }) => status !== 200 || queueMs > 1000)).toEqual([]);

    expect(answers).toBe(0);
    expect(upstream.requestsFor(hanging)).toHaveLength(IN_FLIGHT);
    expect(upstream.requestsFor(working)).toHaveLength(1 + IN_FLIGHT);
    await expect.poll(() => abandonedOf(after, tenant.id), { timeout: 5000 }).toHaveLength(IN_FLIGHT);
  } finally {
    await after.stop();
  }
});

/** Request ids of the tenant's traces that say so. */
async function abandonedOf(gateway: Awaited<ReturnType<typeof startGateway>>, tenantId: string) {
  const response = await gateway.admin("GET", `/admin/traces?tenant=${tenantId}&status=error&limit=200`);
  const items: unknown = Object(await response.json())["items"];
  const traces = Array.isArray(items) ? items : [];
  return [
    ...new Set(traces.filter(({ outcome }) => outcome === "abandoned").map(({ requestId }) => requestId)),
  ];
}
