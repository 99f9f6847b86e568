/** A record's limits as its queue takes them. */
import { describe, expect, it } from "vitest";
import { toQueueLimits } from "../../../../src/tenants/records/queue-limits.ts";

describe("a queue's limits", () => {
  it("are the record's, with the defaults for depth and wait", () => {
    expect(toQueueLimits({})).toEqual({ maxDepth: 100, maxWaitMs: 30_000 });
    expect(
      toQueueLimits({ requestsPerMinute: 60, burst: 5, maxBodyBytes: 9, queue: { maxDepth: 0 } }),
    ).toEqual({ requestsPerMinute: 60, burst: 5, maxDepth: 0, maxWaitMs: 30_000 });
  });
});
