// What is read of answers that are passed on: usage in every format that is known, nothing and no fault in any other.
import { describe, expect, test } from "vitest";
import {
  inspectTexts,
  inspectUsage,
  inspectWire,
  type Inspector,
} from "../../../../src/pipeline/answers/inspectors.ts";
import { providerOf } from "../../../../src/providers/registry.ts";
import { fixtureBytes, SPLITS } from "../../../support/builders/wire-fixtures.ts";

const [chat, responses = chat] = providerOf("openai").wires;

function feed(inspector: Inspector | undefined, bytes: Uint8Array, size: number): void {
  for (let at = 0; at < bytes.length; at += size) inspector?.push(bytes.subarray(at, at + size));
}

describe.each(SPLITS)("in pieces of %i bytes", (size) => {
  test.each([
    [chat, "application/json", "openai/text.json", 19],
    [chat, "text/event-stream; charset=utf-8", "openai/text.sse", 19],
    [responses, "application/json; charset=utf-8", "openai-responses/text.json", 36],
    [responses, "text/event-stream", "openai-responses/text.sse", 36],
  ])("usage of %o as %s", (wire, contentType, fixture, inputTokens) => {
    const inspector = inspectWire(wire, contentType);
    feed(inspector, fixtureBytes(fixture), size);
    expect(inspector?.summary()?.usage?.inputTokens).toBe(inputTokens);
  });
});

test("other types are not read", () => {
  expect(inspectWire(chat, "application/octet-stream")).toBeUndefined();
  expect(inspectUsage("audio/mpeg")).toBeUndefined();
});

test.each(["{", "[]", '{"choices":{}}', ""])("a body of %j is no fault", (text) => {
  const inspector = inspectWire(chat, "application/json");
  inspector?.push(new TextEncoder().encode(text));
  expect(inspector?.summary()).toBeUndefined();
});

test("a broken event ends the reading, not what was read", () => {
  const inspector = inspectWire(chat, "text/event-stream");
  const head = 'data: {"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}}\n\n';
  inspector?.push(new TextEncoder().encode(`${head}data: {nope\n\n`));
  inspector?.push(new TextEncoder().encode(head));
  expect(inspector?.summary()).toMatchObject({ model: "m", usage: { inputTokens: 5 } });
});

test.each([
  [{ usage: { input_tokens: 5, output_tokens: 9 } }, { inputTokens: 5, outputTokens: 9 }],
  [{ usage: { prompt_tokens: 5, total_tokens: 5 } }, { inputTokens: 5, outputTokens: 0 }],
  [{ usage: { total_tokens: 7 } }, { inputTokens: 7, outputTokens: 0 }],
  [{ usage: { seconds: 3 } }, undefined],
  [{ data: [] }, undefined],
])("of %j the usage is %j", (body, usage) => {
  const inspector = inspectUsage("application/json");
  inspector?.push(new TextEncoder().encode(JSON.stringify(body)));
  expect(inspector?.summary()?.usage).toEqual(usage);
});

test("of text completions the texts count, and the usage of whichever event has it", () => {
  const choice = (text: string) => ({ choices: [{ index: 0, text }], usage: null });
  const usage = { prompt_tokens: 5, completion_tokens: 2 };
  const stream = [choice("Once upon "), { choices: [], usage }, choice("a time")];
  const text = [...stream.map((event) => JSON.stringify(event)), "[DONE]"]
    .map((data) => `data: ${data}\n\n`)
    .join("");
  const inspector = inspectTexts("text/event-stream");
  feed(inspector, new TextEncoder().encode(text), 7);
  const summary = inspector?.summary();
  expect(summary?.usage).toEqual({ inputTokens: 5, outputTokens: 2 });
  expect(summary?.writtenTokens).toBeGreaterThan(2);
  const whole = inspectTexts("application/json");
  whole?.push(new TextEncoder().encode(JSON.stringify(choice("Once upon a time"))));
  expect(whole?.summary()?.writtenTokens).toBeGreaterThan(2);
});
