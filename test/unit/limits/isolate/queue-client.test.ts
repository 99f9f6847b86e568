import { describe, expect, test } from "vitest";
import { createQueueClient, QueueUnreachable } from "../../../../src/limits/isolate/queue-client.ts";
import {
  LEASE_RENEW_MS,
  type AdmissionReply,
  type AdmissionRequest,
  type Admitted,
  type QueueRpc,
  type Settlement,
} from "../../../../src/limits/protocol.ts";
import { askOf, settlementOf, START_AT } from "../../../support/builders/admission.ts";
import { createTestClock, settled } from "../../../support/fakes/fake-clock.ts";

const ADMITTED: Admitted = {
  kind: "admitted",
  lease: { id: "lease", token: 1, expiresAt: START_AT + 45_000 },
  goInMs: 0,
  wait: { waitMs: 0, position: 0, depth: 0, queuedBehind: [] },
  canDeferSettle: false,
  configVersion: 3,
  epoch: 1,
};

const never = new Promise<never>(() => {});

function setup(queue: Partial<QueueRpc>) {
  const clock = createTestClock();
  const deferred: Promise<unknown>[] = [];
  const cancels: string[] = [];
  let stubs = 0;
  const client = createQueueClient({
    queueOf: () => {
      stubs += 1;
      // Each test gives the methods that it means to be called.
      return { cancel: async (id: string) => void cancels.push(id), ...queue } as QueueRpc;
    },
    now: clock.now,
    startTimer: clock.startTimer,
  }).forTenant("acme", (work) => void deferred.push(work));
  return { client, clock, cancels, deferred, stubs: () => stubs };
}

function failure(marks: Record<string, boolean>): Error {
  return Object.assign(new Error("broken"), marks);
}

describe("the queue's client", () => {
  test("hands the answer on and leaves no timer behind", async () => {
    const { client, clock, stubs } = setup({ admit: async () => ADMITTED });
    expect(await client.admit(askOf("a"), new AbortController().signal)).toBe(ADMITTED);
    await settled();
    expect(clock.pending()).toBe(0);
    expect(stubs()).toBe(1);
  });

  test.each(["retryable", "durableObjectReset"])(
    "asks once more with the same id, what is left of the wait and a fresh stub after a %s error",
    async (mark) => {
      const asks: AdmissionRequest[] = [];
      const { client, clock, stubs } = setup({
        admit: async (ask) => {
          asks.push(ask);
          if (asks.length > 1) return ADMITTED;
          await new Promise<void>((resolve) => clock.startTimer(400, resolve));
          throw failure({ [mark]: true });
        },
      });
      const answer = client.admit(askOf("a", { maxWaitMs: 1000 }), new AbortController().signal);
      await clock.pass(400);
      expect(await answer).toBe(ADMITTED);
      expect(asks.map(({ requestId, maxWaitMs }) => [requestId, maxWaitMs])).toEqual([
        ["a", 1000],
        ["a", 600],
      ]);
      expect(stubs()).toBe(2);
    },
  );

  test.each([
    ["overloaded", { overloaded: true, retryable: true }, 1],
    ["failed", {}, 1],
    ["failed", { retryable: true }, 2],
  ])("gives up as %s on %o after %i calls", async (reason, marks, calls) => {
    const { client, stubs } = setup({ admit: () => Promise.reject(failure(marks)) });
    const answer = client.admit(askOf("a"), new AbortController().signal);
    await expect(answer).rejects.toMatchObject({ name: "QueueUnreachable", reason });
    expect(stubs()).toBe(calls);
  });

  test("never hangs: gives up a little after the longest wait, and takes back what may still be admitted", async () => {
    const { client, clock, cancels } = setup({ admit: () => never, configVersion: async () => 1 });
    const answer = client.admit(askOf("a", { maxWaitMs: 1000 }), new AbortController().signal);
    const outcome = answer.catch((thrown: unknown) => thrown);
    await clock.pass(4000);
    expect(await outcome).toBeInstanceOf(QueueUnreachable);
    expect(cancels).toEqual(["a"]);
  });

  test("says so to the queue when the client leaves while it waits, and brings the wait's record home", async () => {
    const { promise, resolve } = Promise.withResolvers<AdmissionReply>();
    const wait = { waitMs: 250, position: 2, depth: 1, queuedBehind: [] };
    const cancels: string[] = [];
    const { client, deferred } = setup({
      admit: () => promise,
      cancel: async (id) => {
        cancels.push(id);
        resolve({ kind: "cancelled", wait, configVersion: 1, epoch: 1 });
      },
    });
    const leaving = new AbortController();
    const outcome = client.admit(askOf("a"), leaving.signal);
    leaving.abort();
    expect(await outcome).toMatchObject({ kind: "cancelled", wait });
    expect(cancels).toEqual(["a"]);
    expect(deferred).toHaveLength(1);
  });

  test("does not wait for a queue that is silent when the client leaves", async () => {
    const { client, clock } = setup({ admit: () => never, cancel: () => never });
    const leaving = new AbortController();
    const outcome = client.admit(askOf("a"), leaving.signal);
    await clock.pass(100);
    leaving.abort();
    await clock.pass(1000);
    expect(await outcome).toMatchObject({ kind: "cancelled", wait: { waitMs: 1100 } });
  });

  test("does not ask for a client that has left already", async () => {
    const { client, stubs } = setup({});
    expect(await client.admit(askOf("a"), AbortSignal.abort())).toMatchObject({ kind: "cancelled" });
    expect(stubs()).toBe(0);
  });

  test("sleeps until its start time, and undoes the admission when the client leaves before", async () => {
    const settled: Settlement[] = [];
    const { client, clock } = setup({
      admit: async () => ({ ...ADMITTED, goInMs: 700 }),
      async settle(settlements) {
        settled.push(...settlements);
        return { configVersion: 1, epoch: 1 };
      },
    });
    const staying = client.admit(askOf("a"), new AbortController().signal);
    const leaving = new AbortController();
    const left = client.admit(askOf("b"), leaving.signal);
    let isIn = false;
    void staying.then(() => (isIn = true));
    await clock.pass(699);
    expect(isIn).toBe(false);
    leaving.abort();
    await clock.pass(1);
    expect((await staying).kind).toBe("admitted");
    expect(await left).toMatchObject({ kind: "cancelled", wait: { waitMs: 699 } });
    expect(settled).toMatchObject([{ requestId: "b", leaseId: ADMITTED.lease.id, outcome: "returned" }]);
  });

  test("renews a lease while it is held, through failures, and stops when told", async () => {
    let renewals = 0;
    const versions: number[] = [];
    const { client, clock } = setup({
      renew: async () => {
        renewals += 1;
        if (renewals === 1) throw failure({});
        return { lost: [], configVersion: 9, epoch: 1 };
      },
    });
    const stop = client.keepAlive(ADMITTED.lease, { onVersion: (version) => versions.push(version) });
    await clock.pass(3 * LEASE_RENEW_MS);
    expect(renewals).toBe(3);
    expect(versions).toEqual([9, 9]);
    stop();
    await clock.pass(3 * LEASE_RENEW_MS);
    expect(renewals).toBe(3);
    expect(clock.pending()).toBe(0);
  });

  test("renews all leases of an isolate with one call, whichever request's timer fires first", async () => {
    const calls: (readonly string[])[] = [];
    const { client, clock } = setup({
      renew: async (ids) => {
        calls.push(ids);
        return { lost: [], configVersion: 1, epoch: 1 };
      },
    });
    const stops: (() => void)[] = [];
    for (let n = 0; n < 100; n += 1) {
      stops.push(client.keepAlive({ id: `l${n}`, token: n, expiresAt: 0 }));
      await clock.pass(10);
    }
    await clock.pass(4 * LEASE_RENEW_MS - 1000);
    const renewals = (id: string): number => calls.filter((ids) => ids.includes(id)).length;
    expect([renewals("l0"), renewals("l50"), renewals("l99")]).toEqual([4, 4, 4]);
    expect(calls.length).toBeLessThanOrEqual(8);
    for (const stop of stops) stop();
    expect(clock.pending()).toBe(0);
  });

  test("renews the others' leases after a request whose call got no reply has gone", async () => {
    const calls: (readonly string[])[] = [];
    const { client, clock } = setup({
      renew: async (ids) => {
        calls.push(ids);
        return calls.length === 1 ? never : { lost: [], configVersion: 1, epoch: 1 };
      },
    });
    const stop = client.keepAlive({ id: "first", token: 1, expiresAt: 0 });
    await clock.pass(100);
    client.keepAlive({ id: "second", token: 2, expiresAt: 0 });
    await clock.pass(LEASE_RENEW_MS - 100);
    expect(calls).toEqual([["first", "second"]]);
    stop();
    await clock.pass(LEASE_RENEW_MS + 100);
    expect(calls.slice(1)).toEqual([["second"]]);
  });

  test("tells the holder when its lease is lost, once", async () => {
    let losses = 0;
    const { client, clock } = setup({ renew: async (ids) => ({ lost: ids, configVersion: 1, epoch: 1 }) });
    client.keepAlive(ADMITTED.lease, { onLost: () => (losses += 1) });
    await clock.pass(3 * LEASE_RENEW_MS);
    expect(losses).toBe(1);
    expect(clock.pending()).toBe(0);
  });

  test("repeats a settlement that may be repeated, and throws when it can't be brought home", async () => {
    let calls = 0;
    const { client } = setup({
      settle: async () => {
        calls += 1;
        throw failure({ durableObjectReset: true });
      },
    });
    await expect(client.settle(settlementOf(ADMITTED, "a"), false)).rejects.toBeInstanceOf(QueueUnreachable);
    expect(calls).toBe(2);
  });
});
