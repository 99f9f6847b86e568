import { expect, test } from "vitest";
import {
  createRefusalTraceLimiter,
  summaryTrace,
} from "../../../../src/telemetry/trace/refusal-trace-limiter.ts";
import { checkTrace } from "../../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../../support/checkers/flat-trace.ts";
import { NOON, startTrace } from "../../../support/fakes/fake-trace.ts";

function start() {
  let nowMs = NOON;
  return { limiter: createRefusalTraceLimiter(() => nowMs), pass: (ms: number) => void (nowMs += ms) };
}

test("the first refusal in a second leaves its own trace, the rest are counted", () => {
  const setup = start();
  expect([setup.limiter.decide(), setup.limiter.decide(), setup.limiter.decide()]).toEqual([
    "trace",
    "count_and_collect",
    "count",
  ]);
  setup.pass(999);
  expect(setup.limiter.decide()).toBe("count");
  expect(setup.limiter.takeCounted()).toEqual({ count: 3, sinceAt: NOON });
  setup.pass(1);
  expect(setup.limiter.decide()).toBe("trace");
});

test("one refusal a second gets its trace each time", () => {
  const setup = start();
  for (let i = 0; i < 5; i++) {
    expect(setup.limiter.decide()).toBe("trace");
    setup.pass(1000);
  }
  expect(setup.limiter.takeCounted()).toBeUndefined();
});

test("says when the window is over, so that one request can wait for it", () => {
  const setup = start();
  setup.limiter.decide();
  setup.pass(300);
  setup.limiter.decide();
  expect(setup.limiter.windowLeftMs()).toBe(700);
  setup.pass(5000);
  expect(setup.limiter.windowLeftMs()).toBe(0);
});

test("each refusal is in exactly one trace, also when a collector has died", () => {
  const setup = start();
  let own = 0;
  let collectors = 0;
  const note = () => {
    const decision = setup.limiter.decide();
    if (decision === "trace") own++;
    if (decision === "count_and_collect") collectors++;
  };
  for (let i = 0; i < 10; i++) note();
  setup.pass(2000);
  for (let i = 0; i < 10; i++) note();
  expect([own, collectors]).toEqual([2, 2]);
  expect(setup.limiter.takeCounted()?.count).toBe(18);
  expect(setup.limiter.takeCounted()).toBeUndefined();
});

test("the summary is a whole trace of one span", async () => {
  const trace = await startTrace(summaryTrace(41)).finish();
  expect(trace.root.attributes["gateway.refusals.count"]).toBe(41);
  expect(checkTrace(asFlat(trace))).toEqual([]);
});
