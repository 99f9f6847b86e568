// Workers AI by the Worker's binding: what its `run` is given, and both forms of its answers. The forms follow Cloudflare's
// documentation and the runtime's own types; the binding itself is real in test/clients/sdks/workers-ai-binding.test.ts.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import { openAiEmbeddings } from "../../../../src/wires/openai-embeddings/client-wire.ts";
import { upstreamEmbeddingWireFor, upstreamWireFor } from "../../../../src/providers/provider.ts";
import type { ProviderAccount } from "../../../../src/wires/upstream-wire.ts";
import { workersAi } from "../../../../src/providers/workers-ai.ts";
import { createBoundDecoder } from "../../../../src/wires/workers-ai/upstream-stream.ts";
import { fixtureBytes, fixtureJson, parseInPieces, SPLITS } from "../../../support/builders/wire-fixtures.ts";

const MODEL = "@cf/meta/llama-3.1-8b-instruct";
const account = (fields: Partial<ProviderAccount> = {}): ProviderAccount => ({
  name: "cf",
  kind: "workers-ai",
  baseUrl: workersAi.defaultBaseUrl ?? "",
  headers: {},
  options: {},
  propagateTrace: false,
  ...fields,
});
const targetOf = (fields?: Partial<ProviderAccount>) => ({ account: account(fields), model: MODEL });
const refuse = (field: string): never => {
  throw new Error(`dropped ${field}`);
};

describe("an account is served by the binding", () => {
  test.each<[Partial<ProviderAccount>, boolean]>([
    [{}, true],
    [{ options: { binding: true, accountId: "a" } }, true],
    [{ options: { accountId: "a" } }, false],
    [{ options: { binding: false } }, false],
    [{ baseUrl: "https://api.cloudflare.com/client/v4/accounts/a/ai/v1" }, false],
  ])("where it names no other way: %j, %s", (fields, isBound) => {
    expect(workersAi.baseUrlOf?.(account(fields)) === undefined).toBe(isBound);
    expect(upstreamWireFor(workersAi, "openai-chat", targetOf(fields)).clientWireName === undefined).toBe(
      isBound,
    );
  });
});

describe("a call", () => {
  const callFor = (body: object, fields?: Partial<ProviderAccount>) => {
    const chat = openAiChat.parseRequest(JSON.stringify({ model: "cf/x", ...body }));
    const conversation = openAiChat.toConversation(chat, refuse);
    const target = targetOf(fields);
    return upstreamWireFor(workersAi, "openai-chat", target).toRequest(chat, target, {
      conversation,
      drop: refuse,
    });
  };
  const USER = { messages: [{ role: "user", content: "Hi" }] };

  test("names the model beside its inputs, and carries no key", () => {
    const { headers, body } = callFor(
      { ...USER, stream: true, max_completion_tokens: 9, seed: 7 },
      { apiKey: "canary", headers: { "CF-AIG-Skip-Cache": "true" }, options: { gateway: "mine" } },
    );
    expect(headers).toEqual({ "cf-aig-skip-cache": "true" });
    expect(JSON.parse(body ?? "")).toEqual({
      model: MODEL,
      inputs: { ...USER, stream: true, max_tokens: 9, seed: 7 },
      gateway: { id: "mine" },
    });
  });

  test("gives the schema bare, and each turn a content", () => {
    const schema = { type: "object", properties: { city: { type: "string" } } };
    const call = { id: "c1", type: "function", function: { name: "look", arguments: "{}" } };
    const { body } = callFor({
      messages: [
        ...USER.messages,
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: "c1", content: "sun" },
      ],
      response_format: { type: "json_schema", json_schema: { name: "place", schema } },
    });
    expect(JSON.parse(body ?? "")).toMatchObject({
      inputs: {
        messages: [
          { role: "user" },
          { role: "assistant", content: "", tool_calls: [call] },
          { role: "tool" },
        ],
        response_format: { type: "json_schema", json_schema: schema },
      },
    });
  });

  test("for embeddings is the texts, and the answer their vectors", () => {
    const target = targetOf();
    const wire = upstreamEmbeddingWireFor(workersAi, "openai-embeddings", target);
    const chat = openAiEmbeddings.parseRequest('{"model":"cf/x","input":["a","b"]}');
    const ask = openAiEmbeddings.toEmbedding(chat, refuse);
    const { body } = wire?.toRequest(chat, target, { ask, drop: refuse }) ?? {};
    expect(JSON.parse(body ?? "")).toEqual({ model: MODEL, inputs: { text: ["a", "b"] } });
    expect(wire?.toResponse(fixtureJson("workers-ai/embed.json")).vectors()).toEqual([
      [0.25, -0.5, 0.125],
      [0.5, 0.25, -1],
    ]);
    expect(() => wire?.toResponse({ data: [["x"]] })).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });
});

const USAGE = { inputTokens: 19, outputTokens: 15 };
const CALLS = [
  { id: "call_get_weather_0", name: "get_weather", argumentsJson: '{"city":"Zürich"}' },
  { id: "call_get_time_1", name: "get_time", argumentsJson: '{"zone":"Europe/Zurich"}' },
  { id: "call_ping_2", name: "ping", argumentsJson: "{}" },
];

describe("a whole answer", () => {
  const read = (body: unknown) => upstreamWireFor(workersAi, "openai-chat", targetOf()).toResponse(body);

  test("of the older form is text, calls and usage", () => {
    const choice = { index: 0, text: "Hello there! 👋🏽 How can I help?", toolCalls: [], finishReason: "stop" };
    expect(read(fixtureJson("workers-ai/text.json"))).toEqual({ choices: [choice], usage: USAGE });
    expect(read(fixtureJson("workers-ai/tools.json")).choices).toMatchObject([
      { text: "", toolCalls: CALLS, finishReason: "tool_calls" },
    ]);
    expect(read(fixtureJson("workers-ai/json-mode.json")).choices[0]?.text).toBe('{"city":"Zürich"}');
  });

  test("of the chat wire's form is read as that wire is", () => {
    expect(read(fixtureJson("openai/tools.json")).choices[0]?.toolCalls).not.toEqual([]);
  });

  test.each([null, [], {}, { result: "x" }])("%j is malformed", (body) => {
    expect(() => read(body)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });
});

const text = (said: string) => ({ type: "text", index: 0, text: said });
const call = (at: number, argumentsFragment: string, opening: object = {}) => ({
  type: "tool_call",
  index: 0,
  call: at,
  ...opening,
  argumentsFragment,
});
const end = (reason: string) => [
  { type: "usage", usage: USAGE },
  { type: "finish", index: 0, reason },
  { type: "done" },
];
const TEXT = [...["Hello", " there", "! ", "👋🏽", " How can I help?"].map(text), ...end("stop")];

const STREAMS: Readonly<Record<string, readonly object[]>> = {
  "text.sse": TEXT,
  "text-crlf.sse": TEXT,
  "text-comments.sse": TEXT,
  "tools.sse": [
    ...CALLS.map(({ id, name, argumentsJson }, at) => call(at, argumentsJson, { id, name })),
    ...end("tool_calls"),
  ],
  "tools-fragments.sse": [
    call(0, "", { id: "call_a", name: "get_weather" }),
    call(0, '{"city":'),
    call(0, ' "Zürich"}'),
    ...end("tool_calls"),
  ],
  "cut.sse": ["Hello", " there"].map(text),
  "stream-error.sse": [text("Hello"), { type: "error", errorType: "error" }],
};

describe.each(Object.entries(STREAMS))("the stream %s", (name, chunks) => {
  test.each(SPLITS)("in pieces of %i bytes", (size) => {
    const events = parseInPieces(fixtureBytes(`workers-ai/${name}`), size);
    expect(events.flatMap(createBoundDecoder())).toEqual(chunks);
  });
});

describe("a stream", () => {
  const decode = (...data: readonly string[]): readonly ChatChunk[] =>
    data.map((each) => ({ event: "message", data: each })).flatMap(createBoundDecoder());

  test("of the chat wire's form is read as that wire is", () => {
    const events = parseInPieces(fixtureBytes("openai/text.sse"), Number.MAX_SAFE_INTEGER);
    const types = events.flatMap(createBoundDecoder()).map(({ type }) => type);
    expect(new Set(types)).toEqual(new Set(["start", "text", "finish", "usage", "done"]));
  });

  test.each(SPLITS)("whose JSON breaks off is malformed, in pieces of %i bytes too", (size) => {
    const events = parseInPieces(fixtureBytes("workers-ai/malformed.sse"), size);
    expect(() => events.flatMap(createBoundDecoder())).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });

  test("of whatever events makes it throw nothing but upstream_malformed", () => {
    const calls = fc.array(
      fc.record({
        name: fc.jsonValue(),
        index: fc.oneof(fc.nat(3), fc.jsonValue()),
        function: fc.jsonValue(),
        arguments: fc.jsonValue(),
      }),
    );
    const event = fc.record({
      response: fc.jsonValue(),
      tool_calls: fc.oneof(calls, fc.jsonValue()),
      usage: fc.jsonValue(),
      finish_reason: fc.jsonValue(),
    });
    const data = fc.oneof(
      fc.string(),
      fc.json(),
      event.map((body) => JSON.stringify(body)),
    );
    fc.assert(
      fc.property(fc.array(data), (events) => {
        try {
          expect(Array.isArray(decode(...events))).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "upstream_malformed" });
        }
      }),
    );
  });
});

test.each([
  [400, "upstream_rejected", "No such model"],
  [429, "upstream_rate_limited", ""],
])("a refusal of %i is %s", (status, code, words) => {
  const body = fixtureJson(`workers-ai/errors/binding-${status}.json`);
  const error = workersAi.toError(status, new Headers(), body);
  expect(error).toMatchObject({ code, message: expect.stringContaining(words) });
});
