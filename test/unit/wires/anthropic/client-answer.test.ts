// Answers of other wires in Messages form: whole, streamed, and a stored one in the other form.
import Anthropic from "@anthropic-ai/sdk";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChoice, ChatChunk, ChatResponse } from "../../../../src/schema/chat.ts";
import { anthropicMessages } from "../../../../src/wires/anthropic/client-wire.ts";
import { createAnthropicDecoder } from "../../../../src/wires/anthropic/upstream-stream.ts";
import { readMessage } from "../../../../src/wires/anthropic/upstream-answer.ts";
import {
  fixtureBytes,
  fixtureJson,
  fixtureText,
  parseInPieces,
  parseText,
  SPLITS,
} from "../../../support/builders/wire-fixtures.ts";

const CHAT = anthropicMessages.parseRequest(
  JSON.stringify({ model: "route", max_tokens: 9, messages: [{ role: "user", content: "Hi" }] }),
);

const format = (response: ChatResponse) => JSON.parse(anthropicMessages.formatResponse(response, CHAT));
const choiceOf = (fields: Partial<ChatChoice>): ChatChoice => ({
  index: 0,
  text: "",
  toolCalls: [],
  finishReason: "stop",
  ...fields,
});
const formatChoice = (fields: Partial<ChatChoice>) => format({ choices: [choiceOf(fields)] });

/** The stream of these pushes, as events. */
function encode(...pushes: readonly (readonly ChatChunk[])[]) {
  const encoder = anthropicMessages.encoder(CHAT);
  const text = pushes.map((chunks) => encoder.push(chunks)).join("") + encoder.end();
  return parseText(text);
}

/** The message that the official SDK makes of a stream. */
async function accumulate(text: string): Promise<Anthropic.Message> {
  const client = new Anthropic({
    apiKey: "k",
    fetch: async () => new Response(text, { headers: { "content-type": "text/event-stream" } }),
  });
  const stream = client.messages.stream({ model: "m", max_tokens: 1, messages: [] });
  return stream.finalMessage();
}

describe("a whole answer", () => {
  test.each(["text", "tools", "thinking", "refusal"])("of Anthropic's own (%s) is the same again", (name) => {
    const said = Object(fixtureJson(`anthropic/${name}.json`));
    const again = format(readMessage(said));
    const { cache_creation: _, service_tier: _tier, inference_geo: _geo, ...usage } = said.usage;
    expect(again).toEqual(
      name === "refusal"
        ? {
            ...said,
            stop_details: undefined,
            usage,
            content: [{ type: "text", text: "This request can't be answered." }],
          }
        : { ...said, usage },
    );
  });

  test("names the client's model and an id where the upstream named none", () => {
    expect(format({ choices: [] })).toEqual({
      id: "msg_unknown",
      type: "message",
      role: "assistant",
      model: "route",
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: {
        input_tokens: 0,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 0,
      },
    });
  });

  test("takes cached tokens out of the input again", () => {
    const usage = {
      inputTokens: 100,
      cacheReadTokens: 60,
      cacheWriteTokens: 30,
      outputTokens: 5,
      reasoningTokens: 2,
    };
    expect(format({ choices: [], usage }).usage).toEqual({
      input_tokens: 10,
      cache_read_input_tokens: 60,
      cache_creation_input_tokens: 30,
      output_tokens: 5,
      output_tokens_details: { thinking_tokens: 2 },
    });
  });

  test.each([
    [{ finishReason: "stop" }, "end_turn", null],
    [{ finishReason: "stop", stopSequence: "END" }, "stop_sequence", "END"],
    [{ finishReason: "length" }, "max_tokens", null],
    [{ finishReason: "tool_calls" }, "tool_use", null],
    [{ finishReason: "content_filter" }, "refusal", null],
    [{ finishReason: "stop", refusal: "No." }, "refusal", null],
    [{ finishReason: "stop", toolCalls: [{ id: "a", name: "f", argumentsJson: "{}" }] }, "tool_use", null],
  ] as const)("that ended with %j", (fields, stop_reason, stop_sequence) => {
    expect(formatChoice(fields)).toMatchObject({ stop_reason, stop_sequence });
  });

  test("with broken arguments passes them on as the text they are", () => {
    const toolCalls = ['{"a":', "", '{"a":1}'].map((argumentsJson) => ({
      id: "a",
      name: "f",
      argumentsJson,
    }));
    expect(formatChoice({ toolCalls }).content.map(({ input }: { input: unknown }) => input)).toEqual([
      '{"a":',
      {},
      { a: 1 },
    ]);
  });

  test("cites addresses as search results, anything else as a passage", () => {
    const { content } = formatChoice({
      text: "x",
      citations: [{ url: "https://example.com", title: "t" }, { citedText: "c" }],
    });
    expect(content[0].citations).toMatchObject([
      { type: "web_search_result_location", url: "https://example.com", title: "t" },
      { type: "char_location", cited_text: "c", document_title: null, end_char_index: 1 },
    ]);
  });
});

describe("a stream", () => {
  const STREAMS = ["text", "tools", "thinking", "citations", "refusal"];

  test.each(STREAMS)("of Anthropic's own (%s) says the same again to its SDK", async (name) => {
    const bytes = fixtureBytes(`anthropic/${name}.sse`);
    const texts = SPLITS.map((size) => {
      const encoder = anthropicMessages.encoder(CHAT);
      const decode = createAnthropicDecoder();
      const said = parseInPieces(bytes, size).map((event) => encoder.push(decode(event)));
      return said.join("") + encoder.end();
    });
    expect(new Set(texts).size).toBe(1);
    const again = await accumulate(texts[0] ?? "");
    const expected = readMessage(await accumulate(fixtureText(`anthropic/${name}.sse`)));
    const read = readMessage(JSON.parse(JSON.stringify(again)));
    // A refusal's words have no place of their own on this wire: they come as text.
    if (name !== "refusal") expect(read).toEqual(withOneText(expected));
    else expect(read.choices[0]).toMatchObject({ text: "This request can't be answered." });
  });

  /** Blocks of text are joined on the way: their citations then stand behind all of it. */
  function withOneText(response: ChatResponse): ChatResponse {
    const choices = response.choices.map((choice) => ({
      ...choice,
      ...(choice.citations !== undefined && {
        citations: choice.citations.map((citation) => ({
          ...citation,
          startIndex: 0,
          endIndex: choice.text.length,
        })),
      }),
    }));
    return { ...response, choices };
  }

  test("begins as soon as the upstream does, with the usage that is known by then", () => {
    const encoder = anthropicMessages.encoder(CHAT);
    const usage = { inputTokens: 10, outputTokens: 4, cacheReadTokens: 6 };
    const [event] = parseText(
      encoder.push([
        { type: "start", id: "c-1", model: "gpt" },
        { type: "usage", usage },
      ]),
    );
    expect(JSON.parse(event?.data ?? "")).toMatchObject({
      type: "message_start",
      message: {
        id: "c-1",
        model: "gpt",
        usage: { input_tokens: 4, cache_read_input_tokens: 6, output_tokens: 0 },
      },
    });
  });

  test("names each event and numbers its blocks", () => {
    const call = (position: number, argumentsFragment: string, id?: string): ChatChunk => ({
      type: "tool_call",
      index: 0,
      call: position,
      ...(id !== undefined && { id, name: "f" }),
      argumentsFragment,
    });
    const events = encode(
      [{ type: "text", index: 0, text: "a" }],
      [call(0, "", "t0"), call(0, "{}")],
      [call(1, '{"x"', "t1")],
      [call(1, ":1}")],
      [
        { type: "finish", index: 0, reason: "tool_calls" },
        { type: "usage", usage: { inputTokens: 1, outputTokens: 2 } },
      ],
      [{ type: "done" }],
    );
    const said = events.map(({ event, data }) => {
      const body = JSON.parse(data);
      expect(body.type).toBe(event);
      return [event, body.index];
    });
    const block = (index: number, deltas: number) => [
      ["content_block_start", index],
      ...Array.from({ length: deltas }, () => ["content_block_delta", index]),
      ["content_block_stop", index],
    ];
    expect(said).toEqual([
      ["message_start", undefined],
      ...block(0, 1),
      ...block(1, 1),
      ...block(2, 2),
      ["message_delta", undefined],
      ["message_stop", undefined],
    ]);
  });

  test("gives a thought after a signature a block of its own", () => {
    const events = encode([
      { type: "reasoning", index: 0, text: "a" },
      { type: "reasoning_signature", index: 0, signature: "s" },
      { type: "reasoning", index: 0, text: "b" },
    ]);
    expect(JSON.parse(anthropicMessages.wholeFromStream(events)).content).toEqual([
      { type: "thinking", thinking: "a", signature: "s" },
      { type: "thinking", thinking: "b", signature: "" },
    ]);
  });

  test("whose calls come mixed together still gives each its arguments", async () => {
    const call = (position: number, argumentsFragment: string, id?: string): ChatChunk => ({
      type: "tool_call",
      index: 0,
      call: position,
      ...(id !== undefined && { id, name: id }),
      argumentsFragment,
    });
    const encoder = anthropicMessages.encoder(CHAT);
    const text =
      encoder.push([call(0, '{"a"', "x"), call(1, '{"b"', "y"), call(0, ":1}"), call(1, ":2}")]) +
      encoder.end();
    expect((await accumulate(text)).content).toMatchObject([
      { name: "x", input: { a: 1 } },
      { name: "y", input: { b: 2 } },
    ]);
  });

  test("without a word is a whole message too", async () => {
    const encoder = anthropicMessages.encoder(CHAT);
    expect(await accumulate(encoder.end())).toMatchObject({ content: [], stop_reason: "end_turn" });
  });
});

describe("a stored answer in the other form", () => {
  test.each(["text", "text-crlf", "text-comments", "tools", "thinking", "citations"])(
    "%s: the stream adds up to the message at any split",
    (name) => {
      const whole = Object(fixtureJson(`anthropic/${name.split("-")[0]}.json`));
      for (const size of SPLITS) {
        const body = anthropicMessages.wholeFromStream(
          parseInPieces(fixtureBytes(`anthropic/${name}.sse`), size),
        );
        const { usage, content, ...rest } = JSON.parse(body);
        const { usage: saidUsage, content: saidContent, ...said } = whole;
        expect(rest).toEqual(said);
        expect(content).toEqual(saidContent);
        expect(usage).toMatchObject(saidUsage);
      }
    },
  );

  test.each(["text", "tools", "thinking", "citations", "refusal"])(
    "%s: the message is the stream that adds up to it",
    (name) => {
      const text = fixtureText(`anthropic/${name}.json`);
      const stream = anthropicMessages.streamFromWhole(text, CHAT);
      expect(JSON.parse(anthropicMessages.wholeFromStream(parseText(stream)))).toEqual(JSON.parse(text));
    },
  );

  test.each(["cut.sse", "stream-error.sse", "malformed.sse"])("%s is no answer", (name) => {
    expect(() => anthropicMessages.wholeFromStream(parseText(fixtureText(`anthropic/${name}`)))).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });

  test.each(["", "{}", "[]", '{"type":"message"}'])("the body %j is none", (text) => {
    expect(() => anthropicMessages.streamFromWhole(text, CHAT)).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });

  test("no body makes it throw anything but upstream_malformed", () => {
    const block = fc.record({
      type: fc.constantFrom("text", "thinking", "tool_use", "x"),
      text: fc.jsonValue(),
    });
    const body = fc.record({
      type: fc.constant("message"),
      content: fc.array(fc.oneof(block, fc.jsonValue())),
    });
    fc.assert(
      fc.property(fc.oneof(body, fc.jsonValue()), (value) => {
        try {
          anthropicMessages.wholeFromStream(
            parseText(anthropicMessages.streamFromWhole(JSON.stringify(value), CHAT)),
          );
        } catch (error) {
          expect(error).toMatchObject({ code: "upstream_malformed" });
        }
      }),
    );
  });
});
