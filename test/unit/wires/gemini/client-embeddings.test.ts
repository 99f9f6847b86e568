// Gemini's two embeddings methods: read from clients, answered from other wires, forwarded to Gemini.
import { describe, expect, test } from "vitest";
import { openAiEmbeddings } from "../../../../src/wires/openai-embeddings/client-wire.ts";
import { geminiBatchEmbed, geminiEmbed } from "../../../../src/wires/gemini/client-embeddings.ts";
import { gemini } from "../../../../src/providers/gemini.ts";
import type { Target } from "../../../../src/wires/upstream-wire.ts";

const TARGET: Target = {
  model: "gemini-embedding-001",
  account: {
    name: "g",
    kind: "gemini",
    baseUrl: "https://g.test",
    headers: {},
    options: {},
    propagateTrace: false,
  },
};
const content = (...texts: string[]) => ({ parts: texts.map((text) => ({ text })) });
const single = (fields: object) => geminiEmbed.parseRequest(JSON.stringify(fields), { model: "g/e" });
const batch = (...requests: object[]) =>
  geminiBatchEmbed.parseRequest(JSON.stringify({ requests }), { model: "g/e" });

describe("one text", () => {
  test("is an ask of one, with what it is for", () => {
    const chat = single({
      content: content("a", "b"),
      taskType: "RETRIEVAL_DOCUMENT",
      title: "T",
      output_dimensionality: 64,
    });
    expect(chat).toMatchObject({
      wire: { name: "gemini" },
      operation: "embeddings",
      model: "g/e",
      stream: false,
    });
    expect(geminiEmbed.toEmbedding(chat, () => {})).toEqual({
      inputs: ["ab"],
      task: "RETRIEVAL_DOCUMENT",
      title: "T",
      dimensions: 64,
    });
  });

  test("is answered with one vector", () => {
    const usage = { inputTokens: 2, outputTokens: 0 };
    expect(
      JSON.parse(
        geminiEmbed.formatEmbedding({ vectors: () => [[1, 2]], usage }, single({ content: content("a") })),
      ),
    ).toEqual({
      embedding: { values: [1, 2] },
      usageMetadata: { promptTokenCount: 2, totalTokenCount: 2 },
    });
  });
});

describe("many texts", () => {
  test("are one ask, answered in order", () => {
    const chat = batch({ model: "models/g/e", content: content("a") }, { content: content("b") });
    expect(geminiBatchEmbed.toEmbedding(chat, () => {})).toEqual({ inputs: ["a", "b"] });
    expect(JSON.parse(geminiBatchEmbed.formatEmbedding({ vectors: () => [[1], [2]] }, chat))).toEqual({
      embeddings: [{ values: [1] }, { values: [2] }],
    });
  });

  test("that want different things can't be asked of another vendor at once", () => {
    const chat = batch({ content: content("a"), taskType: "CLUSTERING" }, { content: content("b") });
    expect(() => geminiBatchEmbed.toEmbedding(chat, () => {})).toThrow(
      expect.objectContaining({ code: "invalid_request", details: { param: "requests[].taskType" } }),
    );
  });
});

test.each([
  [() => single({}), "content"],
  [() => batch(), "requests"],
  [() => batch({ content: "a" }), "requests[0].content"],
])("a request without its texts is refused: %#", (parse, param) => {
  expect(parse).toThrow(expect.objectContaining({ code: "invalid_request", details: { param } }));
});

test("an image has no counterpart elsewhere", () => {
  const dropped: string[] = [];
  const chat = batch({ content: { parts: [{ inlineData: {} }] } });
  geminiBatchEmbed.toEmbedding(chat, (field) => void dropped.push(field));
  expect(dropped).toEqual(["requests[0].content.parts[0].inlineData"]);
});

describe("what Gemini is sent", () => {
  const [wire] = gemini.embeddings ?? [];

  test("a Gemini client's bytes, with the model that the path names", () => {
    const one = wire?.toRequest(single({ content: content("a") }), TARGET);
    expect(one).toMatchObject({
      url: "https://g.test/v1beta/models/gemini-embedding-001:embedContent",
      body: JSON.stringify({ content: content("a") }),
    });
    const many = wire?.toRequest(
      batch({ model: "models/g/e", content: content("a"), taskType: "CLUSTERING" }),
      TARGET,
    );
    expect(many?.url).toMatch(/:batchEmbedContents$/);
    expect(JSON.parse(many?.body ?? "")).toEqual({
      requests: [{ model: "models/gemini-embedding-001", content: content("a"), taskType: "CLUSTERING" }],
    });
  });

  test("another client's ask", () => {
    const chat = { ...single({ content: content("a") }), wire: openAiEmbeddings } as const;
    const ask = { inputs: ["a", "b"], dimensions: 64 };
    const request = wire?.toRequest(chat, TARGET, { ask, drop: () => {} });
    expect(JSON.parse(request?.body ?? "").requests).toEqual([
      { model: "models/gemini-embedding-001", content: content("a"), outputDimensionality: 64 },
      { model: "models/gemini-embedding-001", content: content("b"), outputDimensionality: 64 },
    ]);
    expect(() => wire?.toRequest(chat, TARGET, { ask: { inputs: [[1, 2]] }, drop: () => {} })).toThrow(
      expect.objectContaining({ code: "invalid_request" }),
    );
  });
});
