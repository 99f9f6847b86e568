/** Close codes and reasons of WebSockets, and what a session's end is taken for. */
import { describe, expect, it, test } from "vitest";
import { classifySessionEnd } from "../../../src/pipeline/answers/session.ts";
import { fitReason, isOrderly, isSendable } from "../../../src/upstream/socket-close.ts";
import { GatewayError } from "../../../src/errors.ts";

test.each([
  [1000, true],
  [1001, true],
  [1011, true],
  [3000, true],
  [4999, true],
  [999, false],
  [1004, false],
  [1005, false],
  [1006, false],
  [1015, false],
  [5000, false],
])("the code %d may be sent on: %s", (code, sendable) => {
  expect(isSendable(code)).toBe(sendable);
});

test("an upstream closes in order with 1000, 1001 or without a code", () => {
  expect([1000, 1001, 1005, 1006, 1011, 4000].filter(isOrderly)).toEqual([1000, 1001, 1005]);
});

test("a reason is cut to the bytes of a close frame, between characters", () => {
  expect(fitReason("bye")).toBe("bye");
  expect(fitReason("x".repeat(200))).toHaveLength(123);
  const fit = fitReason("🚀".repeat(50));
  expect(fit).toBe("🚀".repeat(30));
});

describe("a session's end", () => {
  const end = { upstreamFrames: 0, clientFrames: 0, closedAt: 0 };

  it.each([
    ["client", 1000, "complete", undefined],
    ["client", 4000, "complete", undefined],
    ["client", 1005, "complete", undefined],
    ["client", 1006, "client_disconnected", "client_disconnected"],
    ["upstream", 1000, "complete", undefined],
    ["upstream", 1001, "complete", undefined],
    ["upstream", 1006, "cut", "upstream_error"],
    ["upstream", 1011, "upstream_error", "upstream_error"],
    ["upstream", 4000, "upstream_error", "upstream_error"],
  ] as const)("by the %s with %d is %s (%s)", (closedBy, closeCode, outcome, code) => {
    const verdict = classifySessionEnd({ ...end, closedBy, closeCode }, "up");
    expect([verdict.outcome, verdict.error?.code]).toEqual([outcome, code]);
  });

  it("by the gateway is what the gateway says", () => {
    const stopped = new GatewayError("permission_denied", "switched off");
    const verdict = classifySessionEnd({ ...end, closedBy: "gateway", closeCode: 1008, stopped }, "up");
    expect(verdict).toEqual({ outcome: "cut", error: stopped });
  });
});
