// The Responses wire as upstreams speak it, read into our words: whole answers and streams, each fixture whole, byte by byte and in
// sevens.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import {
  createResponsesDecoder,
  readResponse,
  toResponsesNames,
} from "../../../../src/wires/openai-responses/upstream-wire.ts";
import { fixtureBytes, fixtureJson, parseInPieces, SPLITS } from "../../../support/builders/wire-fixtures.ts";

const START = {
  type: "start",
  id: "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
  model: "gpt-5-mini-2025-08-07",
} as const satisfies ChatChunk;
const text = (...texts: readonly string[]): readonly object[] =>
  texts.map((part) => ({ type: "text", index: 0, text: part }));
const finish = (reason: string): object => ({ type: "finish", index: 0, reason });
const usage = (
  inputTokens: number,
  outputTokens: number,
  cacheReadTokens = 0,
  reasoningTokens = 0,
  tools: object = {},
): object => ({
  type: "usage",
  usage: { inputTokens, outputTokens, cacheReadTokens, reasoningTokens, ...tools },
});
const call = (position: number, argumentsFragment: string, opening: object = {}): object => ({
  type: "tool_call",
  index: 0,
  call: position,
  ...opening,
  argumentsFragment,
});
const DONE = { type: "done" };

const GREETING = [
  START,
  ...text("Grüezi", " mit", "enand ", "👋🏽", "!"),
  finish("stop"),
  usage(36, 11, 16),
  DONE,
];
const EXPECTED: Readonly<Record<string, readonly object[]>> = {
  "text.sse": GREETING,
  "text-crlf.sse": GREETING,
  "text-comments.sse": GREETING,
  "tools.sse": [
    START,
    { type: "reasoning", index: 0, text: "Two " },
    { type: "reasoning", index: 0, text: "calls." },
    call(0, "", { id: "call_1", name: "get_weather" }),
    call(0, '{"city":'),
    call(0, '"Zürich"}'),
    call(1, "", { id: "call_2", name: "get_time" }),
    call(1, '{"zone":"CET"}'),
    finish("tool_calls"),
    usage(82, 49, 0, 32),
    DONE,
  ],
  "incomplete.sse": [START, ...text("Half", " of"), finish("length"), usage(10, 2), DONE],
  "refusal.sse": [
    START,
    { type: "refusal", index: 0, text: "I can't " },
    { type: "refusal", index: 0, text: "help with that." },
    finish("stop"),
    usage(20, 6),
    DONE,
  ],
  "search.sse": [
    START,
    ...text("Zürich"),
    {
      type: "citation",
      index: 0,
      citation: { url: "https://example.com/z", title: "Z", startIndex: 0, endIndex: 6 },
    },
    finish("stop"),
    usage(300, 8, 0, 0, { webSearches: 1 }),
    DONE,
  ],
  "failed.sse": [START, ...text("Half"), { type: "error", errorType: "server_error" }],
  "error.sse": [START, { type: "error", errorType: "rate_limit_exceeded" }],
  "cut.sse": [START, ...text("Half")],
};

test("the calls of OpenAI's own tools are counted: searches, and each container once", () => {
  const output = [
    { type: "web_search_call", action: { type: "search" } },
    { type: "web_search_call" },
    { type: "web_search_call", action: { type: "open_page" } },
    { type: "file_search_call" },
    { type: "code_interpreter_call", container_id: "c1" },
    { type: "code_interpreter_call", container_id: "c1" },
    { type: "message", content: [] },
  ];
  const response = { status: "completed", output, usage: { input_tokens: 1, output_tokens: 2 } };
  const counts = { webSearches: 2, fileSearches: 1, codeContainers: 1 };
  const chunks = createResponsesDecoder()({
    event: "response.completed",
    data: JSON.stringify({ type: "response.completed", response }),
  });
  expect(chunks.find(({ type }) => type === "usage")).toMatchObject({ usage: counts });
});

describe.each(Object.entries(EXPECTED))("%s", (name, chunks) => {
  test.each(SPLITS)("in pieces of %i bytes", (size) => {
    const events = parseInPieces(fixtureBytes(`openai-responses/${name}`), size);
    expect(events.flatMap(createResponsesDecoder())).toEqual(chunks);
  });
});

describe("a whole response", () => {
  test("is its text, usage and end", () => {
    expect(readResponse(fixtureJson("openai-responses/text.json"))).toEqual({
      id: START.id,
      model: START.model,
      choices: [{ index: 0, text: "Grüezi mitenand 👋🏽!", toolCalls: [], finishReason: "stop" }],
      usage: { inputTokens: 36, outputTokens: 11, cacheReadTokens: 16, reasoningTokens: 0 },
    });
  });

  test("is its thoughts and calls", () => {
    expect(readResponse(fixtureJson("openai-responses/tools.json")).choices).toEqual([
      {
        index: 0,
        text: "",
        reasoning: "Two calls.",
        encryptedReasoning: ["gAAAAB"],
        toolCalls: [
          { id: "call_1", name: "get_weather", argumentsJson: '{"city":"Zürich"}' },
          { id: "call_2", name: "get_time", argumentsJson: '{"zone":"CET"}' },
        ],
        finishReason: "tool_calls",
      },
    ]);
  });

  test("may be a refusal", () => {
    expect(readResponse(fixtureJson("openai-responses/refusal.json")).choices[0]).toMatchObject({
      text: "",
      refusal: "I can't help with that.",
      finishReason: "stop",
    });
  });

  test.each([
    [{ status: "incomplete", incomplete_details: { reason: "content_filter" } }, "content_filter"],
    [{ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }, "length"],
    [{ status: "in_progress" }, undefined],
    [{ status: "queued" }, undefined],
  ])("%j ends as %s", (fields, reason) => {
    expect(readResponse({ output: [], ...fields }).choices[0]?.finishReason).toBe(reason);
  });

  test.each([undefined, null, 5, "x", [], {}, { output: {} }])("%j is malformed", (body) => {
    expect(() => readResponse(body)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });

  test("that failed is the upstream's fault, under whatever status it came", () => {
    const body = { status: "failed", error: { code: "server_error", message: "m" }, output: [] };
    expect(() => readResponse(body)).toThrow(
      expect.objectContaining({ code: "upstream_error", canFallBack: true }),
    );
  });
});

describe("a target's parameters, which have the chat wire's names", () => {
  test("are said in this wire's, beside the client's other settings", () => {
    const wire = { reasoning: { summary: "auto" }, text: { verbosity: "low" } };
    const schema = { name: "n", schema: { type: "object" } };
    const params = {
      max_tokens: 5,
      temperature: 0,
      reasoning_effort: "low",
      response_format: { type: "json_schema", json_schema: schema },
    };
    expect(toResponsesNames(wire, params)).toEqual({
      temperature: 0,
      max_output_tokens: 5,
      reasoning: { summary: "auto", effort: "low" },
      text: { verbosity: "low", format: { type: "json_schema", ...schema } },
    });
  });
});

test("no event makes the decoder throw anything but upstream_malformed", () => {
  const type = fc.constantFrom(
    "response.created",
    "response.output_text.delta",
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.output_text.annotation.added",
    "response.completed",
    "response.failed",
    "error",
  );
  const body = fc.record({
    type,
    response: fc.jsonValue(),
    item: fc.jsonValue(),
    delta: fc.jsonValue(),
    annotation: fc.jsonValue(),
    output_index: fc.jsonValue(),
    logprobs: fc.jsonValue(),
  });
  const data = fc.oneof(
    fc.string(),
    fc.json(),
    body.map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(fc.array(data), (events) => {
      try {
        const decode = createResponsesDecoder();
        expect(Array.isArray(events.flatMap((text) => decode({ event: "message", data: text })))).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: "upstream_malformed" });
      }
    }),
  );
});

test("a stream's error is known by its code, flat or in an object of its own", () => {
  const error = { type: "server_error", code: "rate_limit_exceeded", message: "Slow down." };
  for (const fields of [error, { error }]) {
    const data = JSON.stringify({ ...fields, type: "error" });
    expect(createResponsesDecoder()({ event: "error", data })).toEqual([
      { type: "error", errorType: "rate_limit_exceeded" },
    ]);
  }
});
