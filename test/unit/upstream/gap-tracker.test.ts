import { describe, expect, test } from "vitest";
import { trackGaps } from "../../../src/upstream/gap-tracker.ts";

/** A tracker that got bytes at each of these times. */
function trackedAt(...times: readonly number[]) {
  let at = 0;
  const tracker = trackGaps(() => at);
  for (const time of times) {
    at = time;
    tracker.onBytes();
  }
  return { tracker, at: (time: number) => (at = time) };
}

describe("the longest gap of a stream", () => {
  test("is the longest pause between bytes, and the first of two that are equal", () => {
    expect(trackedAt(100, 150, 450, 500, 800).tracker.longest()).toEqual({ sinceAt: 150, ms: 300 });
  });

  test("may be the one that lasts, until the stream is over", () => {
    const lasting = trackedAt(100, 200);
    lasting.at(1200);
    expect(lasting.tracker.longest()).toEqual({ sinceAt: 200, ms: 1000 });
    const over = trackedAt(100, 200);
    over.tracker.end();
    over.at(1200);
    expect(over.tracker.longest()).toEqual({ sinceAt: 100, ms: 100 });
  });

  test("is nothing before the first byte", () => {
    expect(trackedAt().tracker.longest()).toBeUndefined();
  });
});
