// The Messages wire, request side: what is refused, and what a body means to an upstream of another wire.
import { describe, expect, test } from "vitest";
import { anthropicMessages, parseAnthropicCount } from "../../../../src/wires/anthropic/client-wire.ts";
import { anthropicModels } from "../../../../src/wires/anthropic/client-models.ts";
import { GatewayError } from "../../../../src/errors.ts";
import { parseText } from "../../../support/builders/wire-fixtures.ts";

const BODY = { model: "r", max_tokens: 64, messages: [{ role: "user", content: "Hi" }] };

const parse = (body: unknown) => anthropicMessages.parseRequest(JSON.stringify(body));

/** The meaning of a body with these fields, and what of it was dropped. */
function mean(fields: object) {
  const dropped: string[] = [];
  const conversation = anthropicMessages.toConversation(parse({ ...BODY, ...fields }), (field) => {
    dropped.push(field);
  });
  return { conversation, dropped };
}
const partsOf = (content: unknown) => {
  const { conversation, dropped } = mean({ messages: [{ role: "user", content }] });
  return { parts: conversation.messages[0]?.parts, dropped };
};

describe("parseRequest", () => {
  test("reads model, form and sampling parameters, and keeps the bytes", () => {
    const text = JSON.stringify({
      ...BODY,
      stream: true,
      temperature: 0.5,
      top_p: 0.9,
      stop_sequences: ["END"],
      future_field: 1,
    });
    expect(anthropicMessages.parseRequest(text)).toMatchObject({
      wire: anthropicMessages,
      model: "r",
      stream: true,
      params: { maxOutputTokens: 64, temperature: 0.5, topP: 0.9, stopSequences: ["END"] },
      bodyText: text,
      body: { future_field: 1 },
    });
  });

  test("takes the tenant's default where no model is named", () => {
    const { model: _, ...rest } = BODY;
    expect(anthropicMessages.parseRequest(JSON.stringify(rest), { defaultModel: "d" }).model).toBe("d");
    expect(() => parse(rest)).toThrow(/`model`: it is required/);
  });

  test.each([
    [{ max_tokens: undefined }, "max_tokens"],
    [{ max_tokens: -1 }, "max_tokens"],
    [{ max_tokens: "9" }, "max_tokens"],
    [{ messages: undefined }, "messages"],
    [{ messages: [] }, "messages"],
    [{ messages: [{ content: "x" }] }, "messages[0].role"],
    [{ messages: ["x"] }, "messages[0]"],
    [{ temperature: 1.5 }, "temperature"],
    [{ stop_sequences: "END" }, "stop_sequences"],
    [{ stop_sequences: [1] }, "stop_sequences[0]"],
    [{ tools: {} }, "tools"],
    [{ system: 5 }, "system"],
    [{ thinking: true }, "thinking"],
    [{ stream: "yes" }, "stream"],
  ])("%j is refused by name", (fields, param) => {
    expect(() => parse({ ...BODY, ...fields })).toThrow(
      expect.objectContaining({ code: "invalid_request", details: expect.objectContaining({ param }) }),
    );
  });

  test.each(["", "{", "[]", "5", '{"messages": "se cret'])("the text %j is refused unquoted", (text) => {
    expect(() => anthropicMessages.parseRequest(text)).toThrow(
      expect.objectContaining({ code: "invalid_request", message: expect.not.stringContaining("se cret") }),
    );
  });

  test("of a count needs no limit of tokens", () => {
    const { max_tokens: _, ...rest } = BODY;
    expect(parseAnthropicCount(JSON.stringify(rest))).toMatchObject({
      model: "r",
      stream: false,
      params: {},
    });
  });
});

describe("toConversation", () => {
  test("reads system prompts, wherever they stand, and turns", () => {
    const { conversation, dropped } = mean({
      system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral", ttl: "1h" } }],
      messages: [
        { role: "user", content: "Hi" },
        { role: "system", content: "From here on in German." },
        { role: "assistant", content: [{ type: "text", text: "Hallo", citations: null }] },
      ],
    });
    expect(dropped).toEqual([]);
    expect(conversation.system).toEqual([
      { type: "text", text: "Be brief.", cacheMark: { ttl: "1h" } },
      { type: "text", text: "From here on in German." },
    ]);
    expect(conversation.messages).toEqual([
      { role: "user", parts: [{ type: "text", text: "Hi" }] },
      { role: "assistant", parts: [{ type: "text", text: "Hallo" }] },
    ]);
  });

  test("reads images and documents", () => {
    const { parts, dropped } = partsOf([
      { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
      { type: "image", source: { type: "base64", media_type: "image/png", data: "AA==" } },
      {
        type: "document",
        source: { type: "base64", media_type: "application/pdf", data: "JVBE" },
        title: "a.pdf",
      },
      { type: "document", source: { type: "text", media_type: "text/plain", data: "plain" } },
      { type: "document", source: { type: "content", content: [{ type: "text", text: "x" }] } },
      { type: "document", source: { type: "url", url: "https://example.com/b.pdf" } },
    ]);
    expect(dropped).toEqual([]);
    expect(parts).toEqual([
      { type: "image", source: { kind: "url", url: "https://example.com/a.png" } },
      { type: "image", source: { kind: "inline", mediaType: "image/png", base64: "AA==" } },
      {
        type: "document",
        source: { kind: "inline", mediaType: "application/pdf", base64: "JVBE" },
        name: "a.pdf",
      },
      { type: "document", source: { kind: "text", text: "plain" } },
      { type: "document", source: { kind: "text", text: "x" } },
      { type: "document", source: { kind: "url", url: "https://example.com/b.pdf" } },
    ]);
  });

  test("reads thoughts, calls and their results, which are given their tool's name", () => {
    const { conversation, dropped } = mean({
      messages: [
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm", signature: "sig" },
            { type: "thinking", thinking: "another vendor's", signature: "" },
            { type: "redacted_thinking", data: "xyz" },
            { type: "tool_use", id: "t1", name: "w", input: { city: "Zürich" }, caller: { type: "direct" } },
          ],
        },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: "t1", content: "sunny", is_error: true }],
        },
      ],
    });
    expect(dropped).toEqual([]);
    expect(conversation.messages.flatMap(({ parts }) => parts)).toEqual([
      { type: "reasoning", text: "hm", signature: "sig" },
      { type: "reasoning", text: "another vendor's" },
      { type: "reasoning", text: "", encrypted: "xyz" },
      { type: "tool_call", id: "t1", name: "w", argumentsJson: '{"city":"Zürich"}' },
      {
        type: "tool_result",
        callId: "t1",
        name: "w",
        parts: [{ type: "text", text: "sunny" }],
        isError: true,
      },
    ]);
  });

  test("reads tools and how they may be chosen", () => {
    const input_schema = { type: "object", properties: {} };
    const tools = [
      { name: "f", description: "d", input_schema, strict: true, cache_control: { type: "ephemeral" } },
      { type: "custom", name: "g", input_schema, allowed_callers: ["direct"], eager_input_streaming: true },
    ];
    const { conversation, dropped } = mean({ tools });
    expect(dropped).toEqual([]);
    expect(conversation.tools).toEqual([
      { name: "f", description: "d", parameters: input_schema, strict: true, cacheMark: {} },
      { name: "g", parameters: input_schema },
    ]);
    expect(conversation).not.toHaveProperty("toolChoice");
  });

  test.each([
    [{ type: "auto" }, { toolChoice: { type: "auto" } }],
    [
      { type: "auto", disable_parallel_tool_use: true },
      { toolChoice: { type: "auto" }, parallelToolCalls: false },
    ],
    [{ type: "any" }, { toolChoice: { type: "required" } }],
    [{ type: "none" }, { toolChoice: { type: "none" } }],
    [{ type: "tool", name: "f" }, { toolChoice: { type: "tool", name: "f" } }],
  ])("tool_choice %j", (tool_choice, expected) => {
    expect(mean({ tool_choice }).conversation).toMatchObject(expected);
  });

  test.each([
    [{ thinking: { type: "enabled", budget_tokens: 2048 } }, { budgetTokens: 2048, includeThoughts: true }],
    [{ thinking: { type: "adaptive", display: "omitted" } }, { includeThoughts: false }],
    [
      { thinking: { type: "adaptive" }, output_config: { effort: "xhigh" } },
      { effort: "high", includeThoughts: true },
    ],
    [{ thinking: { type: "disabled" } }, { effort: "none" }],
    [{ thinking: { type: "between_tools" } }, { effort: "minimal", includeThoughts: true }],
    [{ output_config: { effort: "low" } }, { effort: "low" }],
    [{}, undefined],
  ])("%j is reasoning %j", (fields, reasoning) => {
    expect(mean(fields).conversation.reasoning).toEqual(reasoning);
  });

  test("reads sampling, output format and the end user", () => {
    const { conversation, dropped } = mean({
      temperature: 0.1,
      top_p: 0.2,
      top_k: 3,
      stop_sequences: ["END"],
      metadata: { user_id: "u-1" },
      output_config: { format: { type: "json_schema", schema: { type: "object" } } },
      service_tier: "auto",
    });
    expect(dropped).toEqual([]);
    expect(conversation).toMatchObject({
      sampling: { maxOutputTokens: 64, temperature: 0.1, topP: 0.2, topK: 3, stopSequences: ["END"] },
      endUser: "u-1",
      output: { type: "json_schema", schema: { type: "object" }, strict: true },
    });
  });

  test("puts the request's own cache mark behind its last part", () => {
    const { conversation } = mean({ cache_control: { type: "ephemeral" } });
    expect(conversation.messages).toEqual([
      { role: "user", parts: [{ type: "text", text: "Hi", cacheMark: {} }] },
    ]);
  });

  test.each([
    [{ tools: [{ type: "web_search_20260318", name: "web_search" }] }, ["tools[0]"]],
    [
      { tools: [{ name: "f", input_schema: {}, input_examples: [{}], defer_loading: true }] },
      ["tools[0].input_examples", "tools[0].defer_loading"],
    ],
    [
      { container: "c", mcp_servers: [], service_tier: "standard_only" },
      ["container", "mcp_servers", "service_tier"],
    ],
    [{ metadata: { user_id: "u", team: "t" } }, ["metadata.team"]],
    [{ output_config: { task_budget: {} } }, ["output_config.task_budget"]],
    [{ output_config: { format: { type: "grammar" } } }, ["output_config.format"]],
    [{ thinking: { type: "telepathic" } }, ["thinking.type"]],
    [{ tool_choice: { type: "several" } }, ["tool_choice.type"]],
    [{ messages: [{ role: "critic", content: "x" }] }, ["messages[0].role"]],
  ])("%j has no counterpart", (fields, names) => {
    expect(mean(fields).dropped).toEqual(names);
  });

  test.each([
    [{ type: "image", source: { type: "file", file_id: "f" } }, ["source"]],
    [{ type: "document", source: { type: "file", file_id: "f" } }, ["source"]],
    [
      {
        type: "document",
        source: { type: "text", data: "x" },
        citations: { enabled: true },
        context: "c",
      },
      ["citations", "context"],
    ],
    [{ type: "server_tool_use", id: "s", name: "web_search", input: {} }, [""]],
    [{ type: "search_result", source: "s", title: "t", content: [{ type: "text", text: "x" }] }, [""]],
    [{ type: "tool_use", id: "a", name: "f", input: {}, toolset_name: "browser" }, ["toolset_name"]],
  ])("the block %j has no counterpart", (block, fields) => {
    const names = fields.map((field) => `messages[0].content[0]${field === "" ? "" : `.${field}`}`);
    expect(partsOf([block]).dropped).toEqual(names);
  });
});

describe("errors", () => {
  const error = new GatewayError("upstream_overloaded", "Busy.");

  test("have the body and the event that Anthropic's SDKs read", () => {
    const body = { type: "error", error: { type: "overloaded_error", message: "Busy." } };
    expect(anthropicMessages.errors.body(error)).toEqual(body);
    expect(parseText(anthropicMessages.errorEvent(error))).toEqual([
      { event: "error", data: JSON.stringify(body) },
    ]);
  });
});

describe("the models list", () => {
  const listed = (id: string) => ({ id, owner: "t" });

  test("is one page in Anthropic's form", () => {
    expect(anthropicModels.list([listed("a"), listed("b/c")])).toMatchObject({
      data: [
        { type: "model", id: "a", display_name: "a" },
        { type: "model", id: "b/c", display_name: "b/c" },
      ],
      has_more: false,
      first_id: "a",
      last_id: "b/c",
    });
    expect(anthropicModels.list([])).toMatchObject({ data: [], first_id: null, last_id: null });
  });
});
