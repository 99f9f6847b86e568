// How long a session stays with its target: an hour by the route's record, else as long as the vendor's prompt cache may live.
import { describe, expect, test } from "vitest";
import { createSessions, type StickySession } from "../../../src/targets/sessions.ts";

const MINUTE = 60_000;
const CLAUDE = { label: "a/claude-sonnet-4-5", model: "claude-sonnet-4-5", kind: "anthropic" };
const OWN = { label: "a/llama", model: "llama", kind: "openai-compatible" };

describe("a session's target", () => {
  const cases: readonly (readonly [string, StickySession, typeof CLAUDE, number, number])[] = [
    ["by the record", { id: "s" }, OWN, 60 * MINUTE, 60 * MINUTE + 1],
    ["Anthropic's five minutes", { id: "s", cache: { isLong: false } }, CLAUDE, 5 * MINUTE, 5 * MINUTE + 1],
    [
      "Anthropic's hour, asked for",
      { id: "s", cache: { isLong: true } },
      CLAUDE,
      60 * MINUTE,
      60 * MINUTE + 1,
    ],
    ["no known cache", { id: "s", cache: { isLong: false } }, OWN, 0, 1],
  ];
  test.each(cases)("%s", (_, session, target, heldMs, goneMs) => {
    const sessions = createSessions();
    sessions.note("r", session, target, 1000);
    expect(sessions.of("r", "s", 1000 + heldMs)).toBe(target.label);
    expect(sessions.of("r", "s", 1000 + goneMs)).toBeUndefined();
    expect(sessions.of("r", "other", 1000)).toBeUndefined();
  });
});
