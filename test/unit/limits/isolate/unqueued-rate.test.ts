import { describe, expect, test } from "vitest";
import {
  createUnqueuedRate,
  unqueuedPerMinute,
  type UnqueuedTurn,
} from "../../../../src/limits/isolate/unqueued-rate.ts";

const NOW = 1_000_000;
const PER_MINUTE = 600;
const BURST = 100;

describe("the rate of requests that are answered without the queue", () => {
  test("lets a burst through, then one each hundred milliseconds, and names the time until then exactly", () => {
    const rate = createUnqueuedRate();
    const ask = (now: number): number => rate.take({}, "key", PER_MINUTE, now);
    for (let n = 0; n < BURST; n += 1) expect(ask(NOW)).toBe(0);
    expect(ask(NOW)).toBe(100);
    expect(ask(NOW + 99)).toBe(1);
    expect(ask(NOW + 100)).toBe(0);
    expect(ask(NOW + 100)).toBe(100);
  });

  test("is each key's own", () => {
    const rate = createUnqueuedRate();
    for (let n = 0; n <= BURST; n += 1) rate.take({}, "key", PER_MINUTE, NOW);
    expect(rate.take({}, "other", PER_MINUTE, NOW)).toBe(0);
  });

  test("gives back what goes to the queue, once for each request", () => {
    const rate = createUnqueuedRate();
    for (let n = 0; n < 10 * BURST; n += 1) {
      const turn: UnqueuedTurn = {};
      expect(rate.take(turn, "key", PER_MINUTE, NOW)).toBe(0);
      rate.giveBack(turn, NOW);
    }
    const turn: UnqueuedTurn = {};
    for (let n = 0; n < BURST; n += 1) rate.take(turn, "key", PER_MINUTE, NOW);
    for (let n = 0; n < 3; n += 1) rate.giveBack(turn, NOW);
    expect(rate.take({}, "key", PER_MINUTE, NOW)).toBe(0);
    expect(rate.take({}, "key", PER_MINUTE, NOW)).toBe(100);
  });

  test("is as the records say, else ten times the requests of key or tenant, at least 600, else without bound", () => {
    expect(unqueuedPerMinute({})).toBe(Infinity);
    expect(unqueuedPerMinute({ requestsPerMinute: 1 })).toBe(600);
    expect(unqueuedPerMinute({ requestsPerMinute: 600 }, { requestsPerMinute: 200 })).toBe(2000);
    expect(unqueuedPerMinute({ unqueuedRequestsPerMinute: 5 }, { requestsPerMinute: 200 })).toBe(5);
    expect(unqueuedPerMinute({ unqueuedRequestsPerMinute: 5 }, { unqueuedRequestsPerMinute: 7 })).toBe(7);
  });
});
