// An isolate's client of the objects where equal requests meet, before one that hangs.
import { describe, expect, test } from "vitest";
import { createInflightClient } from "../../../src/coalescing/coalescing-client.ts";
import type { InflightRpc, Joined, JoinRequest } from "../../../src/coalescing/protocol.ts";
import { createCallBreaker } from "../../../src/runtime/call-breaker.ts";
import { createTestClock, settled } from "../../support/fakes/fake-clock.ts";

const never = (): Promise<never> => new Promise(() => {});
const ASK: JoinRequest = { key: "a1", fingerprint: "f", requestId: "req_1", keeps: false, failureText: "" };

function setup(object: Partial<InflightRpc>) {
  const clock = createTestClock();
  let joins = 0;
  const client = createInflightClient(
    () => {
      // Each test gives the methods that it means to be called.
      const all = object as InflightRpc;
      return { ...all, join: (ask) => ((joins += 1), all.join(ask)) };
    },
    createCallBreaker(clock.now, clock.startTimer),
  )("acme");
  const join = () => {
    const result: { outcome: Joined["kind"] | "waits" | "failed" } = { outcome: "waits" };
    client.join(ASK).then(
      ({ kind }) => (result.outcome = kind),
      () => (result.outcome = "failed"),
    );
    return result;
  };
  return { clock, join, joins: () => joins };
}

describe("the object where equal requests meet", () => {
  test("that hangs costs a few seconds, and then nothing: requests go on by themselves", async () => {
    const { clock, join, joins } = setup({ join: never, hasFailed: never });
    const both = [join(), join()];
    await clock.pass(4000);
    expect(both.map(({ outcome }) => outcome)).toEqual(["failed", "failed"]);
    const later = Array.from({ length: 20 }, join);
    await settled();
    expect(later.every(({ outcome }) => outcome === "failed")).toBe(true);
    expect(joins()).toBe(2);
  });

  test("that lets a request wait for its leader is waited for", async () => {
    const { promise, resolve } = Promise.withResolvers<Joined>();
    const { clock, join } = setup({ join: () => promise, hasFailed: async () => false });
    const waiting = join();
    await clock.pass(120_000);
    expect(waiting.outcome).toBe("waits");
    resolve({ kind: "conflict" });
    await settled();
    expect(waiting.outcome).toBe("conflict");
  });
});
