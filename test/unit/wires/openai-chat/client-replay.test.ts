// A stored stream as a whole answer, and a stored whole answer as a stream: the content must be the same either way.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import {
  fixtureBytes,
  fixtureJson,
  fixtureText,
  parseInPieces,
  parseText,
  SPLITS,
} from "../../../support/builders/wire-fixtures.ts";

const assemble = (text: string): unknown => JSON.parse(openAiChat.wholeFromStream(parseText(text)));

function chatThatAsksFor(options: object | undefined) {
  const body = {
    model: "m",
    messages: [{ role: "user", content: "Hi" }],
    stream: true,
    stream_options: options,
  };
  return openAiChat.parseRequest(JSON.stringify(body));
}
const plain = chatThatAsksFor(undefined);
const withUsage = chatThatAsksFor({ include_usage: true });

describe("assemble", () => {
  test.each(["tools", "refusal"])("the %s stream adds up to its whole answer", (name) => {
    expect(assemble(fixtureText(`openai/${name}.sse`))).toEqual(fixtureJson(`openai/${name}.json`));
  });

  test.each(["text.sse", "text-crlf.sse", "text-comments.sse"])(
    "%s adds up to text.json at any split",
    (name) => {
      const { choices, ...whole } = Object(fixtureJson("openai/text.json"));
      // The one field that OpenAI sends in whole answers only.
      const { annotations: _, ...message } = choices[0].message;
      const expected = { ...whole, choices: [{ ...choices[0], message }] };
      for (const size of SPLITS) {
        const events = parseInPieces(fixtureBytes(`openai/${name}`), size);
        expect(JSON.parse(openAiChat.wholeFromStream(events))).toEqual(expected);
      }
    },
  );

  test("choices come in order, each with its own text and end", () => {
    expect(assemble(fixtureText("openai/two-choices.sse"))).toMatchObject({
      choices: [
        { index: 0, message: { role: "assistant", content: "Tails" }, finish_reason: "length" },
        { index: 1, message: { role: "assistant", content: "Heads" }, finish_reason: "stop" },
      ],
    });
  });

  test("reasoning text is joined beside the answer", () => {
    expect(assemble(fixtureText("openai/reasoning.sse"))).toMatchObject({
      choices: [{ message: { content: "It is prime.", reasoning_content: "Seventeen is odd." } }],
    });
  });

  test("a vendor's own fields survive", () => {
    expect(assemble(fixtureText("openai/azure.sse"))).toMatchObject({
      id: "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
      prompt_filter_results: [{ prompt_index: 0 }],
      choices: [{ content_filter_results: { hate: { severity: "safe" } }, finish_reason: "content_filter" }],
    });
  });

  test.each(["stream-error.sse", "malformed.sse"])("%s is no answer", (name) => {
    const events = parseText(fixtureText(`openai/${name}`));
    expect(() => openAiChat.wholeFromStream(events)).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });

  test("a stream without choices is no answer", () => {
    expect(() => openAiChat.wholeFromStream([])).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });
});

describe("explode", () => {
  const dataOf = (text: string): readonly string[] => parseText(text).map(({ data }) => data);

  test("begins with the role, ends with a reason and the end mark", () => {
    const data = dataOf(openAiChat.streamFromWhole(fixtureText("openai/text.json"), plain));
    const chunks = data.slice(0, -1).map((text) => JSON.parse(text));
    expect(data.at(-1)).toBe("[DONE]");
    expect(chunks[0]).toMatchObject({
      object: "chat.completion.chunk",
      model: "gpt-4o-mini-2024-07-18",
      choices: [{ delta: { role: "assistant", content: "" }, finish_reason: null }],
    });
    expect(chunks.at(-1)).toMatchObject({ choices: [{ delta: {}, finish_reason: "stop" }] });
    expect(chunks.some((chunk) => "usage" in chunk)).toBe(false);
  });

  test("sends usage in a chunk of its own where the client asked for it", () => {
    const data = dataOf(openAiChat.streamFromWhole(fixtureText("openai/text.json"), withUsage));
    const chunks = data.slice(0, -1).map((text) => JSON.parse(text));
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 19, completion_tokens: 10 } });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  });

  test("gives each tool call its index", () => {
    const text = openAiChat.streamFromWhole(fixtureText("openai/tools.json"), plain);
    expect(text).toContain('"tool_calls":[{"index":0,"id":"call_8dS2Vm6bWpJ4oUqXq0Yv3zkT"');
    expect(text).toContain('"tool_calls":[{"index":1,"id":"call_Lr5Q0f8hN2eGxM1cTg7aKwVd"');
  });

  test.each(["", "{", "[]", "{}", '{"choices":1}'])("%j is no answer", (body) => {
    expect(() => openAiChat.streamFromWhole(body, plain)).toThrow(
      expect.objectContaining({ code: "upstream_malformed" }),
    );
  });
});

describe("there and back", () => {
  test.each(["text", "tools", "refusal"])("%s.json", (name) => {
    const body = fixtureText(`openai/${name}.json`);
    expect(assemble(openAiChat.streamFromWhole(body, withUsage))).toEqual(JSON.parse(body));
  });

  test("any completion", () => {
    const call = fc.record({
      id: fc.string(),
      type: fc.constant("function"),
      function: fc.record({ name: fc.string(), arguments: fc.string() }),
    });
    const message = fc.record(
      {
        role: fc.constant("assistant"),
        content: fc.option(fc.string({ unit: "binary" })),
        refusal: fc.option(fc.string({ minLength: 1 })),
        reasoning_content: fc.string(),
        tool_calls: fc.array(call, { minLength: 1 }),
        x_vendor: fc.record({ a: fc.integer(), list: fc.array(fc.string()) }),
      },
      { requiredKeys: ["role", "content", "refusal"] },
    );
    const finishReason = fc.constantFrom("stop", "length", "tool_calls");
    const completion = fc
      .record({
        id: fc.string(),
        created: fc.nat(),
        model: fc.string(),
        usage: fc.record({ prompt_tokens: fc.nat(), completion_tokens: fc.nat() }),
        answers: fc.array(fc.tuple(message, finishReason), { minLength: 1, maxLength: 3 }),
      })
      .map(({ answers, ...rest }) => ({
        ...rest,
        object: "chat.completion",
        choices: answers.map(([said, reason], index) => ({
          index,
          message: said,
          logprobs: null,
          finish_reason: reason,
        })),
      }));
    fc.assert(
      fc.property(completion, (body) => {
        const text = JSON.stringify(body);
        expect(assemble(openAiChat.streamFromWhole(text, withUsage))).toEqual(JSON.parse(text));
      }),
    );
  });
});
