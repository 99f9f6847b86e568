// What is read of a batch's results while they pass: each line's usage, however the bytes are cut, and nothing of what is no result.
import { describe, expect, test } from "vitest";
import { createResultReader } from "../../../../src/pipeline/answers/batch-results.ts";
import { providerOf } from "../../../../src/providers/registry.ts";

const { wires } = providerOf("openai");
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function read(text: string, cut = text.length) {
  const reader = createResultReader(wires);
  const bytes = bytesOf(text);
  for (let at = 0; at < bytes.length; at += cut) reader.push(bytes.subarray(at, at + cut));
  return { model: reader.summary()?.model, results: reader.results() };
}

const line = (body: object): string =>
  JSON.stringify({ custom_id: "ü", response: { status_code: 200, body }, error: null });
const chat = (model: string, input: number) => ({
  object: "chat.completion",
  model,
  choices: [{ index: 0, message: { role: "assistant", content: "Grüezi 👋" }, finish_reason: "stop" }],
  usage: { prompt_tokens: input, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } },
});
const response = {
  object: "response",
  status: "completed",
  model: "m",
  output: [],
  usage: { input_tokens: 4, output_tokens: 5 },
};
const embedding = { object: "list", model: "e", data: [], usage: { prompt_tokens: 6, total_tokens: 6 } };
const usage = (inputTokens: number, outputTokens: number) => ({ inputTokens, outputTokens });

describe("a batch's results", () => {
  test.each([1, 7, 1000])("of chats, responses and embeddings, in pieces of %i bytes", (cut) => {
    const text = [chat("m", 3), response, embedding].map(line).join("\n");
    const { results, model } = read(text, cut);
    expect(results).toMatchObject([
      { model: "m", usage: { ...usage(3, 2), cacheReadTokens: 1 } },
      { model: "m", usage: usage(4, 5) },
      { model: "e", usage: usage(6, 0) },
    ]);
    expect(model).toBeUndefined();
    expect(read(line(response), cut).model).toBe("m");
  });

  test("of Anthropic's, in the order of their lines", () => {
    const reader = createResultReader(providerOf("anthropic").wires);
    const message = {
      type: "message",
      role: "assistant",
      model: "c",
      content: [],
      stop_reason: "end_turn",
      usage: { input_tokens: 3, output_tokens: 2 },
    };
    const lines = [
      { type: "errored", error: {} },
      { type: "succeeded", message },
    ].map((result) => JSON.stringify({ result }));
    reader.push(bytesOf(`${lines.join("\n")}\n`));
    expect(reader.results()).toMatchObject([undefined, { model: "c", usage: usage(3, 2) }]);
  });

  test("keep a place for what is not one: a failed request, a line that is not JSON, one that is too long", () => {
    const failed = JSON.stringify({ response: { status_code: 400, body: { error: {} } } });
    const { results } = read(
      `${failed}\nnot JSON\n"${"x".repeat(9_000_000)}"\n\n${line(response)}\n`,
      1_000_000,
    );
    expect(results).toMatchObject([undefined, undefined, undefined, { usage: usage(4, 5) }]);
  });

  test("that break off: the last line has no place yet, wherever it was cut", () => {
    const whole = `${line(chat("m", 3))}\n`;
    for (let cut = 1; cut < line(response).length; cut += 3)
      expect(read(whole + line(response).slice(0, cut)).results).toHaveLength(1);
  });

  test("of a failed response that was billed all the same", () => {
    const { results } = read(line({ ...response, status: "failed" }));
    expect(results).toMatchObject([{ usage: usage(4, 5) }]);
  });
});
