import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ChatChunk, ChatResponse } from "../../../src/chat.ts";
import {
  createAnswerCollector,
  estimateTokens,
  estimateUsage,
  summarise,
} from "../../../src/pipeline/answer.ts";
import { createOpenAiDecoder } from "../../../src/providers/openai-stream.ts";
import { readCompletion } from "../../../src/providers/openai-wire.ts";
import { createSseParser } from "../../../src/sse.ts";
import { fakeChat } from "../../support/fake-tenant.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/openai");

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
      outputChars: 18,
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
    expect(collect()).toEqual({ finishReasons: [], hasToolCalls: false, isRefusal: false, outputChars: 0 });
  });

  test("takes the last usage, which some vendors repeat with each event", () => {
    const usage = (outputTokens: number): ChatChunk => ({
      type: "usage",
      usage: { inputTokens: 1, outputTokens },
    });
    expect(collect(usage(1), usage(2), usage(9)).usage?.outputTokens).toBe(9);
  });

  test("does not grow with an index that no request could have asked for", () => {
    const { finishReasons, outputChars } = collect(
      { type: "text", index: 2 ** 52, text: "far" },
      { type: "finish", index: 2 ** 52, reason: "stop" },
    );
    expect(finishReasons.length).toBeLessThanOrEqual(128);
    expect(outputChars).toBe(3);
  });
});

describe("an estimate", () => {
  test("before the call counts four characters of the body a token, and what the client allows to be written", () => {
    const chat = fakeChat({ max_tokens: 100, n: 3 });
    expect(estimateTokens(chat)).toEqual({
      inputTokens: Math.ceil(chat.wireText.length / 4),
      outputTokens: 300,
    });
  });

  test("before the call reserves no output where the client set no bound", () => {
    expect(estimateTokens(fakeChat()).outputTokens).toBe(0);
  });

  test("before the call goes by what the model's answers have come to, but never beyond what the client allows", () => {
    expect(estimateTokens(fakeChat({ n: 2 }), 40).outputTokens).toBe(80);
    expect(estimateTokens(fakeChat({ max_tokens: 1000 }), 40).outputTokens).toBe(40);
    expect(estimateTokens(fakeChat({ max_tokens: 10 }), 40).outputTokens).toBe(10);
  });

  test("after the call counts what was written", () => {
    const chat = fakeChat();
    const inputTokens = Math.ceil(chat.wireText.length / 4);
    expect(estimateUsage(chat, 0)).toEqual({ inputTokens, outputTokens: 0 });
    expect(estimateUsage(chat, 9)).toEqual({ inputTokens, outputTokens: 3 });
  });
});
