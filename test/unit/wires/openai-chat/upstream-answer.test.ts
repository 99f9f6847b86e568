// Whole answers of the OpenAI wire, read into our words.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GatewayError } from "../../../../src/errors.ts";
import { readCompletion, readChatUsage } from "../../../../src/wires/openai-chat/upstream-answer.ts";
import { fixtureJson } from "../../../support/builders/wire-fixtures.ts";

describe("answers", () => {
  test("text", () => {
    expect(readCompletion(fixtureJson("openai/text.json"))).toEqual({
      id: "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
      model: "gpt-4o-mini-2024-07-18",
      choices: [{ index: 0, text: "Hello there! 👋🏽 How can I help?", toolCalls: [], finishReason: "stop" }],
      usage: { inputTokens: 19, outputTokens: 10, cacheReadTokens: 16, reasoningTokens: 0 },
    });
  });

  test("tool calls, with their arguments as the model wrote them", () => {
    expect(readCompletion(fixtureJson("openai/tools.json")).choices).toEqual([
      {
        index: 0,
        text: "",
        finishReason: "tool_calls",
        toolCalls: [
          { id: "call_8dS2Vm6bWpJ4oUqXq0Yv3zkT", name: "get_weather", argumentsJson: '{"city": "Zürich"}' },
          {
            id: "call_Lr5Q0f8hN2eGxM1cTg7aKwVd",
            name: "get_time",
            argumentsJson: '{"zone": "Europe/Zurich"}',
          },
        ],
      },
    ]);
  });

  test("a refusal", () => {
    const [choice] = readCompletion(fixtureJson("openai/refusal.json")).choices;
    expect(choice).toMatchObject({ text: "", refusal: "I'm sorry, I can't help with that." });
  });

  test("reasoning under either of its names, and a call of a custom tool", () => {
    const message = (fields: object) => ({ choices: [{ message: fields }] });
    expect(readCompletion(message({ reasoning_content: "a" })).choices[0]?.reasoning).toBe("a");
    expect(readCompletion(message({ reasoning: "b" })).choices[0]?.reasoning).toBe("b");
    const custom = { id: "c1", type: "custom", custom: { name: "shell", input: "ls" } };
    expect(readCompletion(message({ tool_calls: [custom] })).choices[0]?.toolCalls).toEqual([
      { id: "c1", name: "shell", argumentsJson: "ls" },
    ]);
  });

  test("a choice that has not finished has no reason", () => {
    const [choice] = readCompletion({
      choices: [{ message: { content: "Half" }, finish_reason: null }],
    }).choices;
    expect(choice).toEqual({ index: 0, text: "Half", toolCalls: [] });
  });
});

describe("what is no answer", () => {
  test.each([
    undefined,
    null,
    "<html>",
    [],
    {},
    { choices: {} },
    { choices: [] },
    { choices: [null] },
    { choices: [{}] },
    { choices: [{ message: "Hi" }] },
  ])("%j is malformed", (body) => {
    expect(() => readCompletion(body)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });

  test("an error with a 2xx status is an upstream error, and its words stay here", () => {
    const body = { error: { message: "secret details", code: 502 } };
    expect(() => readCompletion(body)).toThrow(
      expect.objectContaining({ code: "upstream_error", message: expect.not.stringContaining("secret") }),
    );
  });

  test("no body makes it throw anything but a GatewayError", () => {
    const choice = fc.record({
      message: fc.dictionary(fc.constantFrom("content", "tool_calls", "refusal"), fc.jsonValue()),
    });
    const body = fc.oneof(fc.jsonValue(), fc.record({ choices: fc.array(choice), usage: fc.jsonValue() }));
    fc.assert(
      fc.property(body, (value) => {
        try {
          expect(readCompletion(value).choices.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
        }
      }),
    );
  });
});

describe("usage", () => {
  test("tells audio from text where a model hears or speaks", () => {
    const usage = readChatUsage({
      prompt_tokens: 30,
      completion_tokens: 20,
      prompt_tokens_details: { audio_tokens: 12, text_tokens: 18 },
      completion_tokens_details: { audio_tokens: 15, text_tokens: 5 },
    });
    expect(usage).toEqual({ inputTokens: 30, outputTokens: 20, inputAudioTokens: 12, outputAudioTokens: 15 });
  });

  test("leaves out what the upstream left out", () => {
    expect(readChatUsage({ prompt_tokens: 3, completion_tokens: 0 })).toEqual({
      inputTokens: 3,
      outputTokens: 0,
    });
    expect(readChatUsage({ prompt_tokens: 3 })).toEqual({ inputTokens: 3, outputTokens: 0 });
    expect(readChatUsage({ prompt_tokens: 3, prompt_tokens_details: null })).toEqual({
      inputTokens: 3,
      outputTokens: 0,
    });
  });

  test.each([undefined, null, {}, 5, [], { prompt_tokens: "3" }, { prompt_tokens: -1 }, { total_tokens: 5 }])(
    "%j is none",
    (usage) => {
      expect(readChatUsage(usage)).toBeUndefined();
    },
  );
});
