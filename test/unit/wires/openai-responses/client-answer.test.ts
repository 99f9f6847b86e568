// Answers of other wires as a Responses client gets them: a whole response, its stream of events, and stored answers in the other
// form.
import { describe, expect, test } from "vitest";
import type { ChatChunk, ChatRequest, ChatResponse } from "../../../../src/schema/chat.ts";
import { openAiResponses } from "../../../../src/wires/openai-responses/client-wire.ts";
import {
  wrapEncryptedForResponses,
  wrapSignatureForResponses,
} from "../../../../src/wires/openai-responses/client-reasoning.ts";
import {
  createResponsesDecoder,
  readResponse,
} from "../../../../src/wires/openai-responses/upstream-wire.ts";
import type { ServerSentEvent } from "../../../../src/bytes/sse.ts";
import {
  fixtureBytes,
  fixtureJson,
  fixtureText,
  parseInPieces,
  parseText,
} from "../../../support/builders/wire-fixtures.ts";

const chat: ChatRequest = {
  ...openAiResponses.parseRequest(
    JSON.stringify({
      model: "route",
      input: "Hi",
      stream: true,
      temperature: 0.5,
      instructions: "Be brief.",
    }),
  ),
  stamp: { id: "abc", createdAtSeconds: 1_795_600_000 },
};

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
      citations: [{ url: "https://a.test", title: "A", startIndex: 0, endIndex: 6 }],
      logprobs: [{ token: "Z", logprob: -0.1, top: [{ token: "B", logprob: -2 }] }],
      toolCalls: [{ id: "c1", name: "look", argumentsJson: '{"a":1}' }],
      finishReason: "tool_calls",
    },
  ],
  usage: { inputTokens: 10, outputTokens: 5, cacheReadTokens: 4, reasoningTokens: 1 },
};

const CHUNKS: readonly ChatChunk[] = [
  { type: "start", id: "msg_1", model: "claude" },
  { type: "reasoning", index: 0, text: "h" },
  { type: "reasoning", index: 0, text: "m" },
  { type: "reasoning_signature", index: 0, signature: "sig" },
  { type: "encrypted_reasoning", index: 0, data: "sealed" },
  { type: "text", index: 0, text: "Zür" },
  { type: "text", index: 0, text: "ich." },
  { type: "citation", index: 0, citation: { url: "https://a.test", title: "A", startIndex: 0, endIndex: 6 } },
  {
    type: "logprobs",
    index: 0,
    logprobs: [{ token: "Z", logprob: -0.1, top: [{ token: "B", logprob: -2 }] }],
  },
  { type: "tool_call", index: 0, call: 0, id: "c1", name: "look", argumentsFragment: "" },
  { type: "tool_call", index: 0, call: 0, argumentsFragment: '{"a"' },
  { type: "tool_call", index: 0, call: 0, argumentsFragment: ":1}" },
  { type: "finish", index: 0, reason: "tool_calls" },
  { type: "usage", usage: { inputTokens: 10, outputTokens: 5, cacheReadTokens: 4, reasoningTokens: 1 } },
];

function encode(chunks: readonly ChatChunk[]): readonly ServerSentEvent[] {
  const encoder = openAiResponses.encoder(chat);
  return parseText(chunks.map((chunk) => encoder.push([chunk])).join("") + encoder.end());
}

const bodies = (events: readonly ServerSentEvent[]) => events.map(({ data }) => JSON.parse(data));
const names = (events: readonly ServerSentEvent[]) =>
  events.map(({ event }) => event.replace(/^response\./, ""));

describe("a whole response", () => {
  const body = JSON.parse(openAiResponses.formatResponse(ANSWER, chat));

  test("holds thought, message and call as items of their own", () => {
    expect(body.output).toEqual([
      {
        id: "rs_msg_1_0",
        type: "reasoning",
        summary: [{ type: "summary_text", text: "hm" }],
        encrypted_content: wrapSignatureForResponses("sig"),
      },
      {
        id: "rs_msg_1_1",
        type: "reasoning",
        summary: [],
        encrypted_content: wrapEncryptedForResponses("sealed"),
      },
      {
        id: "msg_msg_1_2",
        type: "message",
        status: "completed",
        role: "assistant",
        content: [
          {
            type: "output_text",
            text: "Zürich.",
            annotations: [
              { type: "url_citation", url: "https://a.test", title: "A", start_index: 0, end_index: 6 },
            ],
            logprobs: [
              {
                token: "Z",
                logprob: -0.1,
                bytes: [],
                top_logprobs: [{ token: "B", logprob: -2, bytes: [] }],
              },
            ],
          },
        ],
      },
      {
        id: "fc_msg_1_3",
        type: "function_call",
        status: "completed",
        call_id: "c1",
        name: "look",
        arguments: '{"a":1}',
      },
    ]);
  });

  test("says again what was asked, and what it used", () => {
    expect(body).toMatchObject({
      id: "resp_msg_1",
      object: "response",
      created_at: 1_795_600_000,
      status: "completed",
      model: "claude",
      instructions: "Be brief.",
      temperature: 0.5,
      tool_choice: "auto",
      usage: {
        input_tokens: 10,
        input_tokens_details: { cached_tokens: 4 },
        output_tokens: 5,
        output_tokens_details: { reasoning_tokens: 1 },
        total_tokens: 15,
      },
    });
  });

  test("reads back as the same text, thoughts and calls", () => {
    const { choices } = readResponse(body);
    expect(choices[0]).toMatchObject({ text: "Zürich.", reasoning: "hm", finishReason: "tool_calls" });
    expect(choices[0]?.toolCalls).toEqual(ANSWER.choices[0]?.toolCalls);
  });

  test.each([
    ["length", "incomplete", { reason: "max_output_tokens" }],
    ["content_filter", "incomplete", { reason: "content_filter" }],
    ["stop", "completed", null],
  ] as const)("that ended by %s is %s", (finishReason, status, details) => {
    const answer: ChatResponse = { choices: [{ index: 0, text: "x", toolCalls: [], finishReason }] };
    expect(JSON.parse(openAiResponses.formatResponse(answer, chat))).toMatchObject({
      id: "resp_abc",
      status,
      incomplete_details: details,
    });
  });
});

describe("a stream", () => {
  const events = encode(CHUNKS);

  test("has the API's events in the API's order, numbered from 0", () => {
    expect(names(events)).toEqual([
      "created",
      "in_progress",
      "output_item.added",
      "reasoning_summary_part.added",
      "reasoning_summary_text.delta",
      "reasoning_summary_text.delta",
      "reasoning_summary_text.done",
      "reasoning_summary_part.done",
      "output_item.done",
      "output_item.added",
      "output_item.done",
      "output_item.added",
      "content_part.added",
      "output_text.delta",
      "output_text.delta",
      "output_text.annotation.added",
      "output_text.delta",
      "output_text.done",
      "content_part.done",
      "output_item.done",
      "output_item.added",
      "function_call_arguments.delta",
      "function_call_arguments.delta",
      "function_call_arguments.done",
      "output_item.done",
      "completed",
    ]);
    expect(bodies(events).map((body) => body.sequence_number)).toEqual(events.map((_, at) => at));
    expect(bodies(events).map((body) => body.type)).toEqual(events.map(({ event }) => event));
  });

  test("ends with the very response that a client without a stream gets", () => {
    expect(bodies(events).at(-1).response).toEqual(JSON.parse(openAiResponses.formatResponse(ANSWER, chat)));
  });

  test("decodes to the chunks it was made of", () => {
    const told: readonly ChatChunk["type"][] = ["text", "reasoning", "tool_call", "citation", "finish"];
    const kept = (list: readonly ChatChunk[]) => list.filter(({ type }) => told.includes(type));
    expect(kept(events.flatMap(createResponsesDecoder()))).toEqual(kept(CHUNKS));
  });

  test("keeps calls apart whose fragments interleave", () => {
    const interleaved = encode([
      { type: "tool_call", index: 0, call: 0, id: "a", name: "f", argumentsFragment: "{" },
      { type: "tool_call", index: 0, call: 1, id: "b", name: "g", argumentsFragment: "[" },
      { type: "tool_call", index: 0, call: 0, argumentsFragment: "}" },
      { type: "tool_call", index: 0, call: 1, argumentsFragment: "]" },
    ]);
    expect(bodies(interleaved).at(-1).response.output).toMatchObject([
      { call_id: "a", arguments: "{}" },
      { call_id: "b", arguments: "[]" },
    ]);
  });

  test("of a refusal has a part for it", () => {
    const refused = encode([
      { type: "refusal", index: 0, text: "No" },
      { type: "refusal", index: 0, text: "." },
      { type: "finish", index: 0, reason: "stop" },
    ]);
    expect(names(refused)).toContain("refusal.delta");
    expect(bodies(refused).at(-1).response.output).toMatchObject([
      { content: [{ type: "refusal", refusal: "No." }] },
    ]);
  });

  test("that ended by its limit is incomplete", () => {
    const cut = encode([
      { type: "text", index: 0, text: "x" },
      { type: "finish", index: 0, reason: "length" },
    ]);
    expect(names(cut).at(-1)).toBe("incomplete");
  });

  test("of nothing is still a whole one", () => {
    expect(names(encode([]))).toEqual(["created", "in_progress", "completed"]);
  });
});

describe("a stored answer", () => {
  test.each(["text", "tools", "refusal"])("%s: the stream assembles to the response", (name) => {
    const events = parseInPieces(fixtureBytes(`openai-responses/${name}.sse`), 7);
    expect(JSON.parse(openAiResponses.wholeFromStream(events))).toEqual(
      fixtureJson(`openai-responses/${name}.json`),
    );
  });

  test.each(["text", "tools", "refusal"])(
    "%s: the response explodes to a stream that assembles to it",
    (name) => {
      const whole = fixtureText(`openai-responses/${name}.json`);
      const events = parseText(openAiResponses.streamFromWhole(whole, chat));
      expect(JSON.parse(openAiResponses.wholeFromStream(events))).toEqual(JSON.parse(whole));
      expect(bodies(events).map((body) => body.sequence_number)).toEqual(events.map((_, at) => at));
      const direct = parseInPieces(fixtureBytes(`openai-responses/${name}.sse`), 7);
      expect(new Set(names(events))).toEqual(new Set(names(direct)));
    },
  );

  test("of a stream without a good end is none", () => {
    const events = parseInPieces(fixtureBytes("openai-responses/cut.sse"), 7);
    expect(() => openAiResponses.wholeFromStream(events)).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });

  test.each(["{", "{}", "[]"])("%j is no response", (body) => {
    expect(() => openAiResponses.streamFromWhole(body, chat)).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });
});
