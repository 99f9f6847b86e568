// Faults that other gateways' limiters shipped, as tests that need the object's clock or several isolates; those that show through
// HTTP are in test/clients/limits/queue-peers.test.ts.
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { createQueueClient } from "../../../src/limits/isolate/queue-client.ts";
import { LEASE_RENEW_MS, LEASE_TTL_MS } from "../../../src/limits/protocol.ts";
import { asAdmitted, askOf, asRefused, limitsOf, settlementOf } from "../../support/builders/admission.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** A client as each isolate has one, with the timers in the test's hands. */
function isolate(name: string) {
  const timers = new Set<{ readonly ms: number; readonly run: () => void }>();
  const client = createQueueClient({
    queueOf: (tenantId) => env.TENANT_QUEUE.getByName(tenantId),
    now: () => Date.now(),
    startTimer(ms, run) {
      const timer = { ms, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  }).forTenant(name, (work) => void work);
  /** Fires those that were set for so many ms. */
  const fire = (ms: number): void => {
    for (const timer of Array.from(timers).filter((one) => one.ms === ms)) {
      timers.delete(timer);
      timer.run();
    }
  };
  return { client, fire };
}

test("BerriAI/litellm#16011: many isolates with prefetched leases don't pass the limit together", async () => {
  const name = "tenant-queue-peers-16011";
  const stub = env.TENANT_QUEUE.getByName(name);
  const limits = { requestsPerMinute: 60, burst: 500, maxDepth: 0 };
  await stub.configChanged(1, limitsOf(limits));
  const isolates = Array.from({ length: 8 }, () => isolate(name).client);
  const { signal } = new AbortController();
  let admitted = 0;
  let leased = 0;
  for (let round = 0; round < 100; round += 1) {
    // Waves of requests that come together.
    const answers = await Promise.all(
      isolates.map((client, n) => client.admit(askOf(`r${round}-${n}`, { limits, maxWaitMs: 0 }), signal)),
    );
    for (const answer of answers) {
      if (answer.kind !== "admitted") continue;
      admitted += 1;
      if (answer.isPrefetched) leased += 1;
    }
  }
  expect(leased).toBeGreaterThan(20);
  // One a second comes back; the test takes a few.
  expect(admitted).toBeLessThanOrEqual(505);
  expect(admitted).toBeGreaterThan(400);
});

test("llm-d/llm-d-router#2295: a live request keeps its slot however long its upstream is silent", async () => {
  const name = "tenant-queue-peers-2295";
  const limits = { concurrency: 1, maxDepth: 10 };
  const { client, fire } = isolate(name);
  const { signal } = new AbortController();
  const silent = asAdmitted(await client.admit(askOf("silent", { limits }), signal));
  const onLost = vi.fn<() => void>();
  const stop = client.keepAlive(silent.lease, { onLost });
  const holders: number[] = [];
  const startedAt = Date.now();
  const stub = env.TENANT_QUEUE.getByName(name);
  for (let beat = 1; beat <= 20; beat += 1) {
    vi.useFakeTimers({ toFake: ["Date"], now: startedAt + beat * LEASE_RENEW_MS });
    fire(LEASE_RENEW_MS);
    // One heartbeat after the other.
    const { holding } = await stub.snapshot();
    holders.push(holding.length);
  }
  expect(20 * LEASE_RENEW_MS).toBeGreaterThan(6 * LEASE_TTL_MS);
  expect(holders).toEqual(Array.from({ length: 20 }, () => 1));
  asRefused(await stub.admit(askOf("other", { limits, maxWaitMs: 0 })));
  expect(onLost).not.toHaveBeenCalled();
  stop();
  await client.settle(settlementOf(silent, "silent"), false);
  asAdmitted(await stub.admit(askOf("next", { limits, maxWaitMs: 0 })));
});
