// What the official OpenAI SDK does beside text: embeddings, images, speech, transcriptions, moderations, each routed by its model
// to a scripted upstream; and rerank, which no SDK of OpenAI's has.
import OpenAI, { toFile } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

type Setup = {
  readonly client: OpenAI;
  readonly model: string;
  readonly upstreamModel: string;
  readonly tenant: TestTenant;
};

async function setUp(script: Script): Promise<Setup> {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const client = new OpenAI({ apiKey: tenant.key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
  const upstreamModel = uniqueModel();
  stack.upstream.script(upstreamModel, script);
  return { client, model: `${tenant.provider}/${upstreamModel}`, upstreamModel, tenant };
}

const json = (body: object): Reply => ({ kind: "raw", body: JSON.stringify(body) });

describe("embeddings", () => {
  const answer = (embedding: unknown) =>
    json({
      object: "list",
      data: [{ object: "embedding", index: 0, embedding }],
      model: "e",
      usage: { prompt_tokens: 3, total_tokens: 3 },
    });
  const BASE64 = Buffer.from(new Float32Array([0.5, -1]).buffer).toString("base64");

  test("come as the SDK asks for them, which is base64 unless told otherwise", async () => {
    const { client, model, upstreamModel } = await setUp(({ json: body }) =>
      answer(body["encoding_format"] === "base64" ? BASE64 : [0.25]),
    );
    const { data, usage } = await client.embeddings.create({ model, input: ["Hi"], dimensions: 2 });
    expect(data[0]?.embedding).toEqual([0.5, -1]);
    expect(usage.prompt_tokens).toBe(3);
    const floats = await client.embeddings.create({ model, input: "Hi", encoding_format: "float" });
    expect(floats.data[0]?.embedding).toEqual([0.25]);
    expect(stack.upstream.requestsFor(upstreamModel)[0]).toMatchObject({
      path: "/v1/embeddings",
      json: { model: upstreamModel, input: ["Hi"], dimensions: 2 },
    });
  });

  test("of the simulated provider are deterministic, and near for texts that share words", async () => {
    const { key } = await makeTenant(stack.gateway);
    const client = new OpenAI({ apiKey: key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
    const input = ["the cat sat", "the cat sat", "a cat sat", "quite another thing"];
    const { data } = await client.embeddings.create({ model: "sim/embed", input });
    const [first = [], same, near = [], far = []] = data.map(({ embedding }) => embedding);
    const dot = (other: number[]): number =>
      first.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
    expect(same).toEqual(first);
    expect(dot(near)).toBeGreaterThan(dot(far));
  });

  test("of a wrong request are refused by its field", async () => {
    const { client, model } = await setUp(answer([1]));
    const call = client.embeddings.create({ model, input: [] });
    await expect(call).rejects.toMatchObject({ status: 400, param: "input" });
  });
});

describe("what is forwarded", () => {
  test("images: the model is the target's, all else the client's", async () => {
    const { client, model, upstreamModel, tenant } = await setUp(
      json({
        created: 1,
        data: [{ b64_json: "AAAA" }],
        usage: { input_tokens: 5, output_tokens: 9, total_tokens: 14 },
      }),
    );
    const { data } = await client.images.generate({ model, prompt: "A cat", size: "1024x1024" });
    expect(data?.[0]?.b64_json).toBe("AAAA");
    const request = stack.upstream.requestsFor(upstreamModel)[0];
    expect(request?.path).toBe("/v1/images/generations");
    expect(request?.json).toEqual({ model: upstreamModel, prompt: "A cat", size: "1024x1024" });
    expect(request?.headers.authorization).toBe(`Bearer ${tenant.credential}`);
  });

  test("speech: bytes that are no text arrive as they were sent", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    const { client, model } = await setUp({
      kind: "pieces",
      contentType: "audio/mpeg",
      pieces: [bytes, bytes],
      paceMs: 5,
    });
    const response = await client.audio.speech.create({ model, voice: "alloy", input: "Hi" });
    expect(response.headers.get("content-type")).toBe("audio/mpeg");
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(Uint8Array.from([...bytes, ...bytes]));
  });

  test("transcriptions: the model inside the form is rewritten too", async () => {
    const { client, model, upstreamModel } = await setUp({ kind: "answer" });
    stack.upstream.script("", json({ text: "hello" }));
    const file = await toFile(Buffer.from("RIFF…"), "hi.wav");
    expect((await client.audio.transcriptions.create({ model, file })).text).toBe("hello");
    const request = stack.upstream.requests.findLast(({ body }) => body.includes(upstreamModel));
    expect(request?.path).toBe("/v1/audio/transcriptions");
    expect(request?.headers["content-type"]).toMatch(/^multipart\/form-data; boundary=/);
    expect(request?.body).toMatch(new RegExp(`name="model"\\r\\n\\r\\n${upstreamModel}\\r\\n`));
    expect(request?.body).toContain('filename="hi.wav"');
    expect(request?.body).not.toContain(model);
  });

  test("image edits, variations and translations: forms with files, each at its own path", async () => {
    const { client, model, upstreamModel } = await setUp({ kind: "answer" });
    stack.upstream.script("", json({ created: 1, data: [{ b64_json: "AAAA" }], text: "hello" }));
    const image = await toFile(Buffer.from("PNG…"), "cat.png", { type: "image/png" });
    const file = await toFile(Buffer.from("RIFF…"), "salut.wav");
    expect((await client.images.edit({ model, image, prompt: "A hat" })).data?.[0]?.b64_json).toBe("AAAA");
    expect((await client.images.createVariation({ model, image })).data?.[0]?.b64_json).toBe("AAAA");
    expect((await client.audio.translations.create({ model, file })).text).toBe("hello");
    const sent = stack.upstream.requests.filter(({ body }) => body.includes(upstreamModel));
    expect(sent.map(({ path }) => path)).toEqual([
      "/v1/images/edits",
      "/v1/images/variations",
      "/v1/audio/translations",
    ]);
    for (const { body } of sent) expect(body).not.toContain(model);
    expect(sent[0]?.body).toContain('filename="cat.png"');
  });

  test("moderations and rerank", async () => {
    const { client, model, upstreamModel, tenant } = await setUp(json({ id: "m", model: "x", results: [] }));
    expect((await client.moderations.create({ model, input: "Hi" })).results).toEqual([]);
    const response = await fetch(`${stack.gateway.url}/v1/rerank`, {
      method: "POST",
      headers: { authorization: `Bearer ${tenant.key}` },
      body: JSON.stringify({ model, query: "q", documents: ["d"] }),
    });
    expect(response.status).toBe(200);
    expect(stack.upstream.requestsFor(upstreamModel).map(({ path }) => path)).toEqual([
      "/v1/moderations",
      "/v1/rerank",
    ]);
  });

  test("is tried again, and refused, like a generation", async () => {
    const { client, model } = await setUp(({ earlier }) =>
      earlier === 0 ? { kind: "error", status: 503 } : json({ created: 1, data: [] }),
    );
    const { response } = await client.images.generate({ model, prompt: "x" }).withResponse();
    expect(response.headers.get("x-headgate-attempts")).toBe("2");
    const unknown = client.images.generate({ model: "nowhere/x", prompt: "x" });
    await expect(unknown).rejects.toThrow(OpenAI.NotFoundError);
    const nameless = client.images.generate({ prompt: "x" });
    await expect(nameless).rejects.toMatchObject({ status: 400, param: "model" });
  });
});
