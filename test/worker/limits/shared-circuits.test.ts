// The circuits of a tenant's targets in the real object: shared by the queue clients of two isolates, and after a crash.
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createQueueClient, type TenantQueueClient } from "../../../src/limits/isolate/queue-client.ts";
import type { QueueSnapshot } from "../../../src/limits/protocol.ts";
import { askOf, limitsOf } from "../../support/builders/admission.ts";

const TARGET = "up/dead";
const PAUSE_MS = 10_000;

let tenants = 0;
let requests = 0;

afterEach(() => {
  vi.useRealTimers();
});

function twoIsolates() {
  const name = `circuits-test-${++tenants}`;
  const stub = env.TENANT_QUEUE.getByName(name);
  const work: Promise<unknown>[] = [];
  const client = (): TenantQueueClient =>
    createQueueClient({
      queueOf: (tenantId) => env.TENANT_QUEUE.getByName(tenantId),
      now: Date.now,
    }).forTenant(name, (deferred) => void work.push(deferred));
  return { stub, name, one: client(), other: client() };
}

/** One request; whether it was let through to the target. */
async function ask(client: TenantQueueClient, verdict: "alive" | "failed"): Promise<boolean> {
  const id = `req_${++requests}`;
  const answer = await client.admit(
    askOf(id, { keyId: "key_1", limits: limitsOf({}) }),
    new AbortController().signal,
    TARGET,
  );
  const pass = await client.targets.circuits.take(TARGET, "key_1", id);
  if (pass !== undefined)
    client.targets.circuits.record(pass, verdict, { requestId: id, traceId: "t", spanId: `s${id}` });
  if (answer.kind === "admitted")
    await client.settle(
      {
        requestId: id,
        keyId: "key_1",
        leaseId: answer.lease.id,
        outcome: "ok",
        inputTokens: 1,
        outputTokens: 1,
        costMicroUsd: 0,
      },
      false,
    );
  return pass !== undefined;
}

const openOf = ({ circuits }: QueueSnapshot) => circuits?.filter(({ state }) => state !== "closed");

describe("the tenant's object", () => {
  test("counts the failures of all isolates, and gives the probe to one of them", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { stub, one, other } = twoIsolates();
    for (let call = 0; call < 5; call += 1)
      expect(await ask(call % 2 === 0 ? one : other, "failed")).toBe(true);
    expect([await ask(one, "failed"), await ask(other, "failed")]).toEqual([false, false]);
    expect(openOf(await stub.snapshot())).toMatchObject([{ target: TARGET, keyId: "key_1", failures: 5 }]);

    vi.setSystemTime(Date.now() + PAUSE_MS);
    const probes = await Promise.all([ask(one, "failed"), ask(other, "failed")]);
    expect(probes.filter(Boolean)).toHaveLength(1);
    vi.setSystemTime(Date.now() + PAUSE_MS);
    expect([await ask(one, "failed"), await ask(other, "failed")]).toEqual([false, false]);
    vi.setSystemTime(Date.now() + PAUSE_MS);
    expect(await ask(other, "alive")).toBe(true);
    expect(await ask(one, "alive")).toBe(true);
    expect((await stub.snapshot()).circuits).toBeUndefined();
  });

  test("that was restarted receives an open circuit from the isolates that know it", async () => {
    const { stub, name, one, other } = twoIsolates();
    for (let call = 0; call < 5; call += 1) await ask(one, "failed");
    expect(await ask(other, "failed")).toBe(false);
    await runInDurableObject(stub, (_, state) => state.abort("killed by the test")).catch(() => {});
    expect(await ask(one, "failed")).toBe(false);
    expect(await ask(other, "failed")).toBe(false);
    const restarted = env.TENANT_QUEUE.getByName(name);
    expect(openOf(await restarted.snapshot())).toMatchObject([{ target: TARGET, keyId: "key_1" }]);
  });
});
