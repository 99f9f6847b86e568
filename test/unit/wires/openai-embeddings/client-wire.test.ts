// The embeddings wire and wire: requests checked, their meaning for other wires, answers in the form the client asked for.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatRequest } from "../../../../src/schema/chat.ts";
import type { EmbeddingAsk } from "../../../../src/schema/embedding.ts";
import { openAiEmbeddings } from "../../../../src/wires/openai-embeddings/client-wire.ts";
import {
  formatEmbeddingRequest,
  readOpenAiEmbeddings,
} from "../../../../src/wires/openai-embeddings/upstream-wire.ts";
import type { Target } from "../../../../src/wires/upstream-wire.ts";

const parse = (body: object): ChatRequest =>
  openAiEmbeddings.parseRequest(JSON.stringify({ model: "m", input: "a", ...body }));

function ask(body: object): { readonly meaning: EmbeddingAsk; readonly dropped: readonly string[] } {
  const dropped: string[] = [];
  return { meaning: openAiEmbeddings.toEmbedding(parse(body), (field) => dropped.push(field)), dropped };
}

describe("a request", () => {
  test.each([
    ["a", ["a"]],
    [
      ["a", "b"],
      ["a", "b"],
    ],
    [[1, 2], [[1, 2]]],
    [
      [[1], [2, 3]],
      [[1], [2, 3]],
    ],
  ])("for %j is for %j", (input, inputs) => {
    expect(ask({ input }).meaning).toEqual({ inputs });
  });

  test("says dimensions and the end user", () => {
    expect(ask({ dimensions: 8, user: "u", encoding_format: "base64" })).toEqual({
      meaning: { inputs: ["a"], dimensions: 8, endUser: "u" },
      dropped: [],
    });
  });

  test("names what has no counterpart", () => {
    expect(ask({ truncate: true }).dropped).toEqual(["truncate"]);
  });

  test.each<[object, string]>([
    [{ input: undefined }, "input"],
    [{ input: [] }, "input"],
    [{ input: [{}] }, "input"],
    [{ input: 5 }, "input"],
    [{ model: "" }, "model"],
    [{ dimensions: 0 }, "dimensions"],
    [{ encoding_format: "hex" }, "encoding_format"],
  ])("%j is refused by its field", (body, param) => {
    expect(() => parse(body)).toThrow(
      expect.objectContaining({ code: "invalid_request", details: expect.objectContaining({ param }) }),
    );
  });
});

describe("an answer", () => {
  const answer = {
    model: "e",
    vectors: () => [[0.5, -1], [0.25]],
    usage: { inputTokens: 3, outputTokens: 0 },
  };

  test("of numbers has the form of OpenAI's", () => {
    expect(JSON.parse(openAiEmbeddings.formatEmbedding(answer, parse({})))).toEqual({
      object: "list",
      data: [
        { object: "embedding", index: 0, embedding: [0.5, -1] },
        { object: "embedding", index: 1, embedding: [0.25] },
      ],
      model: "e",
      usage: { prompt_tokens: 3, total_tokens: 3 },
    });
  });

  test("in base64 holds the same numbers, to the precision of 32 bits", () => {
    const chat = parse({ encoding_format: "base64" });
    fc.assert(
      fc.property(fc.array(fc.array(fc.float({ noNaN: true }))), (vectors) => {
        const body: unknown = JSON.parse(openAiEmbeddings.formatEmbedding({ vectors: () => vectors }, chat));
        expect(readOpenAiEmbeddings(body).vectors()).toEqual(vectors);
      }),
    );
  });

  test("is read with its usage", () => {
    const body = { model: "e", data: [{ embedding: [1] }], usage: { prompt_tokens: 4, total_tokens: 4 } };
    const { model, vectors, usage } = readOpenAiEmbeddings(body);
    expect({ model, vectors: vectors(), usage }).toEqual({
      model: "e",
      vectors: [[1]],
      usage: { inputTokens: 4, outputTokens: 0 },
    });
  });

  test.each([undefined, [], {}, { data: {} }])("%j is malformed", (body) => {
    expect(() => readOpenAiEmbeddings(body)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });

  test.each([[["x"]], [null], ["&&"]])("with a vector of %j is malformed when it is read", (embedding) => {
    const read = readOpenAiEmbeddings({ data: [{ embedding }] });
    expect(() => read.vectors()).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });
});

describe("a request of another wire", () => {
  const target: Target = {
    account: {
      name: "a",
      kind: "x",
      baseUrl: "https://a.test",
      headers: {},
      options: {},
      propagateTrace: false,
    },
    model: "emb",
    params: { dimensions: 4 },
  };

  test("is written with the target's parameters, and names what this wire can't say", () => {
    const dropped: string[] = [];
    const meaning = { inputs: ["a"], dimensions: 8, task: "RETRIEVAL_QUERY", title: "t", endUser: "u" };
    const drop = (field: string) => void dropped.push(field);
    expect(JSON.parse(formatEmbeddingRequest(target, { ask: meaning, drop }))).toEqual({
      model: "emb",
      input: ["a"],
      encoding_format: "float",
      dimensions: 4,
      user: "u",
    });
    expect(dropped).toEqual(["taskType", "title"]);
  });
});
