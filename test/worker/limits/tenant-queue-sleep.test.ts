// A queue object without timers sleeps seconds after its last call and forgets what it has not saved: a lease whose holder
// renews it must not end by that.
import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { LEASE_RENEW_MS, LEASE_TTL_MS } from "../../../src/limits/protocol.ts";
import type { TenantQueue } from "../../../src/limits/object/tenant-queue.ts";
import { asAdmitted, askOf, settlementOf } from "../../support/builders/admission.ts";

const BEATS = 5;
const TRACES = { maxTraces: 100, maxAgeHours: 1 };

interface Row {
  readonly at: number;
  readonly leases: readonly (readonly unknown[])[];
}

const rowOf = (stub: DurableObjectStub<TenantQueue>): Promise<Row | undefined> =>
  runInDurableObject(stub, (_, { storage }) => storage.kv.get<Row>("checkpoint"));

afterEach(() => {
  vi.useRealTimers();
});

test("a lease outlives its object's sleep between any two renewals, and leaves no abandoned trace", async () => {
  const name = "tenant-queue-sleep";
  const stub = env.TENANT_QUEUE.getByName(name);
  const startedAt = Date.now();
  const at = (ms: number) => vi.useFakeTimers({ toFake: ["Date"], now: startedAt + ms });
  const holder = asAdmitted(
    await stub.admit({ ...askOf("long", { limits: { concurrency: 2 } }), traces: TRACES }),
  );
  await vi.waitFor(async () => expect((await rowOf(stub))?.leases).toHaveLength(1), 3000);
  for (let beat = 1; beat <= BEATS; beat += 1) {
    await evictDurableObject(stub);
    at(beat * LEASE_RENEW_MS);
    expect((await stub.renew([holder.lease.id])).lost).toEqual([]);
    // An idle object stays for as long as it has a timer: this one saves.
    await vi.waitFor(async () => {
      const row = await rowOf(stub);
      expect(row?.leases[0]?.[3]).toBeGreaterThanOrEqual(startedAt + (beat + 3) * LEASE_RENEW_MS);
    }, 3000);
    await runDurableObjectAlarm(stub);
    expect((await stub.snapshot()).holding).toMatchObject([{ requestId: "long" }]);
  }
  expect(BEATS * LEASE_RENEW_MS).toBeGreaterThan(LEASE_TTL_MS);
  await stub.settle([settlementOf(holder, "long")]);
  expect(await stub.snapshot()).toMatchObject({ leases: 0 });
  expect(await env.TRACE_STORE.getByName(name).search({}, Number.MAX_SAFE_INTEGER, 10)).toEqual([]);
}, 60_000);

test("a request that ended before its object slept leaves no slot and no abandoned trace behind", async () => {
  const name = "tenant-queue-sleep-ended";
  const stub = env.TENANT_QUEUE.getByName(name);
  const startedAt = Date.now();
  const limits = { concurrency: 100 };
  const holder = asAdmitted(await stub.admit({ ...askOf("short", { limits }), traces: TRACES }));
  await vi.waitFor(async () => expect((await rowOf(stub))?.leases).toHaveLength(1), 12_000);
  await stub.settle([settlementOf(holder, "short")]);
  await vi.waitFor(async () => expect((await rowOf(stub))?.leases).toHaveLength(0), 12_000);
  await evictDurableObject(stub);
  vi.useFakeTimers({ toFake: ["Date"], now: startedAt + LEASE_TTL_MS + 1000 });
  await runDurableObjectAlarm(stub);
  expect(await stub.snapshot()).toMatchObject({ leases: 0 });
  expect(await env.TRACE_STORE.getByName(name).search({}, Number.MAX_SAFE_INTEGER, 10)).toEqual([]);
}, 40_000);

test("an abandoned trace is recorded once, however often its object restarts", async () => {
  const name = "tenant-queue-sleep-once";
  const stub = env.TENANT_QUEUE.getByName(name);
  const startedAt = Date.now();
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const ids = { traceId, spanId: "00f067aa0ba902b7" };
  asAdmitted(await stub.admit({ ...askOf("dead", { limits: { concurrency: 2 } }), ...ids, traces: TRACES }));
  await vi.waitFor(async () => expect((await rowOf(stub))?.leases).toHaveLength(1), 3000);
  await evictDurableObject(stub);
  vi.useFakeTimers({ toFake: ["Date"], now: startedAt + LEASE_TTL_MS + 1000 });
  expect(await runDurableObjectAlarm(stub)).toBe(true);
  expect((await rowOf(stub))?.leases).toEqual([]);
  const store = env.TRACE_STORE.getByName(name);
  await vi.waitFor(async () => expect(await store.get(traceId)).toHaveLength(1));
});
