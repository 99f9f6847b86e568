// What becomes of traces when their destination is down, slow, busy or broken: each arrives once, or stands in a counter, and no
// client and no other destination waits for it. The real gateway, real receivers, one tenant a scenario, all at the same time.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startTcpProxy } from "../../support/servers/tcp-proxy.ts";
import { startGateway, type Gateway } from "../../support/servers/gateway-process.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";

/** A collector that comes back is found within the pause the outbox is in by then. */
const OUTAGE_TIMEOUT_MS = 40_000;
/** A client whose request touches nothing but the simulated model; generous, since the machine is shared. */
const QUICK_MS = 3000;
/** Far longer than an isolate holds a trace while the circuit is open: 50 ms and a call. */
const HANDED_OVER_MS = 1000;

let gateway: Gateway;
const receivers: OtlpReceiver[] = [];

beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(async () => {
  await gateway.stop();
  await Promise.all(receivers.map((receiver) => receiver.close()));
});

async function startReceiver(): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver();
  receivers.push(receiver);
  return receiver;
}

/** A tenant whose traces go to these places only, by name. */
function tenantWith(endpoints: Readonly<Record<string, string>>, via = gateway): Promise<TestTenant> {
  const destinations = Object.entries(endpoints).map(([name, endpoint]) => ({ name, endpoint }));
  return makeTenant(via, { record: { tracing: { destinations, store: { enabled: false } } } });
}

/** Asks and reads the answer; gives its trace id and how long the client waited. */
async function ask(
  { key }: TestTenant,
  via = gateway,
): Promise<{ readonly traceId: string; readonly ms: number }> {
  const startedAt = performance.now();
  const response = await fetch(`${via.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "sim/echo", messages: [{ role: "user", content: "Hi" }] }),
  });
  await response.text();
  expect(response.status).toBe(200);
  return { traceId: response.headers.get("x-trace-id") ?? "", ms: performance.now() - startedAt };
}

async function askTimes(count: number, tenant: TestTenant, via = gateway): Promise<readonly string[]> {
  const asked: string[] = [];
  for (let i = 0; i < count; i++) asked.push((await ask(tenant, via)).traceId);
  return asked;
}

type Status = {
  readonly destination: string;
  readonly enqueued: number;
  readonly delivered: number;
  readonly pending: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly lastError: string | null;
  readonly circuit: string;
};

async function statusOf({ id }: TestTenant, name = "own", via = gateway): Promise<Status | undefined> {
  const response = await via.admin("GET", `/admin/tenants/${id}/export`);
  const { items } = await response.json<{ readonly items: readonly Status[] }>();
  for (const { enqueued, delivered, pending, dropped } of items) {
    const lost = Object.values(dropped).reduce((sum, traces) => sum + traces, 0);
    expect(delivered + pending + lost).toBe(enqueued);
  }
  return items.find(({ destination }) => destination === name);
}

async function waitForStatus(
  tenant: TestTenant,
  expected: Partial<Status>,
  { name = "own", via = gateway }: { readonly name?: string; readonly via?: Gateway } = {},
): Promise<void> {
  await vi.waitFor(async () => expect(await statusOf(tenant, name, via)).toMatchObject(expected), {
    timeout: OUTAGE_TIMEOUT_MS,
    interval: 200,
  });
}

/** How often each trace stood in an export that was accepted. */
function arrivals(receiver: OtlpReceiver, traceIds: readonly string[]): readonly number[] {
  const accepted = receiver.exports.filter(({ status = 0 }) => status >= 200 && status < 300);
  return traceIds.map((traceId) => accepted.filter(({ text }) => text.includes(traceId)).length);
}

const once = (traceIds: readonly string[]): readonly number[] => traceIds.map(() => 1);

describe.concurrent("a destination", () => {
  test(
    "that is down for a while gets every trace once when it is back",
    { timeout: OUTAGE_TIMEOUT_MS },
    async () => {
      const receiver = await startReceiver();
      const proxy = await startTcpProxy(receiver.url);
      const tenant = await tenantWith({ own: proxy.url });
      await proxy.close();
      const lost = await askTimes(5, tenant);
      await waitForStatus(tenant, { enqueued: 5, pending: 5 });
      // Past the tries in the requests' own time: from here on the outbox has them.
      await waitForStatus(tenant, { circuit: "open", lastError: "network" });
      const later = await askTimes(2, tenant);
      await proxy.open();
      await waitForStatus(tenant, { enqueued: 7, delivered: 7, pending: 0, dropped: {}, circuit: "closed" });
      expect(arrivals(receiver, [...lost, ...later])).toEqual(once([...lost, ...later]));
      const [after = ""] = await askTimes(1, tenant);
      await receiver.waitForTrace(after);
      await proxy.close();
    },
  );

  test("that is busy gets its rest, and then everything once", { timeout: OUTAGE_TIMEOUT_MS }, async () => {
    const receiver = await startReceiver();
    receiver.behave({ status: 503, retryAfter: "7" });
    const tenant = await tenantWith({ own: receiver.url });
    const traceIds = await askTimes(1, tenant);
    await receiver.waitUntil(() => receiver.exports.length === 1);
    receiver.behave({});
    await waitForStatus(tenant, { delivered: 1, pending: 0 });
    const [refused, accepted] = receiver.exports;
    const restMs = (accepted?.receivedAt ?? 0) - (refused?.receivedAt ?? 0);
    expect(restMs).toBeGreaterThanOrEqual(7000);
    expect(accepted?.wireBytes.equals(refused?.wireBytes ?? Buffer.of())).toBe(true);
    expect(arrivals(receiver, traceIds)).toEqual([1]);
  });

  test("that is busy for a moment is asked again in the request's own time", async () => {
    const receiver = await startReceiver();
    receiver.behave({ status: 429, retryAfter: "1" });
    const tenant = await tenantWith({ own: receiver.url });
    const traceIds = await askTimes(1, tenant);
    await receiver.waitUntil(() => receiver.exports.length === 1);
    receiver.behave({});
    await waitForStatus(tenant, { delivered: 1, pending: 0, lastError: null });
    expect(arrivals(receiver, traceIds)).toEqual([1]);
  });

  test("that hangs delays no client and no other destination", { timeout: OUTAGE_TIMEOUT_MS }, async () => {
    const [hanging, well] = await Promise.all([startReceiver(), startReceiver()]);
    hanging.behave({ hang: true });
    const tenant = await tenantWith({ hanging: hanging.url, well: well.url });
    const asked = [await ask(tenant), await ask(tenant)];
    for (const { traceId, ms } of asked) {
      expect(ms).toBeLessThan(QUICK_MS);
      await well.waitForTrace(traceId, { timeoutMs: QUICK_MS });
    }
    await waitForStatus(tenant, { delivered: 2, pending: 0 }, { name: "well" });
    await waitForStatus(tenant, { delivered: 0, pending: 2, lastError: "timeout" }, { name: "hanging" });
    hanging.behave({});
    await waitForStatus(tenant, { delivered: 2, pending: 0, dropped: {} }, { name: "hanging" });
    const traceIds = asked.map(({ traceId }) => traceId);
    expect(arrivals(hanging, traceIds)).toEqual(once(traceIds));
    expect(arrivals(well, traceIds)).toEqual(once(traceIds));
  });

  test("that is slow keeps no client waiting", async () => {
    const receiver = await startReceiver();
    receiver.behave({ delayMs: 4000 });
    const tenant = await tenantWith({ own: receiver.url });
    const { ms, traceId } = await ask(tenant);
    expect(ms).toBeLessThan(QUICK_MS);
    await waitForStatus(tenant, { delivered: 1, pending: 0 });
    expect(arrivals(receiver, [traceId])).toEqual([1]);
  });

  test("that breaks the connection gets the same bytes again", async () => {
    const receiver = await startReceiver();
    receiver.behave({ reset: true });
    const tenant = await tenantWith({ own: receiver.url });
    const traceIds = await askTimes(1, tenant);
    await receiver.waitUntil(() => receiver.exports.length === 1);
    receiver.behave({});
    await waitForStatus(tenant, { delivered: 1, pending: 0 });
    const [broken, accepted] = receiver.exports;
    expect(accepted?.wireBytes.equals(broken?.wireBytes ?? Buffer.of())).toBe(true);
    expect(arrivals(receiver, traceIds)).toEqual([1]);
  });

  test.each([
    ["refuses what it gets", { status: 400 }, "http_400"],
    ["does not know the credential", { status: 401 }, "http_401"],
    ["takes only a part", { rejectedSpans: 1 }, "partial_success"],
    ["sends elsewhere", { status: 307 }, "redirect"],
  ])("that %s is not asked twice, and the trace is counted", async (_, behaviour, reason) => {
    const receiver = await startReceiver();
    receiver.behave(behaviour);
    const tenant = await tenantWith({ own: receiver.url });
    await askTimes(1, tenant);
    await waitForStatus(tenant, { enqueued: 1, pending: 0, dropped: { [reason]: 1 }, lastError: reason });
    expect(receiver.exports).toHaveLength(1);
  });

  test("that was removed gets nothing of what waited for it", { timeout: OUTAGE_TIMEOUT_MS }, async () => {
    const receiver = await startReceiver();
    receiver.behave({ status: 503, retryAfter: "6" });
    const tenant = await tenantWith({ own: receiver.url });
    await askTimes(1, tenant);
    await receiver.waitUntil(() => receiver.exports.length === 1);
    receiver.behave({});
    await gateway.admin("PATCH", `/admin/tenants/${tenant.id}`, { tracing: { destinations: [] } });
    await waitForStatus(tenant, { pending: 0, dropped: { destination_removed: 1 } });
    expect(receiver.exports).toHaveLength(1);
  });

  test("is in the list before its first trace", async () => {
    const tenant = await tenantWith({ own: "http://127.0.0.1:9" });
    expect(await statusOf(tenant)).toEqual({
      destination: "own",
      enqueued: 0,
      delivered: 0,
      pending: 0,
      dropped: {},
      lastError: null,
      retries: 0,
      circuit: "closed",
    });
  });
});

test(
  "a gateway that is killed sends what its outboxes held when it is back, once",
  { timeout: 90_000 },
  async () => {
    const receiver = await startReceiver();
    const proxy = await startTcpProxy(receiver.url);
    const persistTo = mkdtempSync(join(tmpdir(), "headgate-export-"));
    const start = (): Promise<Gateway> => startGateway({ persistTo, vars: { OTLP_ENDPOINT: proxy.url } });
    let current = await start();
    const operatorStatus = async (): Promise<Status | undefined> => {
      const response = await current.admin("GET", "/admin/export");
      const { items } = await response.json<{ readonly items: readonly Status[] }>();
      return items.find(({ destination }) => destination === "(operator)");
    };
    try {
      const tenant = await tenantWith({ own: proxy.url }, current);
      // A longer rest than a request's own time has room for: the outboxes get the traces at once.
      receiver.behave({ status: 503, retryAfter: "8" });
      const traceIds = await askTimes(3, tenant, current);
      await waitForStatus(tenant, { enqueued: 3, pending: 3, circuit: "open" }, { via: current });
      await vi.waitFor(async () => expect(await operatorStatus()).toMatchObject({ circuit: "open" }));
      // What an isolate still gathers, or is handing over, would go down with it.
      await new Promise((resolve) => setTimeout(resolve, HANDED_OVER_MS));
      await current.kill();
      receiver.clear();
      receiver.behave({});
      current = await start();
      // No request comes: the outboxes' own alarms must do it. Once for the tenant, once for the operator.
      const twice = traceIds.map(() => 2);
      const check = () => expect(arrivals(receiver, traceIds)).toEqual(twice);
      await vi.waitFor(check, { timeout: OUTAGE_TIMEOUT_MS, interval: 200 });
      await waitForStatus(tenant, { enqueued: 3, delivered: 3, pending: 0, dropped: {} }, { via: current });
      const operator = await operatorStatus();
      expect(operator).toMatchObject({ delivered: operator?.enqueued, pending: 0, dropped: {} });
    } finally {
      await current.stop();
      await proxy.close();
      rmSync(persistTo, { recursive: true, force: true });
    }
  },
);

test("what became of traces is for operators, and of known tenants", async () => {
  const { id } = await tenantWith({});
  expect((await fetch(`${gateway.url}/admin/tenants/${id}/export`)).status).toBe(401);
  expect((await gateway.admin("GET", "/admin/tenants/nobody/export")).status).toBe(404);
});
