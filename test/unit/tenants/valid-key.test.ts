/** Whether a presented key is one of the tenant's, and a record's limits as its queue takes them. */
import { describe, expect, it } from "vitest";
import { toQueueLimits } from "../../../src/tenants/records/queue-limits.ts";
import { findValidKey } from "../../../src/tenants/valid-key.ts";

const NOW = Date.UTC(2026, 5, 1);
const KEY = { id: "key_1", name: "k", hash: "h1", createdAt: "2026-01-01T00:00:00.000Z" };

describe("a key", () => {
  it("is valid by its id and hash together", () => {
    expect(findValidKey([KEY], "key_1", "h1", NOW)).toBe(KEY);
    expect(findValidKey([KEY], "key_1", "h2", NOW)).toBeUndefined();
    expect(findValidKey([KEY], "key_2", "h1", NOW)).toBeUndefined();
  });

  it("ends at its expiry", () => {
    const key = { ...KEY, expiresAt: new Date(NOW).toISOString() };
    expect(findValidKey([key], "key_1", "h1", NOW - 1)).toBe(key);
    expect(findValidKey([key], "key_1", "h1", NOW)).toBeUndefined();
  });

  it("is valid by its hash before a rotation as long as the overlap lasts", () => {
    const key = { ...KEY, hash: "h2", previous: { hash: "h1", validUntil: NOW } };
    expect(findValidKey([key], "key_1", "h1", NOW - 1)).toBe(key);
    expect(findValidKey([key], "key_1", "h1", NOW)).toBeUndefined();
    expect(findValidKey([key], "key_1", "h2", NOW)).toBe(key);
  });
});

describe("a queue's limits", () => {
  it("are the record's, with the defaults for depth and wait", () => {
    expect(toQueueLimits({})).toEqual({ maxDepth: 100, maxWaitMs: 30_000 });
    expect(
      toQueueLimits({ requestsPerMinute: 60, burst: 5, maxBodyBytes: 9, queue: { maxDepth: 0 } }),
    ).toEqual({ requestsPerMinute: 60, burst: 5, maxDepth: 0, maxWaitMs: 30_000 });
  });
});
