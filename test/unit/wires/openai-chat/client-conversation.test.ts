// What a chat request means to an upstream of another wire: its messages, its settings, and which fields have no counterpart.
import { describe, expect, test } from "vitest";
import type { Conversation, Part } from "../../../../src/schema/conversation.ts";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import { withTargetParams } from "../../../../src/wires/target-params.ts";

const USER = { role: "user", content: "Hi" };

function read(body: object): { readonly conversation: Conversation; readonly dropped: readonly string[] } {
  const dropped: string[] = [];
  const chat = openAiChat.parseRequest(JSON.stringify({ model: "m", messages: [USER], ...body }));
  return { conversation: openAiChat.toConversation(chat, (field) => dropped.push(field)), dropped };
}

/** The parts of the only message, without anything dropped. */
function partsOf(message: object): readonly Part[] {
  const { conversation, dropped } = read({ messages: [message] });
  expect(dropped).toEqual([]);
  expect(conversation.messages).toHaveLength(1);
  return conversation.messages[0]?.parts ?? [];
}

describe("messages", () => {
  test("of system and developer are the system prompt, wherever they stand", () => {
    const { conversation } = read({
      messages: [
        { role: "system", content: "One." },
        USER,
        { role: "developer", content: [{ type: "text", text: "Two." }] },
      ],
    });
    expect(conversation.system).toEqual([
      { type: "text", text: "One." },
      { type: "text", text: "Two." },
    ]);
    expect(conversation.messages).toEqual([{ role: "user", parts: [{ type: "text", text: "Hi" }] }]);
  });

  test("may hold pictures by address and inline, sounds and files", () => {
    const content = [
      { type: "image_url", image_url: { url: "https://a.test/x.png", detail: "low" } },
      { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "original" } },
      { type: "input_audio", input_audio: { data: "BBBB", format: "mp3" } },
      { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,CCCC" } },
      { type: "file", file: { file_data: "DDDD" } },
    ];
    const pdf = (base64: string) => ({ kind: "inline", mediaType: "application/pdf", base64 });
    expect(partsOf({ role: "user", content })).toEqual([
      { type: "image", source: { kind: "url", url: "https://a.test/x.png" }, detail: "low" },
      { type: "image", source: { kind: "inline", mediaType: "image/png", base64: "AAAA" } },
      { type: "audio", source: { kind: "inline", mediaType: "audio/mpeg", base64: "BBBB" } },
      { type: "document", source: pdf("CCCC"), name: "a.pdf" },
      { type: "document", source: pdf("DDDD") },
    ]);
  });

  test("may hold prompt-cache marks, in OpenAI's form or in Anthropic's", () => {
    const text = { type: "text", text: "x" };
    const content = [
      { ...text, prompt_cache_breakpoint: { mode: "explicit", ttl: "30m" } },
      { ...text, cache_control: { type: "ephemeral", ttl: "1h" } },
    ];
    expect(partsOf({ role: "user", content })).toEqual([
      { ...text, cacheMark: {} },
      { ...text, cacheMark: { ttl: "1h" } },
    ]);
  });

  test("bring calls, their results by the tool's name, and signatures back", () => {
    const call = {
      id: "c1",
      type: "function",
      function: { name: "look", arguments: '{"a":1}' },
      extra_content: { google: { thought_signature: "sig" } },
    };
    const { conversation } = read({
      messages: [
        USER,
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: "c1", content: "found" },
      ],
    });
    expect(conversation.messages.slice(1)).toEqual([
      {
        role: "assistant",
        parts: [
          { type: "tool_call", id: "c1", name: "look", argumentsJson: '{"a":1}', signature: "gemini:sig" },
        ],
      },
      {
        role: "user",
        parts: [
          { type: "tool_result", callId: "c1", name: "look", parts: [{ type: "text", text: "found" }] },
        ],
      },
    ]);
  });

  test.each([
    [{ reasoning_content: "hm" }, [{ type: "reasoning", text: "hm" }]],
    [{ reasoning: "hm" }, [{ type: "reasoning", text: "hm" }]],
    [
      {
        reasoning_content: "hm",
        reasoning_details: [
          { type: "reasoning.text", text: "hm", signature: "s" },
          { type: "reasoning.encrypted", data: "e" },
        ],
      },
      [
        { type: "reasoning", text: "hm", signature: "s" },
        { type: "reasoning", text: "", encrypted: "e" },
      ],
    ],
  ])("bring thoughts back: %j", (fields, thoughts) => {
    expect(partsOf({ role: "assistant", content: "a", ...fields })).toEqual([
      ...thoughts,
      { type: "text", text: "a" },
    ]);
  });

  test("bring refusals back", () => {
    expect(partsOf({ role: "assistant", content: null, refusal: "No." })).toEqual([
      { type: "refusal", text: "No." },
    ]);
  });
});

describe("settings", () => {
  test("are read with OpenAI's names", () => {
    const { conversation, dropped } = read({
      max_tokens: 5,
      max_completion_tokens: 7,
      temperature: 0,
      top_p: 0.5,
      frequency_penalty: 1,
      presence_penalty: -1,
      seed: 3,
      n: 2,
      stop: "END",
      logprobs: true,
      top_logprobs: 4,
      parallel_tool_calls: false,
      reasoning_effort: "xhigh",
      user: "u",
    });
    expect(dropped).toEqual([]);
    expect(conversation).toMatchObject({
      parallelToolCalls: false,
      reasoning: { effort: "high", includeThoughts: true },
      endUser: "u",
      sampling: {
        maxOutputTokens: 7,
        temperature: 0,
        topP: 0.5,
        frequencyPenalty: 1,
        presencePenalty: -1,
        seed: 3,
        choiceCount: 2,
        stopSequences: ["END"],
        topLogprobs: 4,
      },
    });
  });

  test.each([
    ["auto", { type: "auto" }],
    ["none", { type: "none" }],
    ["required", { type: "required" }],
    [
      { type: "function", function: { name: "look" } },
      { type: "tool", name: "look" },
    ],
  ])("a tool choice of %j", (choice, toolChoice) => {
    expect(read({ tool_choice: choice }).conversation.toolChoice).toEqual(toolChoice);
  });

  test.each([
    [{ type: "text" }, { type: "text" }],
    [{ type: "json_object" }, { type: "json" }],
    [
      { type: "json_schema", json_schema: { name: "n", schema: { type: "object" }, strict: true } },
      { type: "json_schema", name: "n", schema: { type: "object" }, strict: true },
    ],
  ])("an output of %j", (format, output) => {
    expect(read({ response_format: format }).conversation.output).toEqual(output);
  });

  test("no reasoning is no wish to see thoughts", () => {
    expect(read({ reasoning_effort: "none" }).conversation.reasoning).toEqual({ effort: "none" });
  });
});

describe("what has no counterpart is named", () => {
  test.each<[object, string]>([
    [{ logit_bias: { 50256: -100 } }, "logit_bias"],
    [{ brand_new: 0 }, "brand_new"],
    [{ store: true }, "store"],
    [{ service_tier: "flex" }, "service_tier"],
    [{ modalities: ["text", "audio"] }, "modalities"],
    [{ metadata: { a: "b" } }, "metadata"],
    [{ web_search_options: {} }, "web_search_options"],
    [{ reasoning_effort: "extreme" }, "reasoning_effort"],
    [{ response_format: { type: "grammar" } }, "response_format.type"],
    [{ tools: [{ type: "web_search" }] }, "tools[0]"],
    [{ tool_choice: { type: "allowed_tools", allowed_tools: {} } }, "tool_choice"],
    [{ messages: [{ ...USER, name: "Ann" }] }, "messages[0].name"],
    [{ messages: [{ role: "function", name: "f", content: "x" }] }, "messages[0].role"],
    [
      { messages: [{ role: "user", content: [{ type: "file", file: { file_id: "f1" } }] }] },
      "messages[0].content[0].file.file_id",
    ],
    [{ messages: [{ role: "user", content: [{ type: "video" }] }] }, "messages[0].content[0]"],
    [{ messages: [{ role: "assistant", content: "x", audio: { id: "a" } }] }, "messages[0].audio"],
    [
      { messages: [{ role: "assistant", content: null, tool_calls: [{ type: "web_search" }] }] },
      "messages[0].tool_calls[0]",
    ],
  ])("%j", (body, field) => {
    expect(read(body).dropped).toContain(field);
  });

  test.each([
    { logit_bias: {} },
    { metadata: {} },
    { store: false },
    { store: null },
    { service_tier: "auto" },
    { modalities: ["text"] },
    { verbosity: "medium" },
    { stream_options: { include_usage: true } },
    { brand_new: null },
  ])("unless it says what is so anyway: %j", (body) => {
    expect(read(body).dropped).toEqual([]);
  });
});

describe("a target's parameters", () => {
  test("win over the client's, and what a conversation can't say is left for the wire", () => {
    const { conversation } = read({ temperature: 1, top_p: 0.5 });
    const { conversation: changed, rest } = withTargetParams(conversation, {
      temperature: 0.2,
      reasoning_effort: "low",
      response_format: { type: "grammar" },
      safe_prompt: true,
    });
    expect(changed.sampling).toEqual({ temperature: 0.2, topP: 0.5 });
    expect(changed.reasoning).toEqual({ effort: "low", includeThoughts: true });
    expect(rest).toEqual({ safe_prompt: true, response_format: { type: "grammar" } });
  });
});
