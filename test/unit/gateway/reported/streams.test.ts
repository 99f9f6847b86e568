// Reported: fragments of tool calls joined by an unreliable number, calls whose fragments interleave, counts taken back by a later
// zero, and words for failure told as success. Read, written and replayed, by every wire.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatEvent } from "../../../../src/bytes/sse.ts";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import { createOpenAiDecoder } from "../../../../src/wires/openai-chat/upstream-stream.ts";
import { streamOf, wireNamed } from "../../../support/builders/wire-named.ts";
import { askedOf } from "./asked.ts";

interface Call {
  readonly name: string;
  readonly arguments: string;
}

const CLIENTS = ["openai-chat", "openai-responses", "anthropic-messages", "gemini"] as const;
const REQUESTS: Readonly<Record<string, object>> = {
  "openai-chat": { messages: [{ role: "user", content: "hi" }], stream: true },
  "openai-responses": { input: "hi", stream: true },
  "anthropic-messages": { max_tokens: 9, messages: [{ role: "user", content: "hi" }], stream: true },
  gemini: { contents: [{ role: "user", parts: [{ text: "hi" }] }] },
};

/** A client's stream of these chunks. */
function streamed(client: string, chunks: readonly ChatChunk[]): string {
  const wire = wireNamed(client);
  if ("operation" in wire) throw new Error("not a chat wire");
  const body = JSON.stringify({ model: "a/m", ...REQUESTS[client] });
  const encoder = wire.encoder(wire.parseRequest(body, { model: "a/m", stream: true }));
  return chunks.map((chunk) => encoder.push([chunk])).join("") + encoder.end();
}

/** The calls of a stream as its client adds them up, by name. */
function callsOf(client: string, text: string): readonly Call[] {
  const wire = wireNamed(client);
  if ("operation" in wire) throw new Error("not a chat wire");
  const found: Call[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const fields: Record<string, unknown> = { ...value };
    const given = fields["arguments"] ?? fields["input"] ?? fields["args"];
    if (typeof fields["name"] === "string" && given !== undefined) {
      found.push({
        name: fields["name"],
        arguments: typeof given === "string" ? given : JSON.stringify(given),
      });
    }
    Object.values(fields).forEach(walk);
  };
  walk(JSON.parse(wire.wholeFromStream(streamOf(text))));
  return found.toSorted((left, right) => left.name.localeCompare(right.name));
}

/** Each Messages block begins, grows and stops before the next one begins. */
function expectBlocksInOrder(text: string): void {
  let open: unknown;
  let next = 0;
  for (const { data } of streamOf(text)) {
    const { type, index } = JSON.parse(data);
    if (type === "content_block_start") {
      expect([open, index]).toEqual([undefined, next]);
      open = index;
      next += 1;
    } else if (type === "content_block_delta") expect(index).toBe(open);
    else if (type === "content_block_stop") {
      expect(index).toBe(open);
      open = undefined;
    }
  }
  expect(open).toBeUndefined();
}

describe("calls whose fragments interleave", () => {
  const fragment = (call: number, argumentsFragment: string, opening = {}): ChatChunk => ({
    type: "tool_call",
    index: 0,
    call,
    argumentsFragment,
    ...opening,
  });

  test.each(CLIENTS)("reach %s clients whole", (client) => {
    const chunks = [
      fragment(0, "", { id: "c0", name: "f" }),
      fragment(1, "", { id: "c1", name: "g" }),
      fragment(0, '{"a":'),
      { type: "text", index: 0, text: "well" } as const,
      fragment(1, '{"b":'),
      fragment(0, "1}"),
      fragment(1, "2}"),
      { type: "finish", index: 0, reason: "tool_calls" } as const,
    ];
    const text = streamed(client, chunks);
    expect(callsOf(client, text)).toEqual([
      { name: "f", arguments: '{"a":1}' },
      { name: "g", arguments: '{"b":2}' },
    ]);
    expect(text).toContain("well");
    if (client === "anthropic-messages") expectBlocksInOrder(text);
  });

  test.each(CLIENTS)("reach %s clients whole in any order", (client) => {
    const calls = fc.array(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 })), {
      minLength: 1,
      maxLength: 4,
    });
    const order = fc.array(fc.nat(), { minLength: 40, maxLength: 40 });
    fc.assert(
      fc.property(calls, order, fc.integer({ min: 1, max: 9 }), (inputs, picks, size) => {
        const queues = inputs.map((input, call) => {
          const json = JSON.stringify(input);
          const pieces =
            json.match(new RegExp(`[\\s\\S]{1,${Math.max(size, Math.ceil(json.length / 8))}}`, "g")) ?? [];
          return [
            fragment(call, "", { id: `c${call}`, name: `f${call}` }),
            ...pieces.map((piece) => fragment(call, piece)),
          ];
        });
        const chunks: ChatChunk[] = [];
        for (let at = 0; queues.some((queue) => queue.length > 0); at += 1) {
          const left = queues.filter((queue) => queue.length > 0);
          const next = left[(picks[at % picks.length] ?? 0) % left.length]?.shift();
          if (next !== undefined) chunks.push(next);
          if (at % 5 === 4) chunks.push({ type: "text", index: 0, text: "." });
        }
        chunks.push({ type: "finish", index: 0, reason: "tool_calls" });
        const text = streamed(client, chunks);
        const expected = inputs.map((input, call) => ({ name: `f${call}`, input }));
        const got = callsOf(client, text).map(({ name, arguments: json }) => ({
          name,
          input: JSON.parse(json),
        }));
        expect(got).toEqual(JSON.parse(JSON.stringify(expected)));
        if (client === "anthropic-messages") expectBlocksInOrder(text);
      }),
      { numRuns: 60 },
    );
  });
});

describe("fragments of calls from a chat upstream", () => {
  const chunk = (...calls: readonly object[]): string =>
    formatEvent(JSON.stringify({ id: "c1", choices: [{ index: 0, delta: { tool_calls: calls } }] }));
  const END =
    formatEvent('{"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}') +
    formatEvent("[DONE]");
  const f = { type: "function", function: { name: "f", arguments: '{"a":1}' } };
  const g = { type: "function", function: { name: "g", arguments: '{"b":2}' } };
  const BOTH = [
    { name: "f", arguments: '{"a":1}' },
    { name: "g", arguments: '{"b":2}' },
  ];

  test.each<[string, string, readonly Call[]]>([
    [
      "the same number with other ids",
      chunk({ index: 0, id: "a", ...f }) + chunk({ index: 0, id: "b", ...g }),
      BOTH,
    ],
    [
      "the same number, ids in turn",
      chunk({ index: 0, id: "a", function: { name: "f", arguments: '{"a"' } }) +
        chunk({ index: 0, id: "b", function: { name: "g", arguments: '{"b"' } }) +
        chunk({ index: 0, id: "a", function: { arguments: ":1}" } }) +
        chunk({ index: 0, id: "b", function: { arguments: ":2}" } }),
      BOTH,
    ],
    [
      "no number, the id repeated",
      chunk({ id: "a", function: { name: "f", arguments: '{"a":' } }) +
        chunk({ id: "a", function: { arguments: "1}" } }),
      BOTH.slice(0, 1),
    ],
    [
      "no number, no id on what follows",
      chunk({ id: "a", function: { name: "f", arguments: '{"a":' } }) +
        chunk({ function: { arguments: "1}" } }),
      BOTH.slice(0, 1),
    ],
    ["numbers and the same id", chunk({ index: 0, id: "a", ...f }, { index: 1, id: "a", ...g }), BOTH],
    [
      "an id that changes with each fragment, but the number stays",
      chunk({ index: 0, id: "a", function: { name: "f", arguments: '{"a":' } }) +
        chunk({ index: 0, id: "b", function: { arguments: "1}" } }),
      BOTH.slice(0, 1),
    ],
  ])("%s", (_, fragments, expected) => {
    const decode = createOpenAiDecoder();
    const chunks = streamOf(fragments + END).flatMap((event) => decode(event));
    for (const client of CLIENTS) expect(callsOf(client, streamed(client, chunks))).toEqual(expected);
    expect(callsOf("openai-chat", fragments + END)).toEqual(expected);
  });
});

describe("counts", () => {
  const usage = (inputTokens: number, outputTokens: number): ChatChunk => ({
    type: "usage",
    usage: { inputTokens, outputTokens },
  });

  test.each([
    ["openai-chat", { stream_options: { include_usage: true } }],
    ["openai-responses", {}],
    ["anthropic-messages", {}],
    ["gemini", {}],
  ] as const)("a later 0 takes none back for %s clients", (client, fields) => {
    const wire = wireNamed(client);
    if ("operation" in wire) throw new Error("not a chat wire");
    const body = JSON.stringify({ model: "a/m", ...REQUESTS[client], ...fields });
    const encoder = wire.encoder(wire.parseRequest(body, { model: "a/m", stream: true }));
    const text =
      encoder.push([{ type: "start" }, usage(233_535, 1), { type: "text", index: 0, text: "ok" }]) +
      encoder.push([usage(0, 23), { type: "finish", index: 0, reason: "stop" }]) +
      encoder.end();
    expect(text).toContain("233535");
    expect(text).toContain("23");
  });

  test("an Anthropic stream's and its replay's are the largest that were said", () => {
    const event = (type: string, fields: object): string =>
      formatEvent(JSON.stringify({ type, ...fields }), type);
    const text =
      event("message_start", {
        message: { id: "m", content: [], usage: { input_tokens: 233_535, output_tokens: 1 } },
      }) +
      event("message_delta", {
        delta: { stop_reason: "end_turn" },
        usage: { input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 23 },
      }) +
      event("message_stop", {});
    const { exchange } = askedOf(
      "anthropic-messages",
      { max_tokens: 9, messages: [{ role: "user", content: "hi" }] },
      "anthropic",
    );
    const decode = exchange.upstreamWire.decoder();
    const last = streamOf(text)
      .flatMap((one) => decode(one))
      .findLast(({ type }) => type === "usage");
    expect(last).toMatchObject({ usage: { inputTokens: 233_535, outputTokens: 23 } });
    expect(JSON.parse(exchange.clientWire.wholeFromStream(streamOf(text))).usage).toMatchObject({
      input_tokens: 233_535,
      output_tokens: 23,
    });
  });
});

describe("a word for failure", () => {
  const CHAT = (word: string): object => ({
    choices: [{ index: 0, delta: {}, message: { content: "hi" }, finish_reason: word }],
  });
  const GEMINI = (word: string): object => ({
    candidates: [{ content: { parts: [{ text: "hi" }] }, finishReason: word }],
  });

  test.each<[string, object, string, string?]>([
    ["openai-compatible", CHAT("error"), "error"],
    ["openai-compatible", CHAT("abort"), "abort"],
    ["deepseek", CHAT("insufficient_system_resource"), "insufficient_system_resource"],
    ["openai-compatible", CHAT("network_error"), "network_error"],
    ["gemini", GEMINI("MALFORMED_FUNCTION_CALL"), "malformed_function_call"],
    ["gemini", GEMINI("UNEXPECTED_TOOL_CALL"), "unexpected_tool_call"],
    [
      "anthropic",
      { type: "message_delta", delta: { stop_reason: "error" }, content: [], stop_reason: "error" },
      "error",
    ],
    [
      "cohere",
      { type: "message-end", delta: { finish_reason: "TIMEOUT" }, message: {}, finish_reason: "TIMEOUT" },
      "timeout",
    ],
    [
      "bedrock",
      { stopReason: "malformed_tool_use", output: { message: { content: [] } } },
      "malformed_tool_use",
      "messageStop",
    ],
  ])("of %s is an error, whole and streamed: %j", (kind, body, errorType, event = "message") => {
    const { exchange } = askedOf("openai-responses", { input: "hi" }, kind);
    expect(() => exchange.upstreamWire.toResponse(body)).toThrow(
      expect.objectContaining({ code: "upstream_error" }),
    );
    const chunks = exchange.upstreamWire.decoder()({ event, data: JSON.stringify(body) });
    expect(chunks).toContainEqual({ type: "error", errorType });
    expect(chunks.map(({ type }) => type)).not.toContain("finish");
  });

  test("an error beside a choice is one too", () => {
    const { exchange } = askedOf(
      "anthropic-messages",
      { max_tokens: 1, messages: [{ role: "user", content: "hi" }] },
      "openrouter",
    );
    const choice = {
      index: 0,
      delta: {},
      message: { content: "" },
      error: { code: 502, message: "no" },
      finish_reason: "stop",
    };
    expect(() => exchange.upstreamWire.toResponse({ choices: [choice] })).toThrow(
      expect.objectContaining({ code: "upstream_error" }),
    );
    const chunks = exchange.upstreamWire.decoder()({
      event: "message",
      data: JSON.stringify({ choices: [choice] }),
    });
    expect(chunks).toEqual([{ type: "error", errorType: "502" }]);
  });
});
