// Answers of other wires in Gemini's form: whole, streamed, stored and replayed.
import { describe, expect, test } from "vitest";
import type { ChatChoice, ChatChunk, ChatRequest } from "../../../../src/schema/chat.ts";
import { geminiGenerateContent, geminiArray } from "../../../../src/wires/gemini/client-wire.ts";
import { unwrapFromGemini } from "../../../../src/wires/gemini/client-reasoning.ts";
import { GatewayError } from "../../../../src/errors.ts";
import { fixtureText, parseText } from "../../../support/builders/wire-fixtures.ts";

const CHAT: ChatRequest = geminiGenerateContent.parseRequest('{"contents":[{"parts":[{"text":"Hi"}]}]}', {
  model: "m",
  stream: true,
});

function format(choice: Partial<ChatChoice>, rest: object = {}) {
  const choices = [{ index: 0, text: "", toolCalls: [], ...choice }];
  return JSON.parse(geminiGenerateContent.formatResponse({ choices, ...rest }, CHAT));
}

/** The events of these chunks, each pushed by itself. */
function encode(...chunks: readonly ChatChunk[]) {
  const encoder = geminiGenerateContent.encoder(CHAT);
  const text = chunks.map((chunk) => encoder.push([chunk])).join("") + encoder.end();
  return parseText(text).map(({ data }) => JSON.parse(data));
}

const CITATION = { url: "https://e.test/a", title: "A", startIndex: 0, endIndex: 6 };

describe("a whole answer", () => {
  test("text, usage, id and model", () => {
    const usage = { inputTokens: 19, outputTokens: 30, cacheReadTokens: 16, reasoningTokens: 20 };
    expect(format({ text: "Hello", finishReason: "stop" }, { id: "r1", model: "gpt-4o", usage })).toEqual({
      candidates: [
        { content: { parts: [{ text: "Hello" }], role: "model" }, finishReason: "STOP", index: 0 },
      ],
      usageMetadata: {
        promptTokenCount: 19,
        candidatesTokenCount: 10,
        totalTokenCount: 49,
        cachedContentTokenCount: 16,
        thoughtsTokenCount: 20,
      },
      modelVersion: "gpt-4o",
      responseId: "r1",
    });
  });

  test("thoughts, then text, then calls with parsed arguments", () => {
    const [candidate] = format({
      text: "It is.",
      reasoning: "Odd.",
      reasoningSignature: "of-claude",
      encryptedReasoning: ["secret"],
      toolCalls: [
        { id: "c1", name: "f", argumentsJson: '{"city":"Zürich"}', signature: "gemini:Ci==" },
        { id: "", name: "g", argumentsJson: "" },
      ],
      finishReason: "tool_calls",
    }).candidates;
    expect(candidate.content.parts).toMatchObject([
      { text: "Odd.", thought: true },
      { text: "", thought: true },
      { text: "It is." },
      { functionCall: { id: "c1", name: "f", args: { city: "Zürich" } }, thoughtSignature: "Ci==" },
      { functionCall: { name: "g", args: {} } },
    ]);
    expect(unwrapFromGemini(candidate.content.parts[0].thoughtSignature)).toEqual({ signature: "of-claude" });
    expect(unwrapFromGemini(candidate.content.parts[1].thoughtSignature)).toEqual({ encrypted: "secret" });
    expect(candidate.finishReason).toBe("STOP");
  });

  test("a call whose arguments are no object ends as Gemini's own broken calls do", () => {
    const toolCalls = [{ id: "c1", name: "f", argumentsJson: '{"city":' }];
    expect(format({ toolCalls, finishReason: "tool_calls" }).candidates[0]).toMatchObject({
      content: { parts: [] },
      finishReason: "MALFORMED_FUNCTION_CALL",
    });
  });

  test.each([
    ["length", "MAX_TOKENS"],
    ["content_filter", "SAFETY"],
    ["stop", "STOP"],
  ] as const)("the finish reason %s is %s", (finishReason, word) => {
    expect(format({ finishReason }).candidates[0].finishReason).toBe(word);
  });

  test("a refusal is text that was stopped for safety; an unfinished answer has no reason", () => {
    expect(format({ refusal: "I can't.", finishReason: "stop" }).candidates[0]).toMatchObject({
      content: { parts: [{ text: "I can't." }] },
      finishReason: "SAFETY",
    });
    expect(format({ text: "Half" }).candidates[0]).not.toHaveProperty("finishReason");
  });

  test("sources, their offsets in bytes, and log probabilities", () => {
    const logprobs = [{ token: "Zü", logprob: -0.1, top: [{ token: "Be", logprob: -2 }] }];
    expect(format({ text: "Zürich.", citations: [CITATION], logprobs }).candidates[0]).toMatchObject({
      groundingMetadata: {
        groundingChunks: [{ web: { uri: "https://e.test/a", title: "A" } }],
        groundingSupports: [
          { segment: { startIndex: 0, endIndex: 7, text: "Zürich" }, groundingChunkIndices: [0] },
        ],
      },
      logprobsResult: {
        chosenCandidates: [{ token: "Zü", logProbability: -0.1 }],
        topCandidates: [{ candidates: [{ token: "Be", logProbability: -2 }] }],
      },
    });
  });
});

describe("a streamed answer", () => {
  test("text at once; finish and usage together at the end", () => {
    const events = encode(
      { type: "start", id: "r1", model: "gpt-4o" },
      { type: "text", index: 0, text: "Grüezi " },
      { type: "text", index: 0, text: "👋🏽" },
      { type: "finish", index: 0, reason: "stop" },
      { type: "usage", usage: { inputTokens: 3, outputTokens: 2 } },
      { type: "done" },
    );
    const head = { modelVersion: "gpt-4o", responseId: "r1" };
    const said = (text: string) => ({ content: { parts: [{ text }], role: "model" }, index: 0 });
    expect(events).toEqual([
      { candidates: [said("Grüezi ")], ...head },
      { candidates: [said("👋🏽")], ...head },
      {
        candidates: [{ ...said(""), finishReason: "STOP" }],
        usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 },
        ...head,
      },
    ]);
  });

  test("chunks that come together go out together", () => {
    const encoder = geminiGenerateContent.encoder(CHAT);
    const text = encoder.push([
      { type: "reasoning", index: 0, text: "Odd." },
      { type: "text", index: 0, text: "It " },
      { type: "text", index: 1, text: "Heads" },
    ]);
    expect(parseText(text).map(({ data }) => JSON.parse(data))).toEqual([
      {
        candidates: [
          { content: { parts: [{ text: "Odd.", thought: true }, { text: "It " }], role: "model" }, index: 0 },
          { content: { parts: [{ text: "Heads" }], role: "model" }, index: 1 },
        ],
      },
    ]);
  });

  test("calls come whole, however their arguments came", () => {
    const fragment = (call: number, argumentsFragment: string, more: object = {}): ChatChunk => ({
      type: "tool_call",
      index: 0,
      call,
      argumentsFragment,
      ...more,
    });
    const events = encode(
      fragment(0, "", { id: "a", name: "f" }),
      fragment(0, '{"ci'),
      fragment(1, '{"x":1}', { id: "b", name: "g" }),
      fragment(0, 'ty":"Zürich"}'),
      { type: "finish", index: 0, reason: "tool_calls" },
    );
    expect(events).toHaveLength(1);
    expect(events[0].candidates[0]).toEqual({
      content: {
        parts: [
          { functionCall: { id: "a", name: "f", args: { city: "Zürich" } } },
          { functionCall: { id: "b", name: "g", args: { x: 1 } } },
        ],
        role: "model",
      },
      finishReason: "STOP",
      index: 0,
    });
  });

  test("sources and log probabilities stand in the last event, a refusal ends it", () => {
    const last = encode(
      { type: "text", index: 0, text: "Zürich." },
      { type: "citation", index: 0, citation: CITATION },
      { type: "logprobs", index: 0, logprobs: [{ token: "Zü", logprob: -0.1, top: [] }] },
      { type: "refusal", index: 0, text: "No." },
      { type: "finish", index: 0, reason: "stop" },
    ).at(-1).candidates[0];
    expect(last).toMatchObject({ finishReason: "SAFETY", groundingMetadata: {}, logprobsResult: {} });
    expect(last.groundingMetadata.groundingSupports[0].segment.endIndex).toBe(7);
  });
});

describe("a stream without alt=sse", () => {
  test("is one JSON array", () => {
    const encoder = geminiArray.encoder(CHAT);
    const begun =
      encoder.push([{ type: "text", index: 0, text: "a" }]) +
      encoder.push([{ type: "text", index: 0, text: "b" }]);
    expect(JSON.parse(begun + encoder.end())).toHaveLength(3);
    const error = new GatewayError("upstream_error", "It broke.");
    expect(JSON.parse(begun + geminiArray.errorEvent(error)).at(-1)).toEqual({
      error: { code: 502, message: "It broke.", status: "INTERNAL" },
    });
    expect(geminiArray.streamType(CHAT)).toMatch(/^application\/json/);
    expect(JSON.parse(geminiArray.streamFromWhole(fixtureText("gemini/text.json"), CHAT))).toHaveLength(1);
  });
});

test("an error in mid-stream is an event that Google's SDK throws for: a code from 400 to 599", () => {
  const [event] = parseText(
    geminiGenerateContent.errorEvent(new GatewayError("upstream_timeout", "Silence.")),
  );
  expect(JSON.parse(event?.data ?? "")).toEqual({
    error: { code: 504, message: "Silence.", status: "DEADLINE_EXCEEDED" },
  });
});

describe("what the cache kept", () => {
  test.each([
    ["text.sse", "text.json"],
    ["thinking.sse", "thinking.json"],
  ])("%s adds up to %s", (stream, whole) => {
    const assembled = JSON.parse(
      geminiGenerateContent.wholeFromStream(parseText(fixtureText(`gemini/${stream}`))),
    );
    const { avgLogprobs: _, ...candidate } = JSON.parse(fixtureText(`gemini/${whole}`)).candidates[0];
    expect(assembled.candidates).toEqual([candidate]);
    expect(assembled.usageMetadata).toEqual(JSON.parse(fixtureText(`gemini/${whole}`)).usageMetadata);
  });

  test("calls are not joined, candidates are kept apart, a blocked prompt stays one", () => {
    const assemble = (name: string) =>
      JSON.parse(geminiGenerateContent.wholeFromStream(parseText(fixtureText(`gemini/${name}`))));
    expect(assemble("tools.sse").candidates[0].content.parts).toHaveLength(3);
    expect(assemble("two-candidates.sse").candidates).toMatchObject([
      { content: { parts: [{ text: "Tails" }] }, finishReason: "MAX_TOKENS" },
      { content: { parts: [{ text: "Heads" }] }, finishReason: "STOP" },
    ]);
    expect(assemble("blocked.sse").promptFeedback).toEqual({ blockReason: "PROHIBITED_CONTENT" });
  });

  test.each(["text.json", "tools.json", "grounded.json", "logprobs.json"])(
    "%s comes back from its own stream",
    (name) => {
      const body = fixtureText(`gemini/${name}`);
      const events = parseText(geminiGenerateContent.streamFromWhole(body, CHAT));
      expect(events).toHaveLength(1);
      expect(JSON.parse(geminiGenerateContent.wholeFromStream(events))).toEqual(JSON.parse(body));
    },
  );

  test.each(["", "data: {\n\n", 'data: {"error":{}}\n\n', "data: 5\n\n"])("%j is no answer", (text) => {
    expect(() => geminiGenerateContent.wholeFromStream(parseText(text))).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });
});
