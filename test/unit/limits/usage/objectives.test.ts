import { describe, expect, it } from "vitest";
import { createObjectives } from "../../../../src/limits/usage/objectives.ts";

const MINUTE_MS = 60_000;
const NOW = Date.UTC(2026, 11, 1, 12);
const ERRORS = { route: "chat", allowedShare: 0.01 };

function watch(objective: object = ERRORS) {
  const objectives = createObjectives();
  let now = NOW;
  return {
    wait: (minutes: number) => void (now += minutes * MINUTE_MS),
    /** How many alerts come while so many requests come, of which these fail or take that long. */
    send(count: number, about: { failed?: number; route?: string; durationMs?: number } = {}): number {
      let told = 0;
      for (let n = 0; n < count; n += 1) {
        const { failed = 0, route = "chat", durationMs = 10 } = about;
        const known = { durationMs, requestId: `req_${n}`, traceId: `t${n}` };
        const request = { route, requests: 1, failed: n < failed ? 1 : 0, known };
        told += objectives.count([{ ...ERRORS, ...objective }], request, now).length;
      }
      return told;
    },
  };
}

describe("an objective of one failure in a hundred", () => {
  it("is missed by twenty failures, once", () => {
    const { send } = watch();
    expect(send(19, { failed: 19 })).toBe(0);
    expect(send(1, { failed: 1 })).toBe(1);
    expect(send(100, { failed: 100 })).toBe(0);
  });

  it("is kept by as many failures as it allows, and by other routes' failures", () => {
    const { send, wait } = watch();
    for (let minute = 0; minute < 300; minute += 1, wait(1)) expect(send(100, { failed: 1 })).toBe(0);
    expect(send(100, { failed: 100, route: "other" })).toBe(0);
  });

  it("is kept where a blip is short beside the hour before, and missed by one that lasts", () => {
    const { send, wait } = watch();
    for (let minute = 0; minute < 60; minute += 1, wait(1)) send(100);
    expect(send(300, { failed: 300 })).toBe(0);
    wait(1);
    expect(send(1000, { failed: 1000 })).toBe(1);
  });

  it("is missed by a slow leak that an hour does not show", () => {
    const { send, wait } = watch();
    let told = 0;
    for (let minute = 0; minute < 60; minute += 1, wait(1)) told += send(100, { failed: 7 });
    expect(told).toBe(1);
  });

  it("alerts again once it was kept for five minutes, and not before", () => {
    const { send, wait } = watch();
    expect(send(30, { failed: 30 })).toBe(1);
    wait(6);
    expect(send(1)).toBe(0);
    expect(send(30, { failed: 30 })).toBe(1);
  });
});

it("counts sums of requests without a lease, and names the last bad one that is known", () => {
  const objectives = createObjectives();
  const known = { durationMs: 1, requestId: "req_1", traceId: "t1" };
  objectives.count([ERRORS], { route: "chat", requests: 1, failed: 1, known }, NOW);
  const [told] = objectives.count([ERRORS], { route: "chat", requests: 30, failed: 19 }, NOW);
  expect(told).toMatchObject({ requestId: "req_1", traceId: "t1", data: { requests: 31, bad: 20 } });
});

describe("an objective of slow answers", () => {
  it("counts what takes longer, and nothing that fails", () => {
    const slow = { slowerThanMs: 100 };
    expect(watch(slow).send(40, { durationMs: 101 })).toBe(1);
    expect(watch(slow).send(40, { durationMs: 100 })).toBe(0);
    expect(watch(slow).send(40, { durationMs: 101, failed: 40 })).toBe(0);
  });
});
