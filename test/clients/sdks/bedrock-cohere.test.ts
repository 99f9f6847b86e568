// Upstreams whose wires no client speaks, behind the official SDKs: Bedrock's Converse, signed and framed as AWS does, and Cohere's
// chat. What their wires say in detail is in test/unit/providers.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import type { Script, UpstreamRequest } from "../../support/servers/scripted-upstream.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";
import { fixtureBytes, fixtureText } from "../../support/builders/wire-fixtures.ts";

const MESSAGES: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "Say hello." }];
const TOOL: OpenAI.ChatCompletionTool = {
  type: "function",
  function: { name: "get_weather", parameters: { type: "object", properties: {} } },
};
const HELLO = "Hello there! 👋🏽 How can I help?";
const SECRET = "aws-secret-canary";
const MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

/** A tenant with this account, its two SDKs, and the one model's script at the upstream. */
async function setUp(account: object, model: string, scripted: string, script: Script) {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const path = `/admin/tenants/${tenant.id}/providers/far`;
  const answer = await stack.gateway.admin("PUT", path, { baseUrl: stack.upstream.url, ...account });
  expect(answer.status).toBe(201);
  stack.upstream.script(scripted, script);
  return {
    model: `far/${model}`,
    openAi: new OpenAI({ apiKey: tenant.key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 }),
    anthropic: new Anthropic({ apiKey: tenant.key, baseURL: stack.gateway.url, maxRetries: 0 }),
    sent: (): UpstreamRequest | undefined => stack.upstream.requestsFor(scripted).at(-1),
  };
}

const whole = (name: string): Reply => ({ kind: "raw", body: fixtureText(name) });

async function collect(stream: AsyncIterable<OpenAI.ChatCompletionChunk>) {
  let text = "";
  let usage: OpenAI.CompletionUsage | null | undefined;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  return { text, usage };
}

describe("Bedrock", () => {
  const account = {
    kind: "bedrock",
    apiKey: SECRET,
    options: { accessKeyId: "AKIDEXAMPLE", region: "eu-west-1" },
  };
  /** Its body names no model. */
  const open = (script: Script) => setUp(account, MODEL, "", script);
  const stream = (name: string): Reply => ({
    kind: "pieces",
    contentType: "application/vnd.amazon.eventstream",
    pieces: split(fixtureBytes(`bedrock/${name}.bin`)),
    paceMs: 1,
  });
  /** Messages apart from packets. */
  const split = (bytes: Uint8Array): Uint8Array[] =>
    Array.from({ length: Math.ceil(bytes.length / 100) }, (_, at) =>
      bytes.subarray(at * 100, at * 100 + 100),
    );

  test("is asked with AWS's signature, never with the secret", async () => {
    const { openAi, model, sent } = await open(whole("bedrock/text.json"));
    const completion = await openAi.chat.completions.create({ model, messages: MESSAGES, max_tokens: 9 });
    expect(completion.choices[0]?.message.content).toBe(HELLO);
    expect(completion.usage).toMatchObject({ prompt_tokens: 2067, completion_tokens: 15 });
    expect(sent()?.path).toBe(`/model/${encodeURIComponent(MODEL)}/converse`);
    expect(sent()?.headers.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/bedrock\/aws4_request/,
    );
    expect(JSON.stringify(sent()?.headers)).not.toContain(SECRET);
    expect(sent()?.json).toEqual({
      messages: [{ role: "user", content: [{ text: "Say hello." }] }],
      inferenceConfig: { maxTokens: 9 },
    });
  });

  test("streams to both SDKs, its event stream translated", async () => {
    const { openAi, anthropic, model, sent } = await open(stream("text"));
    const chunks = await openAi.chat.completions.create({
      model,
      messages: MESSAGES,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(await collect(chunks)).toMatchObject({ text: HELLO, usage: { completion_tokens: 15 } });
    expect(sent()?.path).toMatch(/\/converse-stream$/);
    const message = await anthropic.messages
      .stream({ model, max_tokens: 9, messages: [{ role: "user", content: "Hi" }] })
      .finalMessage();
    expect(message).toMatchObject({
      content: [{ type: "text", text: HELLO }],
      stop_reason: "end_turn",
      usage: { input_tokens: 19, cache_read_input_tokens: 2048, output_tokens: 15 },
    });
  });

  test("streams parallel calls and signed thoughts", async () => {
    const { openAi, anthropic, model } = await open(stream("tools"));
    const completion = await openAi.chat.completions
      .stream({ model, messages: MESSAGES, tools: [TOOL] })
      .finalChatCompletion();
    expect(completion.choices[0]?.message.tool_calls).toMatchObject([
      { function: { name: "get_weather", arguments: '{"city": "Zürich"}' } },
      { function: { name: "get_time" } },
      { function: { name: "ping", arguments: "{}" } },
    ]);
    stack.upstream.script("", stream("thinking"));
    const message = await anthropic.messages
      .stream({ model, max_tokens: 9, messages: [{ role: "user", content: "Hi" }] })
      .finalMessage();
    expect(message.content).toMatchObject([
      { type: "thinking", thinking: "Seventeen is odd.", signature: "EqQBCgIYAhIM" },
      { type: "redacted_thinking", data: "EmwKAhgB" },
      { type: "text", text: "It is prime." },
    ]);
  });

  test.each(["throttled", "cut", "bad-message-crc"])(
    "that fails in mid-stream (%s) is an error",
    async (name) => {
      const { openAi, model } = await open(stream(name));
      const chunks = await openAi.chat.completions.create({ model, messages: MESSAGES, stream: true });
      await expect(collect(chunks)).rejects.toThrow(OpenAI.APIError);
    },
  );

  test("that limits its rate is a 429", async () => {
    const { openAi, model } = await open({
      kind: "error",
      status: 429,
      body: { message: "Too many requests" },
      headers: { "x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/" },
    });
    const call = openAi.chat.completions.create({ model, messages: MESSAGES });
    await expect(call).rejects.toThrow(OpenAI.RateLimitError);
  });
});

describe("Cohere", () => {
  const open = (name: string, script: Script) =>
    setUp({ kind: "cohere", apiKey: "co-canary" }, name, name, script);

  test("answers both SDKs, whole and streamed", async () => {
    const name = "command-text";
    const { openAi, anthropic, model, sent } = await open(name, ({ json }) =>
      json["stream"] === true
        ? { kind: "pieces", pieces: [fixtureText("cohere/text.sse")] }
        : whole("cohere/text.json"),
    );
    const completion = await openAi.chat.completions.create({ model, messages: MESSAGES, seed: 7 });
    expect(completion.choices[0]).toMatchObject({ message: { content: HELLO }, finish_reason: "stop" });
    expect(sent()).toMatchObject({
      path: "/v2/chat",
      headers: { authorization: "Bearer co-canary" },
      json: { model: name, seed: 7, messages: [{ role: "user", content: "Say hello." }] },
    });
    const chunks = await openAi.chat.completions.create({ model, messages: MESSAGES, stream: true });
    expect((await collect(chunks)).text).toBe(HELLO);
    const message = await anthropic.messages
      .stream({ model, max_tokens: 9, messages: [{ role: "user", content: "Hi" }] })
      .finalMessage();
    expect(message.content).toMatchObject([{ type: "text", text: HELLO }]);
  });

  test("streams parallel calls", async () => {
    const pieces = [fixtureText("cohere/tools.sse")];
    const { openAi, model } = await open("command-tools", { kind: "pieces", pieces });
    const completion = await openAi.chat.completions
      .stream({ model, messages: MESSAGES, tools: [TOOL] })
      .finalChatCompletion();
    expect(completion.choices[0]?.message.tool_calls).toMatchObject([
      { function: { name: "get_weather", arguments: '{"city": "Zürich"}' } },
      { function: { name: "get_time" } },
      { function: { name: "ping", arguments: "{}" } },
    ]);
    expect(completion.choices[0]?.finish_reason).toBe("tool_calls");
  });

  test("that refuses the request says why", async () => {
    const body = JSON.parse(fixtureText("cohere/errors/400.json"));
    const { openAi, model } = await open("command-no", { kind: "error", status: 400, body });
    const call = openAi.chat.completions.create({ model, messages: MESSAGES });
    await expect(call).rejects.toThrow(/all elements in history/);
  });
});
