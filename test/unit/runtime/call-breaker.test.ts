import { describe, expect, test } from "vitest";
import { createCallBreaker } from "../../../src/runtime/call-breaker.ts";
import { createTestClock, settled } from "../../support/fakes/fake-clock.ts";

const never = (): Promise<never> => new Promise(() => {});

function setup() {
  const clock = createTestClock();
  const breaker = createCallBreaker(clock.now, clock.startTimer);
  let calls = 0;
  const ask = (answer: () => Promise<string>, name = "kv") => {
    const result = { outcome: "waits" };
    const call = (): Promise<string> => {
      calls += 1;
      return answer();
    };
    breaker.guarded(name, call).then(
      (value) => (result.outcome = value),
      () => (result.outcome = "failed"),
    );
    return result;
  };
  return { clock, breaker, ask, calls: () => calls };
}

describe("a call that hangs", () => {
  test("costs two seconds; after two in a row none is made for a while, and then one at a time", async () => {
    const { clock, ask, calls } = setup();
    const first = ask(never);
    await clock.pass(1999);
    expect(first.outcome).toBe("waits");
    await clock.pass(1);
    expect(first.outcome).toBe("failed");
    ask(never);
    await clock.pass(2000);
    expect(calls()).toBe(2);
    const refused = Array.from({ length: 50 }, () => ask(never));
    await settled();
    expect(refused.every(({ outcome }) => outcome === "failed")).toBe(true);
    expect(calls()).toBe(2);
    await clock.pass(2000);
    Array.from({ length: 50 }, () => ask(never));
    await clock.pass(2000);
    expect(calls()).toBe(3);
    // Twice as long each time.
    await clock.pass(3999);
    ask(never);
    expect(calls()).toBe(3);
    await clock.pass(1);
    const back = ask(async () => "back");
    await settled();
    expect(back.outcome).toBe("back");
    expect(ask(async () => "again")).toMatchObject({ outcome: "waits" });
    await settled();
    expect(calls()).toBe(5);
  });

  test("says nothing of another, and a fault that comes in time says nothing of the next", async () => {
    const { clock, ask } = setup();
    ask(never);
    await clock.pass(2000);
    ask(never);
    await clock.pass(2000);
    const other = ask(async () => "fine", "other");
    const broken = ask(() => Promise.reject(new Error("broken")), "third");
    await settled();
    expect([other.outcome, broken.outcome]).toEqual(["fine", "failed"]);
    const next = ask(async () => "fine", "third");
    await settled();
    expect(next.outcome).toBe("fine");
  });
});

describe("a call that may wait long", () => {
  test("goes on while what it waits for is alive, and fails soon after that hangs", async () => {
    const { clock, breaker } = setup();
    let isAlive = true;
    let outcome = "waits";
    const probe = (): Promise<unknown> => (isAlive ? Promise.resolve() : never());
    breaker.alive("flight", never, probe).catch(() => (outcome = "failed"));
    await clock.pass(60_000);
    expect(outcome).toBe("waits");
    isAlive = false;
    await clock.pass(7000);
    expect(outcome).toBe("failed");
  });

  test("is answered in its own time", async () => {
    const { clock, breaker } = setup();
    const { promise, resolve } = Promise.withResolvers<string>();
    const answer = breaker.alive(
      "flight",
      () => promise,
      () => Promise.resolve(),
    );
    await clock.pass(30_000);
    resolve("done");
    expect(await answer).toBe("done");
  });
});
