import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ChatChunk, ChatResponse } from "../../../../src/schema/chat.ts";
import {
  countRelayed,
  countUsage,
  createAnswerCollector,
  summarise,
} from "../../../../src/pipeline/answers/answer-summary.ts";
import { estimateTokens, promptTokens } from "../../../../src/pricing/estimate/request-tokens.ts";
import { createOpenAiDecoder } from "../../../../src/wires/openai-chat/upstream-stream.ts";
import { readCompletion } from "../../../../src/wires/openai-chat/upstream-answer.ts";
import { createSseParser } from "../../../../src/bytes/sse.ts";
import { fakeChat } from "../../../support/fakes/fake-tenant.ts";

const FIXTURES = join(import.meta.dirname, "../../../fixtures/openai");

function collect(...chunks: readonly ChatChunk[]) {
  const collector = createAnswerCollector();
  // One at a time and not in one burst, as a slow stream brings them.
  for (const chunk of chunks) collector.add([chunk]);
  return collector.summary();
}

function collectStream(name: string) {
  const collector = createAnswerCollector();
  const decode = createOpenAiDecoder();
  for (const event of createSseParser().push(readFileSync(join(FIXTURES, name))))
    collector.add(decode(event));
  return collector.summary();
}

describe("what is kept of an answer", () => {
  test("is the same whether it came as a stream or whole", () => {
    const chunks: ChatChunk[] = [
      { type: "start", id: "c-1", model: "m-1" },
      { type: "reasoning", index: 0, text: "Hm" },
      { type: "text", index: 0, text: "Hel" },
      { type: "text", index: 0, text: "lo" },
      { type: "tool_call", index: 1, call: 0, id: "t", name: "find", argumentsFragment: '{"q":' },
      { type: "tool_call", index: 1, call: 0, argumentsFragment: '"x"}' },
      { type: "refusal", index: 2, text: "No" },
      { type: "finish", index: 1, reason: "tool_calls" },
      { type: "finish", index: 0, reason: "stop" },
      { type: "usage", usage: { inputTokens: 3, outputTokens: 4 } },
      { type: "done" },
    ];
    const whole: ChatResponse = {
      id: "c-1",
      model: "m-1",
      usage: { inputTokens: 3, outputTokens: 4 },
      choices: [
        { index: 0, text: "Hello", reasoning: "Hm", toolCalls: [], finishReason: "stop" },
        {
          index: 1,
          text: "",
          toolCalls: [{ id: "t", name: "find", argumentsJson: '{"q":"x"}' }],
          finishReason: "tool_calls",
        },
        { index: 2, text: "", refusal: "No", toolCalls: [] },
      ],
    };
    expect(collect(...chunks)).toEqual(summarise(whole));
    expect(summarise(whole)).toEqual({
      id: "c-1",
      model: "m-1",
      usage: { inputTokens: 3, outputTokens: 4 },
      finishReasons: ["stop", "tool_calls", undefined],
      hasToolCalls: true,
      isRefusal: true,
      writtenTokens: expect.closeTo(6.62),
    });
  });

  test.each(["text", "tools", "refusal"])("of a vendor's %s is the same in both forms", (name) => {
    const whole = summarise(readCompletion(JSON.parse(readFileSync(join(FIXTURES, `${name}.json`), "utf8"))));
    const streamed = collectStream(`${name}.sse`);
    // The fixtures are of two calls: what a call is named and billed may differ, what it is may not.
    const kind = ({ finishReasons, hasToolCalls, isRefusal }: typeof whole) => ({
      finishReasons,
      hasToolCalls,
      isRefusal,
    });
    expect(kind(streamed)).toEqual(kind(whole));
  });

  test("of a stream that was cut leaves the choice without an end", () => {
    expect(collectStream("cut.sse").finishReasons).toEqual([undefined]);
  });

  test("of nothing is nothing", () => {
    expect(collect()).toEqual({ finishReasons: [], hasToolCalls: false, isRefusal: false, writtenTokens: 0 });
  });

  test("takes the last usage, which some vendors repeat with each event", () => {
    const usage = (outputTokens: number): ChatChunk => ({
      type: "usage",
      usage: { inputTokens: 1, outputTokens },
    });
    expect(collect(usage(1), usage(2), usage(9)).usage?.outputTokens).toBe(9);
  });

  test("does not grow with an index that no request could have asked for", () => {
    const { finishReasons, writtenTokens } = collect(
      { type: "text", index: 2 ** 52, text: "far" },
      { type: "finish", index: 2 ** 52, reason: "stop" },
    );
    expect(finishReasons.length).toBeLessThanOrEqual(128);
    expect(writtenTokens).toBeCloseTo(0.66);
  });
});

describe("an estimate", () => {
  test("before the call counts the prompt, and what the client allows to be written", () => {
    const chat = fakeChat({ max_tokens: 100, n: 3 });
    expect(estimateTokens(chat)).toEqual({ inputTokens: promptTokens(chat), outputTokens: 300 });
  });

  test("before the call reserves no more than the longest answer that a vendor gives", () => {
    expect(estimateTokens(fakeChat({ max_tokens: 100_000_000 })).outputTokens).toBe(131_072);
  });

  test("before the call reserves no output where the client set no bound", () => {
    expect(estimateTokens(fakeChat()).outputTokens).toBe(0);
  });

  test("before the call goes by what the model's answers have come to, but never beyond what the client allows", () => {
    expect(estimateTokens(fakeChat({ n: 2 }), 40).outputTokens).toBe(80);
    expect(estimateTokens(fakeChat({ max_tokens: 1000 }), 40).outputTokens).toBe(40);
    expect(estimateTokens(fakeChat({ max_tokens: 10 }), 40).outputTokens).toBe(10);
  });
});

describe("what an answer has used", () => {
  const chat = fakeChat();
  const inputTokens = promptTokens(chat);
  const text = (length: number): ChatChunk => ({ type: "text", index: 0, text: "x".repeat(length) });
  const billed = (outputTokens: number): ChatChunk => ({
    type: "usage",
    usage: { inputTokens: 700, outputTokens, cacheReadTokens: 500 },
  });
  const end: ChatChunk = { type: "finish", index: 0, reason: "stop" };

  test("is what the upstream has billed", () => {
    const usage = { inputTokens: 700, outputTokens: 1, cacheReadTokens: 500 };
    expect(countUsage(chat, collect(text(40), end, billed(1)), false)).toEqual({ usage, isEstimate: false });
    // A client who leaves between the bill and the last byte.
    expect(countUsage(chat, collect(text(40), end, billed(1)), true)).toEqual({ usage, isEstimate: false });
  });

  test("is estimated where the upstream says nothing, by what was written", () => {
    const estimate = { usage: { inputTokens, outputTokens: 2 }, isEstimate: true };
    expect(countUsage(chat, collect(text(9), end), false)).toEqual(estimate);
    expect(countUsage(chat, collect(text(9)), true)).toEqual(estimate);
  });

  test("is the prompt where a cut answer never began: the vendor has read it", () => {
    expect(countUsage(chat, collect({ type: "start", id: "1" }), true)).toEqual({
      usage: { inputTokens, outputTokens: 0 },
      isEstimate: true,
    });
    expect(countUsage(chat, collect(end), false).usage.outputTokens).toBe(0);
  });

  test("of a cut answer is the prompt as billed, and the output as far as it had come", () => {
    const soFar = (outputTokens: number) => ({
      usage: { inputTokens: 700, outputTokens, cacheReadTokens: 500 },
      isEstimate: true,
    });
    expect(countUsage(chat, collect(billed(1), text(40)), true)).toEqual(soFar(9));
    expect(countUsage(chat, collect(billed(60), text(40)), true)).toEqual(soFar(60));
    expect(countUsage(chat, collect(billed(1)), true)).toEqual(soFar(1));
  });

  test("is not guessed where nothing could be read", () => {
    expect(countRelayed(chat, collect(text(9)), true)).toBeUndefined();
    expect(countRelayed(chat, undefined, false)).toBeUndefined();
    expect(countRelayed(chat, collect(text(9), billed(2)), false)?.isEstimate).toBe(false);
  });
});
