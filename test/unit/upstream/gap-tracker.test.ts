import { describe, expect, test } from "vitest";
import { watchSilence } from "../../../src/upstream/gap-tracker.ts";

/** A watch that has heard something at each of these times. */
function heardAt(...times: readonly number[]) {
  let at = 0;
  const watch = watchSilence(() => at);
  for (const time of times) {
    at = time;
    watch.hear();
  }
  return { watch, at: (time: number) => (at = time) };
}

describe("the longest silence of a stream", () => {
  test("is the longest pause between bytes, and the first of two that are equal", () => {
    expect(heardAt(100, 150, 450, 500, 800).watch.longest()).toEqual({ sinceAt: 150, ms: 300 });
  });

  test("may be the one that lasts, until the stream is over", () => {
    const lasting = heardAt(100, 200);
    lasting.at(1200);
    expect(lasting.watch.longest()).toEqual({ sinceAt: 200, ms: 1000 });
    const over = heardAt(100, 200);
    over.watch.end();
    over.at(1200);
    expect(over.watch.longest()).toEqual({ sinceAt: 100, ms: 100 });
  });

  test("is nothing before the first byte", () => {
    expect(heardAt().watch.longest()).toBeUndefined();
  });
});
