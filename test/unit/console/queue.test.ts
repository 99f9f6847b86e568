import { expect, test } from "vitest";
import { limitBars, queueSentence, spentTexts } from "../../../src/console/model/queue-view.ts";
import { snippetsFor } from "../../../src/console/model/snippets.ts";
import type { ListedRequest, QueueSnapshot } from "../../../src/limits/protocol.ts";

const listed = (keyId: string, index: number): ListedRequest => ({
  requestId: `req_${index}`,
  traceId: "a".repeat(32),
  keyId,
  lane: "interactive",
  waitedMs: 10,
});

const IDLE: QueueSnapshot = {
  depth: 0,
  leases: 0,
  batched: 0,
  oldestWaitMs: 0,
  waiting: [],
  holding: [],
  limits: {},
  spentUsd: { day: 0, week: 0.5, month: 3.1, reserved: 0.002 },
};
const nameOf = (keyId: string): string => ({ k1: "nightly-eval", k2: "web app" })[keyId] ?? keyId;

test("the sentence of a queue: idle, at work, waiting behind a key, drained", () => {
  expect(queueSentence(IDLE, nameOf)).toBe("Nothing is under way, and none waits.");
  expect(queueSentence({ ...IDLE, leases: 1, holding: [listed("k2", 1)] }, nameOf)).toBe(
    "1 request is under way, and none waits.",
  );
  const busy = {
    ...IDLE,
    depth: 2,
    leases: 3,
    waiting: [listed("k2", 1), listed("k2", 2)],
    holding: [listed("k1", 3), listed("k1", 4), listed("k2", 5)],
  };
  expect(queueSentence(busy, nameOf)).toBe(
    "2 requests wait; 3 requests are under way. The key nightly-eval holds 2 of 3 slots. 2 of those that wait are of web app.",
  );
  expect(queueSentence({ ...busy, orders: { drained: { untilAt: 1 } } }, nameOf)).toMatch(/^Drained/);
});

test("a limit is a bar of what is in use, full where nothing is left", () => {
  const limits = {
    concurrency: { limit: 4, remaining: 0, resetMs: 0 },
    requestsPerMinute: { limit: 600, remaining: 388, resetMs: 200 },
  };
  expect(limitBars({ ...IDLE, limits })).toEqual([
    { name: "At a time", text: "4 of 4", percent: 100, below: undefined },
    {
      name: "Requests a minute",
      text: "212 of 600",
      percent: (100 * 212) / 600,
      below: "free again in 200 ms",
    },
  ]);
});

test("what was spent is in dollars", () => {
  expect(spentTexts(IDLE).map(([, text]) => text)).toEqual(["$0", "$0.5000", "$3.10", "$0.0020"]);
});

test("each snippet names the gateway and the key", () => {
  const snippets = snippetsFor({ origin: "https://gw.example", key: "hg_x", model: "chat-fast" });
  expect(snippets.length).toBeGreaterThanOrEqual(5);
  for (const { text } of snippets) {
    expect(text).toContain("https://gw.example");
    expect(text).toContain("hg_x");
  }
});
