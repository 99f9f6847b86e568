// Request bodies that are sent compressed, through HTTP: read as if they were not, within the same limit, or refused by name.
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeTenant } from "../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../support/servers/gateway-stack.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const MAX_BODY_BYTES = 100_000;

async function send(path: string, encoding: string, bytes: Uint8Array<ArrayBuffer>, more: HeadersInit = {}) {
  const { key } = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    limits: { maxBodyBytes: MAX_BODY_BYTES },
  });
  const response = await fetch(`${stack.gateway.url}${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "content-encoding": encoding,
      ...more,
    },
    body: bytes,
  });
  return { response, text: await response.text() };
}

const bytesOf = (body: object): Buffer => Buffer.from(JSON.stringify(body));
const chatBody = (model: string, content = "hi"): object => ({
  model: `up/${model}`,
  messages: [{ role: "user", content }],
});

describe.each<[string, string, (bytes: Buffer) => Buffer]>([
  ["gzip", "gzip", gzipSync],
  ["x-gzip, in capitals", "X-GZIP", gzipSync],
  ["deflate", "deflate", deflateSync],
  ["br", "br", brotliCompressSync],
  ["zstd", "zstd", zstdCompressSync],
  ["identity", "identity", (bytes) => bytes],
])("a body in %s", (_, encoding, compress) => {
  test("is read, and goes to the upstream as it was", async () => {
    const model = uniqueModel();
    const { response, text } = await send(
      "/v1/chat/completions",
      encoding,
      new Uint8Array(compress(bytesOf(chatBody(model)))),
    );
    expect(response.status, text).toBe(200);
    const [request] = stack.upstream.requestsFor(model);
    expect(request?.json).toMatchObject({ model, messages: [{ role: "user", content: "hi" }] });
    expect(request?.headers["content-encoding"]).toBeUndefined();
  });

  test("above the limit once it is decompressed is a 413", async () => {
    const bomb = bytesOf(chatBody(uniqueModel(), "x".repeat(50 * MAX_BODY_BYTES)));
    const { response, text } = await send("/v1/chat/completions", encoding, new Uint8Array(compress(bomb)));
    expect(response.status).toBe(413);
    expect(text).toContain("request_too_large");
  });
});

describe("what can't be decompressed", () => {
  test.each(["compress", "gzip, gzip", "br, zstd"])(
    "%s is a 415 that says what is taken",
    async (encoding) => {
      const bytes = new Uint8Array(brotliCompressSync(bytesOf(chatBody(uniqueModel()))));
      const { response, text } = await send("/v1/chat/completions", encoding, bytes);
      expect(response.status).toBe(415);
      expect(response.headers.get("accept-encoding")).toBe("gzip, deflate, br, zstd");
      expect(JSON.parse(text)).toMatchObject({ error: { code: "unsupported_encoding" } });
    },
  );

  test.each(["gzip", "deflate", "br", "zstd"])(
    "bytes that are not %s are the caller's fault",
    async (encoding) => {
      const { response, text } = await send(
        "/v1/chat/completions",
        encoding,
        new Uint8Array(bytesOf({ a: 1 })),
      );
      expect(response.status, text).toBe(400);
      expect(text).toContain(`not valid ${encoding}`);
    },
  );

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
    ["zstd", zstdCompressSync],
  ])("a body in %s cut in its middle is too", async (encoding, compress) => {
    const whole = compress(bytesOf(chatBody(uniqueModel(), "words of all kinds")));
    const { response } = await send("/v1/chat/completions", encoding, new Uint8Array(whole.subarray(0, 40)));
    expect(response.status).toBe(400);
  });
});

test.each([
  ["/v1/messages", { max_tokens: 5, messages: [{ role: "user", content: "hi" }] }],
  ["/v1/embeddings", { input: "hi" }],
  ["/v1/images/generations", { prompt: "hi" }],
])("%s reads gzip too", async (path, body) => {
  const bytes = new Uint8Array(gzipSync(bytesOf({ model: `up/${uniqueModel()}`, ...body })));
  const { text } = await send(path, "gzip", bytes);
  expect(text).not.toContain("not valid JSON");
  expect(text).not.toContain("unsupported_encoding");
});

describe("an answer of the upstream", () => {
  const answer = bytesOf({
    choices: [{ index: 0, message: { role: "assistant", content: "Grüezi" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  });

  async function ask(encoding: string, bytes: Buffer, status = 200) {
    const model = uniqueModel();
    const headers = { "content-encoding": encoding };
    stack.upstream.script(model, {
      kind: "pieces",
      status,
      headers,
      contentType: "application/json",
      pieces: [bytes],
    });
    return send("/v1/chat/completions", "identity", new Uint8Array(bytesOf(chatBody(model))));
  }

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ["gzip", gzipSync],
    ["br", brotliCompressSync],
  ])("in %s is decoded", async (encoding, compress) => {
    const { response, text } = await ask(encoding, compress(answer));
    expect(response.status, text).toBe(200);
    expect(text).toContain("Grüezi");
  });

  test.each<[string, (bytes: Buffer) => Buffer]>([
    ["zstd", zstdCompressSync],
    ["deflate", deflateSync],
    ["x-own", (bytes) => bytes],
  ])("in %s is a 502 that names the encoding", async (encoding, compress) => {
    const { response, text } = await ask(encoding, compress(answer));
    expect(response.status, text).toBe(502);
    expect(text).toContain(`content-encoding '${encoding}'`);
  });

  test("that is an error in zstd keeps its meaning, without its bytes", async () => {
    const { response, text } = await ask("zstd", zstdCompressSync(Buffer.from("secret words")), 429);
    expect(response.status).toBe(429);
    expect(() => JSON.parse(text) as unknown).not.toThrow();
  });
});

test.each([
  [false, false],
  [true, true],
  [undefined, true],
])("a stream whose client said include_usage: %s has a usage chunk: %s", async (include_usage, hasUsage) => {
  const body = {
    ...chatBody(uniqueModel()),
    stream: true,
    ...(include_usage !== undefined && { stream_options: { include_usage } }),
  };
  const { response, text } = await send("/v1/chat/completions", "identity", new Uint8Array(bytesOf(body)));
  expect(response.status, text).toBe(200);
  expect(text).toContain("[DONE]");
  expect(text.includes('"prompt_tokens"')).toBe(hasUsage);
});
