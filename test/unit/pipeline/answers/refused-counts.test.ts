// Counts of an upstream that can't be true: refused in each wire, estimated instead, and so never booked as they were said.
import { describe, expect, test } from "vitest";
import {
  countRelayed,
  countUsage,
  type AnswerSummary,
} from "../../../../src/pipeline/answers/answer-summary.ts";
import type { TokenUsage } from "../../../../src/schema/chat.ts";
import { readAnthropicUsage } from "../../../../src/wires/anthropic/upstream-answer.ts";
import { readCohereUsage } from "../../../../src/wires/cohere/upstream-answer.ts";
import { readConverseUsage } from "../../../../src/wires/converse/upstream-answer.ts";
import { readGeminiUsage } from "../../../../src/wires/gemini/upstream-answer.ts";
import { readChatUsage } from "../../../../src/wires/openai-chat/upstream-answer.ts";
import { parseJson } from "../../../../src/json/exact.ts";
import { fakeChat } from "../../../support/fakes/fake-tenant.ts";

const WRITTEN = 7;
const CHAT = fakeChat({ messages: [{ role: "user", content: "How are you today?" }] });

function answerWith(usage: TokenUsage | undefined): AnswerSummary {
  const rest = {
    finishReasons: ["stop"],
    hasToolCalls: false,
    isRefusal: false,
    writtenTokens: WRITTEN,
  } as const;
  return { ...rest, ...(usage !== undefined && { usage }) };
}

/** By wire: a usage with this as its count of the prompt, or of the answer. */
const WIRES: Readonly<Record<string, (input: unknown, output: unknown) => TokenUsage | undefined>> = {
  "openai-chat": (input, output) => readChatUsage({ prompt_tokens: input, completion_tokens: output }),
  anthropic: (input, output) => readAnthropicUsage({ input_tokens: input, output_tokens: output }),
  converse: (input, output) => readConverseUsage({ inputTokens: input, outputTokens: output }),
  gemini: (input, output) => readGeminiUsage({ promptTokenCount: input, candidatesTokenCount: output }),
  cohere: (input, output) =>
    readCohereUsage({ billed_units: { input_tokens: input, output_tokens: output } }),
};

const IMPOSSIBLE: readonly (readonly [string, unknown])[] = [
  ["negative", -5],
  ["a fraction", 12.5],
  ["a text", "12"],
  ["no number", "NaN"],
  ["an object", {}],
  ["huge", 1e12],
  ["beyond any double", parseJson("123456789012345678901234567890")],
];

describe.each(Object.keys(WIRES))("a count of %s", (wire) => {
  const read = WIRES[wire];
  test.each(IMPOSSIBLE)("that is %s is refused, of the prompt and of the answer", (_, count) => {
    for (const usage of [read?.(count, 20), read?.(20, count)]) {
      const counted = countUsage(CHAT, answerWith(usage), false);
      expect(counted).toMatchObject({ isEstimate: true, isRefused: true, usage: { outputTokens: WRITTEN } });
      expect(counted.usage.inputTokens).toBeGreaterThan(0);
      expect(counted.usage.inputTokens).toBeLessThan(20);
    }
  });

  test("that is large and possible, 0 or absent is the upstream's word", () => {
    expect(countUsage(CHAT, answerWith(read?.(10_000_000, 20)), false)).toMatchObject({ isEstimate: false });
    expect(countUsage(CHAT, answerWith(read?.(12, 0)), false)).toMatchObject({ isEstimate: false });
    const absent = countUsage(CHAT, answerWith(read?.(undefined, 20)), false);
    expect(absent).toMatchObject({ isEstimate: false, usage: { inputTokens: 0, outputTokens: 20 } });
  });
});

test("an image whose count is refused is billed by the piece, as an estimate", () => {
  const chat = { ...CHAT, media: { kind: "images", count: 1 } } as const;
  const counted = countRelayed(chat, answerWith({ inputTokens: 1e15, outputTokens: 0 }), false);
  expect(counted).toEqual({ usage: { inputTokens: 0, outputTokens: 0 }, isEstimate: true, isRefused: true });
});
