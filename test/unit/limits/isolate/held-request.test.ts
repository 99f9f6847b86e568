// A request that has its lease, as the pipeline holds it: what ends it before its time, and what it asks the queue for.
import { describe, expect, test } from "vitest";
import { ADMITTED, createFakeGateway, spanNamed, spansNamed } from "../../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../../support/fakes/fake-tenant.ts";
import { completion, hang } from "../../../support/fakes/fake-upstream.ts";

async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

const CLOSED = fakeBundle({ record: { onQueueError: "closed" } });

describe("a request in flight", () => {
  test("goes on when its slot is lost where the tenant's queue fails open", async () => {
    const gateway = createFakeGateway({ replies: [hang] });
    gateway.refusal().catch(() => {});
    await settled();
    expect(gateway.queue.hooks).toBeDefined();
    expect(gateway.queue.hooks?.onLost).toBeUndefined();
  });

  test("is ended when its slot is lost where the tenant's queue fails closed, and says so", async () => {
    const gateway = createFakeGateway({ bundle: CLOSED, replies: [hang] });
    const refusal = gateway.refusal();
    await settled();
    gateway.queue.hooks?.onLost?.();
    expect(await refusal).toMatchObject({ code: "unavailable" });
    expect(gateway.upstream.calls).toHaveLength(1);
    expect(gateway.queue.heartbeats).toBe(0);
  });

  test.each([
    ["its key is gone", fakeBundle({ version: 8, hasKey: false })],
    ["its key has expired", fakeBundle({ version: 8, key: { expiresAt: "2020-01-01T00:00:00Z" } })],
    ["its tenant is suspended", fakeBundle({ version: 8, record: { status: "suspended" } })],
    ["its tenant is gone", undefined],
  ])("is ended once its heartbeat hears of newer records in which %s", async (_, newest) => {
    const gateway = createFakeGateway({ replies: [hang], deps: { reload: async () => newest } });
    const refusal = gateway.refusal();
    await settled();
    gateway.queue.hooks?.onVersion?.(8);
    expect(await refusal).toMatchObject({ code: "permission_denied" });
    expect(gateway.facts.outcome).toBe("rejected");
    expect(gateway.queue.settlements).toHaveLength(1);
    expect(gateway.notedVersions).toContain(8);
  });

  test("goes on where the newest records still allow it, can't be read, or are the ones it has", async () => {
    let reloads = 0;
    const gateway = createFakeGateway({
      bundle: CLOSED,
      replies: [hang],
      deps: {
        reload: async () => {
          reloads += 1;
          if (reloads === 1) throw new Error("down");
          return fakeBundle({ version: 9 });
        },
      },
    });
    const client = gateway.refusal();
    await settled();
    for (const version of [7, 7, 8, 9, 9]) {
      gateway.queue.hooks?.onVersion?.(version);
      await settled();
    }
    expect(reloads).toBe(2);
    gateway.queue.hooks?.onLost?.();
    expect(await client).toMatchObject({ code: "unavailable" });
  });
});

describe("an admission", () => {
  test("from a prefetched lease says so, and has neither a call nor a wait in its trace", async () => {
    const gateway = createFakeGateway({
      replies: [completion()],
      queue: { answer: { ...ADMITTED, isPrefetched: true, canDeferSettle: true } },
    });
    await gateway.generate();
    const trace = await gateway.finish();
    const { attributes } = spanNamed(trace, "gateway.admission");
    expect(attributes).toMatchObject({ "gateway.queue.leased": true, "gateway.queue.outcome": "admitted" });
    expect(attributes).not.toHaveProperty("rpc.method");
    expect(spansNamed(trace, "gateway.queue.wait")).toEqual([]);
    expect(spanNamed(trace, "gateway.usage.record").attributes).toMatchObject({
      "gateway.span.cpu_only": true,
    });
  });

  test("reserves the first target's price where tenant or key has a budget, and says how long traces are kept", async () => {
    const budget = { usd: 2, period: "week", onExceeded: "reject", onUnpriced: "refuse" } as const;
    const rich = createFakeGateway({ bundle: fakeBundle({ key: { budget } }), replies: [completion()] });
    await rich.generate();
    const [ask] = rich.queue.asks;
    const { inputTokens = 0, outputTokens = 0 } = ask?.estimate ?? {};
    // The client sets no limit: a long answer is reserved.
    expect(outputTokens).toBe(1024);
    expect(ask?.estimate.costMicroUsd).toBeCloseTo(inputTokens * 0.15 + outputTokens * 0.6, 6);
    expect(ask?.keyLimits?.budget).toEqual({ microUsd: 2_000_000, period: "week", onExceeded: "reject" });
    expect(ask?.traces).toMatchObject({ maxTraces: 10_000, maxAgeHours: 72 });

    const record = { tracing: { store: { enabled: false } } };
    const plain = createFakeGateway({ bundle: fakeBundle({ record }), replies: [completion()] });
    await plain.generate();
    expect(plain.queue.asks[0]?.estimate).not.toHaveProperty("costMicroUsd");
    expect(plain.queue.asks[0]).not.toHaveProperty("traces");
  });
});

describe("a target that prefetchCount to be left alone", () => {
  const TWO = fakeBundle({
    routes: {
      chat: {
        targets: [
          { provider: "a", model: "m" },
          { provider: "b", model: "m" },
        ],
      },
    },
  });

  test("is passed over where there is another, with the reason on the root", async () => {
    const gateway = createFakeGateway({ bundle: TWO, chat: { model: "chat" }, replies: [completion()] });
    gateway.deps.targets.concurrency.coolDown({ target: "a/m", forMs: 60_000 }, gateway.deps.now());
    await gateway.generate();
    const { root, ...trace } = await gateway.finish();
    expect(gateway.facts).toMatchObject({ target: "b/m", attempts: 1, usedFallback: true });
    expect(root.events).toMatchObject([
      {
        name: "gateway.fallback",
        attributes: { "error.type": "target_closed", "gateway.attempt.target": "b/m" },
      },
    ]);
    const [attempt] = trace.spans.filter(({ name }) => name === "chat m");
    expect(attempt?.attributes["gateway.attempt.reason"]).toBe("initial");
  });

  test("is waited for where it is the last, and refused where that takes longer than the request may", async () => {
    const waiting = createFakeGateway({ replies: [completion()] });
    waiting.deps.targets.concurrency.coolDown({ target: "a/gpt-4o-mini", forMs: 4000 }, waiting.deps.now());
    await waiting.generate();
    expect(waiting.sleeps).toEqual([4000]);

    const bundle = fakeBundle({
      routes: { chat: { targets: [{ provider: "a", model: "m" }], timeouts: { totalMs: 1000 } } },
    });
    const late = createFakeGateway({ bundle, chat: { model: "chat" } });
    late.deps.targets.concurrency.coolDown({ target: "a/m", forMs: 5000 }, late.deps.now());
    expect(await late.refusal()).toMatchObject({
      code: "upstream_rate_limited",
      details: { retryAfterMs: 5000 },
    });
    expect(late.upstream.calls).toEqual([]);
  });
});
