// What an Anthropic upstream is sent: a client's own bytes, or a conversation that another client meant.
import { wireNamed } from "../../../support/builders/wire-named.ts";
import { describe, expect, test } from "vitest";
import type { ChatRequest, WireName } from "../../../../src/schema/chat.ts";
import type { Conversation, Message, Part } from "../../../../src/schema/conversation.ts";
import { anthropic } from "../../../../src/providers/anthropic.ts";
import type { Target } from "../../../../src/wires/upstream-wire.ts";

const [wire] = anthropic.wires;

function targetOf(model = "claude-sonnet-4-5", params?: Target["params"]): Target {
  const account = {
    name: "claude",
    kind: "anthropic",
    baseUrl: "https://api.anthropic.com",
    apiKey: "sk-ant-secret",
    headers: {},
    options: {},
    propagateTrace: false,
  };
  return { account, model, ...(params !== undefined && { params }) };
}

function chatOf(body: object, wireName: WireName = "anthropic-messages", stream = false): ChatRequest {
  const bodyText = JSON.stringify(body);
  return {
    wire: wireNamed(wireName),
    operation: "chat",
    model: "r",
    stream,
    params: {},
    bodyText,
    body: JSON.parse(bodyText),
  };
}

const user = (...parts: readonly Part[]): Message => ({ role: "user", parts });
const assistant = (...parts: readonly Part[]): Message => ({ role: "assistant", parts });
const text = (said: string): Part => ({ type: "text", text: said });

const PLAIN: Conversation = { system: [], messages: [user(text("Hi"))], tools: [], sampling: {} };

/** The body sent for a conversation, and the fields that were dropped. */
function write(
  conversation: Partial<Conversation>,
  { model, stream, params }: { model?: string; stream?: boolean; params?: Target["params"] } = {},
) {
  const dropped: string[] = [];
  const request = wire.toRequest(chatOf({}, "openai-chat", stream), targetOf(model, params), {
    conversation: { ...PLAIN, ...conversation },
    drop: (field) => void dropped.push(field),
  });
  return { request, body: JSON.parse(request.body ?? ""), dropped };
}

describe("a client of the same dialect", () => {
  const chat = chatOf({ model: "r", max_tokens: 5, messages: [], future_field: { a: 1.0 } });

  test("has its bytes forwarded with only the model changed", () => {
    const { method, url, body, headers } = wire.toRequest(chat, targetOf());
    expect({ method, url }).toEqual({ method: "POST", url: "https://api.anthropic.com/v1/messages" });
    expect(body).toBe(chat.bodyText.replace('"r"', '"claude-sonnet-4-5"'));
    expect(headers).toEqual({ "content-type": "application/json", "x-api-key": "sk-ant-secret" });
  });

  test("sends its own version, unless the account names one", () => {
    const target = targetOf();
    const account = { ...target.account, headers: { "Anthropic-Version": "2026-10-21" } };
    expect(wire.toRequest(chat, { ...target, account }).headers["anthropic-version"]).toBe("2026-10-21");
  });

  test("gets the target's params, by this wire's names", () => {
    const params = { temperature: 0.2, stop: "END", max_completion_tokens: 9, model: "x", messages: [] };
    const { body = "" } = wire.toRequest(chat, targetOf("m", params));
    expect(JSON.parse(body)).toEqual({
      model: "m",
      max_tokens: 9,
      messages: [],
      future_field: { a: 1 },
      temperature: 0.2,
      stop_sequences: ["END"],
    });
  });

  test.each(["https://gw.example/anthropic/", "https://gw.example/anthropic/v1"])("at %s", (baseUrl) => {
    const target = targetOf();
    const { url } = wire.toRequest(chat, { ...target, account: { ...target.account, baseUrl } });
    expect(url).toBe("https://gw.example/anthropic/v1/messages");
  });

  test("may have its tokens counted", () => {
    const { url, body } = anthropic.counter?.toRequest(chat, targetOf("m", { temperature: 1 })) ?? {};
    expect(url).toBe("https://api.anthropic.com/v1/messages/count_tokens");
    expect(body).toBe(chat.bodyText.replace('"r"', '"m"'));
  });
});

describe("turns", () => {
  test("alternate: neighbours are merged, results of tools come first, empty turns go", () => {
    const { body } = write({
      messages: [
        user(text("Weather?")),
        assistant({ type: "tool_call", id: "a.1", name: "w", argumentsJson: '{"c":1}' }),
        user(text("and quickly"), { type: "tool_result", callId: "a.1", parts: [text("sunny")] }),
        user(text("please")),
        assistant(text("")),
      ],
    });
    expect(body.messages).toEqual([
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: [
          { type: "tool_use", id: expect.stringMatching(/^a_1_\w{14}$/), name: "w", input: { c: 1 } },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: body.messages[1].content[0].id, content: "sunny" },
          { type: "text", text: "and quickly" },
          { type: "text", text: "please" },
        ],
      },
    ]);
  });

  test("carry images, documents and cache marks", () => {
    const inline = (mediaType: string, base64: string) => ({ kind: "inline", mediaType, base64 }) as const;
    const { body, dropped } = write({
      system: [{ type: "text", text: "Be brief.", cacheMark: { ttl: "1h" } }],
      messages: [
        user(
          { type: "image", source: { kind: "url", url: "https://example.com/a.png" }, detail: "high" },
          { type: "image", source: inline("image/png", "AA==") },
          { type: "document", source: inline("application/pdf", "JVBERi0="), name: "a.pdf" },
          { type: "document", source: inline("text/plain", btoa("plain")), cacheMark: {} },
          { type: "document", source: inline("application/zip", "AA==") },
          { type: "audio", source: inline("audio/wav", "AA==") },
        ),
      ],
    });
    const cache_control = { type: "ephemeral" };
    expect(body.system).toEqual([
      { type: "text", text: "Be brief.", cache_control: { ...cache_control, ttl: "1h" } },
    ]);
    expect(body.messages[0].content).toEqual([
      { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
      { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } },
      {
        type: "document",
        source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" },
        title: "a.pdf",
      },
      { type: "document", source: { type: "text", media_type: "text/plain", data: "plain" }, cache_control },
    ]);
    expect(dropped).toEqual([
      "messages[].content[].image_url.detail",
      "messages[].content[].file",
      "messages[].content[].input_audio",
    ]);
  });

  test("carry thoughts only where Anthropic signed or sealed them", () => {
    const { body } = write({
      messages: [
        assistant(
          { type: "reasoning", text: "mine", signature: "s" },
          { type: "reasoning", text: "", encrypted: "xyz" },
          { type: "reasoning", text: "another vendor's" },
          text("So."),
        ),
      ],
    });
    expect(body.messages[0].content).toEqual([
      { type: "thinking", thinking: "mine", signature: "s" },
      { type: "redacted_thinking", data: "xyz" },
      { type: "text", text: "So." },
    ]);
  });

  test.each(["{broken", "[1]", '"x"'])("with arguments %s still have an object as input", (argumentsJson) => {
    const call: Part = { type: "tool_call", id: "a", name: "f", argumentsJson };
    const { body } = write({ messages: [assistant(call)] });
    expect(body.messages[0].content[0].input).toEqual({ invalid_json: argumentsJson });
  });
});

describe("tools", () => {
  const tools = [
    { name: "f", description: "d", parameters: { type: "object" }, strict: true },
    { name: "g" },
  ];

  test("are defined with a schema each", () => {
    expect(write({ tools }).body.tools).toEqual([
      { name: "f", description: "d", input_schema: { type: "object" }, strict: true },
      { name: "g", input_schema: { type: "object", properties: {} } },
    ]);
  });

  test.each([
    [{ type: "auto" }, { type: "auto" }],
    [{ type: "none" }, { type: "none" }],
    [{ type: "required" }, { type: "any" }],
    [
      { type: "tool", name: "f" },
      { type: "tool", name: "f" },
    ],
  ] as const)("chosen by %j are %j", (toolChoice, expected) => {
    expect(write({ tools, toolChoice }).body.tool_choice).toEqual(expected);
  });

  test("may be kept from being called in parallel", () => {
    const single = { disable_parallel_tool_use: true };
    expect(write({ tools, parallelToolCalls: false }).body.tool_choice).toEqual({ type: "auto", ...single });
    expect(
      write({ tools, toolChoice: { type: "required" }, parallelToolCalls: false }).body.tool_choice,
    ).toEqual({ type: "any", ...single });
    expect(write({ tools, parallelToolCalls: true }).body).not.toHaveProperty("tool_choice");
  });
});

describe("parameters", () => {
  test.each([
    ["claude-opus-4-8", 128_000],
    ["claude-sonnet-4-5-20250929", 64_000],
    ["claude-opus-4-1-20250805", 32_000],
    ["claude-3-5-haiku-20241022", 8192],
    ["claude-3-haiku-20240307", 4096],
    ["us.anthropic.claude-haiku-4-5-20251001-v1:0", 64_000],
    ["my-deployment", 8192],
  ])("of %s end the answer at %i tokens where the client set no limit", (model, expected) => {
    expect(write({}, { model }).body.max_tokens).toBe(expected);
    expect(write({ sampling: { maxOutputTokens: 7 } }, { model }).body.max_tokens).toBe(7);
  });

  test("that the wire knows are passed on", () => {
    const sampling = { temperature: 0.5, topK: 4, stopSequences: ["END"] };
    const { body, request, dropped } = write({ sampling, endUser: "u-1" }, { stream: true });
    expect(body).toMatchObject({
      stream: true,
      temperature: 0.5,
      top_k: 4,
      stop_sequences: ["END"],
      metadata: { user_id: "u-1" },
    });
    expect(dropped).toEqual([]);
    expect(request.headers["anthropic-version"]).toBe("2023-06-01");
  });

  test("without a counterpart are named as the client wrote them", () => {
    const sampling = {
      frequencyPenalty: 1,
      presencePenalty: 1,
      seed: 1,
      choiceCount: 2,
      topLogprobs: 0,
      temperature: 1.5,
    };
    const { body, dropped } = write({ sampling });
    expect(dropped).toEqual([
      "frequency_penalty",
      "presence_penalty",
      "seed",
      "n",
      "logprobs",
      "temperature",
    ]);
    expect(body.temperature).toBe(1);
    expect(write({ sampling: { frequencyPenalty: 0, presencePenalty: 0, choiceCount: 1 } }).dropped).toEqual(
      [],
    );
  });

  test("of sampling have none at models that take no others than the defaults", () => {
    const model = "claude-opus-4-7";
    const asked = write({ sampling: { temperature: 0.5, topP: 0.5, topK: 1 } }, { model });
    expect(asked.dropped).toEqual(["temperature", "top_p", "top_k"]);
    const plain = write({ sampling: { temperature: 1, topP: 1 } }, { model });
    expect(plain.dropped).toEqual([]);
    expect(plain.body).not.toHaveProperty("temperature");
  });

  test("of the target win over the client's", () => {
    const { body } = write({ sampling: { topK: 1 } }, { params: { top_k: 9, service_tier: "auto" } });
    expect(body).toMatchObject({ top_k: 9, service_tier: "auto" });
  });
});

describe("output in a schema", () => {
  const schema = {
    type: "object",
    properties: {
      enum: { type: "object", properties: {}, enum: [{ type: "object" }] },
      list: { type: "array", items: { type: "object", properties: {}, additionalProperties: true } },
    },
  };

  test("is the vendor's own structured output, its objects closed", () => {
    const output = { type: "json_schema", name: "n", schema, description: "what it is" } as const;
    const { body } = write({ output });
    expect(body.output_config).toEqual({
      format: {
        type: "json_schema",
        schema: {
          type: "object",
          description: "what it is",
          properties: {
            enum: {
              type: "object",
              properties: {},
              enum: [{ type: "object" }],
              additionalProperties: false,
            },
            list: { type: "array", items: { type: "object", properties: {}, additionalProperties: true } },
          },
          additionalProperties: false,
        },
      },
    });
  });

  test("without one has no counterpart", () => {
    const { body, dropped } = write({ output: { type: "json" } });
    expect(dropped).toEqual(["response_format"]);
    expect(body).not.toHaveProperty("output_config");
    expect(write({ output: { type: "text" } }).dropped).toEqual([]);
  });
});

describe("thinking", () => {
  const thinking = (reasoning: Conversation["reasoning"], model: string, maxOutputTokens?: number) => {
    const { body } = write(
      {
        ...(reasoning !== undefined && { reasoning }),
        sampling: maxOutputTokens === undefined ? {} : { maxOutputTokens },
      },
      { model },
    );
    return { thinking: body.thinking, effort: body.output_config?.effort };
  };

  test.each([
    ["minimal", 1024],
    ["low", 1024],
    ["medium", 8192],
    ["high", 24_576],
  ] as const)("of effort %s is a budget of %i tokens at models that take one", (effort, budget) => {
    expect(thinking({ effort }, "claude-sonnet-4-5")).toEqual({
      thinking: { type: "enabled", budget_tokens: budget },
      effort: undefined,
    });
  });

  test("leaves room for the answer, or is left out", () => {
    expect(thinking({ effort: "high" }, "claude-sonnet-4-5", 8000).thinking).toMatchObject({
      budget_tokens: 4000,
    });
    expect(thinking({ effort: "high" }, "claude-sonnet-4-5", 1000).thinking).toBeUndefined();
    expect(thinking({ budgetTokens: 5 }, "claude-sonnet-4-5").thinking).toMatchObject({
      budget_tokens: 1024,
    });
  });

  test.each([
    [{ effort: "minimal" }, "low"],
    [{ effort: "medium" }, "medium"],
    [{ budgetTokens: 1024 }, "low"],
    [{ budgetTokens: 8192 }, "medium"],
    [{ budgetTokens: 32_000 }, "high"],
    [{}, undefined],
  ] as const)("as %j is effort %s at models that budget themselves", (reasoning, effort) => {
    expect(thinking(reasoning, "claude-opus-5-5")).toEqual({
      thinking: { type: "adaptive", display: "summarized" },
      effort,
    });
  });

  test("that the client doesn't want to read is not sent along", () => {
    expect(thinking({ includeThoughts: false }, "claude-opus-4-7").thinking).toEqual({
      type: "adaptive",
      display: "omitted",
    });
  });

  test.each([
    ["claude-sonnet-4-5", undefined, undefined],
    ["claude-opus-4-8", { type: "disabled" }, undefined],
    ["claude-haiku-5-5", { type: "disabled" }, undefined],
    ["claude-sonnet-5-5", { type: "between_tools" }, undefined],
    ["claude-opus-5-5", undefined, "low"],
    ["claude-fable-5", undefined, "low"],
  ])("is switched off at %s", (model, expected, effort) => {
    expect(thinking({ effort: "none" }, model)).toEqual({ thinking: expected, effort });
    expect(thinking(undefined, model)).toEqual({ thinking: undefined, effort: undefined });
  });
});
