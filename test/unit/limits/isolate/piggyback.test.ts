// What an isolate tells the queue object late, by riding on its other calls, and the requests it lets in by itself.
import { describe, expect, test } from "vitest";
import { createQueueClient } from "../../../../src/limits/isolate/queue-client.ts";
import {
  LEASE_RENEW_MS,
  type Admitted,
  type AdmissionRequest,
  type IsolateUpdates,
  type ObjectState,
  type QueueRpc,
  type Settlement,
} from "../../../../src/limits/protocol.ts";
import { asAdmitted, askOf, settlementOf, START_AT } from "../../../support/builders/admission.ts";
import { createTestClock, settled } from "../../../support/fakes/fake-clock.ts";

const ANSWER: Admitted = {
  kind: "admitted",
  lease: { id: "lease", token: 1, expiresAt: START_AT + 45_000 },
  goInMs: 0,
  wait: { waitMs: 0, position: 0, depth: 0, queuedBehind: [] },
  canDeferSettle: true,
  configVersion: 1,
  epoch: 1,
};

/** An object that records what it receives; `answer` changes with the test. */
function setup() {
  const clock = createTestClock();
  const deferred: Promise<unknown>[] = [];
  const asks: AdmissionRequest[] = [];
  const tells: { readonly settles: readonly Settlement[]; readonly updates: IsolateUpdates | undefined }[] =
    [];
  const cancels: string[] = [];
  const object = {
    answer: ANSWER,
    state: { configVersion: 1, epoch: 1 } as ObjectState,
    isDown: false,
    isHanging: false,
  };
  const calls = { settle: 0 };
  async function failIfDown(): Promise<void> {
    if (object.isDown) throw new Error("down");
    if (object.isHanging) await new Promise(() => {});
  }
  const queue: Partial<QueueRpc> = {
    async admit(ask) {
      asks.push(ask);
      await failIfDown();
      return object.answer;
    },
    async settle(settles, updates) {
      calls.settle += 1;
      await failIfDown();
      tells.push({ settles, updates });
      return object.state;
    },
    async cancel(id) {
      await failIfDown();
      cancels.push(id);
    },
    async renew() {
      return { lost: [], ...object.state };
    },
  };
  const isolate = createQueueClient({
    // Only these methods are called.
    queueOf: () => queue as QueueRpc,
    now: clock.now,
    startTimer: clock.startTimer,
  });
  const client = isolate.forTenant("acme", (work) => void deferred.push(work));
  const admit = (id: string) => client.admit(askOf(id), new AbortController().signal);
  return { isolate, client, clock, object, asks, tells, cancels, calls, deferred, admit };
}

const settlement = (id: string): Settlement => settlementOf(ANSWER, id);

describe("a settlement that can be late", () => {
  test("rides on the next admission of its isolate", async () => {
    const { client, clock, asks, tells, admit } = setup();
    await client.settle(settlement("a"), true);
    await client.settle(settlement("b"), true);
    await admit("c");
    expect(asks[0]?.settles).toEqual([settlement("a"), settlement("b")]);
    await clock.pass(5000);
    expect(tells).toEqual([]);
  });

  test("is sent by itself within a second where there is no other call, once for all of them", async () => {
    const { client, clock, tells, deferred } = setup();
    await client.settle(settlement("a"), true);
    await clock.pass(900);
    await client.settle(settlement("b"), true);
    expect(tells).toEqual([]);
    await clock.pass(100);
    expect(tells).toEqual([{ settles: [settlement("a"), settlement("b")], updates: undefined }]);
    expect(deferred).toHaveLength(1);
    await clock.pass(5000);
    expect(clock.pending()).toBe(0);
  });

  test("goes at once when another one has to, and with it", async () => {
    const { client, tells } = setup();
    await client.settle(settlement("a"), true);
    await client.settle(settlement("b"), false);
    expect(tells.map(({ settles }) => settles)).toEqual([[settlement("a"), settlement("b")]]);
  });

  test("is sent again until the object takes it", async () => {
    const { client, clock, object, asks, tells, admit } = setup();
    await client.settle(settlement("a"), true);
    object.isDown = true;
    await expect(admit("b")).rejects.toThrow("did not answer");
    await clock.pass(1000);
    object.isDown = false;
    await clock.pass(3000);
    expect(asks[0]?.settles).toEqual([settlement("a")]);
    expect(tells.flatMap(({ settles }) => settles)).toEqual([settlement("a")]);
  });

  test("is taken over by another request where the one that would have sent it has died", async () => {
    const { client, clock, deferred } = setup();
    await client.settle(settlement("a"), true);
    // A killed request's timers never fire.
    clock.kill();
    await clock.pass(4000);
    await client.settle(settlement("b"), true);
    expect(deferred).toHaveLength(2);
  });
});

describe("an object that is away", () => {
  test("receives all settlements, and two numbers for what 5000 requests of two keys spent without it", async () => {
    const { client, clock, object, tells } = setup();
    object.isDown = true;
    for (let n = 0; n < 5000; n += 1) {
      client.spend({ requestId: `r${n}`, keyId: n % 2 ? "a" : "b", costMicroUsd: 1 });
      if (n % 2) await client.settle({ ...settlement(`s${n}`), costMicroUsd: 1 }, true);
    }
    object.isDown = false;
    await clock.pass(40_000);
    expect(new Set(tells.flatMap(({ settles }) => settles.map(({ requestId }) => requestId))).size).toBe(
      2500,
    );
    expect(tells.flatMap(({ updates }) => updates?.expenses ?? [])).toEqual([
      { requestId: "r0", keyId: "b", costMicroUsd: 2500, sender: "r0", number: 1 },
      { requestId: "r1", keyId: "a", costMicroUsd: 2500, sender: "r0", number: 2 },
    ]);
  });

  test("may have recorded what it did not confirm: it receives that again as it was, and alone", async () => {
    const { client, clock, object, asks, tells, admit } = setup();
    client.spend({ requestId: "a", keyId: "key", costMicroUsd: 1 });
    object.isDown = true;
    for (let n = 0; n < 3; n += 1) {
      await expect(admit(`r${n}`)).rejects.toThrow("did not answer");
      client.spend({ requestId: `b${n}`, keyId: "key", costMicroUsd: 10 });
    }
    const first = { requestId: "a", keyId: "key", costMicroUsd: 1, sender: "a", number: 1 };
    expect(asks.map(({ updates }) => updates?.expenses)).toEqual([[first], [first], [first]]);
    object.isDown = false;
    await clock.pass(5000);
    expect(tells.map(({ updates }) => updates?.expenses)).toEqual([
      [first],
      [{ requestId: "b0", keyId: "key", costMicroUsd: 30, sender: "a", number: 2 }],
    ]);
  });

  test("that hangs is not called for settlements while its breaker is open, and receives them once it is back", async () => {
    const { client, clock, object, tells, calls } = setup();
    object.isHanging = true;
    const first = client.settle(settlement("a"), false).catch(() => "unreachable");
    await clock.pass(3000);
    expect(await first).toBe("unreachable");
    const before = calls.settle;
    for (let n = 0; n < 100; n += 1)
      await expect(client.settle(settlement(`s${n}`), false)).rejects.toThrow("did not answer");
    expect(calls.settle).toBe(before);
    object.isHanging = false;
    await clock.pass(40_000);
    const received = tells.flatMap(({ settles }) => settles.map(({ requestId }) => requestId));
    expect(new Set(received).size).toBe(101);
    expect(received).toHaveLength(101);
  });

  test("receives a cancel that it missed: an admission without a caller must not count as a request that died", async () => {
    const { client, clock, object, tells, cancels } = setup();
    object.isDown = true;
    const leaving = new AbortController();
    const waiting = client.admit(askOf("left"), leaving.signal).catch(() => "unreachable");
    leaving.abort();
    await clock.pass(2000);
    await waiting;
    object.isDown = false;
    await clock.pass(5000);
    expect([...cancels, ...tells.flatMap(({ updates }) => updates?.cancels ?? [])]).toEqual(["left"]);
  });
});

describe("a restarted object", () => {
  test("receives money that it had not saved, however long ago it was sent, and none that it had", async () => {
    const { client, clock, object, tells, admit } = setup();
    const paid = (id: string): Settlement => ({ ...settlement(id), costMicroUsd: 5_000_000 });
    await admit("first");
    object.state = { configVersion: 1, epoch: 1, ledger: { count: 1, saved: 0 } };
    await client.settle(paid("saved"), false);
    object.state = { configVersion: 1, epoch: 1, ledger: { count: 2, saved: 1 } };
    await client.settle(paid("lost"), false);
    object.state = { configVersion: 1, epoch: 1, ledger: { count: 3, saved: 1 } };
    client.spend({ requestId: "embedding", keyId: "key", costMicroUsd: 7 });
    await clock.pass(60_000);
    object.answer = { ...ANSWER, epoch: 2, ledger: { count: 1, saved: 1 } };
    object.state = { configVersion: 1, epoch: 2, ledger: { count: 3, saved: 1 } };
    tells.length = 0;
    await admit("second");
    await clock.pass(1000);
    expect(tells.flatMap(({ settles }) => settles)).toEqual([paid("lost")]);
    expect(tells.flatMap(({ updates }) => updates?.expenses ?? [])).toMatchObject([
      { requestId: "embedding" },
    ]);
  });

  test("receives again what another isolate's money seems to have counted", async () => {
    const { client, clock, object, tells, admit } = setup();
    const paid: Settlement = { ...settlement("lost"), costMicroUsd: 5_000_000 };
    await admit("first");
    object.state = { configVersion: 1, epoch: 1, ledger: { count: 2, saved: 1 } };
    await client.settle(paid, false);
    await clock.pass(60_000);
    // It began again with a count of 1, and has recorded and saved one of another isolate since.
    object.answer = { ...ANSWER, epoch: 2, ledger: { count: 2, saved: 2 } };
    object.state = { configVersion: 1, epoch: 2, ledger: { count: 3, saved: 2 } };
    tells.length = 0;
    await admit("second");
    await clock.pass(1000);
    expect(tells.flatMap(({ settles }) => settles)).toEqual([paid]);
  });

  test("receives once more what was sent in the last seconds, and nothing older", async () => {
    const { client, clock, object, tells, admit } = setup();
    await admit("first");
    await client.settle(settlement("old"), false);
    await clock.pass(16_000);
    await client.settle(settlement("new"), false);
    object.answer = { ...ANSWER, epoch: 2 };
    object.state = { configVersion: 1, epoch: 2 };
    tells.length = 0;
    await admit("second");
    await clock.pass(1000);
    expect(tells.flatMap(({ settles }) => settles)).toEqual([settlement("new")]);
    await clock.pass(9000);
    expect(tells).toHaveLength(1);
  });

  test("is noticed by a heartbeat too", async () => {
    const { client, clock, object, tells } = setup();
    client.keepAlive(ANSWER.lease);
    await clock.pass(LEASE_RENEW_MS - 5000);
    await client.settle(settlement("a"), false);
    object.state = { configVersion: 1, epoch: 2 };
    await clock.pass(7000);
    expect(tells.map(({ settles }) => settles)).toEqual([[settlement("a")], [settlement("a")]]);
  });
});

describe("a request admitted by a prefetched lease", () => {
  const BATCH = { ...ANSWER, prefetched: { firstToken: 100, count: 2 } };

  test("makes no call, and is reported within a second with the unused leases", async () => {
    const { clock, object, asks, tells, admit } = setup();
    object.answer = BATCH;
    await admit("a");
    const leased = asAdmitted(await admit("b"));
    expect(leased).toMatchObject({ isPrefetched: true, lease: { token: 100 }, goInMs: 0 });
    expect(asks).toHaveLength(1);
    await clock.pass(1000);
    const start = { leaseId: leased.lease.id, requestId: "b", traceId: "trace-b", spanId: "span-b" };
    expect(tells).toMatchObject([
      { settles: [], updates: { starts: [start], unused: [(101).toString(36)] } },
    ]);
    await clock.pass(5000);
    expect(tells).toHaveLength(1);
    expect(clock.pending()).toBe(0);
  });

  test("is given back at its end though the isolate's sender had its turn before", async () => {
    const { client, clock, object, tells, admit } = setup();
    await client.settle(settlement("early"), true);
    await clock.pass(500);
    object.answer = BATCH;
    await admit("a");
    await clock.pass(500);
    expect(tells).toEqual([]);
    await clock.pass(1000);
    expect(tells.map(({ updates }) => updates?.unused)).toEqual([[(100).toString(36), (101).toString(36)]]);
  });

  test("is prefetched by a busy isolate, as many as the last second brought", async () => {
    const { asks, admit } = setup();
    for (let n = 0; n < 6; n += 1) await admit(`r${n}`);
    expect(asks.map(({ prefetchCount }) => prefetchCount)).toEqual([
      undefined,
      undefined,
      undefined,
      4,
      5,
      6,
    ]);
  });
});

describe("money spent outside of any lease", () => {
  const expense = { requestId: "a", keyId: "key", costMicroUsd: 0.2 };

  test("is sent with the next call, or within a second, and again where that failed", async () => {
    const { client, clock, object, asks, tells, admit } = setup();
    client.spend(expense);
    await admit("b");
    expect(asks[0]?.updates).toEqual({
      starts: [],
      unused: [],
      cooldowns: [],
      expenses: [{ ...expense, sender: "a", number: 1 }],
    });
    object.isDown = true;
    client.spend({ ...expense, requestId: "c" });
    await clock.pass(1000);
    object.isDown = false;
    await clock.pass(1000);
    expect(tells.map(({ updates }) => updates?.expenses)).toEqual([
      [{ ...expense, requestId: "c", sender: "a", number: 2 }],
    ]);
    await clock.pass(5000);
    expect(tells).toHaveLength(1);
  });
});

describe("a cooldown", () => {
  test("is sent with the next call, with what is left of its time, and received in a reply", async () => {
    const { client, clock, object, asks, admit } = setup();
    client.targets.concurrency.enter("a/m", START_AT)({ kind: "limited", retryAfterMs: 5000 }, START_AT);
    await clock.pass(2000);
    object.answer = { ...ANSWER, cooldowns: [{ target: "b/m", forMs: 800 }] };
    await admit("a");
    expect(asks[0]?.updates?.cooldowns).toEqual([{ target: "a/m", forMs: 3000 }]);
    expect(client.targets.concurrency.waitMs("b/m", clock.now())).toBe(800);
    await settled();
  });
});

describe("a second tenant of the same name", () => {
  test("gets no money that the object of the first one may have lost", async () => {
    const { isolate, client, clock, object, tells, deferred, admit } = setup();
    await admit("first");
    object.state = { configVersion: 1, epoch: 1, ledger: { count: 1, saved: 0 } };
    await client.settle({ ...settlement("first"), costMicroUsd: 5_000_000 }, false);
    await clock.pass(60_000);
    // Its object was emptied, which looks like a restart.
    object.answer = { ...ANSWER, epoch: 2, ledger: { count: 0, saved: 0 } };
    object.state = { configVersion: 1, epoch: 2, ledger: { count: 0, saved: 0 } };
    tells.length = 0;
    const second = isolate.forTenant("acme", (work) => void deferred.push(work), 1);
    await second.admit(askOf("second"), new AbortController().signal);
    await clock.pass(1000);
    expect(tells.flatMap(({ settles }) => settles)).toEqual([]);
  });
});
