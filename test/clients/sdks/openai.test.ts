// The official OpenAI SDK against the running gateway and a scripted upstream: what an application that only changes its base URL
// sees when all is well. Errors and aborts are in openai-errors.test.ts.
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";
import { makeTenant, type TenantOptions, type TestTenant } from "../../support/clients/test-tenant.ts";

const MESSAGES: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "Say hello." }];
const WEATHER_TOOL: OpenAI.ChatCompletionTool = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};
const CALLS = ["Zürich", "Genève"].map((city, at) => ({
  id: `call_${at}`,
  name: "weather",
  arguments: JSON.stringify({ city }),
}));
/** The same as the SDK gives them. */
const CALLED = CALLS.map(({ id, ...called }) => ({ id, type: "function", function: called }));

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

/** A tenant of its own, an SDK client with its key, and a model that the upstream answers with `reply`. */
async function setUp(reply: Reply, options: TenantOptions = {}): Promise<Setup> {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, ...options });
  const client = new OpenAI({ apiKey: tenant.key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
  const upstreamModel = uniqueModel();
  stack.upstream.script(upstreamModel, reply);
  return { client, model: `${tenant.provider}/${upstreamModel}`, upstreamModel, tenant };
}

async function collect(
  stream: AsyncIterable<OpenAI.ChatCompletionChunk>,
): Promise<OpenAI.ChatCompletionChunk[]> {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

function textOf(chunks: readonly OpenAI.ChatCompletionChunk[]): string {
  return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
}

describe("a whole completion", () => {
  test("is answered with the upstream's text, usage and finish reason", async () => {
    const usage = { inputTokens: 21, outputTokens: 9 };
    const { client, model } = await setUp({ kind: "answer", text: "Grüezi, 世界!", usage });
    const completion = await client.chat.completions.create({ model, messages: MESSAGES });
    expect(completion.choices[0]?.message.content).toBe("Grüezi, 世界!");
    expect(completion.choices[0]?.finish_reason).toBe("stop");
    expect(completion.usage).toMatchObject({ prompt_tokens: 21, completion_tokens: 9, total_tokens: 30 });
  });

  test.for(["stop", "length", "content_filter"])("keeps the finish reason %s", async (finishReason) => {
    const { client, model } = await setUp({ kind: "answer", text: "x", finishReason });
    const completion = await client.chat.completions.create({ model, messages: MESSAGES });
    expect(completion.choices[0]?.finish_reason).toBe(finishReason);
  });

  test("carries tool definitions to the upstream and its parallel tool calls back", async () => {
    const { client, model, upstreamModel } = await setUp({ kind: "answer", toolCalls: CALLS });
    const completion = await client.chat.completions.create({
      model,
      messages: MESSAGES,
      tools: [WEATHER_TOOL],
    });
    expect(stack.upstream.requestsFor(upstreamModel)[0]?.json["tools"]).toEqual([WEATHER_TOOL]);
    expect(completion.choices[0]?.finish_reason).toBe("tool_calls");
    expect(completion.choices[0]?.message.tool_calls).toEqual(CALLED);
  });

  test("is parsed by its schema", async () => {
    const { client, model, upstreamModel } = await setUp({ kind: "answer", text: '{"city":"Bern"}' });
    const schema = { type: "object", properties: { city: { type: "string" } } };
    const response_format = {
      type: "json_schema" as const,
      json_schema: { name: "place", strict: true, schema },
    };
    const completion = await client.chat.completions.parse({ model, messages: MESSAGES, response_format });
    expect(completion.choices[0]?.message.content).toBe('{"city":"Bern"}');
    expect(stack.upstream.requestsFor(upstreamModel)[0]?.json["response_format"]).toEqual(response_format);
  });

  test("is asked with pictures, inline and by address", async () => {
    const { client, model, upstreamModel } = await setUp({ kind: "answer", text: "A cat." });
    const content: OpenAI.ChatCompletionContentPart[] = [
      { type: "text", text: "What?" },
      { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
      { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
    ];
    await client.chat.completions.create({ model, messages: [{ role: "user", content }] });
    expect(stack.upstream.requestsFor(upstreamModel)[0]?.json["messages"]).toEqual([
      { role: "user", content },
    ]);
  });

  test("reaches the upstream with its own credential, its own model name and every parameter", async () => {
    const { client, model, upstreamModel, tenant } = await setUp({ kind: "answer" });
    await client.chat.completions.create({
      model,
      messages: MESSAGES,
      temperature: 0.3,
      seed: 7,
      stop: ["END"],
    });
    const request = stack.upstream.requestsFor(upstreamModel)[0];
    expect(request?.path).toBe("/v1/chat/completions");
    expect(request?.headers.authorization).toBe(`Bearer ${tenant.credential}`);
    expect(request?.json).toMatchObject({
      model: upstreamModel,
      messages: MESSAGES,
      temperature: 0.3,
      seed: 7,
      stop: ["END"],
    });
    expect(JSON.stringify(request?.headers)).not.toContain(tenant.key);
  });
});

describe("a stream", () => {
  test("arrives while the upstream is still sending", async () => {
    const chunks = ["one ", "two ", "three ", "four ", "five "];
    const { client, model, upstreamModel } = await setUp({ kind: "answer", chunks, paceMs: 60 });
    const stream = await client.chat.completions.create({ model, messages: MESSAGES, stream: true });
    const states: (string | undefined)[] = [];
    let text = "";
    for await (const chunk of stream) {
      const content = chunk.choices[0]?.delta.content ?? "";
      if (content !== "") states.push(stack.upstream.requestsFor(upstreamModel)[0]?.outcome);
      text += content;
    }
    expect(text).toBe(chunks.join(""));
    // Had anything on the way gathered the stream, the upstream would have been done before the first chunk came.
    expect(states.slice(0, -1)).toEqual(["open", "open", "open", "open"]);
  });

  test("carries usage in a last chunk when the client asks for it", async () => {
    const usage = { inputTokens: 5, outputTokens: 3 };
    const { client, model } = await setUp({ kind: "answer", text: "a b c", usage });
    const stream = await client.chat.completions.create({
      model,
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await collect(stream);
    expect(textOf(chunks)).toBe("a b c");
    expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 });
  });

  test("keeps finish reason and parallel tool calls, arguments in pieces as they came", async () => {
    const { client, model } = await setUp({ kind: "answer", toolCalls: CALLS });
    const runner = client.chat.completions.stream({ model, messages: MESSAGES, tools: [WEATHER_TOOL] });
    let fragments = 0;
    runner.on("tool_calls.function.arguments.delta", () => (fragments += 1));
    const completion = await runner.finalChatCompletion();
    expect(completion.choices[0]?.finish_reason).toBe("tool_calls");
    expect(completion.choices[0]?.message.tool_calls).toMatchObject(CALLED);
    expect(fragments).toBeGreaterThan(CALLS.length);
  });

  test.for([1, 7])("survives an upstream that writes %i bytes at a time", async (writeBytes) => {
    const text = "Füße, 東京 and 🚀 in one line";
    const { client, model } = await setUp({ kind: "answer", text, writeBytes });
    const stream = await client.chat.completions.create({ model, messages: MESSAGES, stream: true });
    expect(textOf(await collect(stream))).toBe(text);
  });

  test("ends well where the upstream forgets its [DONE]", async () => {
    const { client, model } = await setUp({ kind: "answer", text: "a b", end: "no-done" });
    const stream = await client.chat.completions.create({ model, messages: MESSAGES, stream: true });
    const chunks = await collect(stream);
    expect(textOf(chunks)).toBe("a b");
    expect(chunks.some((chunk) => chunk.choices[0]?.finish_reason === "stop")).toBe(true);
  });
});

describe("routes and retries", () => {
  test("a second try of a target that failed once is invisible but for the count", async () => {
    const { client, model, upstreamModel } = await setUp({ kind: "answer" });
    stack.upstream.script(upstreamModel, ({ earlier }) =>
      earlier === 0 ? { kind: "error", status: 503 } : { kind: "answer", text: "second" },
    );
    const { data, response } = await client.chat.completions
      .create({ model, messages: MESSAGES })
      .withResponse();
    expect(data.choices[0]?.message.content).toBe("second");
    expect(response.headers.get("x-headgate-attempts")).toBe("2");
  });

  test("a route falls back to its next target and names it", async () => {
    const [broken, sound] = [uniqueModel(), uniqueModel()];
    const targets = [broken, sound].map((name) => ({ provider: "up", model: name }));
    const { client } = await setUp(
      { kind: "answer" },
      { routes: { "chat-fast": { targets, retries: { maxAttempts: 1 } } } },
    );
    stack.upstream.script(broken, { kind: "error", status: 500 });
    stack.upstream.script(sound, { kind: "answer", text: "from the second" });
    const request = { model: "chat-fast", messages: MESSAGES };
    const { data, response } = await client.chat.completions.create(request).withResponse();
    expect(data.choices[0]?.message.content).toBe("from the second");
    expect(response.headers.get("x-headgate-target")).toBe(`up/${sound}`);
    expect(stack.upstream.requestsFor(broken)).toHaveLength(1);
  });

  test("a stream whose first event is an error falls back before the client has seen a byte", async () => {
    const [broken, sound] = [uniqueModel(), uniqueModel()];
    const targets = [broken, sound].map((name) => ({ provider: "up", model: name }));
    const { client } = await setUp(
      { kind: "answer" },
      { routes: { r: { targets, retries: { maxAttempts: 1 } } } },
    );
    stack.upstream.script(broken, { kind: "answer", end: "error-event", endAfterChunks: 0 });
    stack.upstream.script(sound, { kind: "answer", text: "all well" });
    const stream = await client.chat.completions.create({ model: "r", messages: MESSAGES, stream: true });
    expect(textOf(await collect(stream))).toBe("all well");
  });
});

describe("the model list", () => {
  test("names the tenant's routes and answers for one of them", async () => {
    const targets = [{ provider: "up", model: uniqueModel() }];
    const { client } = await setUp({ kind: "answer" }, { routes: { "chat-fast": { targets } } });
    const models = await listAll(client.models.list());
    expect(models.map(({ id }) => id)).toContain("chat-fast");
    expect(models.every(({ object }) => object === "model")).toBe(true);
    expect(await client.models.retrieve("chat-fast")).toMatchObject({ id: "chat-fast", object: "model" });
    await expect(client.models.retrieve("no-such-model")).rejects.toThrow(OpenAI.NotFoundError);
  });

  async function listAll(models: AsyncIterable<OpenAI.Model>): Promise<OpenAI.Model[]> {
    const all = [];
    for await (const model of models) all.push(model);
    return all;
  }
});

describe("response headers", () => {
  test("identify the request and say where its time went", async () => {
    const limits = { requestsPerMinute: 600, concurrency: 4 };
    const { client, model, upstreamModel } = await setUp({ kind: "answer" }, { limits });
    const { response, request_id } = await client.chat.completions
      .create({ model, messages: MESSAGES })
      .withResponse();
    const header = (name: string): string => response.headers.get(name) ?? "";
    const traceId = header("x-trace-id");
    expect(request_id).toBe(header("x-request-id"));
    expect(header("x-request-id")).not.toBe("");
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(header("traceresponse")).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-[0-9a-f]{2}$`));
    for (const part of ["queue", "cache", "upstream", "gateway"]) {
      expect(header("server-timing")).toMatch(new RegExp(`(^|, )${part};dur=[0-9.]+`));
    }
    expect(header("x-headgate-cache")).toBe("BYPASS");
    expect(header("x-headgate-target")).toBe(`up/${upstreamModel}`);
    expect(header("x-headgate-attempts")).toBe("1");
    expect(Number(header("x-headgate-queue-ms"))).toBeLessThan(1000);
    expect(header("x-ratelimit-limit-requests")).toBe("600");
    expect(Number(header("x-ratelimit-remaining-requests"))).toBeLessThan(600);
    expect(header("x-ratelimit-reset-requests")).toMatch(/^(\d+(\.\d+)?(ms|s|m|h))+$/);
  });

  test("say what it cost by the tenant's own prices, where it has some", async () => {
    const record = { prices: { "up/*": { input: 1000, output: 2000 } } };
    const usage = { inputTokens: 21, outputTokens: 9 };
    const { client, model } = await setUp({ kind: "answer", usage }, { record });
    const { response } = await client.chat.completions.create({ model, messages: MESSAGES }).withResponse();
    expect(response.headers.get("x-headgate-cost-usd")).toBe("0.039");
  });

  test("join the caller's trace", async () => {
    const { client, model } = await setUp({ kind: "answer" });
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
    const { response } = await client.chat.completions
      .create({ model, messages: MESSAGES }, { headers })
      .withResponse();
    expect(response.headers.get("x-trace-id")).toBe(traceId);
  });

  test("come with a stream too", async () => {
    const { client, model } = await setUp({ kind: "answer" });
    const { data, response } = await client.chat.completions
      .create({ model, messages: MESSAGES, stream: true })
      .withResponse();
    await collect(data);
    expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
    expect(response.headers.get("x-trace-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(response.headers.get("x-headgate-attempts")).toBe("1");
  });
});
