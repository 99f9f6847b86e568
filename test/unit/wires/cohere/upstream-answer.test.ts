// Cohere's answers, whole and streamed, and its refusals: each stream fixture whole, byte by byte and in sevens.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import { cohere } from "../../../../src/providers/cohere.ts";
import { createCohereDecoder } from "../../../../src/wires/cohere/upstream-stream.ts";
import { readCohereChat } from "../../../../src/wires/cohere/upstream-answer.ts";
import { fixtureBytes, fixtureJson, parseInPieces, SPLITS } from "../../../support/builders/wire-fixtures.ts";

const decode = (name: string, size: number): readonly ChatChunk[] =>
  parseInPieces(fixtureBytes(`cohere/${name}`), size).flatMap(createCohereDecoder());
const decodeData = (...data: readonly string[]): readonly ChatChunk[] =>
  data.map((text) => ({ event: "message", data: text })).flatMap(createCohereDecoder());

const ID = "c14c80c3-18eb-4519-9460-6c92edd8cfb4";
const START = { type: "start", id: ID };
const text = (said: string) => ({ type: "text", index: 0, text: said });
const thought = (said: string) => ({ type: "reasoning", index: 0, text: said });
const end = (reason: string, inputTokens: number, outputTokens: number, cached: object = {}) => [
  { type: "finish", index: 0, reason },
  { type: "usage", usage: { inputTokens, outputTokens, ...cached } },
  { type: "done" },
];
const call = (position: number, argumentsFragment: string, opening: object = {}) => ({
  type: "tool_call",
  index: 0,
  call: position,
  ...opening,
  argumentsFragment,
});
const CITATION = {
  url: "https://example.com/zurich",
  title: "Zürich",
  citedText: "About 450,000",
  startIndex: 7,
  endIndex: 21,
};
const LOGPROBS = [
  { token: "Hi", logprob: -0.5, top: [] },
  { token: " you", logprob: -0.5, top: [] },
];

const TEXT = [
  START,
  ...["Hello", " there", "! ", "👋🏽", " How can I help?"].map(text),
  ...end("stop", 19, 15, { cacheReadTokens: 16 }),
  { type: "done" },
];

const EXPECTED: Readonly<Record<string, readonly object[]>> = {
  "text.sse": TEXT,
  "text-crlf.sse": TEXT,
  "text-comments.sse": TEXT,
  "tools.sse": [
    START,
    thought("I will look"),
    thought(" both up."),
    call(0, "", { id: "get_weather_ck8eh1qmsz8h", name: "get_weather" }),
    call(0, '{"ci'),
    call(0, 'ty": "Zür'),
    call(0, 'ich"}'),
    call(1, "", { id: "get_time_b2", name: "get_time" }),
    call(1, '{"zone": "Euro'),
    call(1, 'pe/Zurich"}'),
    call(2, "", { id: "ping_c3", name: "ping" }),
    call(2, "{}"),
    ...end("tool_calls", 82, 49),
  ],
  "thinking.sse": [
    START,
    thought("Seventeen is"),
    thought(" odd."),
    text("It is"),
    text(" prime."),
    ...end("stop", 12, 40),
  ],
  "citations.sse": [
    START,
    text("It has "),
    text("450,000 people"),
    { type: "citation", index: 0, citation: CITATION },
    text("."),
    ...end("stop", 30, 9),
  ],
  "logprobs.sse": [
    START,
    ...LOGPROBS.flatMap((logprob) => [
      text(logprob.token),
      { type: "logprobs", index: 0, logprobs: [logprob] },
    ]),
    ...end("length", 3, 2),
  ],
  "stream-error.sse": [
    START,
    text("The first half"),
    { type: "error", errorType: "error" },
    { type: "done" },
  ],
  "cut.sse": [START, text("Half of a")],
};

describe.each(Object.entries(EXPECTED))("%s", (name, chunks) => {
  test.each(SPLITS)("in pieces of %i bytes", (size) => {
    expect(decode(name, size)).toEqual(chunks);
  });
});

describe("a stream's faults", () => {
  test.each(SPLITS)("an event whose JSON breaks off is malformed, in pieces of %i bytes too", (size) => {
    expect(() => decode("malformed.sse", size)).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });

  test("no events make it throw anything but upstream_malformed", () => {
    const type = fc.constantFrom(
      "message-start",
      "content-start",
      "content-delta",
      "tool-plan-delta",
      "tool-call-start",
      "tool-call-delta",
      "tool-call-end",
      "citation-start",
      "message-end",
    );
    const message = fc.record({
      content: fc.oneof(fc.record({ text: fc.jsonValue(), thinking: fc.jsonValue() }), fc.jsonValue()),
      tool_plan: fc.jsonValue(),
      tool_calls: fc.jsonValue(),
      citations: fc.oneof(fc.record({ sources: fc.jsonValue(), start: fc.jsonValue() }), fc.jsonValue()),
    });
    const delta = fc.record({ message: fc.oneof(message, fc.jsonValue()), usage: fc.jsonValue() });
    const event = fc.record({
      type,
      index: fc.jsonValue(),
      delta: fc.oneof(delta, fc.jsonValue()),
      logprobs: fc.jsonValue(),
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

describe("a whole answer", () => {
  const read = (name: string) => readCohereChat(fixtureJson(`cohere/${name}.json`));

  test("is text, reason and usage as billed", () => {
    expect(read("text")).toEqual({
      id: ID,
      choices: [{ index: 0, text: "Hello there! 👋🏽 How can I help?", toolCalls: [], finishReason: "stop" }],
      usage: { inputTokens: 19, outputTokens: 15, cacheReadTokens: 16 },
    });
  });

  test("keeps calls and their plan, thoughts, citations and log probabilities apart", () => {
    expect(read("tools").choices[0]).toMatchObject({
      text: "",
      reasoning: "I will look both up.",
      toolCalls: [
        { id: "get_weather_ck8eh1qmsz8h", name: "get_weather", argumentsJson: '{"city": "Zürich"}' },
        { name: "get_time" },
        { name: "ping", argumentsJson: "{}" },
      ],
      finishReason: "tool_calls",
    });
    expect(read("thinking").choices[0]).toMatchObject({
      text: "It is prime.",
      reasoning: "Seventeen is odd.",
    });
    expect(read("citations").choices[0]?.citations).toEqual([CITATION]);
    expect(read("logprobs").choices[0]).toMatchObject({ logprobs: LOGPROBS, finishReason: "length" });
  });

  test.each([null, [], {}, { message: "x" }])("%j is malformed", (body) => {
    expect(() => readCohereChat(body)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });

  test("that failed is the upstream's fault", () => {
    const body = { message: { role: "assistant" }, finish_reason: "ERROR" };
    expect(() => readCohereChat(body)).toThrow(expect.objectContaining({ code: "upstream_error" }));
  });
});

describe("a refusal", () => {
  const refuse = (status: number, name?: string) =>
    cohere.toError(
      status,
      new Headers(),
      name === undefined ? undefined : fixtureJson(`cohere/${name}.json`),
    );

  test.each([
    [400, "errors/400", "upstream_rejected"],
    [498, "errors/498", "upstream_rejected"],
    [401, "errors/401", "upstream_auth"],
    [402, undefined, "upstream_auth"],
    [429, "errors/429", "upstream_rate_limited"],
    [500, undefined, "upstream_error"],
    [503, undefined, "upstream_overloaded"],
  ] as const)("of %i (%s) is %s", (status, name, code) => {
    expect(refuse(status, name).code).toBe(code);
  });

  test("that is the caller's fault keeps the upstream's words", () => {
    expect(refuse(400, "errors/400").message).toContain("all elements in history");
    expect(refuse(498, "errors/498")).toMatchObject({
      status: 400,
      message: expect.stringContaining("blocked"),
    });
  });
});
