// What Cohere is sent for a conversation that another client meant.
import { describe, expect, test } from "vitest";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import type { ChatRequest } from "../../../../src/schema/chat.ts";
import type { Conversation, Message, Part } from "../../../../src/schema/conversation.ts";
import { cohere } from "../../../../src/providers/cohere.ts";

const user = (...parts: readonly Part[]): Message => ({ role: "user", parts });
const assistant = (...parts: readonly Part[]): Message => ({ role: "assistant", parts });
const text = (said: string): Part => ({ type: "text", text: said });
const PLAIN: Conversation = { system: [], messages: [user(text("Hi"))], tools: [], sampling: {} };

function write(
  conversation: Partial<Conversation>,
  { baseUrl = cohere.defaultBaseUrl ?? "", stream = false, params = {} } = {},
) {
  const dropped: string[] = [];
  const chat: ChatRequest = {
    wire: openAiChat,
    operation: "chat",
    model: "r",
    stream,
    params: {},
    bodyText: "{}",
    body: {},
  };
  const account = {
    name: "co",
    kind: "cohere",
    baseUrl,
    apiKey: "co-secret",
    headers: {},
    options: {},
    propagateTrace: false,
  };
  const request = cohere.wires[0].toRequest(
    chat,
    { account, model: "command-a-03-2025", params },
    { conversation: { ...PLAIN, ...conversation }, drop: (field) => void dropped.push(field) },
  );
  return { request, body: JSON.parse(request.body ?? ""), dropped };
}

test("goes to the account's address with its key as a bearer token", () => {
  const { request, body } = write({}, { stream: true });
  expect(request.url).toBe("https://api.cohere.com/v2/chat");
  expect(request.headers).toEqual({ "content-type": "application/json", authorization: "Bearer co-secret" });
  expect(body).toEqual({
    model: "command-a-03-2025",
    stream: true,
    messages: [{ role: "user", content: "Hi" }],
  });
  expect(write({}, { baseUrl: "https://gw.example/cohere/v2/" }).request.url).toBe(
    "https://gw.example/cohere/v2/chat",
  );
});

describe("messages", () => {
  test("begin with the system prompt; each result is one of its own, before what is said with it", () => {
    const call = (id: string): Part => ({ type: "tool_call", id, name: "w", argumentsJson: "" });
    const result = (callId: string, said: string): Part => ({
      type: "tool_result",
      callId,
      parts: [text(said)],
    });
    const { body, dropped } = write({
      system: [text("Be brief."), text("And kind.")],
      messages: [
        user(text("Weather?")),
        assistant({ type: "reasoning", text: "I'll look." }, call("a"), call("b")),
        user(text("quickly"), result("a", "sun"), result("b", "rain")),
        assistant({ type: "reasoning", text: "Hm." }, text("Mixed.")),
      ],
    });
    expect(dropped).toEqual([]);
    expect(body.messages).toEqual([
      { role: "system", content: "Be brief.\n\nAnd kind." },
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        tool_plan: "I'll look.",
        tool_calls: [
          { id: "a", type: "function", function: { name: "w", arguments: "{}" } },
          { id: "b", type: "function", function: { name: "w", arguments: "{}" } },
        ],
      },
      { role: "tool", tool_call_id: "a", content: "sun" },
      { role: "tool", tool_call_id: "b", content: "rain" },
      { role: "user", content: "quickly" },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "Hm." },
          { type: "text", text: "Mixed." },
        ],
      },
    ]);
  });

  test("carry images by address or inline, and neither documents nor sound", () => {
    const inline = (mediaType: string) => ({ kind: "inline", mediaType, base64: "AA==" }) as const;
    const { body, dropped } = write({
      messages: [
        user(
          { type: "image", source: { kind: "url", url: "https://example.com/a.png" }, detail: "low" },
          { type: "image", source: inline("image/png") },
          { type: "document", source: inline("application/pdf") },
          { type: "audio", source: inline("audio/wav") },
        ),
      ],
    });
    expect(body.messages[0].content).toEqual([
      { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "low" } },
      { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } },
    ]);
    expect(dropped).toEqual(["messages[].content[].file", "messages[].content[].input_audio"]);
  });

  test("leave out thoughts that another vendor signed or sealed", () => {
    const { body } = write({
      messages: [
        assistant(
          { type: "reasoning", text: "x", signature: "s" },
          { type: "reasoning", text: "", encrypted: "y" },
        ),
        user(text("Hi")),
      ],
    });
    expect(body.messages).toEqual([{ role: "user", content: "Hi" }]);
  });
});

describe("tools", () => {
  const tools = [
    { name: "f", description: "d", parameters: { type: "object" }, strict: true },
    { name: "g", strict: true },
  ];

  test("are defined with a schema each, strict all or none", () => {
    const { body } = write({ tools });
    expect(body).toMatchObject({
      strict_tools: true,
      tools: [
        { type: "function", function: { name: "f", description: "d", parameters: { type: "object" } } },
        { type: "function", function: { name: "g", parameters: { type: "object", properties: {} } } },
      ],
    });
    expect(body).not.toHaveProperty("tool_choice");
    expect(write({ tools: [{ name: "g" }, ...tools] }).body).not.toHaveProperty("strict_tools");
  });

  test("are chosen in the wire's words; one that must be called is the only one offered", () => {
    expect(write({ tools, toolChoice: { type: "none" } }).body.tool_choice).toBe("NONE");
    expect(write({ tools, toolChoice: { type: "required" } }).body.tool_choice).toBe("REQUIRED");
    expect(write({ tools, toolChoice: { type: "auto" } }).body).not.toHaveProperty("tool_choice");
    const { body } = write({ tools, toolChoice: { type: "tool", name: "g" } });
    expect(body).toMatchObject({ tool_choice: "REQUIRED", tools: [{ function: { name: "g" } }] });
    expect(body.tools).toHaveLength(1);
  });

  test("can't be kept from being called in parallel", () => {
    expect(write({ tools, parallelToolCalls: false }).dropped).toEqual(["parallel_tool_calls"]);
  });
});

test("parameters have their own names, and bounds of their own", () => {
  const { body, dropped } = write({
    sampling: {
      maxOutputTokens: 9,
      temperature: 0.5,
      topP: 1,
      topK: 3,
      seed: 7,
      frequencyPenalty: 0.5,
      presencePenalty: 0.25,
      stopSequences: ["END"],
      topLogprobs: 0,
    },
  });
  expect(dropped).toEqual([]);
  expect(body).toMatchObject({
    max_tokens: 9,
    temperature: 0.5,
    p: 0.99,
    k: 3,
    seed: 7,
    frequency_penalty: 0.5,
    presence_penalty: 0.25,
    stop_sequences: ["END"],
    logprobs: true,
  });
});

test("what has no counterpart is named as the client wrote it", () => {
  const { dropped } = write({ sampling: { choiceCount: 2, topLogprobs: 3 }, endUser: "u" });
  expect(dropped.toSorted()).toEqual(["logprobs", "n", "user"]);
});

test.each([
  [{ type: "text" }, { type: "text" }],
  [{ type: "json" }, { type: "json_object" }],
  [
    { type: "json_schema", name: "n", schema: { type: "object" } },
    { type: "json_object", json_schema: { type: "object" } },
  ],
] as const)("output %j", (output, expected) => {
  expect(write({ output }).body.response_format).toEqual(expected);
});

test.each([
  [{ effort: "none" }, { type: "disabled" }],
  [{ effort: "medium" }, { type: "enabled", token_budget: 8192 }],
  [{ budgetTokens: 100 }, { type: "enabled", token_budget: 100 }],
  [{}, { type: "enabled" }],
] as const)("reasoning %j", (reasoning, expected) => {
  expect(write({ reasoning }).body.thinking).toEqual(expected);
});

test("a target's own words are put beside", () => {
  const { body } = write({}, { params: { safety_mode: "NONE", model: "x" } });
  expect(body).toMatchObject({ safety_mode: "NONE", model: "command-a-03-2025" });
});
