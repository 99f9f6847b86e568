// Answers of other wires as a chat client gets them: a whole completion, and a stream of chunks that adds up to the same.
import { describe, expect, test } from "vitest";
import type { ChatChunk, ChatRequest, ChatResponse } from "../../../../src/schema/chat.ts";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import { createOpenAiDecoder } from "../../../../src/wires/openai-chat/upstream-stream.ts";
import { readCompletion } from "../../../../src/wires/openai-chat/upstream-answer.ts";
import { fixtureBytes, parseInPieces, parseText } from "../../../support/builders/wire-fixtures.ts";

function request(body: object = {}): ChatRequest {
  const chat = openAiChat.parseRequest(
    JSON.stringify({ model: "route", messages: [{ role: "user", content: "Hi" }], ...body }),
  );
  return { ...chat, stamp: { id: "abc", createdAtSeconds: 1_795_600_000 } };
}
const STREAM = request({ stream: true, stream_options: { include_usage: true } });

const ANSWER: ChatResponse = {
  id: "msg_1",
  model: "claude",
  choices: [
    {
      index: 0,
      text: "Zürich.",
      reasoning: "hm",
      reasoningSignature: "sig",
      encryptedReasoning: ["sealed"],
      citations: [
        { url: "https://a.test", title: "A", startIndex: 0, endIndex: 6 },
        { citedText: "of a book" },
      ],
      logprobs: [{ token: "Z", logprob: -0.1, top: [{ token: "B", logprob: -2 }] }],
      toolCalls: [{ id: "c1", name: "look", argumentsJson: "{}", signature: "gemini:gs" }],
      finishReason: "tool_calls",
    },
  ],
  usage: { inputTokens: 10, outputTokens: 5, cacheReadTokens: 4, cacheWriteTokens: 2, reasoningTokens: 1 },
};

const CHUNKS: readonly ChatChunk[] = [
  { type: "start", id: "msg_1", model: "claude" },
  { type: "reasoning", index: 0, text: "h" },
  { type: "reasoning", index: 0, text: "m" },
  { type: "reasoning_signature", index: 0, signature: "sig" },
  { type: "encrypted_reasoning", index: 0, data: "sealed" },
  { type: "text", index: 0, text: "Zür" },
  { type: "text", index: 0, text: "ich." },
  {
    type: "citation",
    index: 0,
    citation: { url: "https://a.test", title: "A", startIndex: 0, endIndex: 6 },
  },
  { type: "citation", index: 0, citation: { citedText: "of a book" } },
  {
    type: "logprobs",
    index: 0,
    logprobs: [{ token: "Z", logprob: -0.1, top: [{ token: "B", logprob: -2 }] }],
  },
  {
    type: "tool_call",
    index: 0,
    call: 0,
    id: "c1",
    name: "look",
    argumentsFragment: "",
    signature: "gemini:gs",
  },
  { type: "tool_call", index: 0, call: 0, argumentsFragment: "{}" },
  { type: "finish", index: 0, reason: "tool_calls" },
  {
    type: "usage",
    usage: { inputTokens: 10, outputTokens: 5, cacheReadTokens: 4, cacheWriteTokens: 2, reasoningTokens: 1 },
  },
  { type: "done" },
];

function encode(chunks: readonly ChatChunk[], chat: ChatRequest = STREAM): string {
  const encoder = openAiChat.encoder(chat);
  return chunks.map((chunk) => encoder.push([chunk])).join("") + encoder.end();
}

const bodiesOf = (text: string): readonly Readonly<Record<string, unknown>>[] =>
  parseText(text).flatMap(({ data }) => (data === "[DONE]" ? [] : [JSON.parse(data)]));

/** Citations without an address have no place on this wire. */
function withoutBooks(answer: ChatResponse): ChatResponse {
  const choices = answer.choices.map(({ citations = [], ...choice }) => ({
    ...choice,
    citations: citations.filter(({ url }) => url !== undefined),
  }));
  return { ...answer, choices };
}

describe("a whole completion", () => {
  test("reads back as the answer it was made of", () => {
    expect(readCompletion(JSON.parse(openAiChat.formatResponse(ANSWER, request())))).toEqual(
      withoutBooks(ANSWER),
    );
  });

  test("has the form of OpenAI's", () => {
    const plain: ChatResponse = {
      choices: [{ index: 0, text: "Hi", toolCalls: [], finishReason: "stop" }],
    };
    expect(JSON.parse(openAiChat.formatResponse(plain, request()))).toEqual({
      id: "chatcmpl-abc",
      object: "chat.completion",
      created: 1_795_600_000,
      model: "route",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hi", refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
    });
  });

  test.each([
    [
      { text: "", refusal: "No." },
      { content: null, refusal: "No." },
    ],
    [{ text: "" }, { content: "" }],
  ])("of %j says %j", (said, message) => {
    const answer: ChatResponse = { choices: [{ index: 0, toolCalls: [], finishReason: "stop", ...said }] };
    expect(JSON.parse(openAiChat.formatResponse(answer, request())).choices[0].message).toMatchObject(
      message,
    );
  });

  test("calls tools though its vendor says that it just stopped", () => {
    const toolCalls = [{ id: "c", name: "f", argumentsJson: "{}" }];
    const answer: ChatResponse = { choices: [{ index: 0, text: "", toolCalls, finishReason: "stop" }] };
    expect(JSON.parse(openAiChat.formatResponse(answer, request())).choices[0].finish_reason).toBe(
      "tool_calls",
    );
  });
});

describe("a stream", () => {
  test("begins with the role, carries the deltas, and ends with usage and the end mark", () => {
    const text = encode(CHUNKS);
    const bodies = bodiesOf(text);
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(bodies[0]?.["choices"]).toMatchObject([
      { delta: { role: "assistant", content: "" }, finish_reason: null },
    ]);
    expect(
      bodies.every(
        ({ id, model, object }) => id === "msg_1" && model === "claude" && object === "chat.completion.chunk",
      ),
    ).toBe(true);
    expect(bodies.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 10, total_tokens: 15 } });
    expect(bodies.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });

  test("adds up to the whole completion", () => {
    const assembled = readCompletion(JSON.parse(openAiChat.wholeFromStream(parseText(encode(CHUNKS)))));
    expect(assembled).toEqual(withoutBooks(ANSWER));
  });

  test("has no usage where the client asked for none", () => {
    const bodies = bodiesOf(encode(CHUNKS, request({ stream: true })));
    expect(bodies.some((body) => "usage" in body)).toBe(false);
  });

  test("opens each choice once, and each call with its kind", () => {
    const bodies = bodiesOf(
      encode([
        { type: "text", index: 1, text: "b" },
        { type: "text", index: 0, text: "a" },
        { type: "tool_call", index: 0, call: 1, id: "y", name: "g", argumentsFragment: "{" },
        { type: "tool_call", index: 0, call: 1, argumentsFragment: "}" },
      ]),
    );
    const deltas = JSON.stringify(bodies.map(({ choices }) => choices));
    expect(deltas.match(/"role"/g)).toHaveLength(2);
    expect(deltas.match(/"type":"function"/g)).toHaveLength(1);
  });

  test.each(["text.sse", "tools.sse", "refusal.sse", "reasoning.sse", "two-choices.sse"])(
    "of OpenAI's own chunks says the same again: %s",
    (name) => {
      const chunks = parseInPieces(fixtureBytes(`openai/${name}`), 7).flatMap(createOpenAiDecoder());
      const again = parseText(encode(chunks)).flatMap(createOpenAiDecoder());
      const said = (list: readonly ChatChunk[]): readonly ChatChunk[] =>
        list.filter(({ type }) => type !== "start" && type !== "usage");
      expect(said(again)).toEqual(said(chunks));
    },
  );
});
