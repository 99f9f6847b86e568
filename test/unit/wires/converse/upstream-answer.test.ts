// Bedrock's answers, whole and streamed, and its refusals: each stream fixture whole, byte by byte and in sevens.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import { createEventStreamParser } from "../../../../src/bytes/aws-event-stream.ts";
import { bedrock } from "../../../../src/providers/bedrock.ts";
import { createConverseDecoder } from "../../../../src/wires/converse/upstream-stream.ts";
import { readConverse } from "../../../../src/wires/converse/upstream-answer.ts";
import { fixtureBytes, fixtureJson, SPLITS } from "../../../support/builders/wire-fixtures.ts";

function decode(name: string, size: number): readonly ChatChunk[] {
  const bytes = fixtureBytes(`bedrock/${name}`);
  const parser = createEventStreamParser();
  const decoder = createConverseDecoder();
  const chunks: ChatChunk[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    for (const event of parser.push(bytes.slice(at, at + size))) chunks.push(...decoder(event));
  }
  return chunks;
}

const START = { type: "start" };
const text = (said: string) => ({ type: "text", index: 0, text: said });
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

const TEXT = [
  START,
  ...["Hello", " there", "! ", "👋🏽", " How can I help?"].map(text),
  ...end("stop", 2067, 15, { cacheReadTokens: 2048, cacheWriteTokens: 0 }),
];

const EXPECTED: Readonly<Record<string, readonly object[]>> = {
  "text.bin": TEXT,
  "text-headers.bin": TEXT,
  "tools.bin": [
    START,
    text("I'll look both up."),
    call(0, "", { id: "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", name: "get_weather" }),
    call(0, '{"ci'),
    call(0, 'ty": "Zür'),
    call(0, 'ich"}'),
    call(1, "", { id: "tooluse_b2", name: "get_time" }),
    call(1, '{"zone": "Euro'),
    call(1, 'pe/Zurich"}'),
    call(2, "", { id: "tooluse_c3", name: "ping" }),
    call(2, "{}"),
    ...end("tool_calls", 400, 89),
  ],
  "thinking.bin": [
    START,
    { type: "reasoning", index: 0, text: "Seventeen is" },
    { type: "reasoning", index: 0, text: " odd." },
    { type: "reasoning_signature", index: 0, signature: "EqQBCgIYAhIM" },
    { type: "encrypted_reasoning", index: 0, data: "EmwKAhgB" },
    text("It is"),
    text(" prime."),
    ...end("stop", 19, 40),
  ],
  "citations.bin": [
    START,
    text("It has "),
    text("450,000 people"),
    {
      type: "citation",
      index: 0,
      citation: {
        url: "https://example.com/zurich",
        title: "Zürich",
        citedText: "About 450,000",
        startIndex: 7,
        endIndex: 21,
      },
    },
    ...end("stop", 19, 9),
  ],
  "throttled.bin": [START, text("The first half"), { type: "error", errorType: "throttlingException" }],
  "cut.bin": [START, text("Half of a")],
};

describe.each(Object.entries(EXPECTED))("%s", (name, chunks) => {
  test.each(SPLITS)("in pieces of %i bytes", (size) => {
    expect(decode(name, size)).toEqual(chunks);
  });
});

describe("a stream's faults", () => {
  test.each(SPLITS)("an event whose JSON breaks off is malformed, in pieces of %i bytes too", (size) => {
    expect(() => decode("malformed.bin", size)).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });

  test("no events make it throw anything but upstream_malformed", () => {
    const event = fc.constantFrom(
      "messageStart",
      "contentBlockStart",
      "contentBlockDelta",
      "contentBlockStop",
      "messageStop",
      "metadata",
      "fault:x",
    );
    const body = fc.record({
      contentBlockIndex: fc.oneof(fc.nat(3), fc.jsonValue()),
      start: fc.jsonValue(),
      delta: fc.oneof(
        fc.record({ text: fc.jsonValue() }),
        fc.record({ toolUse: fc.jsonValue() }),
        fc.record({ citation: fc.object() }),
        fc.jsonValue(),
      ),
      stopReason: fc.jsonValue(),
      usage: fc.jsonValue(),
    });
    const data = fc.oneof(
      fc.string(),
      body.map((fields) => JSON.stringify(fields)),
    );
    fc.assert(
      fc.property(fc.array(fc.record({ event, data })), (events) => {
        try {
          expect(Array.isArray(events.flatMap(createConverseDecoder()))).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "upstream_malformed" });
        }
      }),
    );
  });
});

describe("a whole answer", () => {
  const read = (name: string) => readConverse(fixtureJson(`bedrock/${name}.json`));

  test("is text, reason and usage, with cached tokens counted as input", () => {
    expect(read("text")).toEqual({
      choices: [{ index: 0, text: "Hello there! 👋🏽 How can I help?", toolCalls: [], finishReason: "stop" }],
      usage: { inputTokens: 2067, outputTokens: 15, cacheReadTokens: 2048, cacheWriteTokens: 0 },
    });
  });

  test("keeps calls, thoughts and citations apart", () => {
    expect(read("tools").choices[0]).toMatchObject({
      text: "I'll look both up.",
      toolCalls: [
        { name: "get_weather", argumentsJson: '{"city":"Zürich"}' },
        { name: "get_time", argumentsJson: '{"zone":"Europe/Zurich"}' },
        { name: "ping", argumentsJson: "{}" },
      ],
      finishReason: "tool_calls",
    });
    expect(read("thinking").choices[0]).toMatchObject({
      text: "It is prime.",
      reasoning: "Seventeen is odd.",
      reasoningSignature: "EqQBCgIYAhIM",
      encryptedReasoning: ["EmwKAhgB"],
    });
    expect(read("citations").choices[0]).toMatchObject({
      text: "It has 450,000 people",
      citations: [{ url: "https://example.com/zurich", startIndex: 7, endIndex: 21 }],
    });
  });

  test.each([
    ["content_filtered", "content_filter"],
    ["guardrail_intervened", "content_filter"],
    ["max_tokens", "length"],
  ])("that ended with %s has the reason %s", (stopReason, finishReason) => {
    const body = { output: { message: { role: "assistant", content: [] } }, stopReason };
    expect(readConverse(body).choices[0]).toMatchObject({ finishReason });
  });

  test.each([null, [], {}, { output: {} }, { output: { message: { content: "x" } } }])(
    "%j is malformed",
    (body) => {
      expect(() => readConverse(body)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
    },
  );
});

describe("a refusal", () => {
  const refuse = (status: number, exception?: string, body?: unknown, headers: Record<string, string> = {}) =>
    bedrock.toError(
      status,
      new Headers({ ...headers, ...(exception !== undefined && { "x-amzn-errortype": exception }) }),
      body,
    );

  test.each([
    [400, "ValidationException", "upstream_rejected"],
    [404, "ResourceNotFoundException", "upstream_rejected"],
    [403, "AccessDeniedException:http://internal.amazon.com/coral/", "upstream_auth"],
    [403, "UnrecognizedClientException", "upstream_auth"],
    [400, "ExpiredTokenException", "upstream_auth"],
    [429, "ThrottlingException", "upstream_rate_limited"],
    [400, "ServiceQuotaExceededException", "upstream_rate_limited"],
    [429, "ModelNotReadyException", "upstream_overloaded"],
    [503, "ServiceUnavailableException", "upstream_overloaded"],
    [408, "ModelTimeoutException", "upstream_timeout"],
    [424, "ModelErrorException", "upstream_error"],
    [500, "InternalServerException", "upstream_error"],
    [429, undefined, "upstream_rate_limited"],
  ] as const)("of %i %s is %s", (status, exception, code) => {
    expect(refuse(status, exception)).toMatchObject({ code, details: { upstreamStatus: status } });
  });

  test("that is the caller's fault keeps the upstream's words, the account's does not", () => {
    const said = fixtureJson("bedrock/errors/400.json");
    expect(refuse(400, "ValidationException", said).message).toContain("max_tokens: 200000 > 64000");
    const secret = fixtureJson("bedrock/errors/403.json");
    expect(refuse(403, "UnrecognizedClientException", secret).message).not.toContain("security token");
  });

  test("for its rate passes the wait on", () => {
    const body = fixtureJson("bedrock/errors/429.json");
    const error = refuse(429, "ThrottlingException", body, { "retry-after": "3" });
    expect(error.details.retryAfterMs).toBe(3000);
  });
});
