// The Responses wire: requests read and checked, their meaning for other wires, and what has no counterpart there.
import { describe, expect, test } from "vitest";
import type { Conversation } from "../../../../src/schema/conversation.ts";
import { openAiResponses } from "../../../../src/wires/openai-responses/client-wire.ts";
import {
  wrapEncryptedForResponses,
  wrapSignatureForResponses,
} from "../../../../src/wires/openai-responses/client-reasoning.ts";
import { GatewayError } from "../../../../src/errors.ts";

const parse = (body: object | string) =>
  openAiResponses.parseRequest(typeof body === "string" ? body : JSON.stringify(body));

function read(body: object): { readonly conversation: Conversation; readonly dropped: readonly string[] } {
  const dropped: string[] = [];
  const chat = parse({ model: "m", input: "Hi", ...body });
  return { conversation: openAiResponses.toConversation(chat, (field) => dropped.push(field)), dropped };
}

describe("a request", () => {
  test("keeps the client's bytes and names its sampling", () => {
    const text =
      '{"model":"m", "input":"Hi","stream":true,"max_output_tokens":9,"temperature":0.5,"brand_new":1}';
    expect(parse(text)).toMatchObject({
      wire: openAiResponses,
      operation: "chat",
      model: "m",
      stream: true,
      params: { maxOutputTokens: 9, temperature: 0.5 },
      bodyText: text,
    });
  });

  test("without a model is for the tenant's default route", () => {
    expect(openAiResponses.parseRequest('{"input":"x"}', { defaultModel: "r" }).model).toBe("r");
  });

  test.each<[object, string]>([
    [{ input: "x" }, "model"],
    [{ model: "m" }, "input"],
    [{ model: "m", input: 5 }, "input"],
    [{ model: "m", input: ["x"] }, "input[0]"],
    [{ model: "m", input: "x", temperature: 3 }, "temperature"],
    [{ model: "m", input: "x", max_output_tokens: 0 }, "max_output_tokens"],
    [{ model: "m", input: "x", tools: {} }, "tools"],
    [{ model: "m", input: "x", instructions: [] }, "instructions"],
  ])("%j is refused by its field", (body, param) => {
    expect(() => parse(body)).toThrow(
      expect.objectContaining({ code: "invalid_request", details: expect.objectContaining({ param }) }),
    );
  });

  test.each(["prompt", "previous_response_id", "conversation"])("needs no input beside %s", (field) => {
    expect(parse({ model: "m", [field]: "x" }).model).toBe("m");
  });
});

describe("its input", () => {
  test("may be a text, with instructions as the system prompt", () => {
    const { conversation } = read({ instructions: "Be brief." });
    expect(conversation.system).toEqual([{ type: "text", text: "Be brief." }]);
    expect(conversation.messages).toEqual([{ role: "user", parts: [{ type: "text", text: "Hi" }] }]);
  });

  test("may be items, of which those of one turn are one message", () => {
    const { conversation, dropped } = read({
      input: [
        { role: "developer", content: "Dev." },
        { role: "user", content: [{ type: "input_text", text: "Q" }] },
        {
          type: "reasoning",
          id: "rs",
          summary: [{ type: "summary_text", text: "hm" }],
          encrypted_content: wrapSignatureForResponses("v"),
        },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "A" }] },
        { type: "function_call", call_id: "c1", name: "f", arguments: "{}" },
        {
          type: "function_call",
          call_id: "c2",
          name: "g",
          arguments: "{}",
          encrypted_content: wrapSignatureForResponses("gs"),
        },
        { type: "function_call_output", call_id: "c1", output: "one" },
        { type: "function_call_output", call_id: "c2", output: [{ type: "input_text", text: "two" }] },
        { role: "user", content: "More" },
      ],
    });
    expect(dropped).toEqual([]);
    expect(conversation.system).toEqual([{ type: "text", text: "Dev." }]);
    expect(conversation.messages).toEqual([
      { role: "user", parts: [{ type: "text", text: "Q" }] },
      {
        role: "assistant",
        parts: [
          { type: "reasoning", text: "hm", signature: "v" },
          { type: "text", text: "A" },
          { type: "tool_call", id: "c1", name: "f", argumentsJson: "{}" },
          { type: "tool_call", id: "c2", name: "g", argumentsJson: "{}", signature: "gs" },
        ],
      },
      {
        role: "user",
        parts: [
          { type: "tool_result", callId: "c1", name: "f", parts: [{ type: "text", text: "one" }] },
          { type: "tool_result", callId: "c2", name: "g", parts: [{ type: "text", text: "two" }] },
        ],
      },
      { role: "user", parts: [{ type: "text", text: "More" }] },
    ]);
  });

  test("may hold pictures and files", () => {
    const content = [
      { type: "input_image", image_url: "https://a.test/x.png", detail: "high" },
      { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "auto" },
      { type: "input_file", file_url: "https://a.test/x.pdf" },
      { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,CCCC" },
    ];
    expect(read({ input: [{ role: "user", content }] }).conversation.messages[0]?.parts).toEqual([
      { type: "image", source: { kind: "url", url: "https://a.test/x.png" }, detail: "high" },
      { type: "image", source: { kind: "inline", mediaType: "image/png", base64: "AAAA" }, detail: "auto" },
      { type: "document", source: { kind: "url", url: "https://a.test/x.pdf" } },
      {
        type: "document",
        source: { kind: "inline", mediaType: "application/pdf", base64: "CCCC" },
        name: "a.pdf",
      },
    ]);
  });

  test("brings sealed thoughts back to the vendor whose they are, and OpenAI's own to no other vendor", () => {
    const thought = (encrypted: string) => ({ type: "reasoning", summary: [], encrypted_content: encrypted });
    const parts = (encrypted: string) =>
      read({ input: [thought(encrypted), { role: "user", content: "x" }] }).conversation.messages[0]?.parts;
    expect(parts(wrapEncryptedForResponses("e"))).toEqual([{ type: "reasoning", text: "", encrypted: "e" }]);
    expect(parts("gAAAAB")).toEqual([]);
  });
});

describe("its settings", () => {
  test("are read with this wire's names", () => {
    const { conversation, dropped } = read({
      max_output_tokens: 7,
      temperature: 0,
      top_p: 0.5,
      top_logprobs: 2,
      include: ["message.output_text.logprobs", "reasoning.encrypted_content"],
      tools: [
        { type: "function", name: "f", description: "d", parameters: { type: "object" }, strict: true },
      ],
      tool_choice: { type: "function", name: "f" },
      parallel_tool_calls: false,
      text: { format: { type: "json_schema", name: "n", schema: { type: "object" }, strict: true } },
      reasoning: { effort: "low", summary: "auto" },
      user: "u",
    });
    expect(dropped).toEqual([]);
    expect(conversation).toMatchObject({
      tools: [{ name: "f", description: "d", parameters: { type: "object" }, strict: true }],
      toolChoice: { type: "tool", name: "f" },
      parallelToolCalls: false,
      output: { type: "json_schema", name: "n", schema: { type: "object" }, strict: true },
      reasoning: { effort: "low", includeThoughts: true },
      sampling: { maxOutputTokens: 7, temperature: 0, topP: 0.5, topLogprobs: 2 },
      endUser: "u",
    });
  });

  test("ask for thoughts only where a summary is wanted", () => {
    expect(read({ reasoning: { effort: "low" } }).conversation.reasoning).toEqual({
      effort: "low",
      includeThoughts: false,
    });
  });
});

describe("what has no counterpart is named", () => {
  test.each<[object, string]>([
    [{ previous_response_id: "resp_1" }, "previous_response_id"],
    [{ background: true }, "background"],
    [{ conversation: "conv_1" }, "conversation"],
    [{ prompt: { id: "p" } }, "prompt"],
    [{ truncation: "auto" }, "truncation"],
    [{ include: ["file_search_call.results"] }, "include"],
    [{ tools: [{ type: "web_search" }] }, "tools[0]"],
    [{ tool_choice: { type: "web_search" } }, "tool_choice"],
    [{ reasoning: { mode: "pro" } }, "reasoning.mode"],
    [{ input: [{ type: "item_reference", id: "x" }] }, "input[0]"],
    [{ input: [{ type: "web_search_call", id: "x" }] }, "input[0]"],
    [
      { input: [{ role: "user", content: [{ type: "input_image", file_id: "f" }] }] },
      "input[0].content[0].file_id",
    ],
  ])("%j", (body, field) => {
    expect(read(body).dropped).toContain(field);
  });

  test("hints are kept for upstreams that take them", () => {
    const { conversation } = read({ store: true, text: { verbosity: "low" }, prompt_cache_key: "k" });
    expect(conversation.hints).toEqual([
      { field: "store", name: "store", value: true },
      { field: "prompt_cache_key", name: "prompt_cache_key", value: "k" },
      { field: "text.verbosity", name: "verbosity", value: "low" },
    ]);
  });

  test.each([
    { store: false },
    { background: false },
    { truncation: "disabled" },
    { metadata: {} },
    { store: null },
  ])("unless it says what is so anyway: %j", (body) => {
    expect(read(body).dropped).toEqual([]);
  });
});

test("a stream that fails says so in the API's error event", () => {
  const event = openAiResponses.errorEvent(new GatewayError("upstream_timeout", "Too late."));
  expect(event).toBe(
    'event: error\ndata: {"type":"error","code":"upstream_timeout","message":"Too late.","param":null,"sequence_number":0,"error":{"message":"Too late.","type":"api_error","param":null,"code":"upstream_timeout"}}\n\n',
  );
});
