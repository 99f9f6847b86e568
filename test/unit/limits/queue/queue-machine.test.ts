import { describe, expect, test } from "vitest";
import { createQueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import { LEASE_TTL_MS, type AdmissionReply } from "../../../../src/limits/protocol.ts";
import {
  asAdmitted,
  askOf,
  asRefused,
  limitsOf,
  settlementOf,
  START_AT,
} from "../../../support/builders/admission.ts";

const ONE_SLOT = { concurrency: 1 };

function setup() {
  const admission = createQueueMachine(START_AT);
  const answers = new Map<string, AdmissionReply>();
  const collect = (): void => {
    for (const { requestId, answer } of admission.takeWakeUps()) answers.set(requestId, answer);
  };
  return { admission, answers, collect };
}

describe("admission", () => {
  test("lets a request in at once when nothing is in the way, and says so", () => {
    const { admission } = setup();
    const answer = asAdmitted(admission.admit(askOf("a", { limits: { requestsPerMinute: 60 } }), START_AT));
    expect(answer.goInMs).toBe(0);
    expect(answer.wait).toEqual({ waitMs: 0, position: 0, depth: 0, queuedBehind: [] });
    expect(answer.requests).toEqual({ limit: 60, remaining: 9, resetMs: 1000 });
    expect(answer.lease.expiresAt).toBe(START_AT + LEASE_TTL_MS);
  });

  test("gives a request its start time at once where only a rate holds it", () => {
    const { admission } = setup();
    const limits = { requestsPerMinute: 60, burst: 1 };
    admission.admit(askOf("a", { limits }), START_AT);
    const answer = asAdmitted(admission.admit(askOf("b", { limits }), START_AT + 100));
    expect(answer.goInMs).toBe(900);
    expect(answer.wait).toMatchObject({ waitMs: 900, position: 1, depth: 0, heldBy: "requests_per_minute" });
  });

  test("gives the next request its start time however far it is, and the one after it when that is near", () => {
    const { admission, answers, collect } = setup();
    const limits = { requestsPerMinute: 6, burst: 1 };
    admission.admit(askOf("a", { limits }), START_AT);
    expect(asAdmitted(admission.admit(askOf("b", { limits }), START_AT)).goInMs).toBe(10_000);
    expect(admission.admit(askOf("c", { limits }), START_AT)).toBeUndefined();
    expect(admission.nextWakeAt()).toBe(START_AT + 10_000);
    admission.expire(START_AT + 10_000);
    collect();
    expect(asAdmitted(answers.get("c"))).toMatchObject({ goInMs: 10_000, wait: { waitMs: 20_000 } });
  });

  test("lets the first waiting in when a slot gets free, and links it with the holder", () => {
    const { admission, answers, collect } = setup();
    const holder = asAdmitted(admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT));
    expect(admission.admit(askOf("b", { limits: ONE_SLOT }), START_AT + 10)).toBeUndefined();
    expect(admission.admit(askOf("c", { limits: ONE_SLOT }), START_AT + 20)).toBeUndefined();
    admission.settle([settlementOf(holder, "a")], START_AT + 500);
    collect();
    const ref = { requestId: "a", traceId: "trace-a", spanId: "span-a" };
    expect(asAdmitted(answers.get("b")).wait).toEqual({
      waitMs: 490,
      position: 1,
      depth: 0,
      heldBy: "concurrency",
      queuedBehind: [ref],
      admittedBy: ref,
    });
    expect(answers.has("c")).toBe(false);
    expect(admission.snapshot(START_AT + 500)).toMatchObject({ depth: 1, leases: 1, oldestWaitMs: 480 });
  });

  test("refuses one that a debt puts past its deadline, and goes on with the one behind it", () => {
    const { admission, answers, collect } = setup();
    const limits = { ...ONE_SLOT, tokensPerMinute: 600 };
    const holder = asAdmitted(admission.admit(askOf("a", { limits }), START_AT));
    expect(admission.admit(askOf("b", { limits, tokens: 10, maxWaitMs: 5000 }), START_AT)).toBeUndefined();
    expect(admission.admit(askOf("c", { limits }), START_AT)).toBeUndefined();
    // The bucket of 100 tokens is 100 below zero: it takes 10 s until it is not in debt.
    admission.settle([settlementOf(holder, "a", 200)], START_AT + 100);
    collect();
    expect(asRefused(answers.get("b"))).toMatchObject({ limit: { name: "tokens_per_minute" } });
    expect(asAdmitted(answers.get("c")).goInMs).toBe(10_000);
  });

  test("refuses at once one that may not wait, with the limit and when to come back", () => {
    const { admission } = setup();
    const limits = { requestsPerMinute: 60, burst: 1 };
    admission.admit(askOf("a", { limits }), START_AT);
    const answer = asRefused(admission.admit(askOf("b", { limits, maxWaitMs: 0 }), START_AT + 1));
    expect(answer).toMatchObject({
      code: "rate_limited",
      limit: { name: "requests_per_minute", value: 60, remaining: 0 },
      retryAfterMs: 999,
      wait: { waitMs: 0 },
    });
    asAdmitted(admission.admit(askOf("c", { limits, maxWaitMs: 0 }), START_AT + 1000));
  });

  test("refuses on arrival when the queue is full", () => {
    const { admission } = setup();
    const limits = { concurrency: 1, maxDepth: 1 };
    admission.admit(askOf("a", { limits }), START_AT);
    admission.admit(askOf("b", { limits }), START_AT);
    const answer = asRefused(admission.admit(askOf("c", { limits }), START_AT));
    expect(answer).toMatchObject({
      code: "queue_full",
      limit: { name: "queue_depth", value: 1, remaining: 0 },
    });
    expect(answer.retryAfterMs).toBeGreaterThan(0);
  });

  test("refuses on arrival when the rate puts its turn past its deadline", () => {
    const { admission } = setup();
    const limits = { requestsPerMinute: 60, burst: 1 };
    admission.admit(askOf("a", { limits }), START_AT);
    const answer = asRefused(admission.admit(askOf("b", { limits, maxWaitMs: 400 }), START_AT));
    expect(answer).toMatchObject({ code: "rate_limited", retryAfterMs: 600 });
  });

  test("refuses on arrival when holds are known to be far too long for its deadline", () => {
    const { admission } = setup();
    let now = START_AT;
    for (let n = 0; n < 10; n += 1) {
      const held = asAdmitted(admission.admit(askOf(`h${n}`, { limits: ONE_SLOT }), now));
      now += 5000;
      admission.settle([settlementOf(held, `h${n}`)], now);
    }
    admission.admit(askOf("a", { limits: ONE_SLOT }), now);
    expect(asRefused(admission.admit(askOf("b", { maxWaitMs: 1000 }), now)).retryAfterMs).toBe(5000);
    expect(admission.admit(askOf("c", { maxWaitMs: 4000 }), now)).toBeUndefined();
  });

  test("refuses a waiting one at its deadline", () => {
    const { admission, answers, collect } = setup();
    admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT);
    admission.admit(askOf("b", { maxWaitMs: 250 }), START_AT);
    expect(admission.nextWakeAt()).toBe(START_AT + 250);
    admission.expire(START_AT + 250);
    collect();
    expect(asRefused(answers.get("b"))).toMatchObject({
      code: "rate_limited",
      limit: { name: "concurrency", value: 1, remaining: 0 },
      wait: { waitMs: 250 },
    });
    expect(admission.nextWakeAt()).toBe(Infinity);
  });

  test("answers a repeated ask with the same lease, and a repeated wait with the same answer", () => {
    const { admission, answers, collect } = setup();
    const first = asAdmitted(admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT));
    expect(admission.admit(askOf("a"), START_AT + 5)).toEqual(first);
    expect(admission.admit(askOf("b"), START_AT)).toBeUndefined();
    expect(admission.admit(askOf("b"), START_AT)).toBeUndefined();
    admission.settle([settlementOf(first, "a")], START_AT + 10);
    collect();
    expect(asAdmitted(answers.get("b")).wait.depth).toBe(0);
    expect(admission.snapshot(START_AT + 10)).toMatchObject({ depth: 0, leases: 1 });
  });

  test("does not admit what was cancelled before it arrived, or has ended before", () => {
    const { admission } = setup();
    admission.cancel("a", START_AT);
    expect(admission.admit(askOf("a"), START_AT + 10)?.kind).toBe("cancelled");
    const done = asAdmitted(admission.admit(askOf("b"), START_AT));
    admission.settle([settlementOf(done, "b")], START_AT + 20);
    expect(admission.admit(askOf("b"), START_AT + 30)?.kind).toBe("cancelled");
    expect(admission.snapshot(START_AT + 30)).toMatchObject({ depth: 0, leases: 0 });
  });

  test("gives a cancelled one's place to the next", () => {
    const { admission, answers, collect } = setup();
    const holder = asAdmitted(admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT));
    admission.admit(askOf("b"), START_AT);
    admission.admit(askOf("c"), START_AT);
    admission.cancel("b", START_AT + 100);
    admission.settle([settlementOf(holder, "a")], START_AT + 200);
    collect();
    expect(answers.get("b")).toMatchObject({ kind: "cancelled", wait: { waitMs: 100, position: 1 } });
    asAdmitted(answers.get("c"));
  });

  test("takes back what a cancelled sleeper had reserved", () => {
    const { admission } = setup();
    const limits = { requestsPerMinute: 60, burst: 1, concurrency: 2 };
    admission.admit(askOf("a", { limits }), START_AT);
    const before = admission.snapshot(START_AT).limits;
    admission.admit(askOf("b", { limits }), START_AT);
    expect(admission.snapshot(START_AT)).toMatchObject({ depth: 1, leases: 1 });
    admission.cancel("b", START_AT);
    expect(admission.snapshot(START_AT)).toMatchObject({ depth: 0, leases: 1, limits: before });
  });

  test("gives a key its share of the places of a full queue, from the key with the most waiting", () => {
    const { admission, answers, collect } = setup();
    const limits = { concurrency: 2, maxDepth: 20 };
    const ask = (key: string, n: number, lane: "interactive" | "batch" = "interactive") =>
      admission.admit(askOf(`${key}${n}`, { limits, keyId: key, lane }), START_AT + n);
    for (let n = 0; n < 40; n += 1) ask("a", n);
    expect(admission.snapshot(START_AT + 40)).toMatchObject({ leases: 2, depth: 20 });
    for (let n = 41; n < 51; n += 1) expect(ask("b", n)).toBeUndefined();
    expect(asRefused(ask("b", 51)).code).toBe("queue_full");
    expect(asRefused(ask("c", 52, "batch")).code).toBe("queue_full");
    expect(ask("c", 53)).toBeUndefined();
    collect();
    const displaced = [...answers].filter(([, answer]) => answer.kind === "refused");
    expect(displaced).toHaveLength(11);
    expect(displaced.slice(0, 2).map(([id]) => id)).toEqual(["a21", "a20"]);
    expect(displaced.every(([, answer]) => asRefused(answer).code === "queue_full")).toBe(true);
    expect(admission.snapshot(START_AT + 54)).toMatchObject({ leases: 2, depth: 20 });
  });

  test("reserves a burst of tokens at most, whatever a request asks for, and carries a debt for two minutes", () => {
    const { admission } = setup();
    const limits = { tokensPerMinute: 1_000_000 };
    const greedy = askOf("greedy", { limits, estimate: { inputTokens: 10, outputTokens: 100_000_000 } });
    const reply = asAdmitted(admission.admit(greedy, START_AT));
    const next = askOf("next", { limits, keyId: "other", tokens: 10, maxWaitMs: 0 });
    expect(asRefused(admission.admit(next, START_AT)).retryAfterMs).toBeLessThanOrEqual(10_000);
    const wrong = { ...settlementOf(reply, "greedy"), inputTokens: 1e12 };
    admission.settle([wrong], START_AT + 1);
    const refused = asRefused(admission.admit({ ...next, requestId: "later" }, START_AT + 1));
    expect(refused.retryAfterMs).toBeGreaterThan(60_000);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(130_000);
    asAdmitted(admission.admit({ ...next, requestId: "last" }, START_AT + 130_001));
  });

  test("returns a lost slot after one lease time and not before; renewed, it stays", () => {
    const { admission, answers, collect } = setup();
    const holder = asAdmitted(admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT));
    expect(admission.renew([holder.lease.id], START_AT + 15_000)).toMatchObject({
      lost: [],
      configVersion: 1,
    });
    admission.admit(askOf("b", { maxWaitMs: 120_000 }), START_AT + 20_000);
    admission.expire(START_AT + 15_000 + LEASE_TTL_MS - 1);
    collect();
    expect(answers.has("b")).toBe(false);
    admission.expire(START_AT + 15_000 + LEASE_TTL_MS);
    collect();
    expect(asAdmitted(answers.get("b")).wait.admittedBy?.requestId).toBe("a");
    expect(admission.renew([holder.lease.id], START_AT + 90_000, true).lost).toEqual([holder.lease.id]);
    expect(admission.snapshot(START_AT + 90_000).leases).toBe(1);
  });

  test("takes a second, a late and a foreign settlement for nothing", () => {
    const { admission } = setup();
    const one = asAdmitted(admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT));
    admission.settle([{ ...settlementOf(one, "a"), requestId: "other" }], START_AT);
    expect(admission.snapshot(START_AT).leases).toBe(1);
    admission.settle([settlementOf(one, "a")], START_AT);
    const two = asAdmitted(admission.admit(askOf("b"), START_AT));
    expect(two.lease.token).toBeGreaterThan(one.lease.token);
    admission.settle([settlementOf(one, "a")], START_AT);
    expect(admission.snapshot(START_AT).leases).toBe(1);
  });

  test("settles what rides on an ask before it admits the ask", () => {
    const { admission } = setup();
    const one = asAdmitted(admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT));
    const ask = askOf("b", { maxWaitMs: 0, settles: [settlementOf(one, "a")] });
    expect(asAdmitted(admission.admit(ask, START_AT + 5)).wait.waitMs).toBe(0);
  });

  test("lets other keys pass one that its own limits hold, and the tenant's limit hold all", () => {
    const { admission } = setup();
    const limits = { concurrency: 2 };
    const keyLimits = limitsOf({ concurrency: 1 });
    admission.admit(askOf("a", { limits, keyId: "small", keyLimits }), START_AT);
    expect(admission.admit(askOf("b", { limits, keyId: "small", keyLimits }), START_AT)).toBeUndefined();
    asAdmitted(admission.admit(askOf("c", { limits, keyId: "big" }), START_AT));
    expect(admission.admit(askOf("d", { limits, keyId: "big" }), START_AT)).toBeUndefined();
  });

  test("serves other keys before one whose own rate opens later, and reserves no start time for it", () => {
    const { admission, answers, collect } = setup();
    const limits = { requestsPerMinute: 600, burst: 2 };
    const keyLimits = limitsOf({ requestsPerMinute: 60, burst: 1 });
    admission.admit(askOf("a", { limits, keyId: "small", keyLimits }), START_AT);
    expect(admission.admit(askOf("b", { limits, keyId: "small", keyLimits }), START_AT)).toBeUndefined();
    expect(asAdmitted(admission.admit(askOf("c", { limits, keyId: "big" }), START_AT)).goInMs).toBe(0);
    expect(admission.nextWakeAt()).toBe(START_AT + 1000);
    admission.expire(START_AT + 1000);
    collect();
    expect(asAdmitted(answers.get("b"))).toMatchObject({ goInMs: 0, wait: { waitMs: 1000 } });
  });

  test("counts a lease's time from its sleeper's start time, renewed or not", () => {
    const { admission } = setup();
    const limits = { requestsPerMinute: 6, burst: 1 };
    admission.admit(askOf("a", { limits }), START_AT);
    const sleeper = asAdmitted(admission.admit(askOf("b", { limits }), START_AT));
    expect(sleeper.lease.expiresAt).toBe(START_AT + 10_000 + LEASE_TTL_MS);
    admission.renew([sleeper.lease.id], START_AT + 5000);
    const again = asAdmitted(admission.admit(askOf("b", { limits }), START_AT + 5000));
    expect(again).toMatchObject({ goInMs: 5000, lease: { expiresAt: START_AT + 10_000 + LEASE_TTL_MS } });
  });

  test("treats a sleeper that settles before its start time as one that never started", () => {
    const { admission } = setup();
    const limits = { requestsPerMinute: 60, burst: 1 };
    admission.admit(askOf("a", { limits }), START_AT);
    const sleeper = asAdmitted(admission.admit(askOf("b", { limits }), START_AT));
    admission.settle([settlementOf(sleeper, "b")], START_AT + 10);
    expect(asAdmitted(admission.admit(askOf("c", { limits }), START_AT + 10)).goInMs).toBe(990);
  });

  test("reserves tokens, carries the debt, and returns the credit of an abandoned one", () => {
    const { admission } = setup();
    const limits = { tokensPerMinute: 6000 };
    const first = asAdmitted(admission.admit(askOf("a", { limits, tokens: 1000 }), START_AT));
    expect(first.tokens).toEqual({ limit: 6000, remaining: 0, resetMs: 10_000 });
    admission.settle([settlementOf(first, "a", 1500)], START_AT);
    const next = asAdmitted(admission.admit(askOf("b", { limits, tokens: 500 }), START_AT));
    expect(next).toMatchObject({ goInMs: 10_000, wait: { heldBy: "tokens_per_minute" } });
    admission.cancel("b", START_AT);
    expect(admission.snapshot(START_AT).limits["tokensPerMinute"]?.resetMs).toBe(15_000);
  });

  test("uses the newest limits that it has received, from any caller", () => {
    const { admission, answers, collect } = setup();
    admission.admit(askOf("a", { limits: ONE_SLOT }), START_AT);
    expect(admission.admit(askOf("b", { limits: ONE_SLOT }), START_AT)).toBeUndefined();
    expect(admission.setLimits(3, limitsOf({ concurrency: 2 }), START_AT + 10)).toBe(true);
    collect();
    expect(asAdmitted(answers.get("b")).configVersion).toBe(3);
    expect(admission.setLimits(2, limitsOf(), START_AT)).toBe(false);
    expect(admission.admit(askOf("c", { limits: {}, configVersion: 2 }), START_AT)).toBeUndefined();
    expect(
      asAdmitted(admission.admit(askOf("d", { limits: {}, configVersion: 4 }), START_AT)).configVersion,
    ).toBe(4);
  });
});
