import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createQueueClient } from "../../../src/limits/isolate/queue-client.ts";
import { LEASE_TTL_MS, type AdmissionReply, type AdmissionRequest } from "../../../src/limits/protocol.ts";
import type { TenantQueue } from "../../../src/limits/object/tenant-queue.ts";
import { asAdmitted, askOf, asRefused, limitsOf, settlementOf } from "../../support/builders/admission.ts";

const ONE_SLOT = { concurrency: 1, maxDepth: 1000 };

let tenants = 0;

/** A tenant of its own for each test. */
function queueOf() {
  tenants += 1;
  const name = `tenant-queue-test-${tenants}`;
  const stub = env.TENANT_QUEUE.getByName(name);
  /** Lets the object see a clock that was moved. */
  const wake = (): Promise<void> => runInDurableObject(stub, (queue: TenantQueue) => queue.wake());
  return { stub, name, wake };
}

/** The calls are open at the same time; resolves when the object has taken them all in. */
function admitAll(
  stub: DurableObjectStub<TenantQueue>,
  asks: readonly AdmissionRequest[],
): Promise<AdmissionReply>[] {
  return asks.map((ask) => stub.admit(ask));
}

afterEach(() => {
  vi.useRealTimers();
});

describe("the tenant's queue object", () => {
  test("never has more than four of two hundred in, and lets all in, in order", async () => {
    const { stub } = queueOf();
    const limits = { concurrency: 4, maxDepth: 200 };
    let inside = 0;
    let most = 0;
    const order: number[] = [];
    const asks = Array.from({ length: 200 }, (_, n) => askOf(`r${n}`, { limits }));
    await Promise.all(
      admitAll(stub, asks).map(async (call, n) => {
        const answer = asAdmitted(await call);
        order.push(n);
        inside += 1;
        most = Math.max(most, inside);
        await Promise.resolve();
        inside -= 1;
        await stub.settle([settlementOf(answer, `r${n}`)]);
      }),
    );
    expect(most).toBeLessThanOrEqual(4);
    expect(order).toEqual(order.toSorted((one, other) => one - other));
    expect(await stub.snapshot()).toMatchObject({ depth: 0, leases: 0 });
  });

  // A busy machine lets the timer fire late, and the alarm that would come without it seconds later; how late: test/unit/limits.
  test("answers a waiting call by its own timer at its deadline", async () => {
    const { stub } = queueOf();
    await stub.admit(askOf("a", { limits: ONE_SLOT }));
    const startedAt = Date.now();
    const answer = asRefused(await stub.admit(askOf("b", { limits: ONE_SLOT, maxWaitMs: 80 })));
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(79);
    expect(answer.wait.waitMs).toBeGreaterThanOrEqual(80);
    expect(answer.wait.waitMs).toBeLessThan(5_000);
  });

  test("answers a waiting call that is cancelled, and lets the next one in its place", async () => {
    const { stub } = queueOf();
    const holder = asAdmitted(await stub.admit(askOf("a", { limits: ONE_SLOT })));
    const [left, next] = admitAll(stub, [askOf("b"), askOf("c")]);
    await stub.cancel("b");
    expect((await left)?.kind).toBe("cancelled");
    await stub.settle([settlementOf(holder, "a")]);
    expect(asAdmitted(await next).wait.admittedBy?.requestId).toBe("a");
  });

  test("gives both of two equal calls the same lease", async () => {
    const { stub } = queueOf();
    const holder = asAdmitted(await stub.admit(askOf("a", { limits: ONE_SLOT })));
    const twice = admitAll(stub, [askOf("b"), askOf("b")]);
    await stub.settle([settlementOf(holder, "a")]);
    const [one, other] = await Promise.all(twice);
    expect(asAdmitted(one).lease).toEqual(asAdmitted(other).lease);
    expect(asAdmitted(await stub.admit(askOf("b"))).lease).toEqual(asAdmitted(one).lease);
    expect(await stub.snapshot()).toMatchObject({ depth: 0, leases: 1 });
  });

  test("returns the slot of a lost settlement after one lease time", async () => {
    const { stub, wake } = queueOf();
    await stub.admit(askOf("a", { limits: ONE_SLOT }));
    const waiting = stub.admit(askOf("b", { limits: ONE_SLOT, maxWaitMs: 300_000 }));
    const startedAt = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: startedAt + LEASE_TTL_MS - 1000 });
    await wake();
    expect(await stub.snapshot()).toMatchObject({ depth: 1, leases: 1 });
    vi.setSystemTime(startedAt + LEASE_TTL_MS + 1000);
    await wake();
    expect(asAdmitted(await waiting).wait.admittedBy?.requestId).toBe("a");
  });

  test("keeps leases, limits and the rate over an eviction", async () => {
    const { stub } = queueOf();
    const limits = { concurrency: 2, requestsPerMinute: 6, burst: 2 };
    await stub.configChanged(5, limitsOf(limits));
    const holder = asAdmitted(await stub.admit(askOf("a")));
    await saved(stub);
    await evictDurableObject(stub);
    expect(await stub.configVersion()).toBe(5);
    expect(await stub.snapshot()).toMatchObject({
      leases: 1,
      limits: { requestsPerMinute: { remaining: 1 } },
    });
    expect(asAdmitted(await stub.admit(askOf("a"))).lease).toEqual(holder.lease);
    expect(await stub.lastUsed()).toHaveProperty("key");
    expect((await stub.renew([holder.lease.id])).lost).toEqual([]);
    await stub.settle([settlementOf(holder, "a")]);
    expect(await stub.snapshot()).toMatchObject({ leases: 0 });
  });

  test("keeps a changed configuration at once, and ignores an older one", async () => {
    const { stub } = queueOf();
    await stub.configChanged(9, limitsOf({ concurrency: 1 }));
    await evictDurableObject(stub);
    await stub.configChanged(8, limitsOf({ concurrency: 5 }));
    await stub.admit(askOf("a", { limits: { concurrency: 5 }, configVersion: 8 }));
    asRefused(await stub.admit(askOf("b", { limits: { concurrency: 5 }, configVersion: 8, maxWaitMs: 0 })));
    expect(await stub.configVersion()).toBe(9);
  });

  test("keeps a configuration that a request had brought before the directory sent it", async () => {
    const { stub } = queueOf();
    const limits = limitsOf({ concurrency: 1 });
    await stub.configChanged(1, limits);
    await stub.admit(askOf("a", { limits: { concurrency: 5 }, configVersion: 2 }));
    await stub.configChanged(2, limitsOf({ concurrency: 5 }));
    await runInDurableObject(stub, (_, state) => state.abort("reset by the test")).catch(() => {});
    expect(await env.TENANT_QUEUE.getByName(stub.name ?? "").configVersion()).toBe(2);
  });

  test("asks again for those who waited when the object is reset, and answers each once", async () => {
    const { stub, name } = queueOf();
    const deferred: Promise<unknown>[] = [];
    const client = createQueueClient({
      queueOf: (tenantId) => env.TENANT_QUEUE.getByName(tenantId),
      now: () => Date.now(),
    }).forTenant(name, (work) => void deferred.push(work));
    const { signal } = new AbortController();
    const holder = asAdmitted(await client.admit(askOf("a", { limits: ONE_SLOT }), signal));
    const waiting = ["b", "c", "d"].map((id) => client.admit(askOf(id, { limits: ONE_SLOT }), signal));
    await saved(stub);
    await runInDurableObject(stub, (_, state) => state.abort("reset by the test")).catch(() => {});
    await vi.waitFor(async () => {
      expect(await env.TENANT_QUEUE.getByName(name).snapshot()).toMatchObject({ depth: 3, leases: 1 });
    });
    let last = { holder, id: "a" };
    for (const id of ["b", "c", "d"]) {
      // One after the other is what is tested.
      await client.settle(settlementOf(last.holder, last.id), false);
      const answer = await waiting[["b", "c", "d"].indexOf(id)];
      last = { holder: asAdmitted(answer), id };
    }
    expect(last.holder.lease.token).toBeGreaterThan(holder.lease.token);
    expect(deferred).toEqual([]);
  });

  test("writes one row for many admissions", async () => {
    const { stub } = queueOf();
    await stub.configChanged(1, limitsOf({ concurrency: 500 }));
    const puts = await runInDurableObject(stub, (_, { storage }) => vi.spyOn(storage.kv, "put"));
    const asks = Array.from({ length: 100 }, (_, n) => askOf(`r${n}`));
    for (const answer of await Promise.all(admitAll(stub, asks))) asAdmitted(answer);
    await saved(stub);
    expect(puts.mock.calls.length).toBeLessThanOrEqual(2);
  });
});

/** Resolves once the checkpoint holds everything that was done. */
async function saved(stub: DurableObjectStub<TenantQueue>): Promise<void> {
  await vi.waitFor(async () => {
    const { leases } = await stub.snapshot();
    const row = await runInDurableObject(stub, (_, { storage }) =>
      storage.kv.get<{ readonly leases: readonly unknown[] }>("checkpoint"),
    );
    expect(row?.leases).toHaveLength(leases);
  }, 3000);
}
