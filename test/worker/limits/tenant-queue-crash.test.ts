// What is left when things die half-way: the object, the Worker that held a slot, or both.
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createQueueClient } from "../../../src/limits/isolate/queue-client.ts";
import type { Budget } from "../../../src/limits/budget-protocol.ts";
import { LEASE_TTL_MS } from "../../../src/limits/protocol.ts";
import type { TenantQueue } from "../../../src/limits/object/tenant-queue.ts";
import { asAdmitted, askOf, asRefused, limitsOf, settlementOf } from "../../support/builders/admission.ts";

const TRACES = { maxTraces: 100, maxAgeHours: 1 };
const BUDGET: Budget = { microUsd: 1_000_000, period: "month", onExceeded: "reject" };

let tenants = 0;

function newQueue() {
  tenants += 1;
  const name = `tenant-queue-crash-${tenants}`;
  return { name, stub: env.TENANT_QUEUE.getByName(name) };
}

/** The object dies without a word, and loses what it had not written. */
async function crash(stub: DurableObjectStub<TenantQueue>): Promise<void> {
  await runInDurableObject(stub, (_, state) => state.abort("killed by the test")).catch(() => {});
}

/** Resolves once the checkpoint knows as many leases. */
async function saved(stub: DurableObjectStub<TenantQueue>, leases: number): Promise<void> {
  await vi.waitFor(async () => {
    const row = await runInDurableObject(stub, (_, { storage }) =>
      storage.kv.get<{ readonly leases: readonly unknown[] }>("checkpoint"),
    );
    expect(row?.leases).toHaveLength(leases);
  }, 3000);
}

afterEach(() => {
  vi.useRealTimers();
});

describe("a Worker that dies with a lease", () => {
  test("leaves a trace under its own ids, though no call comes and the object was evicted", async () => {
    const { stub, name } = newQueue();
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const ids = { traceId, spanId: "b7ad6b7169203331" };
    const limits = { concurrency: 2 };
    const startedAt = Date.now();
    asAdmitted(await stub.admit({ ...askOf("req_dead", { limits, tokens: 5 }), ...ids, traces: TRACES }));
    const alive = asAdmitted(await stub.admit({ ...askOf("req_alive", { limits }), traces: TRACES }));
    await saved(stub, 2);
    await stub.settle([settlementOf(alive, "req_alive")]);
    await saved(stub, 1);
    await evictDurableObject(stub);
    vi.useFakeTimers({ toFake: ["Date"], now: startedAt + LEASE_TTL_MS + 1000 });
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    const store = env.TRACE_STORE.getByName(name);
    await vi.waitFor(async () => expect(await store.get(traceId)).toHaveLength(1));
    const [found] = await store.search({}, Number.MAX_SAFE_INTEGER, 10);
    expect(found?.summary).toMatchObject({
      traceId,
      requestId: "req_dead",
      outcome: "abandoned",
      isError: true,
      keyId: "key",
      tenant: name,
    });
    expect(found?.summary.startedAt).toBeGreaterThanOrEqual(startedAt);
    expect(await store.get(traceId)).toEqual([expect.stringContaining('"spanId":"b7ad6b7169203331"')]);
    expect(await store.search({}, Number.MAX_SAFE_INTEGER, 10)).toHaveLength(1);
    expect(await stub.snapshot()).toMatchObject({ leases: 0 });
  });

  test("leaves none where the tenant keeps no traces", async () => {
    const { stub, name } = newQueue();
    await stub.admit(askOf("req_dead", { limits: { concurrency: 2 } }));
    await saved(stub, 1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + LEASE_TTL_MS + 1000 });
    await runDurableObjectAlarm(stub);
    expect(await env.TRACE_STORE.getByName(name).search({}, Number.MAX_SAFE_INTEGER, 10)).toEqual([]);
  });
});

describe("an object that dies in the middle", () => {
  test("never admits more than its limit on top of what the crash lost, and loses none for longer than a lease", async () => {
    const { stub, name } = newQueue();
    const limits = { concurrency: 4, maxDepth: 100 };
    await stub.configChanged(1, limitsOf(limits));
    const before = await Promise.all([0, 1].map((n) => stub.admit(askOf(`b${n}`)).then(asAdmitted)));
    await saved(stub, 2);
    const forgotten = await Promise.all([0, 1].map((n) => stub.admit(askOf(`f${n}`)).then(asAdmitted)));
    await crash(stub);
    const again = env.TENANT_QUEUE.getByName(name);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) => again.admit(askOf(`n${n}`, { maxWaitMs: 0 }))),
    );
    expect(answers.filter(({ kind }) => kind === "admitted")).toHaveLength(2);
    // Their holders live on: renewed they count again, settled they are gone.
    const renewal = await again.renew([...before, ...forgotten].map(({ lease }) => lease.id));
    expect(renewal.lost).toEqual([]);
    expect(await again.snapshot()).toMatchObject({ leases: 6 });
    asRefused(await again.admit(askOf("x", { maxWaitMs: 0 })));
    await again.settle(before.map((answer, n) => settlementOf(answer, `b${n}`)));
    await again.settle(forgotten.map((answer, n) => settlementOf(answer, `f${n}`)));
    expect(await again.snapshot()).toMatchObject({ leases: 2 });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + LEASE_TTL_MS + 1000 });
    expect(await again.snapshot()).toMatchObject({ leases: 0 });
  });

  test("receives its last seconds again from the isolates, so that no money and no slot is lost", async () => {
    const { stub, name } = newQueue();
    await stub.configChanged(1, limitsOf({ budget: BUDGET, concurrency: 2 }));
    const client = createQueueClient({
      queueOf: (tenantId) => env.TENANT_QUEUE.getByName(tenantId),
      now: () => Date.now(),
    }).forTenant(name, (work) => void work);
    const { signal } = new AbortController();
    const kept = asAdmitted(await client.admit(askOf("a"), signal));
    await saved(stub, 1);
    const missed = asAdmitted(await client.admit(askOf("b"), signal));
    await client.settle({ ...settlementOf(kept, "a"), costMicroUsd: 300_000 }, false);
    await client.settle({ ...settlementOf(missed, "b"), costMicroUsd: 40_000 }, false);
    await crash(stub);
    asAdmitted(await client.admit(askOf("c"), signal));
    await vi.waitFor(async () => {
      expect(await env.TENANT_QUEUE.getByName(name).snapshot()).toMatchObject({
        leases: 1,
        limits: { budgetMicroUsd: { remaining: 660_000 } },
      });
    }, 4000);
  });

  test("has saved a spent budget before it refuses a request by it", async () => {
    const { stub, name } = newQueue();
    await stub.configChanged(1, limitsOf({ budget: BUDGET }));
    const holder = asAdmitted(await stub.admit(askOf("a")));
    await stub.settle([{ ...settlementOf(holder, "a"), costMicroUsd: 1_000_000 }]);
    const refused = asRefused(await stub.admit(askOf("b")));
    expect(refused).toMatchObject({ code: "budget_exceeded", limit: { name: "budget", value: 1_000_000 } });
    await crash(stub);
    const again = env.TENANT_QUEUE.getByName(name);
    expect(asRefused(await again.admit(askOf("c"))).code).toBe("budget_exceeded");
  });
});

describe("five thousand who wait", () => {
  test("are all taken in, and let in by their order", { timeout: 30_000 }, async () => {
    const { stub } = newQueue();
    const limits = { concurrency: 1, maxDepth: 6000 };
    const holder = asAdmitted(await stub.admit(askOf("holder", { limits })));
    const order: number[] = [];
    const calls = Array.from({ length: 5000 }, async (_, n) => {
      const answer = asAdmitted(await stub.admit(askOf(`w${n}`, { limits, maxWaitMs: 60_000 })));
      order.push(n);
      await stub.settle([settlementOf(answer, `w${n}`)]);
      return answer.wait.position;
    });
    await vi.waitFor(async () => expect((await stub.snapshot()).depth).toBe(5000), 10_000);
    await stub.settle([settlementOf(holder, "holder")]);
    const positions = await Promise.all(calls);
    const inOrder = Array.from({ length: 5000 }, (_, n) => n);
    expect(order).toEqual(inOrder);
    expect(positions).toEqual(inOrder.map((n) => n + 1));
    expect(await stub.snapshot()).toMatchObject({ depth: 0, leases: 0 });
  });
});
