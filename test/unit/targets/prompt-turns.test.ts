// Why a conversation got less from the vendor's prompt cache: each cause, their order, and what holds for any two answers.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { lifeOf, promptCacheOf } from "../../../src/targets/prompt-caches.ts";
import {
  countSameParts,
  type EarlierTurn,
  explainCacheFall,
  type PromptUse,
} from "../../../src/targets/prompt-turns.ts";

const MINUTE = 60_000;
const CLAUDE = promptCacheOf("anthropic", "claude-sonnet-4-5");
const GPT = promptCacheOf("openai", "gpt-5.5");

const EARLIER: EarlierTurn = {
  target: "a/m",
  inputTokens: 10_000,
  heldTokens: 9000,
  isLong: false,
  agoMs: MINUTE,
  parts: 6,
  sameParts: 6,
};
const NOW: PromptUse = { target: "a/m", inputTokens: 11_000, readTokens: 0 };

describe("a fall's cause", () => {
  const explain = (earlier: Partial<EarlierTurn>, now: Partial<PromptUse> = {}, cache = CLAUDE) =>
    explainCacheFall({ ...EARLIER, ...earlier }, { ...NOW, ...now }, cache)?.cause;

  test.each([
    ["another target answered", explain({}, { target: "b/m" }), "target_changed"],
    ["the prompt begins otherwise", explain({ sameParts: 2 }), "prefix_changed"],
    ["the pause was longer than Anthropic's five minutes", explain({ agoMs: 5 * MINUTE + 1 }), "expired"],
    ["the prompt is too short for the model", explain({}, { inputTokens: 1023 }), "below_minimum"],
    ["nothing of all that", explain({}), "unknown"],
    [
      "after its life no other cause matters",
      explain({ agoMs: 6 * MINUTE, sameParts: 0 }, { target: "b/m" }),
      "expired",
    ],
    ["the client had asked for an hour", explain({ agoMs: 6 * MINUTE, isLong: true }), "unknown"],
    ["and more than an hour has passed", explain({ agoMs: 61 * MINUTE, isLong: true }), "expired"],
    [
      "a changed prefix is certain, OpenAI's ten minutes are not",
      explain({ agoMs: 11 * MINUTE, sameParts: 5 }, {}, GPT),
      "prefix_changed",
    ],
    ["ten minutes, where nothing else changed", explain({ agoMs: 11 * MINUTE }, {}, GPT), "expired"],
    [
      "a vendor whose cache is not known",
      explainCacheFall({ ...EARLIER, agoMs: 1e9 }, NOW, undefined)?.cause,
      "unknown",
    ],
  ])("%s: %s", (_, cause, expected) => {
    expect(cause).toBe(expected);
  });

  test("a few tokens less are a vendor's rounding", () => {
    expect(explain({}, { readTokens: 8960 })).toBeUndefined();
    expect(explain({}, { readTokens: 8000 })).toBe("unknown");
  });
});

const count = fc.nat(200_000);
const earlierTurn: fc.Arbitrary<EarlierTurn> = fc
  .record({
    target: fc.constantFrom("a/m", "b/m"),
    inputTokens: count,
    heldTokens: count,
    isLong: fc.boolean(),
    agoMs: fc.nat(200 * 3_600_000),
    parts: fc.nat(20),
    sameParts: fc.nat(20),
  })
  .map((turn) => ({ ...turn, sameParts: Math.min(turn.parts, turn.sameParts) }));
const use = fc
  .record({ target: fc.constantFrom("a/m", "b/m"), inputTokens: count, readTokens: count })
  .map((one) => ({ ...one, readTokens: Math.min(one.inputTokens, one.readTokens) }));
const cacheOfAny = fc.constantFrom(CLAUDE, GPT, undefined);

describe("any two answers", () => {
  test("lost tokens were held before, and are new ones now", () => {
    fc.assert(
      fc.property(earlierTurn, use, cacheOfAny, (earlier, now, cache) => {
        const fall = explainCacheFall(earlier, now, cache);
        if (fall === undefined) return;
        expect(fall.lostTokens).toBeGreaterThan(0);
        expect(fall.lostTokens).toBeLessThanOrEqual(earlier.heldTokens - now.readTokens);
        expect(fall.lostTokens).toBeLessThanOrEqual(now.inputTokens - now.readTokens);
      }),
    );
  });

  test("nothing fell where the cache gave all it held", () => {
    fc.assert(
      fc.property(earlierTurn, use, cacheOfAny, (earlier, now, cache) => {
        const held = Math.min(earlier.heldTokens, now.readTokens);
        expect(explainCacheFall({ ...earlier, heldTokens: held }, now, cache)).toBeUndefined();
      }),
    );
  });

  test("a cause is only named where it is so", () => {
    fc.assert(
      fc.property(earlierTurn, use, cacheOfAny, (earlier, now, cache) => {
        const cause = explainCacheFall(earlier, now, cache)?.cause;
        if (cause === "target_changed") expect(now.target).not.toBe(earlier.target);
        if (cause === "prefix_changed") expect(earlier.sameParts).toBeLessThan(earlier.parts);
        if (cause === "expired") {
          expect(cache && earlier.agoMs > lifeOf(cache, earlier.isLong).usualMs).toBe(true);
        }
        if (cause === "below_minimum") expect(now.inputTokens).toBeLessThan(cache?.minTokens ?? 0);
      }),
    );
  });
});

describe("equal first parts", () => {
  test("are counted up to the first difference, or the shorter prompt's end", () => {
    const digests = fc.array(fc.nat(3), { maxLength: 12 });
    fc.assert(
      fc.property(digests, digests, (before, after) => {
        const same = countSameParts(Uint32Array.from(before), Uint32Array.from(after));
        expect(before.slice(0, same)).toEqual(after.slice(0, same));
        if (same < Math.min(before.length, after.length)) expect(before[same]).not.toBe(after[same]);
        else expect(same).toBe(Math.min(before.length, after.length));
      }),
    );
  });
});

describe("what vendors keep", () => {
  test.each([
    ["anthropic", "claude-opus-4-5-20251101", 4096],
    ["bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", 4096],
    ["vertex", "claude-3-5-haiku@20241022", 2048],
    ["anthropic", "claude-sonnet-4-5", 1024],
    ["openrouter", "anthropic/claude-opus-4.6", 4096],
    ["bedrock", "amazon.nova-pro-v1:0", 1000],
    ["bedrock", "meta.llama3-70b-instruct-v1:0", undefined],
    ["openai", "gpt-4o-mini", 1024],
    ["deepseek", "deepseek-chat", 64],
    ["openai-compatible", "llama", undefined],
    ["toString", "m", undefined],
  ])("%s, %s: from %s tokens on", (kind, model, minTokens) => {
    expect(promptCacheOf(kind, model)?.minTokens).toBe(minTokens);
  });
});
