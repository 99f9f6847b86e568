import { expect, test } from "vitest";
import { createRefusalFlood, summaryTrace } from "../../../../src/telemetry/trace/refusal-trace-limiter.ts";
import { checkTrace } from "../../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../../support/checkers/flat-trace.ts";
import { NOON, startTrace } from "../../../support/fakes/fake-trace.ts";

function flood() {
  let nowMs = NOON;
  return { flood: createRefusalFlood(() => nowMs), pass: (ms: number) => void (nowMs += ms) };
}

test("the first refusal in a second leaves its own trace, the rest are counted", () => {
  const rig = flood();
  expect([rig.flood.note(), rig.flood.note(), rig.flood.note()]).toEqual(["own", "first_counted", "counted"]);
  rig.pass(999);
  expect(rig.flood.note()).toBe("counted");
  expect(rig.flood.take()).toEqual({ count: 3, sinceAt: NOON });
  rig.pass(1);
  expect(rig.flood.note()).toBe("own");
});

test("a refusal a second is no flood", () => {
  const rig = flood();
  for (let i = 0; i < 5; i++) {
    expect(rig.flood.note()).toBe("own");
    rig.pass(1000);
  }
  expect(rig.flood.take()).toBeUndefined();
});

test("says when the window is over, so that one request can wait for it", () => {
  const rig = flood();
  rig.flood.note();
  rig.pass(300);
  rig.flood.note();
  expect(rig.flood.remainingMs()).toBe(700);
  rig.pass(5000);
  expect(rig.flood.remainingMs()).toBe(0);
});

test("each refusal stands in exactly one trace, also when the one that should collect has died", () => {
  const rig = flood();
  let own = 0;
  let collectors = 0;
  const note = () => {
    const verdict = rig.flood.note();
    if (verdict === "own") own++;
    if (verdict === "first_counted") collectors++;
  };
  for (let i = 0; i < 10; i++) note();
  rig.pass(2000);
  for (let i = 0; i < 10; i++) note();
  expect([own, collectors]).toEqual([2, 2]);
  expect(rig.flood.take()?.count).toBe(18);
  expect(rig.flood.take()).toBeUndefined();
});

test("the summary is a whole trace of one span", async () => {
  const trace = await startTrace(summaryTrace(41)).finish();
  expect(trace.root.attributes["gateway.refusals.count"]).toBe(41);
  expect(checkTrace(asFlat(trace))).toEqual([]);
});
