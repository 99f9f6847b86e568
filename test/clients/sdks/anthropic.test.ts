// The official Anthropic SDK against the running gateway: in front of an Anthropic upstream, whose bytes it gets, and of an
// OpenAI-compatible one, whose answers are translated. Errors and aborts are in anthropic-errors.test.ts.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { anthropicMessage, MESSAGE_ID } from "../../support/servers/scripted-anthropic.ts";
import type { Script, UpstreamRequest } from "../../support/servers/scripted-upstream.ts";
import { makeTenant, type TenantOptions } from "../../support/clients/test-tenant.ts";

const MESSAGES: Anthropic.MessageParam[] = [{ role: "user", content: "Say hello." }];
const ASK = { max_tokens: 64, messages: MESSAGES };
const WEATHER: Anthropic.Tool = {
  name: "weather",
  description: "Tells the weather.",
  input_schema: { type: "object", properties: { city: { type: "string" } } },
};
const CALLS = ["Zürich", "Genève"].map((city, at) => ({ id: `call_${at}`, city }));
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

type Kind = NonNullable<TenantOptions["providerKind"]>;

/** A tenant with one provider of this kind, its SDK client, and a model that the upstream answers with `script`. */
async function setUp(kind: Kind, script: Script) {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, providerKind: kind });
  const upstreamModel = uniqueModel();
  stack.upstream.script(upstreamModel, script);
  const sent = (): UpstreamRequest => {
    const request = stack.upstream.requestsFor(upstreamModel).at(-1);
    if (request === undefined) throw new Error("the upstream was not asked");
    return request;
  };
  return {
    tenant,
    client: new Anthropic({ apiKey: tenant.key, baseURL: stack.gateway.url, maxRetries: 0 }),
    model: `${tenant.provider}/${upstreamModel}`,
    upstreamModel,
    sent,
  };
}

/** Both sides say the same: Anthropic's in its own wire, the other in OpenAI's. */
const SIDES = ["anthropic", "openai-compatible"] as const;

function textScript(kind: Kind, text: string): Script {
  return kind === "anthropic"
    ? anthropicMessage({ content: [{ type: "text", text }] })
    : { kind: "answer", text, usage: { inputTokens: 20, outputTokens: 7 } };
}

function toolScript(kind: Kind): Script {
  if (kind === "anthropic") {
    const content = CALLS.map(({ id, city }) => ({ type: "tool_use", id, name: "weather", input: { city } }));
    return anthropicMessage({ content });
  }
  const toolCalls = CALLS.map(({ id, city }) => ({
    id,
    name: "weather",
    arguments: JSON.stringify({ city }),
  }));
  return { kind: "answer", toolCalls };
}

describe.each(SIDES)("in front of %s", (kind) => {
  test("a message is answered with text, reason and usage", async () => {
    const { client, model, upstreamModel } = await setUp(kind, textScript(kind, "Grüezi, 世界 👋🏽!"));
    const message = await client.messages.create({ model, ...ASK });
    expect(message).toMatchObject({
      type: "message",
      role: "assistant",
      model: upstreamModel,
      content: [{ type: "text", text: "Grüezi, 世界 👋🏽!" }],
      stop_reason: "end_turn",
      usage: { output_tokens: 7 },
    });
    const { input_tokens, cache_read_input_tokens } = message.usage;
    expect(input_tokens + (cache_read_input_tokens ?? 0)).toBe(20);
  });

  test("a stream adds up to the same message", async () => {
    const { client, model } = await setUp(kind, textScript(kind, "Grüezi, 世界 👋🏽, wie geht's?"));
    const stream = client.messages.stream({ model, ...ASK });
    let pieces = 0;
    stream.on("text", () => (pieces += 1));
    const message = await stream.finalMessage();
    expect(message.content).toMatchObject([{ type: "text", text: "Grüezi, 世界 👋🏽, wie geht's?" }]);
    expect(message).toMatchObject({ stop_reason: "end_turn", usage: { output_tokens: 7 } });
    expect(pieces).toBeGreaterThan(1);
  });

  const CALLED = CALLS.map(({ id, city }) => ({ type: "tool_use", id, name: "weather", input: { city } }));

  test("tools are called in parallel, whole", async () => {
    const { client, model } = await setUp(kind, toolScript(kind));
    const message = await client.messages.create({ model, ...ASK, tools: [WEATHER] });
    expect(message.stop_reason).toBe("tool_use");
    expect(message.content).toMatchObject(CALLED);
  });

  test("tools are called in parallel, their arguments streamed in fragments", async () => {
    const { client, model } = await setUp(kind, toolScript(kind));
    const stream = client.messages.stream({ model, ...ASK, tools: [WEATHER] });
    let fragments = 0;
    stream.on("inputJson", () => (fragments += 1));
    const message = await stream.finalMessage();
    expect(message.content.filter(({ type }) => type === "tool_use")).toMatchObject(CALLED);
    expect(message.stop_reason).toBe("tool_use");
    expect(fragments).toBeGreaterThan(CALLS.length);
  });

  test("tokens are counted, or estimated and marked so", async () => {
    const { client, model } = await setUp(kind, textScript(kind, "x"));
    const { data, response } = await client.messages
      .countTokens({ model, messages: MESSAGES, system: "Be brief." })
      .withResponse();
    const isNative = kind === "anthropic";
    expect(response.headers.get("x-headgate-token-count")).toBe(isNative ? "provider" : "estimate");
    if (isNative) expect(data.input_tokens).toBe(4711);
    else expect(data.input_tokens).toBeLessThan(20);
    expect(data.input_tokens).toBeGreaterThan(0);
  });
});

describe("in front of Anthropic itself", () => {
  test("the request's bytes are forwarded, and the answer's come back", async () => {
    const thinking = { type: "thinking", thinking: "Hm.", signature: "EqQB" };
    const content = [thinking, { type: "redacted_thinking", data: "EmwK" }, { type: "text", text: "So." }];
    const { client, model, upstreamModel, tenant, sent } = await setUp(
      "anthropic",
      anthropicMessage({ content, usage: { input_tokens: 1, output_tokens: 2, future_count: 3 } }),
    );
    const body = {
      model,
      ...ASK,
      thinking: { type: "enabled" as const, budget_tokens: 2048 },
      tools: [{ type: "web_search_20260318" as const, name: "web_search" as const }],
      future_field: { deep: [1.5, null] },
    };
    const message = await client.messages.create(body, { headers: { "anthropic-beta": "x-2026-01-01" } });
    expect(message.id).toBe(MESSAGE_ID);
    expect(message.content).toEqual(content);
    expect(message.usage).toMatchObject({ future_count: 3 });
    const { path, json, headers } = sent();
    expect(path).toBe("/v1/messages");
    expect(json).toEqual({ ...body, model: upstreamModel });
    expect(headers["x-api-key"]).toBe(tenant.credential);
    expect(headers["anthropic-version"]).toBe("2026-10-21");
    expect(headers["anthropic-beta"]).toBe("x-2026-01-01");
    expect(JSON.stringify(headers)).not.toContain(tenant.key);
  });

  test("thoughts are streamed with their signature", async () => {
    const content = [
      { type: "thinking", thinking: "Seventeen is odd.", signature: "EqQB" },
      { type: "text", text: "It is prime." },
    ];
    const { client, model } = await setUp("anthropic", anthropicMessage({ content }));
    const message = await client.messages.stream({ model, ...ASK }).finalMessage();
    expect(message.content).toMatchObject(content);
  });
});

describe("in front of an OpenAI-compatible upstream", () => {
  test("a conversation is put into its words", async () => {
    const { client, model, upstreamModel, sent } = await setUp("openai-compatible", { kind: "answer" });
    await client.messages.create({
      model,
      max_tokens: 64,
      system: "Be brief.",
      stop_sequences: ["END"],
      tools: [WEATHER],
      tool_choice: { type: "any", disable_parallel_tool_use: true },
      metadata: { user_id: "u-1" },
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } },
            { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
          ],
        },
        {
          role: "assistant",
          content: [{ type: "tool_use", id: "call_1", name: "weather", input: { city: "Bern" } }],
        },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "call_1", content: "sunny" }] },
      ],
    });
    const { path, json, headers } = sent();
    expect(path).toBe("/v1/chat/completions");
    expect(headers).not.toHaveProperty("anthropic-version");
    expect(json).toMatchObject({
      model: upstreamModel,
      stop: ["END"],
      user: "u-1",
      tool_choice: "required",
      parallel_tool_calls: false,
      tools: [
        {
          type: "function",
          function: { name: "weather", description: "Tells the weather.", parameters: WEATHER.input_schema },
        },
      ],
      messages: [
        { role: "system", content: "Be brief." },
        {
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } },
            { type: "image_url", image_url: { url: "https://example.com/a.png" } },
          ],
        },
        {
          role: "assistant",
          tool_calls: [
            { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } },
          ],
        },
        { role: "tool", tool_call_id: "call_1", content: "sunny" },
      ],
    });
  });

  test("thinking becomes effort, and its thoughts come back as a thinking block", async () => {
    const delta = (fields: object, finish_reason: string | null = null) =>
      `data: ${JSON.stringify({ id: "c", model: "m", choices: [{ index: 0, delta: fields, finish_reason }] })}\n\n`;
    const pieces = [
      delta({ role: "assistant", reasoning_content: "Seventeen" }),
      delta({ reasoning_content: " is odd." }),
      delta({ content: "It is prime." }),
      delta({}, "stop"),
      "data: [DONE]\n\n",
    ];
    const { client, model, sent } = await setUp("openai-compatible", { kind: "pieces", pieces });
    const thinking = { type: "enabled" as const, budget_tokens: 8192 };
    const message = await client.messages
      .stream({ model, max_tokens: 16_000, messages: MESSAGES, thinking })
      .finalMessage();
    expect(sent().json).toMatchObject({ reasoning_effort: "medium" });
    expect(message.content).toMatchObject([
      { type: "thinking", thinking: "Seventeen is odd." },
      { type: "text", text: "It is prime." },
    ]);
  });

  test("output in a schema is asked for as such", async () => {
    const { client, model, sent } = await setUp("openai-compatible", { kind: "answer", text: '{"a":1}' });
    const schema = { type: "object", properties: { a: { type: "number" } }, additionalProperties: false };
    await client.messages.create({
      model,
      ...ASK,
      output_config: { format: { type: "json_schema", schema } },
    });
    expect(sent().json["response_format"]).toMatchObject({ type: "json_schema", json_schema: { schema } });
  });

  test("what has no counterpart is a 400 that names it, or dropped for a lenient client", async () => {
    const { client, model } = await setUp("openai-compatible", { kind: "answer" });
    const body = { model, ...ASK, container: "c-1" };
    await expect(client.messages.create(body)).rejects.toThrow(/`container`/);
    const { response } = await client.messages
      .create(body, { headers: { "x-headgate-lenient": "1" } })
      .withResponse();
    expect(response.headers.get("x-headgate-dropped")).toBe("container");
  });
});

describe("the models list", () => {
  test("is in Anthropic's form for its SDK", async () => {
    const targets = [{ provider: "up", model: uniqueModel() }];
    const tenant = await makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      routes: { "chat-fast": { targets } },
    });
    const client = new Anthropic({ apiKey: tenant.key, baseURL: stack.gateway.url });
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    expect(ids).toContain("chat-fast");
    expect(await client.models.retrieve("chat-fast")).toMatchObject({ type: "model", id: "chat-fast" });
  });
});

describe("the OpenAI SDK in front of Anthropic", () => {
  const QUESTION: OpenAI.ChatCompletionMessageParam[] = [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Say hello." },
  ];
  const openAiTool: OpenAI.ChatCompletionTool = {
    type: "function",
    function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
  };

  async function openAi(script: Script) {
    const side = await setUp("anthropic", script);
    const client = new OpenAI({ apiKey: side.tenant.key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
    return { ...side, client };
  }

  test("gets text, reason and usage, with cached tokens counted as input", async () => {
    const { client, model, sent } = await openAi(textScript("anthropic", "Grüezi 👋🏽!"));
    const completion = await client.chat.completions.create({ model, messages: QUESTION, stop: "END" });
    expect(completion.choices[0]).toMatchObject({
      message: { role: "assistant", content: "Grüezi 👋🏽!" },
      finish_reason: "stop",
    });
    expect(completion.usage).toMatchObject({
      prompt_tokens: 20,
      completion_tokens: 7,
      prompt_tokens_details: { cached_tokens: 8 },
    });
    expect(sent().json).toMatchObject({
      system: "Be brief.",
      messages: [{ role: "user", content: "Say hello." }],
      stop_sequences: ["END"],
    });
    expect(sent().headers["anthropic-version"]).toBe("2023-06-01");
  });

  test("gets a stream with usage at its end", async () => {
    const { client, model } = await openAi(textScript("anthropic", "Grüezi 👋🏽, wie geht's?"));
    const stream = await client.chat.completions.create({
      model,
      messages: QUESTION,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe(
      "Grüezi 👋🏽, wie geht's?",
    );
    expect(chunks.filter(({ usage }) => usage).map(({ usage }) => usage)).toMatchObject([
      { prompt_tokens: 20, completion_tokens: 7 },
    ]);
  });

  test("gets parallel tool calls, whole and streamed", async () => {
    const { client, model } = await openAi(toolScript("anthropic"));
    const ask = { model, messages: QUESTION, tools: [openAiTool] };
    const expected = CALLS.map(({ id, city }) => ({
      id,
      function: { name: "weather", arguments: JSON.stringify({ city }) },
    }));
    const completion = await client.chat.completions.create(ask);
    expect(completion.choices[0]?.message.tool_calls).toMatchObject(expected);
    expect(completion.choices[0]?.finish_reason).toBe("tool_calls");
    const streamed = await client.chat.completions.stream(ask).finalChatCompletion();
    expect(streamed.choices[0]?.message.tool_calls).toMatchObject(expected);
  });

  test("sends thinking and schemas on, and gets thoughts apart from the text", async () => {
    const content = [
      { type: "thinking", thinking: "Hm.", signature: "EqQB" },
      { type: "text", text: '{"a":1}' },
    ];
    const { client, model, sent } = await openAi(anthropicMessage({ content }));
    const schema = { type: "object", properties: { a: { type: "number" } }, required: ["a"] };
    const completion = await client.chat.completions.create({
      model,
      messages: QUESTION,
      reasoning_effort: "high",
      response_format: { type: "json_schema", json_schema: { name: "n", schema } },
    });
    expect(completion.choices[0]?.message).toMatchObject({ content: '{"a":1}', reasoning_content: "Hm." });
    expect(sent().json["output_config"]).toMatchObject({
      effort: "high",
      format: { type: "json_schema", schema: { ...schema, additionalProperties: false } },
    });
  });
});
