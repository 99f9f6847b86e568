// The pipeline where client and upstream speak different wires: what goes out, what comes back, what is left out and said to be, and
// the trace of it. Streams are test/worker/upstream/stream-translate.test.ts; what each pair of wires can say is test/unit/matrix.
import { describe, expect, test } from "vitest";
import { openAiEmbeddings } from "../../../src/wires/openai-embeddings/client-wire.ts";
import { openAiResponses } from "../../../src/wires/openai-responses/client-wire.ts";
import { factHeaders } from "../../../src/pipeline/request-facts.ts";
import {
  createFakeGateway,
  EMPTY_REGISTER,
  spanNamed,
  spansNamed,
  type FakeGatewayOptions,
} from "../../support/fakes/fake-gateway.ts";
import { completion, failure } from "../../support/fakes/fake-upstream.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { addressOf, type VendorObjectsRpc } from "../../../src/vendor-objects/protocol.ts";

/** `a` speaks the chat wire only. */
const BUNDLE = fakeBundle({
  providers: { a: { kind: "openai-compatible" }, b: { kind: "openai" } },
  routes: {
    both: {
      targets: [
        { provider: "a", model: "m" },
        { provider: "b", model: "m" },
      ],
      retries: { maxAttempts: 1 },
    },
    tuned: {
      targets: [{ provider: "a", model: "m", params: { temperature: 0.1, max_tokens: 5, safe: true } }],
    },
  },
});

function gatewayFor(body: object, options: FakeGatewayOptions = {}) {
  const request = { clientWire: openAiResponses, body: { model: "a/m", input: "Hi", ...body } };
  return createFakeGateway({ bundle: BUNDLE, request, ...options });
}

function textOf(body: string | ReadableStream<Uint8Array>): string {
  if (typeof body === "string") return body;
  throw new Error("a stream, where a whole answer was due");
}

const responseBody = (text: string): Response =>
  Response.json({
    id: "resp_1",
    object: "response",
    model: "m",
    status: "completed",
    output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text }] }],
    usage: { input_tokens: 3, output_tokens: 2 },
  });

describe("a whole answer of another wire", () => {
  test("goes out in the upstream's words and comes back in the client's", async () => {
    const gateway = gatewayFor({ instructions: "Be brief." }, { replies: [completion({ text: "Hello" })] });
    const { contentType, body } = await gateway.generate();
    expect(gateway.upstream.calls[0]?.url).toBe("https://a.example/v1/chat/completions");
    expect(gateway.upstream.calls[0]?.json).toEqual({
      model: "m",
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" },
      ],
    });
    expect(contentType).toBe("application/json");
    expect(JSON.parse(textOf(body))).toMatchObject({
      object: "response",
      status: "completed",
      output: [{ type: "message", content: [{ type: "output_text", text: "Hello" }] }],
      usage: { input_tokens: 1000, output_tokens: 500 },
    });
  });

  test("has a span for its translation, and usage and cost like any other", async () => {
    const gateway = gatewayFor({}, { replies: [completion()] });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(spanNamed(trace, "gateway.response.format").attributes).toMatchObject({
      "gateway.dialect.client": "openai-responses",
      "gateway.dialect.upstream": "openai-chat",
      "gateway.span.cpu_only": true,
    });
    expect(gateway.facts).toMatchObject({ outcome: "ok", usage: { inputTokens: 1000, outputTokens: 500 } });
    expect(gateway.facts.costUsd).toBeGreaterThan(0);
  });

  test("is forwarded as it came where the upstream speaks the client's wire", async () => {
    const gateway = gatewayFor({ model: "b/m", brand_new: 1 }, { replies: [responseBody("native")] });
    const { body } = await gateway.generate();
    expect(gateway.upstream.calls[0]?.url).toBe("https://b.example/v1/responses");
    expect(gateway.upstream.calls[0]?.json).toEqual({ model: "m", input: "Hi", brand_new: 1 });
    expect(JSON.parse(textOf(body))).not.toHaveProperty("temperature");
    expect(spansNamed(await gateway.finish(), "gateway.response.format")).toEqual([]);
  });

  test("may come from a target of another wire than the one that failed", async () => {
    const gateway = gatewayFor({ model: "both" }, { replies: [failure(500), responseBody("second")] });
    const { body } = await gateway.generate();
    expect(gateway.upstream.calls.map(({ url }) => new URL(url).pathname)).toEqual([
      "/v1/chat/completions",
      "/v1/responses",
    ]);
    expect(textOf(body)).toContain("second");
  });

  test("is asked with the target's parameters, in the wire's names or as they are", async () => {
    const gateway = gatewayFor({ model: "tuned", temperature: 1, top_p: 0.5 }, { replies: [completion()] });
    await gateway.generate();
    expect(gateway.upstream.calls[0]?.json).toMatchObject({
      temperature: 0.1,
      top_p: 0.5,
      max_tokens: 5,
      safe: true,
    });
  });

  test("passes the client's vendor headers to an upstream of its own wire only", async () => {
    const headers = { "openai-beta": "x" };
    const other = gatewayFor({}, { headers, replies: [completion()] });
    await other.generate();
    expect(other.upstream.calls[0]?.headers.has("openai-beta")).toBe(false);
    const own = gatewayFor({ model: "b/m" }, { headers, replies: [responseBody("x")] });
    await own.generate();
    expect(own.upstream.calls[0]?.headers.get("openai-beta")).toBe("x");
  });
});

describe("a field without a counterpart", () => {
  const body = { previous_response_id: "resp_0", tools: [{ type: "web_search" }] };

  test("is a 400 that names it, and no upstream hears of the request", async () => {
    const gateway = gatewayFor({ ...body, model: "both" });
    expect(await gateway.refusal()).toMatchObject({
      code: "invalid_request",
      status: 400,
      details: { param: "previous_response_id" },
      message: expect.stringContaining("x-headgate-lenient"),
    });
    expect(gateway.upstream.calls).toEqual([]);
    expect(gateway.facts.outcome).toBe("rejected");
    expect(gateway.queue.settlements).toHaveLength(1);
  });

  test("is left out for a lenient client, and the headers say so", async () => {
    const gateway = gatewayFor(body, {
      headers: { "x-headgate-lenient": "1" },
      replies: [completion({ text: "Hello" })],
    });
    await gateway.generate();
    expect(gateway.upstream.calls[0]?.json).not.toHaveProperty("tools");
    expect(factHeaders(gateway.facts, 0)["x-headgate-dropped"]).toBe("previous_response_id, tools[0]");
  });

  test("is no matter where the upstream speaks the client's wire", async () => {
    const kept = {
      collection: "responses",
      id: "resp_0",
      accountName: "b",
      address: addressOf(BUNDLE.providers["b"] ?? { kind: "" }),
      trace: { traceId: "", spanId: "" },
    } as const;
    const find: VendorObjectsRpc["find"] = async (_, id) => (id === kept.id ? kept : undefined);
    const deps: FakeGatewayOptions["deps"] = { vendorObjects: (ask) => ask({ ...EMPTY_REGISTER, find }) };
    for (const model of ["b/m", "both"]) {
      const gateway = gatewayFor({ ...body, model }, { replies: [responseBody("x")], deps });
      await gateway.generate();
      expect(gateway.upstream.calls[0]?.json).toMatchObject(body);
      expect(factHeaders(gateway.facts, 0)).not.toHaveProperty("x-headgate-dropped");
    }
    const gateway = gatewayFor({ ...body, model: "b/m", previous_response_id: "resp_1" }, { deps });
    expect(await gateway.refusal()).toMatchObject({ code: "not_found" });
    expect(gateway.upstream.calls).toEqual([]);
  });

  test("can't break out of the header, whatever its name", async () => {
    const gateway = gatewayFor(
      { "a\r\nx-evil: 1, Ü": 1 },
      { headers: { "x-headgate-lenient": "1" }, replies: [completion()] },
    );
    await gateway.generate();
    expect(factHeaders(gateway.facts, 0)["x-headgate-dropped"]).toBe("a%0D%0Ax-evil%3A%201%2C%20%C3%9C");
  });
});

describe("a request for embeddings", () => {
  const answer = Response.json({
    object: "list",
    data: [{ object: "embedding", index: 0, embedding: [1] }],
    model: "e",
    usage: { prompt_tokens: 1000, total_tokens: 1000 },
  });
  const request = {
    clientWire: openAiEmbeddings,
    body: { model: "a/e", input: "Hi", encoding_format: "float" },
  };

  test("goes the same way, with its own span and usage", async () => {
    const gateway = createFakeGateway({ bundle: BUNDLE, request, replies: [answer] });
    const { body } = await gateway.generate();
    expect(gateway.upstream.calls[0]?.url).toBe("https://a.example/v1/embeddings");
    expect(JSON.parse(textOf(body)).data[0].embedding).toEqual([1]);
    const trace = await gateway.finish();
    expect(spanNamed(trace, "embeddings e").attributes).toMatchObject({
      "gen_ai.operation.name": "embeddings",
      "gen_ai.usage.input_tokens": 1000,
    });
    expect(gateway.facts.costUsd).toBeGreaterThan(0);
    expect(gateway.queue.settlements).toMatchObject([{ outcome: "ok", inputTokens: 1000, outputTokens: 0 }]);
  });
});
