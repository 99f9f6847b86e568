// The Messages stream, read into chunks: each fixture whole, byte by byte and in sevens.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import { createAnthropicDecoder } from "../../../../src/wires/anthropic/upstream-stream.ts";
import { fixtureBytes, parseInPieces, SPLITS } from "../../../support/builders/wire-fixtures.ts";

const START = {
  type: "start",
  id: "msg_01XFDUDYJgAACzvnptvVoYEL",
  model: "claude-sonnet-4-5-20250929",
} as const satisfies ChatChunk;

function decode(name: string, size: number): readonly ChatChunk[] {
  return parseInPieces(fixtureBytes(`anthropic/${name}`), size).flatMap(createAnthropicDecoder());
}

function decodeData(...data: readonly string[]): readonly ChatChunk[] {
  return data.map((text) => ({ event: "message", data: text })).flatMap(createAnthropicDecoder());
}

const text = (said: string) => ({ type: "text", index: 0, text: said });
const usage = (outputTokens: number, others: object = {}) => ({
  type: "usage",
  usage: { inputTokens: 2067, outputTokens, cacheReadTokens: 2048, cacheWriteTokens: 0, ...others },
});
const call = (position: number, argumentsFragment: string, opening: object = {}) => ({
  type: "tool_call",
  index: 0,
  call: position,
  ...opening,
  argumentsFragment,
});
const uncached = { inputTokens: 19, cacheReadTokens: 0 };

const TEXT = [
  START,
  usage(1),
  ...["Hello", " there", "! ", "👋🏽", " How can I help?"].map(text),
  { type: "finish", index: 0, reason: "stop" },
  usage(15),
  { type: "done" },
];

const EXPECTED: Readonly<Record<string, readonly object[]>> = {
  "text.sse": TEXT,
  "text-crlf.sse": TEXT,
  "text-comments.sse": TEXT,
  "tools.sse": [
    START,
    usage(1),
    text("I'll look both up."),
    call(0, "", { id: "toolu_01T1x1fJ34qAmk2tNTrN7Up6", name: "get_weather" }),
    call(0, '{"ci'),
    call(0, 'ty": "Zür'),
    call(0, 'ich"}'),
    call(1, "", { id: "toolu_01A09q90qw90lq917835lq9", name: "get_time" }),
    call(1, '{"zone": "Euro'),
    call(1, 'pe/Zurich"}'),
    call(2, "", { id: "toolu_01NRLabsLyVHZPKxbKvkfSMn", name: "ping" }),
    call(2, "{}"),
    { type: "finish", index: 0, reason: "tool_calls" },
    usage(89),
    { type: "done" },
  ],
  "thinking.sse": [
    START,
    usage(1, uncached),
    { type: "reasoning", index: 0, text: "Seventeen is" },
    { type: "reasoning", index: 0, text: " odd." },
    {
      type: "reasoning_signature",
      index: 0,
      signature: "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds",
    },
    { type: "encrypted_reasoning", index: 0, data: "EmwKAhgBEgy3va3pzix" },
    text("It is"),
    text(" prime."),
    { type: "finish", index: 0, reason: "stop", stopSequence: "END" },
    usage(40, { inputTokens: 119, cacheReadTokens: 0, cacheWriteTokens: 100, reasoningTokens: 32 }),
    { type: "done" },
  ],
  "citations.sse": [
    START,
    usage(1),
    text("It has "),
    text("450,000"),
    text(" people"),
    {
      type: "citation",
      index: 0,
      citation: {
        url: "https://example.com/zurich",
        title: "Zürich",
        citedText: "Zurich has about 450,000 people.",
        startIndex: 7,
        endIndex: 21,
      },
    },
    text("."),
    { type: "finish", index: 0, reason: "stop" },
    usage(20),
    { type: "done" },
  ],
  "refusal.sse": [
    START,
    usage(1),
    { type: "refusal", index: 0, text: "This request can't be answered." },
    { type: "finish", index: 0, reason: "content_filter" },
    usage(3),
    { type: "done" },
  ],
  "stream-error.sse": [
    START,
    usage(1),
    text("The first half"),
    { type: "error", errorType: "overloaded_error" },
  ],
  "cut.sse": [START, usage(1), text("Half of a")],
  "unknown.sse": [
    START,
    usage(1),
    text("Hi"),
    { type: "finish", index: 0, reason: "length" },
    usage(2),
    { type: "done" },
  ],
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

  test.each(["{", "5", "[]", "null", '"x"', "<html>"])("%j is malformed, and not quoted", (data) => {
    expect(() => decodeData(data)).toThrow(
      expect.objectContaining({
        code: "upstream_malformed",
        message: expect.stringMatching(/^The upstream sent a stream event/),
      }),
    );
  });

  test.each([
    ['{"type":"error","error":{"type":"api_error","message":"m"}}', "api_error"],
    ['{"type":"error","error":{"type":"a whole sentence, with the prompt in it"}}', "error"],
    ['{"type":"error"}', "error"],
  ])("%s is an error of class %s", (data, errorType) => {
    expect(decodeData(data)).toEqual([{ type: "error", errorType }]);
  });

  test("no events make it throw anything but upstream_malformed", () => {
    const type = fc.constantFrom(
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_delta",
      "message_stop",
      "error",
    );
    const delta = fc.record({
      type: fc.constantFrom("text_delta", "input_json_delta", "thinking_delta", "citations_delta"),
      text: fc.jsonValue(),
      partial_json: fc.jsonValue(),
      citation: fc.jsonValue(),
      thinking: fc.jsonValue(),
      stop_reason: fc.jsonValue(),
    });
    const block = fc.record({
      type: fc.constantFrom("text", "tool_use", "thinking", "redacted_thinking"),
      text: fc.jsonValue(),
      input: fc.jsonValue(),
      citations: fc.jsonValue(),
    });
    const event = fc.record({
      type,
      index: fc.oneof(fc.nat(3), fc.jsonValue()),
      delta: fc.oneof(delta, fc.jsonValue()),
      content_block: fc.oneof(block, fc.jsonValue()),
      message: fc.jsonValue(),
      usage: fc.jsonValue(),
    });
    const data = fc.oneof(
      fc.string(),
      fc.json(),
      event.map((body) => JSON.stringify(body)),
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

test("a tool whose input comes whole with its block is one fragment", () => {
  const block = { type: "tool_use", id: "t", name: "f", input: { a: 1 } };
  expect(
    decodeData(
      JSON.stringify({ type: "content_block_start", index: 0, content_block: block }),
      JSON.stringify({ type: "content_block_stop", index: 0 }),
    ),
  ).toEqual([call(0, '{"a":1}', { id: "t", name: "f" })]);
});
