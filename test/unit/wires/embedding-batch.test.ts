import { describe, expect, test } from "vitest";
import { geminiEmbeddingBatch, openAiEmbeddingBatch } from "../../../src/wires/embedding-batch.ts";
import { geminiBatchEmbed } from "../../../src/wires/gemini/client-embeddings.ts";
import { openAiEmbeddings } from "../../../src/wires/openai-embeddings/client-wire.ts";

const openAi = (input: unknown) =>
  openAiEmbeddings.parseRequest(JSON.stringify({ model: "m", input, dimensions: 2 }));
const vector = (index: number, embedding: readonly number[]) => ({ object: "embedding", index, embedding });

describe("an openai-embeddings request for several texts", () => {
  test("is one request for each, as it would be sent alone", () => {
    expect(openAiEmbeddingBatch.split(openAi(["a", "b"])).map(({ body }) => body)).toEqual([
      { model: "m", input: "a", dimensions: 2 },
      { model: "m", input: "b", dimensions: 2 },
    ]);
  });

  test("of token numbers is taken apart by text, and one text's numbers are not", () => {
    expect(openAiEmbeddingBatch.split(openAi([[1, 2], [3]])).map(({ body }) => body["input"])).toEqual([
      [[1, 2]],
      [[3]],
    ]);
    expect(openAiEmbeddingBatch.split(openAi([1, 2, 3]))).toEqual([]);
    expect(openAiEmbeddingBatch.split(openAi("a"))).toEqual([]);
  });

  test("can be asked for some of its texts, by the bytes too", () => {
    const picked = openAiEmbeddingBatch.pick(openAi(["a", "b", "c"]), [0, 2]);
    expect(picked.body["input"]).toEqual(["a", "c"]);
    expect(JSON.parse(picked.bodyText)).toEqual(picked.body);
  });

  test("has its answer taken apart and put together again, places and usage included", () => {
    const body = JSON.stringify({
      object: "list",
      data: [vector(0, [1]), vector(1, [2])],
      model: "m",
      usage: { prompt_tokens: 10, total_tokens: 10 },
    });
    const items = openAiEmbeddingBatch.items(body, [0.3, 0.7]);
    expect(items.map((item) => JSON.parse(item))).toEqual([
      { object: "list", data: [vector(0, [1])], model: "m", usage: { prompt_tokens: 3, total_tokens: 3 } },
      { object: "list", data: [vector(0, [2])], model: "m", usage: { prompt_tokens: 7, total_tokens: 7 } },
    ]);
    expect(JSON.parse(openAiEmbeddingBatch.join(items))).toEqual(JSON.parse(body));
  });
});

test("a gemini batch is taken apart by its requests and put together by its vectors", () => {
  const requests = ["a", "b"].map((text) => ({ content: { parts: [{ text }] } }));
  const chat = geminiBatchEmbed.parseRequest(JSON.stringify({ requests }), { model: "g" });
  expect(geminiEmbeddingBatch.split(chat).map(({ body }) => body["requests"])).toEqual([
    [requests[0]],
    [requests[1]],
  ]);
  const body = JSON.stringify({ embeddings: [{ values: [1] }, { values: [2] }] });
  expect(JSON.parse(geminiEmbeddingBatch.join(geminiEmbeddingBatch.items(body, [0.5, 0.5])))).toEqual(
    JSON.parse(body),
  );
});
