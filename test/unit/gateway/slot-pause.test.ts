// A request that waits before it calls its upstream again gives its slot back meanwhile: what the queue hears of it, what is booked,
// and how it ends where it gets no slot on its return.
import { describe, expect, test } from "vitest";
import type { Refused } from "../../../src/limits/protocol.ts";
import {
  ADMITTED,
  createFakeGateway,
  type FakeGateway,
  type FakeGatewayOptions,
  spansNamed,
} from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { completion, failure } from "../../support/fakes/fake-upstream.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../support/checkers/flat-trace.ts";

const ROUTE = {
  chat: { targets: [{ provider: "a", model: "one" }], retries: { maxAttempts: 3, baseDelayMs: 1 } },
};

const ask = (options: FakeGatewayOptions): FakeGateway =>
  createFakeGateway({ bundle: fakeBundle({ routes: ROUTE }), chat: { model: "chat" }, ...options });

const limited = (ms: number): Response => failure(429, "slow down", { "retry-after-ms": String(ms) });

const REFUSED: Refused = {
  kind: "refused",
  code: "rate_limited",
  limit: { name: "concurrency", value: 1, remaining: 0 },
  retryAfterMs: 4200,
  wait: { waitMs: 0, position: 0, depth: 0, queuedBehind: [] },
  configVersion: 7,
  epoch: 1,
};

/** Admits once, and then as `later` says. */
function admitsOnce(later: Refused): NonNullable<FakeGatewayOptions["queue"]> {
  let asked = 0;
  return { answer: async () => (++asked === 1 ? ADMITTED : later) };
}

describe("a Retry-After that is waited for", () => {
  test("is waited for without the slot, which is taken again under an id of its own", async () => {
    const gateway = ask({ replies: [limited(1700), completion()] });
    await gateway.generate();
    const trace = await gateway.finish();
    const { asks, settlements, heartbeats } = gateway.queue;
    const [first = "", second] = asks.map(({ requestId }) => requestId);
    expect(asks).toHaveLength(2);
    expect(second).toBe(`${first}.2`);
    expect(settlements).toMatchObject([
      { requestId: first, outcome: "returned", costMicroUsd: 0, inputTokens: 0, outputTokens: 0 },
      { requestId: second, outcome: "ok" },
    ]);
    expect(heartbeats).toBe(0);
    expect(
      spansNamed(trace, "gateway.admission").map((span) => span.attributes["gateway.admission.number"]),
    ).toEqual([undefined, 2]);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("of less than a second is waited for with it", async () => {
    const gateway = ask({ replies: [limited(900), completion()] });
    await gateway.generate();
    await gateway.finish();
    expect(gateway.queue.asks).toHaveLength(1);
    expect(gateway.queue.settlements).toHaveLength(1);
  });

  test("is waited for once the queue has the cost of the calls before: the Worker may die meanwhile", async () => {
    const replies = [new Response("not JSON"), limited(1700), completion()];
    const messages = [{ role: "user", content: "word ".repeat(4000) }];
    const told: number[] = [];
    const gateway = ask({
      replies,
      chat: { model: "chat", messages },
      onSleep: () => void told.push(gateway.queue.settlements[0]?.costMicroUsd ?? 0),
    });
    await gateway.generate();
    const trace = await gateway.finish();
    const [paused, last] = gateway.queue.settlements;
    expect(told.at(-1)).toBeGreaterThan(100);
    expect(paused).toMatchObject({ outcome: "returned", costMicroUsd: told.at(-1) });
    const sumUsd = ((paused?.costMicroUsd ?? 0) + (last?.costMicroUsd ?? 0)) / 1e6;
    expect(sumUsd).toBeCloseTo(Number(trace.root.attributes["gateway.cost.usd"]), 6);
  });

  test("may take up what the queue's wait has left of the time, no more", async () => {
    const wait = { ...ADMITTED.wait, waitMs: 25_000 };
    const answer = { ...ADMITTED, wait };
    const gateway = ask({ replies: [limited(1700), completion()], queue: { answer } });
    await gateway.generate();
    expect(gateway.queue.asks.map(({ maxWaitMs }) => maxWaitMs)).toEqual([30_000, 5000]);
  });
});

describe("a request that gets no slot on its return", () => {
  test("ends with what its upstream said, and the time after which there is one", async () => {
    const gateway = ask({ replies: [limited(1700)], queue: admitsOnce(REFUSED) });
    const { queue } = gateway;
    expect(await gateway.refusal()).toMatchObject({
      code: "upstream_rate_limited",
      status: 429,
      details: { retryAfterMs: 4200, upstreamStatus: 429 },
    });
    const trace = await gateway.finish();
    expect(queue.settlements).toMatchObject([{ outcome: "returned", costMicroUsd: 0 }]);
    expect(queue.expenses).toEqual([]);
    expect(queue.heartbeats).toBe(0);
    expect(
      spansNamed(trace, "gateway.admission").map((span) => span.attributes["gateway.queue.outcome"]),
    ).toEqual(["admitted", "refused"]);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("is billed for its calls before, once", async () => {
    const replies = [new Response("not JSON"), limited(1700)];
    const messages = [{ role: "user", content: "word ".repeat(4000) }];
    const gateway = ask({ replies, queue: admitsOnce(REFUSED), chat: { model: "chat", messages } });
    await gateway.refusal();
    const trace = await gateway.finish();
    const costUsd = Number(trace.root.attributes["gateway.cost.usd"]);
    expect(costUsd).toBeGreaterThan(0.0001);
    expect(gateway.queue.settlements).toMatchObject([
      { outcome: "returned", costMicroUsd: expect.closeTo(costUsd * 1e6, 0) },
    ]);
    expect(gateway.queue.expenses).toEqual([]);
  });

  test("since its client has left meanwhile, asks for none", async () => {
    const client = new AbortController();
    const gateway = ask({
      replies: [limited(1700)],
      signal: client.signal,
      onSleep: () => client.abort(),
    });
    expect(await gateway.refusal()).toMatchObject({ code: "client_disconnected" });
    await gateway.finish();
    const { queue } = gateway;
    expect(queue.asks).toHaveLength(1);
    expect(queue.settlements).toMatchObject([{ outcome: "returned" }]);
  });
});
