// Gemini's stream, read into chunks: each fixture whole, byte by byte and in sevens.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import { createGeminiDecoder } from "../../../../src/wires/gemini/upstream-stream.ts";
import { fixtureBytes, parseInPieces, SPLITS } from "../../../support/builders/wire-fixtures.ts";

const START = {
  type: "start",
  id: "mAitaLmkHPPlz7IPvtfUqQ4",
  model: "gemini-2.5-flash",
} as const satisfies ChatChunk;

function decode(name: string, size: number): readonly ChatChunk[] {
  return parseInPieces(fixtureBytes(`gemini/${name}`), size).flatMap(createGeminiDecoder());
}

function decodeData(...data: readonly string[]): readonly ChatChunk[] {
  return data.map((text) => ({ event: "message", data: text })).flatMap(createGeminiDecoder());
}

const text = (said: string, index = 0) => ({ type: "text", index, text: said });
const usage = (inputTokens: number, outputTokens: number, more: object = {}) => ({
  type: "usage",
  usage: { inputTokens, outputTokens, ...more },
});

const TEXT = [
  START,
  text("Hello"),
  usage(19, 1),
  text(" there! 👋🏽"),
  usage(19, 5),
  text(" How can I help?"),
  { type: "finish", index: 0, reason: "stop" },
  usage(19, 10, { cacheReadTokens: 16 }),
];
const SOURCE = { url: "https://example.ch/zuerich", title: "example.ch" };

const EXPECTED: Readonly<Record<string, readonly object[]>> = {
  "text.sse": TEXT,
  "text-lf.sse": TEXT,
  "text-comments.sse": TEXT,
  "tools.sse": [
    START,
    {
      type: "tool_call",
      index: 0,
      call: 0,
      id: "call_mAitaLmkHPPlz7IPvtfUqQ4_0_0",
      name: "get_weather",
      argumentsFragment: '{"city":"Zürich"}',
      signature: "gemini:CiQB0e2Kb8mT",
    },
    usage(82, 49, { reasoningTokens: 37 }),
    {
      type: "tool_call",
      index: 0,
      call: 1,
      id: "call_mAitaLmkHPPlz7IPvtfUqQ4_0_1",
      name: "get_time",
      argumentsFragment: '{"zone":"Europe/Zurich"}',
    },
    usage(82, 61, { reasoningTokens: 37 }),
    { type: "finish", index: 0, reason: "tool_calls" },
    usage(82, 61, { reasoningTokens: 37 }),
  ],
  "thinking.sse": [
    START,
    { type: "reasoning", index: 0, text: "Seventeen is" },
    usage(12, 10, { reasoningTokens: 10 }),
    { type: "reasoning", index: 0, text: " odd." },
    usage(12, 32, { reasoningTokens: 32 }),
    text("It is"),
    usage(12, 34, { reasoningTokens: 32 }),
    text(" prime."),
    { type: "reasoning_signature", index: 0, signature: "gemini:EpwCCpkC9mZ0==" },
    { type: "finish", index: 0, reason: "stop" },
    usage(12, 40, { reasoningTokens: 32 }),
  ],
  "grounded.sse": [
    START,
    text("Zürich liegt auf 408 m."),
    usage(9, 6),
    text(" Am Zürichsee."),
    { type: "citation", index: 0, citation: { ...SOURCE, startIndex: 0, endIndex: 23 } },
    { type: "citation", index: 0, citation: { ...SOURCE, startIndex: 24, endIndex: 37 } },
    {
      type: "citation",
      index: 0,
      citation: { url: "https://example.org/alps", title: "example.org", startIndex: 24, endIndex: 37 },
    },
    { type: "finish", index: 0, reason: "stop" },
    usage(49, 12, { webSearches: 1 }),
  ],
  "two-candidates.sse": [
    START,
    text("Heads", 1),
    text("Tails"),
    usage(5, 2),
    { type: "finish", index: 1, reason: "stop" },
    { type: "finish", index: 0, reason: "length" },
    usage(5, 2),
  ],
  "blocked.sse": [START, { type: "finish", index: 0, reason: "content_filter" }, usage(7, 0)],
  "safety.sse": [
    START,
    text("First you"),
    usage(7, 2),
    { type: "finish", index: 0, reason: "content_filter" },
    usage(7, 2),
  ],
  "stream-error.sse": [
    START,
    text("The first half"),
    usage(7, 3),
    { type: "error", errorType: "UNAVAILABLE" },
  ],
  "cut.sse": [START, text("Half of a"), usage(7, 3)],
};

describe.each(Object.entries(EXPECTED))("%s", (name, chunks) => {
  test.each(SPLITS)("in pieces of %i bytes", (size) => {
    expect(decode(name, size)).toEqual(chunks);
  });
});

describe("faults", () => {
  test.each(SPLITS)("an event whose JSON breaks off is malformed, in pieces of %i bytes too", (size) => {
    expect(() => decode("malformed.sse", size)).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });

  test.each(["{", "5", "[]", "null", '"x"', '{"candidates":{}}', '{"candidates":[1]}', "<html>"])(
    "%j is malformed, and the fault doesn't quote it",
    (data) => {
      expect(() => decodeData(data)).toThrow(
        expect.objectContaining({
          code: "upstream_malformed",
          message: expect.stringMatching(/^The upstream sent a stream event/),
        }),
      );
    },
  );

  test.each([
    ['{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}', "RESOURCE_EXHAUSTED"],
    ['{"error":{"code":500,"message":"m"}}', "500"],
    ['{"error":{"status":"a whole sentence, with the prompt in it"}}', "error"],
    ['{"error":"overloaded"}', "error"],
  ])("%s is an error of class %s", (data, errorType) => {
    expect(decodeData(data)).toEqual([{ type: "error", errorType }]);
  });

  test("no event makes it throw anything but upstream_malformed", () => {
    const part = fc.dictionary(
      fc.constantFrom("text", "thought", "functionCall", "thoughtSignature", "inlineData"),
      fc.jsonValue(),
    );
    const candidate = fc.record({
      index: fc.jsonValue(),
      content: fc.oneof(fc.record({ parts: fc.array(fc.oneof(part, fc.jsonValue())) }), fc.jsonValue()),
      finishReason: fc.jsonValue(),
      groundingMetadata: fc.record({
        groundingChunks: fc.jsonValue(),
        groundingSupports: fc.array(
          fc.record({ segment: fc.jsonValue(), groundingChunkIndices: fc.jsonValue() }),
        ),
      }),
      logprobsResult: fc.jsonValue(),
    });
    const body = fc.record({
      candidates: fc.array(fc.oneof(candidate, fc.jsonValue())),
      usageMetadata: fc.jsonValue(),
      promptFeedback: fc.jsonValue(),
    });
    const data = fc.oneof(
      fc.string(),
      fc.json(),
      body.map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(fc.array(data), (events) => {
        try {
          expect(Array.isArray(decodeData(...events))).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "upstream_malformed" });
        }
      }),
    );
  });
});

test("sources that are repeated as they grow are listed once", () => {
  const event = (chunks: number) =>
    JSON.stringify({
      candidates: [
        {
          groundingMetadata: {
            groundingChunks: Array.from({ length: chunks }, (_, at) => ({
              web: { uri: `https://example.com/${at}` },
            })),
          },
        },
      ],
    });
  expect(decodeData(event(1), event(2), event(2))).toEqual([
    { type: "citation", index: 0, citation: { url: "https://example.com/0" } },
    { type: "citation", index: 0, citation: { url: "https://example.com/1" } },
  ]);
});
