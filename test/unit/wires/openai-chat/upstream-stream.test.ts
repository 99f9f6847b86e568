// The OpenAI chat stream, read into chunks: each fixture whole, byte by byte and in sevens.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import { createOpenAiDecoder } from "../../../../src/wires/openai-chat/upstream-stream.ts";
import { fixtureBytes, parseInPieces, SPLITS } from "../../../support/builders/wire-fixtures.ts";

const START = {
  type: "start",
  id: "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
  model: "gpt-4o-mini-2024-07-18",
} as const satisfies ChatChunk;

function decode(name: string, size: number): readonly ChatChunk[] {
  const decoder = createOpenAiDecoder();
  return parseInPieces(fixtureBytes(`openai/${name}`), size).flatMap(decoder);
}

function decodeData(...data: readonly string[]): readonly ChatChunk[] {
  return data.map((text) => ({ event: "message", data: text })).flatMap(createOpenAiDecoder());
}

const TEXT: readonly ChatChunk[] = [
  START,
  ...["Hello", " there", "! ", "👋🏽", " How", " can", " I", " help", "?"].map((text): ChatChunk => ({
    type: "text",
    index: 0,
    text,
  })),
  { type: "finish", index: 0, reason: "stop" },
  { type: "usage", usage: { inputTokens: 19, outputTokens: 10, cacheReadTokens: 16, reasoningTokens: 0 } },
  { type: "done" },
];

const call = (position: number, argumentsFragment: string, opening: object = {}) => ({
  type: "tool_call",
  index: 0,
  call: position,
  ...opening,
  argumentsFragment,
});

const EXPECTED: Readonly<Record<string, readonly object[]>> = {
  "text.sse": TEXT,
  "text-crlf.sse": TEXT,
  "text-comments.sse": TEXT,
  "tools.sse": [
    START,
    call(0, "", { id: "call_8dS2Vm6bWpJ4oUqXq0Yv3zkT", name: "get_weather" }),
    call(0, '{"ci'),
    call(0, 'ty": "Zürich"}'),
    call(1, "", { id: "call_Lr5Q0f8hN2eGxM1cTg7aKwVd", name: "get_time" }),
    call(1, '{"zone": "Euro'),
    call(1, 'pe/Zurich"}'),
    { type: "finish", index: 0, reason: "tool_calls" },
    { type: "usage", usage: { inputTokens: 82, outputTokens: 49, cacheReadTokens: 0, reasoningTokens: 0 } },
    { type: "done" },
  ],
  "refusal.sse": [
    START,
    { type: "refusal", index: 0, text: "I'm" },
    { type: "refusal", index: 0, text: " sorry" },
    { type: "refusal", index: 0, text: ", I can't help with that." },
    { type: "finish", index: 0, reason: "stop" },
    { type: "usage", usage: { inputTokens: 81, outputTokens: 11 } },
    { type: "done" },
  ],
  "reasoning.sse": [
    START,
    { type: "reasoning", index: 0, text: "Seventeen is" },
    { type: "reasoning", index: 0, text: " odd." },
    { type: "text", index: 0, text: "It is" },
    { type: "text", index: 0, text: " prime." },
    { type: "finish", index: 0, reason: "stop" },
    { type: "usage", usage: { inputTokens: 12, outputTokens: 40, cacheReadTokens: 0, reasoningTokens: 32 } },
    { type: "done" },
  ],
  "two-choices.sse": [
    START,
    { type: "text", index: 1, text: "Heads" },
    { type: "text", index: 0, text: "Tails" },
    { type: "finish", index: 1, reason: "stop" },
    { type: "finish", index: 0, reason: "length" },
    { type: "done" },
  ],
  "azure.sse": [
    START,
    { type: "text", index: 0, text: "Grüezi" },
    { type: "finish", index: 0, reason: "content_filter" },
    { type: "done" },
  ],
  "stream-error.sse": [
    START,
    { type: "text", index: 0, text: "The first half" },
    { type: "error", errorType: "server_error" },
  ],
  "cut.sse": [START, { type: "text", index: 0, text: "Half of a" }],
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

  test.each(["{", "5", "[]", "null", '"x"', '{"choices":{}}', '{"choices":[1]}', "<html>"])(
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
    ['{"error":{"message":"m","type":"server_error","code":"x"}}', "server_error"],
    ['{"error":{"message":"m","code":"rate_limit_exceeded"}}', "rate_limit_exceeded"],
    ['{"error":{"message":"m","code":502}}', "502"],
    ['{"error":{"type":"a whole sentence, with the prompt in it"}}', "error"],
    ['{"error":"overloaded"}', "error"],
  ])("%s is an error of class %s", (data, errorType) => {
    expect(decodeData(data)).toEqual([{ type: "error", errorType }]);
  });

  test("an event named error is one whatever its data", () => {
    const decoder = createOpenAiDecoder();
    expect(decoder({ event: "error", data: '{"message":"m","type":"overloaded_error"}' })).toEqual([
      { type: "error", errorType: "overloaded_error" },
    ]);
  });

  test("no event makes it throw anything but upstream_malformed", () => {
    const delta = fc.dictionary(
      fc.constantFrom("content", "tool_calls", "refusal", "reasoning"),
      fc.jsonValue(),
    );
    const choice = fc.record({
      index: fc.jsonValue(),
      delta: fc.oneof(delta, fc.jsonValue()),
      finish_reason: fc.jsonValue(),
    });
    const chunk = fc.record({ choices: fc.array(fc.oneof(choice, fc.jsonValue())), usage: fc.jsonValue() });
    const data = fc.oneof(
      fc.string(),
      fc.json(),
      chunk.map((body) => JSON.stringify(body)),
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

describe("what vendors vary", () => {
  test("an empty event is a keep-alive", () => {
    expect(decodeData("")).toEqual([]);
  });

  test("a missing index is the place in the list", () => {
    const toolCalls = [
      { id: "a", function: { name: "f" } },
      { id: "b", function: { name: "g" } },
    ];
    expect(
      decodeData(JSON.stringify({ choices: [{ delta: { content: "x", tool_calls: toolCalls } }] })),
    ).toEqual([
      { type: "text", index: 0, text: "x" },
      { type: "tool_call", index: 0, call: 0, id: "a", name: "f", argumentsFragment: "" },
      { type: "tool_call", index: 0, call: 1, id: "b", name: "g", argumentsFragment: "" },
    ]);
  });

  test("usage on every chunk is given every time", () => {
    const chunk = JSON.stringify({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } });
    expect(decodeData(chunk, chunk).map(({ type }) => type)).toEqual(["usage", "usage"]);
  });

  test("one decoder starts once, each decoder for itself", () => {
    const chunk = JSON.stringify({ id: "a", choices: [] });
    expect(decodeData(chunk, chunk)).toEqual([{ type: "start", id: "a" }]);
    expect(decodeData(chunk)).toEqual([{ type: "start", id: "a" }]);
  });
});
