// The circuits that isolates share through the tenant's object: the real queue clients of several isolates against the object's
// own rules, with answers that are lost, objects that are restarted, and requests that die.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createQueueMachine, type QueueMachine } from "../../../src/limits/queue/queue-machine.ts";
import { createQueueClient, type TenantQueueClient } from "../../../src/limits/isolate/queue-client.ts";
import type { QueueRpc } from "../../../src/limits/protocol.ts";
import type { CallRef } from "../../../src/targets/circuit-entry.ts";
import { askOf, limitsOf, START_AT } from "../../support/builders/admission.ts";

const TARGET = "up/dead";
const FIRST_PAUSE_MS = 10_000;
const PROBE_MS = 60_000;

/** One tenant's object and several isolates; time moves only by `pass`. */
function setup(isolates: number) {
  let now = START_AT;
  let object = createQueueMachine(now);
  let mode: "sound" | "down" | "answer_lost" = "sound";
  let calls = 0;
  const deferred: Promise<unknown>[] = [];
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();

  async function ask<T>(run: (admission: QueueMachine) => T): Promise<T> {
    calls += 1;
    if (mode === "down") throw new Error("down");
    const answer = run(object);
    if (mode === "answer_lost") throw new Error("lost");
    return structuredClone(answer);
  }
  // The methods that are used here, over the object's own rules.
  const queue = {
    admit: (request) =>
      ask((admission) => {
        const answer = admission.admit(request, now);
        if (answer === undefined) throw new Error("it waits");
        return answer;
      }),
    settle: (settlements, updates) => ask((machine) => machine.settle(settlements, now, updates)),
    cancel: (id) => ask((admission) => admission.cancel(id, now)),
    renew: (ids) => ask((admission) => admission.renew(ids, now)),
  } satisfies Partial<QueueRpc>;

  const clients = Array.from({ length: isolates }, (): TenantQueueClient =>
    createQueueClient({
      // Whatever else the type has is not called.
      queueOf: () => queue as unknown as QueueRpc,
      now: () => now,
      startTimer(ms, run) {
        const timer = { at: now + ms, run };
        timers.add(timer);
        return () => timers.delete(timer);
      },
    }).forTenant("acme", (work) => void deferred.push(work.catch(() => {}))),
  );

  async function settled(): Promise<void> {
    for (let turn = 0; turn < 30; turn += 1) await Promise.resolve();
  }

  return {
    clients,
    get object() {
      return object;
    },
    get calls() {
      return calls;
    },
    get now() {
      return now;
    },
    be(next: typeof mode) {
      mode = next;
    },
    restart() {
      object = createQueueMachine(now);
    },
    async pass(ms: number) {
      const until = now + ms;
      for (;;) {
        const [due] = [...timers].filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at);
        if (due === undefined) break;
        timers.delete(due);
        now = Math.max(now, due.at);
        due.run();
        await settled();
      }
      now = until;
      await settled();
    },
  };
}

type Setup = ReturnType<typeof setup>;

let requests = 0;

/** One request of an isolate, as the pipeline makes it; returns whether it called the target. */
async function request(
  { clients, object }: Setup,
  isolate: number,
  outcome: "alive" | "failed" | "silent" | "neutral" | "dies",
  keyId = "key_1",
): Promise<boolean> {
  const client = clients[isolate];
  if (client === undefined) throw new Error("no such isolate");
  const id = `req_${++requests}`;
  const call: CallRef = { requestId: id, traceId: `trace_${id}`, spanId: `span_${id}` };
  const limits = limitsOf({ concurrency: 10_000, maxDepth: 100 });
  void object;
  const answer = await client
    .admit(askOf(id, { limits, keyId }), new AbortController().signal, TARGET)
    .catch(() => undefined);
  const pass = await client.targets.circuits.take(TARGET, keyId, id);
  if (pass !== undefined && outcome !== "dies") client.targets.circuits.record(pass, outcome, call);
  if (answer?.kind === "admitted" && outcome !== "dies") {
    const usage = { inputTokens: 1, outputTokens: 1, costMicroUsd: 0, outcome: "ok" } as const;
    await client
      .settle({ requestId: id, keyId, leaseId: answer.lease.id, ...usage }, answer.canDeferSettle)
      .catch(() => {});
  }
  return pass !== undefined;
}

const openOf = ({ object, now }: Setup) =>
  object.snapshot(now).circuits?.filter(({ state }) => state !== "closed");

describe("a dead target", () => {
  test("costs all isolates together some five calls, and then one a pause, twice as long each time", async () => {
    const shared = setup(4);
    const calledAt: number[] = [];
    for (let turn = 0; turn < 800; turn += 1) {
      if (await request(shared, turn % 4, "failed")) calledAt.push(shared.now - START_AT);
      await shared.pass(250);
    }
    // The other three may each have one failure that they have not told yet.
    const opening = calledAt.filter((at) => at < 2000);
    expect(opening.length).toBeGreaterThanOrEqual(5);
    expect(opening.length).toBeLessThanOrEqual(5 + 3);
    const probes = [opening.at(-1) ?? 0, ...calledAt.slice(opening.length)];
    const pauses = probes.slice(1).map((at, index) => (at - (probes[index] ?? 0)) / FIRST_PAUSE_MS);
    expect(pauses.map(Math.round)).toEqual([1, 2, 4, 8]);
    for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThanOrEqual(2 ** index);
  });

  test("that comes back is called by all as soon as one probe has found it alive", async () => {
    const shared = setup(3);
    for (let turn = 0; turn < 6; turn += 1) await request(shared, turn % 2, "failed");
    await shared.pass(1000);
    expect(await request(shared, 2, "alive")).toBe(false);
    await shared.pass(FIRST_PAUSE_MS);
    expect(await request(shared, 2, "alive")).toBe(true);
    await shared.pass(1000);
    for (const isolate of [0, 1, 2]) expect(await request(shared, isolate, "alive")).toBe(true);
    expect(shared.object.snapshot(shared.now).circuits).toBeUndefined();
  });

  test("is shown with the call that found it out, and since when", async () => {
    const shared = setup(2);
    for (let turn = 0; turn < 5; turn += 1) await request(shared, 0, "failed");
    const finder = `req_${requests}`;
    await shared.pass(4000);
    expect(openOf(shared)).toMatchObject([
      {
        keyId: "key_1",
        target: TARGET,
        state: "open",
        foundBy: { requestId: finder, traceId: `trace_${finder}` },
      },
    ]);
    await request(shared, 1, "failed");
    expect(shared.clients[1]?.targets.circuits.of(TARGET, "key_1", shared.now)).toMatchObject({
      state: "open",
      openForMs: 4000,
      foundBy: { requestId: finder },
    });
  });

  test("whose probe dies with its request is probed by another a minute later", async () => {
    const shared = setup(2);
    for (let turn = 0; turn < 5; turn += 1) await request(shared, 0, "failed");
    await shared.pass(FIRST_PAUSE_MS + 1000);
    const probedAt = shared.now;
    expect(await request(shared, 0, "dies")).toBe(true);
    while (!(await request(shared, 1, "alive"))) await shared.pass(500);
    expect(shared.now - probedAt).toBe(PROBE_MS);
  });

  test("whose probe goes to a request that then makes no call gets another in some seconds", async () => {
    const shared = setup(2);
    for (let turn = 0; turn < 5; turn += 1) await request(shared, 0, "failed");
    await shared.pass(FIRST_PAUSE_MS + 1000);
    const gone = askOf("req_gone", {
      keyId: "key_1",
      limits: limitsOf({ concurrency: 10_000, maxDepth: 100 }),
    });
    await shared.clients[0]?.admit(gone, new AbortController().signal, TARGET);
    expect(await request(shared, 1, "alive")).toBe(false);
    await shared.pass(5000);
    await request(shared, 0, "neutral");
    await shared.pass(1000);
    expect(await request(shared, 1, "alive")).toBe(true);
  });
});

describe("a target that fails for one key", () => {
  const others = async (shared: Setup): Promise<readonly boolean[]> => [
    await request(shared, 0, "alive", "key_2"),
    await request(shared, 1, "alive", "key_3"),
  ];

  test("is closed to that key in all isolates, and open to all others, who keep succeeding", async () => {
    const shared = setup(2);
    for (let turn = 0; turn < 6; turn += 1) await request(shared, turn % 2, "failed");
    await shared.pass(1000);
    for (const isolate of [0, 1]) expect(await request(shared, isolate, "failed")).toBe(false);
    expect(await others(shared)).toEqual([true, true]);
    await shared.pass(FIRST_PAUSE_MS);
    expect(await request(shared, 1, "alive")).toBe(true);
    await shared.pass(1000);
    for (const isolate of [0, 1]) expect(await request(shared, isolate, "alive")).toBe(true);
  });

  test("and then for another is closed to all: the first key's failures count for three of the five", async () => {
    const shared = setup(2);
    for (let turn = 0; turn < 6; turn += 1) await request(shared, 0, "failed");
    await shared.pass(1000);
    expect(await request(shared, 1, "failed", "key_2")).toBe(true);
    expect(await request(shared, 1, "failed", "key_2")).toBe(true);
    await shared.pass(1000);
    expect(openOf(shared)).toMatchObject([{ target: TARGET, state: "open" }]);
    expect(openOf(shared)?.[0]).not.toHaveProperty("keyId");
    for (const isolate of [0, 1]) expect(await request(shared, isolate, "alive", "key_3")).toBe(false);
  });

  test("is closed to all where it was silent for as long as the route allows", async () => {
    const shared = setup(2);
    for (let turn = 0; turn < 6; turn += 1) await request(shared, turn % 2, "silent");
    await shared.pass(1000);
    expect(await others(shared)).toEqual([false, false]);
  });

  test("whatever its failures and the others' successes, over any order, is never closed to the others", async () => {
    const turn = fc.record({ isolate: fc.nat(1), isBad: fc.boolean(), ms: fc.nat(3000) });
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { minLength: 20, maxLength: 80 }), async (turns) => {
        const shared = setup(2);
        for (const { isolate, isBad, ms } of turns) {
          if (isBad) await request(shared, isolate, "failed");
          else expect(await request(shared, isolate, "alive", "key_2")).toBe(true);
          await shared.pass(ms);
        }
      }),
      { numRuns: 60, seed: 74 },
    );
  });
});

describe("the object", () => {
  test("costs no call while nothing fails", async () => {
    const shared = setup(1);
    for (let turn = 0; turn < 20; turn += 1) await request(shared, 0, "alive");
    const before = shared.calls;
    for (let turn = 0; turn < 20; turn += 1) {
      const pass = await shared.clients[0]?.targets.circuits.take(TARGET, "key_1", "req_x");
      if (pass !== undefined) shared.clients[0]?.targets.circuits.record(pass, "alive");
    }
    await shared.pass(5000);
    // The last requests' settlements and nothing else.
    expect(shared.calls - before).toBeLessThanOrEqual(2);
  });

  test("counts a call once, though it was reported twice", async () => {
    const shared = setup(1);
    for (let turn = 0; turn < 3; turn += 1) {
      shared.be("answer_lost");
      await request(shared, 0, "failed");
      shared.be("sound");
      await shared.pass(2000);
    }
    await shared.pass(2000);
    expect(shared.object.snapshot(shared.now).circuits).toMatchObject([
      { failures: 3, calls: 3 },
      { keyId: "key_1", failures: 3, calls: 3 },
    ]);
  });

  test("that was restarted receives an open circuit from an isolate that knows it", async () => {
    const shared = setup(3);
    for (let turn = 0; turn < 6; turn += 1) await request(shared, turn % 2, "failed");
    await shared.pass(1500);
    expect(await request(shared, 0, "failed")).toBe(false);
    shared.restart();
    expect(await request(shared, 0, "failed")).toBe(false);
    await shared.pass(1500);
    expect(openOf(shared)).toMatchObject([{ target: TARGET, state: "open" }]);
    expect(await request(shared, 2, "failed")).toBe(false);
  });

  test("that can't be reached leaves each isolate to its own circuits: one probe a pause", async () => {
    const shared = setup(2);
    shared.be("down");
    const called = [0, 0];
    for (let turn = 0; turn < 240; turn += 1) {
      for (const isolate of [0, 1])
        if (await request(shared, isolate, "failed")) called[isolate] = (called[isolate] ?? 0) + 1;
      await shared.pass(125);
    }
    // Thirty seconds: five calls, and probes after ten and thirty.
    expect(called).toEqual([6, 6]);
    shared.be("sound");
    await shared.pass(2000);
    expect(await request(shared, 0, "failed")).toBe(false);
  });
});

type Step =
  | { readonly kind: "request"; readonly isolate: number; readonly isLost: boolean }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "restart" };

const ISOLATES = 3;
const steps = (withFaults: boolean): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc.oneof(
      {
        weight: 12,
        arbitrary: fc.record({
          kind: fc.constant("request" as const),
          isolate: fc.nat(ISOLATES - 1),
          isLost: withFaults ? fc.boolean() : fc.constant(false),
        }),
      },
      { weight: 8, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(6000) }) },
      ...(withFaults ? [{ weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) }] : []),
    ),
    { minLength: 20, maxLength: 120 },
  );

describe("a target that fails every call, over any order of requests in three isolates", () => {
  test("gets at most five calls and what the others had not told yet, then one each half-open period", async () => {
    await fc.assert(
      fc.asyncProperty(steps(false), async (list) => {
        const shared = setup(ISOLATES);
        const calledAt: number[] = [];
        for (const step of list) {
          if (step.kind === "pass") await shared.pass(step.ms);
          else if (step.kind === "request" && (await request(shared, step.isolate, "failed")))
            calledAt.push(shared.now);
        }
        // Each of the other isolates may keep one failure to itself until its own next call.
        const opening = calledAt.filter((at) => at - (calledAt[4] ?? Infinity) < FIRST_PAUSE_MS);
        expect(opening.length).toBeLessThanOrEqual(5 + (ISOLATES - 1));
        let pauseMs = FIRST_PAUSE_MS;
        let last = opening.at(-1) ?? 0;
        for (const at of calledAt.slice(opening.length)) {
          // The pause began with the failure that opened it, which others may have followed by a second.
          expect(at - last).toBeGreaterThanOrEqual(pauseMs - 1000);
          last = at;
          pauseMs = Math.min(120_000, pauseMs * 2);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("gets no more than that for each restart of the object, even where answers are lost", async () => {
    await fc.assert(
      fc.asyncProperty(steps(true), async (list) => {
        const shared = setup(ISOLATES);
        const startedAt = shared.now;
        let calls = 0;
        let faults = 1;
        for (const step of list) {
          if (step.kind === "pass") await shared.pass(step.ms);
          else if (step.kind === "restart") {
            faults += 1;
            shared.restart();
          } else {
            if (step.isLost) shared.be("answer_lost");
            if (await request(shared, step.isolate, "failed")) calls += 1;
            shared.be("sound");
          }
        }
        const probes = Math.ceil((shared.now - startedAt) / FIRST_PAUSE_MS);
        expect(calls).toBeLessThanOrEqual(faults * 5 * ISOLATES + probes * ISOLATES);
      }),
      { numRuns: 100 },
    );
  });
});
