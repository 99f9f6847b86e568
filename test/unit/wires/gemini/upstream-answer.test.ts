// Whole answers, usage and errors of Gemini's wire, read into our words.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GatewayError } from "../../../../src/errors.ts";
import { readGeminiError } from "../../../../src/wires/gemini/upstream-errors.ts";
import { readAnswer, readGeminiUsage } from "../../../../src/wires/gemini/upstream-answer.ts";
import { readGeminiEmbeddings } from "../../../../src/wires/gemini/upstream-embeddings.ts";
import { fixtureJson } from "../../../support/builders/wire-fixtures.ts";

const read = (name: string) => readAnswer(fixtureJson(`gemini/${name}`));

describe("answers", () => {
  test("text", () => {
    expect(read("text.json")).toEqual({
      id: "mAitaLmkHPPlz7IPvtfUqQ4",
      model: "gemini-2.5-flash",
      choices: [{ index: 0, text: "Hello there! 👋🏽 How can I help?", toolCalls: [], finishReason: "stop" }],
      usage: { inputTokens: 19, outputTokens: 10, cacheReadTokens: 16 },
    });
  });

  test("calls: an id is made up where there is none, and signatures are tagged as Gemini's", () => {
    expect(read("tools.json").choices).toEqual([
      {
        index: 0,
        text: "",
        finishReason: "tool_calls",
        toolCalls: [
          {
            id: "call_mAitaLmkHPPlz7IPvtfUqQ4_0_0",
            name: "get_weather",
            argumentsJson: '{"city":"Zürich"}',
            signature: "gemini:CiQB0e2Kb8mT",
          },
          { id: "fc-7", name: "get_time", argumentsJson: "{}" },
        ],
      },
    ]);
  });

  test("thoughts apart from the text, with the signature that stands on the text behind them", () => {
    expect(read("thinking.json")).toMatchObject({
      choices: [
        {
          text: "It is prime.",
          reasoning: "Seventeen is odd.",
          reasoningSignature: "gemini:EpwCCpkC9mZ0==",
          finishReason: "stop",
        },
      ],
      usage: { inputTokens: 12, outputTokens: 40, reasoningTokens: 32 },
    });
  });

  test("log probabilities", () => {
    expect(read("logprobs.json").choices[0]?.logprobs).toEqual([
      {
        token: "Hi",
        logprob: -0.1,
        top: [
          { token: "Hi", logprob: -0.1 },
          { token: "Hello", logprob: -2.5 },
        ],
      },
      { token: "!", logprob: -0.5, top: [{ token: "!", logprob: -0.5 }] },
    ]);
  });

  test("sources of a search, with byte offsets turned into those of the text", () => {
    expect(read("grounded.json").choices[0]?.citations).toEqual([
      { url: "https://example.ch/zuerich", title: "example.ch", startIndex: 0, endIndex: 23 },
      { url: "https://example.ch/zuerich", title: "example.ch", startIndex: 24, endIndex: 37 },
      { url: "https://example.org/alps", title: "example.org", startIndex: 24, endIndex: 37 },
    ]);
  });

  test("sources of what the model recites", () => {
    const source = {
      startIndex: 0,
      endIndex: 7,
      uri: "https://example.com/book",
      title: "A book",
      license: "",
    };
    const content = { parts: [{ text: "Zürich liegt" }] };
    const [choice] = readAnswer({
      candidates: [{ content, citationMetadata: { citationSources: [source] } }],
    }).choices;
    expect(choice?.citations).toEqual([
      { url: "https://example.com/book", title: "A book", startIndex: 0, endIndex: 6 },
    ]);
  });

  test("a prompt that was blocked is an answer that was filtered", () => {
    expect(read("blocked.json").choices).toEqual([
      { index: 0, text: "", toolCalls: [], finishReason: "content_filter" },
    ]);
  });
});

describe("what is no answer", () => {
  test.each([
    undefined,
    null,
    "<html>",
    [],
    {},
    { candidates: {} },
    { candidates: [] },
    { candidates: [null] },
  ])("%j is malformed", (body) => {
    expect(() => readAnswer(body)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });

  test("an error with a 2xx status is an upstream error, and its words stay here", () => {
    expect(() => readAnswer({ error: { message: "secret details", code: 500 } })).toThrow(
      expect.objectContaining({ code: "upstream_error", message: expect.not.stringContaining("secret") }),
    );
  });

  test("no body makes it throw anything but a GatewayError", () => {
    const candidate = fc.record({
      content: fc.record({
        parts: fc.array(
          fc.oneof(
            fc.dictionary(fc.constantFrom("text", "thought", "functionCall"), fc.jsonValue()),
            fc.jsonValue(),
          ),
        ),
      }),
      finishReason: fc.jsonValue(),
    });
    const body = fc.oneof(
      fc.jsonValue(),
      fc.record({ candidates: fc.array(candidate), usageMetadata: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(body, (value) => {
        try {
          expect(readAnswer(value).choices.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
        }
      }),
    );
  });
});

test("usage counts thoughts as output and tools' results as input", () => {
  expect(
    readGeminiUsage({
      promptTokenCount: 10,
      candidatesTokenCount: 5,
      thoughtsTokenCount: 20,
      toolUsePromptTokenCount: 3,
    }),
  ).toEqual({ inputTokens: 13, outputTokens: 25, reasoningTokens: 20 });
  expect(readGeminiUsage({ promptTokenCount: 3 })).toEqual({ inputTokens: 3, outputTokens: 0 });
  const audio = (tokenCount: number) => [
    { modality: "TEXT", tokenCount: 1 },
    { modality: "AUDIO", tokenCount },
  ];
  expect(
    readGeminiUsage({ promptTokenCount: 9, promptTokensDetails: audio(8), cacheTokensDetails: audio(5) }),
  ).toMatchObject({ inputAudioTokens: 8, cacheReadAudioTokens: 5 });
  for (const none of [undefined, null, {}, 5, { promptTokenCount: "3" }, { promptTokenCount: -1 }]) {
    expect(readGeminiUsage(none)).toBeUndefined();
  }
});

describe("embeddings", () => {
  test("one or many", () => {
    expect(readGeminiEmbeddings(fixtureJson("gemini/embed.json")).vectors()).toEqual([[0.0125, -0.25, 0.5]]);
    expect(readGeminiEmbeddings(fixtureJson("gemini/batch-embed.json")).vectors()).toHaveLength(2);
  });

  test.each([null, {}, { embeddings: [] }, { embeddings: [{}] }, { embedding: { values: ["1"] } }])(
    "%j is malformed",
    (body) => {
      expect(() => readGeminiEmbeddings(body)).toThrow(
        expect.objectContaining({ code: "upstream_malformed" }),
      );
    },
  );
});

describe("errors", () => {
  const errorOf = (status: number, body: unknown, headers: Record<string, string> = {}) =>
    readGeminiError(status, new Headers(headers), body);

  test("a wrong key is a 400 at Google and our credential's fault here", () => {
    const error = errorOf(400, fixtureJson("gemini/errors/400-key.json"));
    expect(error).toMatchObject({ code: "upstream_auth", status: 502, details: { upstreamStatus: 400 } });
    expect(error.message).not.toContain("API key");
    const worded = errorOf(400, {
      error: { code: 400, message: "API key expired. Please renew the API key." },
    });
    expect(worded.code).toBe("upstream_auth");
  });

  test("a wrong field is the caller's fault, and is named", () => {
    expect(errorOf(400, fixtureJson("gemini/errors/400-field.json"))).toMatchObject({
      code: "upstream_rejected",
      status: 400,
      message: expect.stringContaining("temprature"),
      details: { param: "generation_config" },
    });
  });

  test("a spent quota says in its body when to come again", () => {
    const body = fixtureJson("gemini/errors/429.json");
    expect(errorOf(429, body)).toMatchObject({
      code: "upstream_rate_limited",
      details: { retryAfterMs: 34_075 },
    });
    expect(errorOf(429, body, { "retry-after": "2" }).details.retryAfterMs).toBe(2000);
  });

  test.each([
    [403, "errors/403.json", "upstream_auth"],
    [404, "errors/404.json", "upstream_rejected"],
    [503, "errors/503.json", "upstream_overloaded"],
  ])("%i in %s is %s", (status, name, code) => {
    expect(errorOf(status, fixtureJson(`gemini/${name}`))).toMatchObject({
      code,
      details: { upstreamStatus: status },
    });
  });

  test("an error in an array, as streams without events send it, reads the same", () => {
    expect(errorOf(400, [fixtureJson("gemini/errors/400-key.json")]).code).toBe("upstream_auth");
  });

  test("no body makes it throw", () => {
    fc.assert(
      fc.property(fc.integer({ min: 300, max: 599 }), fc.jsonValue(), (status, body) => {
        expect(errorOf(status, body)).toBeInstanceOf(GatewayError);
      }),
    );
  });
});
