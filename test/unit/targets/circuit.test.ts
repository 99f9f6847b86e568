import { describe, expect, test } from "vitest";
import { type CircuitBreakers, createCircuitBreakers, type Verdict } from "../../../src/targets/circuit.ts";
import type { CallRef } from "../../../src/targets/circuit-entry.ts";

const NOW = 1_000_000;
const TARGET = "a/x";
const FINDER: CallRef = { requestId: "req_1", traceId: "t1", spanId: "s1" };

function noteAll(breakers: CircuitBreakers, verdicts: readonly Verdict[], at = NOW, probe?: string): void {
  for (const verdict of verdicts)
    breakers.record({ target: TARGET, verdict, call: FINDER, ...(probe !== undefined && { probe }) }, at);
}

const failures = (count: number): readonly Verdict[] => Array.from({ length: count }, () => "failed");
const stateOf = (breakers: CircuitBreakers, at: number) => breakers.of(TARGET, undefined, at).state;

describe("a closed circuit", () => {
  test("opens at the fifth failure in a row, for ten seconds, and knows who found out", () => {
    const breakers = createCircuitBreakers();
    noteAll(breakers, failures(4));
    expect(stateOf(breakers, NOW)).toBe("closed");
    expect(breakers.record({ target: TARGET, verdict: "failed", call: FINDER }, NOW)).toMatchObject({
      target: TARGET,
      forMs: 10_000,
    });
    expect(breakers.of(TARGET, undefined, NOW + 1)).toEqual({
      state: "open",
      retryInMs: 9_999,
      failures: 5,
      calls: 5,
      openForMs: 1,
      foundBy: FINDER,
    });
    expect(breakers.claim(TARGET, undefined, "p", NOW + 9_999)).toBe(false);
  });

  test("opens when half of the last twenty failed, though never five in a row", () => {
    const breakers = createCircuitBreakers();
    noteAll(
      breakers,
      Array.from({ length: 19 }, (_, at) => (at % 2 === 0 ? "alive" : "failed")),
    );
    expect(stateOf(breakers, NOW)).toBe("closed");
    noteAll(breakers, ["failed"]);
    expect(stateOf(breakers, NOW)).toBe("open");
  });

  test("forgets failures that lie more than twenty calls back, and then the target", () => {
    const breakers = createCircuitBreakers();
    noteAll(breakers, ["failed", "failed", "failed", "failed", "alive"]);
    noteAll(
      breakers,
      Array.from({ length: 18 }, () => "alive"),
    );
    expect(breakers.isWatched(TARGET, undefined)).toBe(true);
    noteAll(breakers, ["alive"]);
    expect([breakers.isWatched(TARGET, undefined), breakers.all(NOW)]).toEqual([false, []]);
  });

  test("takes no notice of what says nothing about the target", () => {
    const breakers = createCircuitBreakers();
    noteAll(
      breakers,
      Array.from({ length: 50 }, () => "neutral"),
    );
    noteAll(breakers, ["failed", "neutral", "failed", "neutral", "failed", "neutral", "failed", "neutral"]);
    expect(stateOf(breakers, NOW)).toBe("closed");
    noteAll(breakers, failures(1));
    expect(stateOf(breakers, NOW)).toBe("open");
  });

  test("is one for each target, and the oldest are forgotten beyond two hundred", () => {
    const breakers = createCircuitBreakers();
    noteAll(breakers, failures(5));
    expect(breakers.of("a/y", undefined, NOW).state).toBe("closed");
    for (let n = 0; n < 200; n += 1) breakers.record({ target: `a/${n}`, verdict: "failed" }, NOW);
    expect(breakers.all(NOW)).toHaveLength(200);
    expect(stateOf(breakers, NOW)).toBe("closed");
  });
});

describe("an open circuit", () => {
  test("gives the probe to one caller when its pause is over, as often as it asks, and to no other", () => {
    const breakers = createCircuitBreakers();
    noteAll(breakers, failures(5));
    const later = NOW + 10_000;
    expect(breakers.of(TARGET, undefined, later)).toMatchObject({ state: "half_open", retryInMs: 0 });
    expect(breakers.claim(TARGET, undefined, "p", later)).toBe(true);
    expect(breakers.claim(TARGET, undefined, "q", later)).toBe(false);
    expect(breakers.claim(TARGET, undefined, "p", later)).toBe(true);
    expect(breakers.of(TARGET, undefined, later)).toMatchObject({ state: "half_open", retryInMs: 60_000 });
  });

  test("closes when the probe finds the target alive, with a clean record", () => {
    const breakers = createCircuitBreakers();
    noteAll(breakers, failures(5));
    breakers.claim(TARGET, undefined, "p", NOW + 10_000);
    noteAll(breakers, ["alive"], NOW + 10_500, "p");
    expect(breakers.of(TARGET, undefined, NOW + 10_500)).toEqual({
      state: "closed",
      retryInMs: 0,
      failures: 0,
      calls: 0,
    });
  });

  test("costs a dead target one call per pause, and pauses twice as long each time, up to two minutes", () => {
    const breakers = createCircuitBreakers();
    noteAll(breakers, failures(5));
    const calledAt: number[] = [];
    for (let at = NOW; at < NOW + 400_000; at += 500) {
      if (!breakers.claim(TARGET, undefined, `p${at}`, at)) continue;
      calledAt.push(at - NOW);
      noteAll(breakers, failures(1), at, `p${at}`);
    }
    expect(calledAt).toEqual([10_000, 30_000, 70_000, 150_000, 270_000, 390_000]);
    expect(breakers.of(TARGET, undefined, NOW + 400_000)).toMatchObject({
      openForMs: 400_000,
      foundBy: FINDER,
    });
  });

  test("gives up a probe without a report after a minute, and still counts its success", () => {
    const breakers = createCircuitBreakers();
    noteAll(breakers, failures(5));
    expect(breakers.claim(TARGET, undefined, "p", NOW + 10_000)).toBe(true);
    expect(breakers.claim(TARGET, undefined, "q", NOW + 69_999)).toBe(false);
    expect(breakers.claim(TARGET, undefined, "q", NOW + 70_000)).toBe(true);
    noteAll(breakers, ["failed"], NOW + 70_001, "p");
    expect(breakers.of(TARGET, undefined, NOW + 70_001)).toMatchObject({
      state: "half_open",
      retryInMs: 59_999,
    });
    noteAll(breakers, ["alive"], NOW + 70_002, "p");
    expect(stateOf(breakers, NOW + 70_002)).toBe("closed");
  });

  test("gives the probe to the next one when its caller left without learning anything", () => {
    const breakers = createCircuitBreakers();
    noteAll(breakers, failures(5));
    breakers.claim(TARGET, undefined, "p", NOW + 10_000);
    noteAll(breakers, ["neutral"], NOW + 10_100, "p");
    expect(breakers.claim(TARGET, undefined, "q", NOW + 10_100)).toBe(true);
  });

  test("is neither closed nor prolonged by calls that were under way when it opened", () => {
    const breakers = createCircuitBreakers();
    noteAll(breakers, failures(5));
    noteAll(breakers, ["alive", "failed", "failed"], NOW + 1000);
    expect(breakers.of(TARGET, undefined, NOW + 1000)).toMatchObject({ state: "open", retryInMs: 9_000 });
  });

  test("crosses to another breakers as it is: pause, probe, and who found it", () => {
    const [one, other] = [createCircuitBreakers(), createCircuitBreakers()];
    noteAll(one, failures(5));
    one.claim(TARGET, undefined, "p", NOW + 10_000);
    for (const open of one.list(NOW + 10_000) ?? []) other.put(open, NOW + 20_000);
    expect(other.of(TARGET, undefined, NOW + 20_000)).toEqual({
      ...one.of(TARGET, undefined, NOW + 10_000),
      failures: 0,
      calls: 0,
    });
    noteAll(one, failures(1), NOW + 11_000, "p");
    other.merge({ target: TARGET, forMs: 5, pauseMs: 5, openForMs: 0 }, NOW + 20_000);
    expect(other.list(NOW + 20_000)).toMatchObject([{ forMs: 5, pauseMs: 10_000, openForMs: 10_000 }]);
    for (const open of one.list(NOW + 11_000) ?? []) other.merge(open, NOW + 20_000);
    expect(other.list(NOW + 20_000)).toMatchObject([{ forMs: 20_000, pauseMs: 20_000 }]);
  });
});

describe("the circuit of all keys", () => {
  const note = (breakers: CircuitBreakers, keyId: string, ...verdicts: readonly Verdict[]): void => {
    for (const verdict of verdicts) breakers.record({ target: TARGET, keyId, verdict }, NOW);
  };
  const states = (breakers: CircuitBreakers): readonly string[] =>
    ["bad", "other"].map((keyId) => breakers.of(TARGET, keyId, NOW).state);

  test("stays closed however often one key fails; that key's own opens", () => {
    const breakers = createCircuitBreakers();
    note(breakers, "bad", ...failures(20));
    expect(states(breakers)).toEqual(["open", "closed"]);
    expect(breakers.of(TARGET, "bad", NOW)).toMatchObject({ keyId: "bad", failures: 5 });
  });

  test("stays closed where one key makes all but one of the failures", () => {
    const breakers = createCircuitBreakers();
    note(breakers, "bad", ...failures(5));
    note(breakers, "other", "failed");
    expect(states(breakers)).toEqual(["open", "closed"]);
    note(breakers, "other", "alive", "failed", "alive", "failed", "alive");
    expect(states(breakers)).toEqual(["open", "closed"]);
  });

  test("opens by half of twenty calls where no key made more than half of the failures", () => {
    const breakers = createCircuitBreakers();
    for (let n = 0; n < 5; n += 1) {
      note(breakers, "bad", "failed", "alive");
      expect(states(breakers)).toEqual(["closed", "closed"]);
      note(breakers, "other", "failed", "alive");
    }
    expect(states(breakers)).toEqual(["open", "open"]);
  });

  test("counts silence up to the route's own limits whatever the key", () => {
    const breakers = createCircuitBreakers();
    note(breakers, "bad", "silent", "failed", "silent", "failed", "failed");
    expect(states(breakers)).toEqual(["open", "open"]);
  });

  test("takes the place of a key's own, and its probe closes it for all", () => {
    const breakers = createCircuitBreakers();
    note(breakers, "bad", ...failures(5));
    note(breakers, "other", ...failures(2));
    expect(breakers.all(NOW).map(({ keyId }) => keyId)).toEqual([undefined]);
    const later = NOW + 10_000;
    expect(breakers.claim(TARGET, "bad", "p", later)).toBe(true);
    expect(breakers.claim(TARGET, "other", "q", later)).toBe(false);
    breakers.record({ target: TARGET, keyId: "bad", verdict: "alive", probe: "p" }, later);
    expect(states(breakers)).toEqual(["closed", "closed"]);
  });
});
