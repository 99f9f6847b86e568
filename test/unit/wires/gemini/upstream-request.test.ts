// What Gemini is sent: a Gemini client's bytes as they came, and any other client's conversation in Gemini's words.
import { describe, expect, test } from "vitest";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import type { ChatRequest } from "../../../../src/schema/chat.ts";
import type { Conversation, Message, Part } from "../../../../src/schema/conversation.ts";
import { geminiGenerateContent as dialect } from "../../../../src/wires/gemini/client-wire.ts";
import { gemini } from "../../../../src/providers/gemini.ts";
import type { Target } from "../../../../src/wires/upstream-wire.ts";

const [WIRE] = gemini.wires;
const CLIENT: ChatRequest = {
  wire: openAiChat,
  operation: "chat",
  model: "m",
  stream: false,
  params: {},
  bodyText: "{}",
  body: {},
};

function targetOf(fields: Partial<Target["account"]> = {}, model = "gemini-2.5-flash"): Target {
  const account = {
    name: "g",
    kind: "gemini",
    baseUrl: "https://g.test",
    headers: {},
    options: {},
    propagateTrace: false,
  };
  return { model, account: { ...account, apiKey: "AIza-key", ...fields } };
}

/** The body for a conversation, and what was dropped. */
function write(fields: Partial<Conversation>, model?: string, params?: Target["params"]) {
  const conversation = { system: [], messages: [], tools: [], sampling: {}, ...fields };
  const dropped: string[] = [];
  const target = { ...targetOf({}, model), ...(params !== undefined && { params }) };
  const request = WIRE.toRequest(CLIENT, target, { conversation, drop: (field) => void dropped.push(field) });
  return { ...request, json: JSON.parse(request.body ?? ""), dropped };
}

const user = (...parts: Part[]): Message => ({ role: "user", parts });
const assistant = (...parts: Part[]): Message => ({ role: "assistant", parts });
const text = (said: string): Part => ({ type: "text", text: said });
const contentsOf = (messages: readonly Message[], model?: string) => write({ messages }, model).json.contents;

describe("where it goes", () => {
  test("model and method stand in the path, the key in its header", () => {
    const { url, headers, method } = write({ messages: [user(text("Hi"))] });
    expect(method).toBe("POST");
    expect(url).toBe("https://g.test/v1beta/models/gemini-2.5-flash:generateContent");
    expect(headers).toEqual({ "content-type": "application/json", "x-goog-api-key": "AIza-key" });
  });

  test("a stream is asked for as events", () => {
    const { url } = WIRE.toRequest({ ...CLIENT, stream: true }, targetOf(), {
      conversation: { system: [], messages: [], tools: [], sampling: {} },
      drop: () => {},
    });
    expect(url).toBe("https://g.test/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
  });

  test.each([
    ["https://g.test/", {}, "m", "https://g.test/v1beta/models/m"],
    ["https://g.test/v1", {}, "m", "https://g.test/v1/models/m"],
    ["https://g.test", { apiVersion: "v1alpha" }, "m", "https://g.test/v1alpha/models/m"],
    ["https://g.test", {}, "tunedModels/mine", "https://g.test/v1beta/tunedModels/mine"],
    ["https://g.test", {}, "a?b", "https://g.test/v1beta/models/a%3Fb"],
  ])("%s with %j and %s is %s", (baseUrl, options, model, start) => {
    const chat = dialect.parseRequest('{"contents":[{"parts":[{"text":"x"}]}]}', { model: "g/x" });
    expect(WIRE.toRequest(chat, targetOf({ baseUrl, options }, model)).url).toBe(`${start}:generateContent`);
  });

  test("an account's own header replaces ours", () => {
    const chat = dialect.parseRequest('{"contents":[{"parts":[{"text":"x"}]}]}', { model: "g/x" });
    const { headers } = WIRE.toRequest(chat, targetOf({ headers: { "X-Goog-Api-Key": "other" } }));
    expect(headers["x-goog-api-key"]).toBe("other");
  });
});

describe("a Gemini client", () => {
  const forward = (body: string, params?: Target["params"]) =>
    WIRE.toRequest(dialect.parseRequest(body, { model: "g/m" }), {
      ...targetOf(),
      ...(params !== undefined && { params }),
    }).body;

  test("gets its bytes forwarded, unknown fields and all", () => {
    const body = '{ "contents":[{"parts":[{"text":"Hi","x":1}]}],\n "brand_new": {"a":[1]} }';
    expect(forward(body)).toBe(body);
  });

  test("with the model only replaced where the body repeats it", () => {
    expect(forward('{"model":"models/g/m","contents":[{}]}')).toBe(
      '{"model":"models/gemini-2.5-flash","contents":[{}]}',
    );
  });

  test("and a target's params over its own, in whichever case they are written", () => {
    const params = { temperature: 0, max_tokens: 9, safetySettings: [] };
    expect(JSON.parse(forward('{"contents":[{}],"generation_config":{"top_k":3}}', params) ?? "")).toEqual({
      contents: [{}],
      generation_config: { top_k: 3, temperature: 0, maxOutputTokens: 9 },
      safetySettings: [],
    });
  });
});

describe("messages", () => {
  test("roles, system prompt, and neighbours of one role in one content", () => {
    const { json } = write({
      system: [text("Be brief.")],
      messages: [user(text("Hi")), user(text("there")), assistant(text("Hello"))],
    });
    expect(json).toEqual({
      systemInstruction: { parts: [{ text: "Be brief." }] },
      contents: [
        { role: "user", parts: [{ text: "Hi" }, { text: "there" }] },
        { role: "model", parts: [{ text: "Hello" }] },
      ],
    });
  });

  test("a prompt that is all system becomes the user's, since Gemini answers nothing else", () => {
    expect(write({ system: [text("Say hi.")] }).json).toEqual({
      contents: [{ role: "user", parts: [{ text: "Say hi." }] }],
    });
  });

  test("images, documents and sound, inline and by address", () => {
    const image = (source: (Part & { type: "image" })["source"]): Part => ({ type: "image", source });
    const [content] = contentsOf([
      user(
        image({ kind: "inline", mediaType: "image/png", base64: "iVBO" }),
        image({ kind: "url", url: "https://i.test/a.webp?x=1" }),
        { type: "document", source: { kind: "url", url: "https://i.test/paper" } },
        { type: "document", source: { kind: "text", text: "Notes" } },
        { type: "audio", source: { kind: "inline", mediaType: "audio/wav", base64: "UklG" } },
      ),
    ]);
    expect(content.parts).toEqual([
      { inlineData: { mimeType: "image/png", data: "iVBO" } },
      { fileData: { mimeType: "image/webp", fileUri: "https://i.test/a.webp?x=1" } },
      { fileData: { mimeType: "application/pdf", fileUri: "https://i.test/paper" } },
      { text: "Notes" },
      { inlineData: { mimeType: "audio/wav", data: "UklG" } },
    ]);
  });

  test("the detail of images is the request's resolution", () => {
    const image = (detail: "low" | "high" | "auto"): Part => ({
      type: "image",
      detail,
      source: { kind: "url", url: "https://i.test/a.png" },
    });
    const resolution = (...parts: Part[]) =>
      write({ messages: [user(...parts)] }).json.generationConfig?.mediaResolution;
    expect(resolution(image("low"))).toBe("MEDIA_RESOLUTION_LOW");
    expect(resolution(image("low"), image("high"))).toBe("MEDIA_RESOLUTION_HIGH");
    expect(resolution(image("auto"))).toBeUndefined();
  });
});

describe("tools", () => {
  const call = (id: string, name: string, argumentsJson: string, signature?: string): Part => ({
    type: "tool_call",
    id,
    name,
    argumentsJson,
    ...(signature !== undefined && { signature }),
  });
  const result = (callId: string, said: string, more: object = {}): Part => ({
    type: "tool_result",
    callId,
    parts: [text(said)],
    ...more,
  });

  test("results are merged into one content, and named by their calls", () => {
    const contents = contentsOf([
      assistant(call("a", "f", '{"x":1}'), call("b", "g", "")),
      user(result("a", '{"y":2}')),
      user(result("b", "plain"), result("b", '{"output":1}'), result("b", "no", { isError: true })),
    ]);
    expect(contents).toEqual([
      {
        role: "model",
        parts: [
          { functionCall: { id: "a", name: "f", args: { x: 1 } } },
          { functionCall: { id: "b", name: "g", args: {} } },
        ],
      },
      {
        role: "user",
        parts: [
          { functionResponse: { id: "a", name: "f", response: { y: 2 } } },
          { functionResponse: { id: "b", name: "g", response: { output: "plain" } } },
          { functionResponse: { id: "b", name: "g", response: { output: '{"output":1}' } } },
          { functionResponse: { id: "b", name: "g", response: { error: "no" } } },
        ],
      },
    ]);
  });

  test("arguments that are no object are kept as the only member of one", () => {
    const [content] = contentsOf([assistant(call("a", "f", '{"x":'))]);
    expect(content.parts[0].functionCall.args).toEqual({ arguments: '{"x":' });
  });

  test("Gemini's own signature goes back, another vendor's does not", () => {
    const [content] = contentsOf([
      assistant(call("a", "f", "{}", "gemini:Ci=="), call("b", "f", "{}", "sig-of-claude")),
    ]);
    expect(content.parts.map((part: { thoughtSignature?: string }) => part.thoughtSignature)).toEqual([
      "Ci==",
      undefined,
    ]);
  });

  test("Gemini 3 is asked not to look for a signature on the first call, where there is none", () => {
    const messages = [assistant(call("a", "f", "{}"), call("b", "f", "{}"))];
    const signatures = (model: string) =>
      contentsOf(messages, model)[0].parts.map(
        (part: { thoughtSignature?: string }) => part.thoughtSignature,
      );
    expect(signatures("gemini-3-flash-preview")).toEqual(["skip_thought_signature_validator", undefined]);
    expect(signatures("gemini-flash-latest")).toEqual(["skip_thought_signature_validator", undefined]);
    expect(signatures("gemini-2.5-pro")).toEqual([undefined, undefined]);
  });

  test("an image in a result stands in it for Gemini 3, beside it for older models", () => {
    const image: Part = { type: "image", source: { kind: "inline", mediaType: "image/png", base64: "iVBO" } };
    const messages = [user({ type: "tool_result", callId: "a", name: "f", parts: [text("see"), image] })];
    const inline = { inlineData: { mimeType: "image/png", data: "iVBO" } };
    const response = { id: "a", name: "f", response: { output: "see" } };
    expect(contentsOf(messages, "gemini-3-pro-preview")[0].parts).toEqual([
      { functionResponse: { ...response, parts: [inline] } },
    ]);
    expect(contentsOf(messages)[0].parts).toEqual([{ functionResponse: response }, inline]);
  });

  test("definitions keep their JSON Schema", () => {
    const parameters = { type: "object", properties: { city: { type: ["string", "null"] } } };
    const tools = [{ name: "f", description: "Looks.", parameters }, { name: "g" }];
    expect(write({ tools }).json.tools).toEqual([
      {
        functionDeclarations: [
          { name: "f", description: "Looks.", parametersJsonSchema: parameters },
          { name: "g" },
        ],
      },
    ]);
  });

  test.each([
    [undefined, false, undefined],
    [undefined, true, { mode: "VALIDATED" }],
    [{ type: "auto" }, false, { mode: "AUTO" }],
    [{ type: "auto" }, true, { mode: "VALIDATED" }],
    [{ type: "none" }, true, { mode: "NONE" }],
    [{ type: "required" }, true, { mode: "ANY" }],
    [{ type: "tool", name: "f" }, false, { mode: "ANY", allowedFunctionNames: ["f"] }],
  ] as const)("the choice %j with strict %s is %j", (toolChoice, strict, config) => {
    const { json } = write({
      tools: [{ name: "f", strict }],
      ...(toolChoice !== undefined && { toolChoice }),
    });
    expect(json.toolConfig?.functionCallingConfig).toEqual(config);
  });

  test("one call at a time can't be asked for", () => {
    expect(write({ tools: [{ name: "f" }], parallelToolCalls: false }).dropped).toEqual([
      "parallel_tool_calls",
    ]);
    expect(write({ tools: [{ name: "f" }], parallelToolCalls: true }).dropped).toEqual([]);
  });
});

describe("thoughts", () => {
  test("go back with their signature on the text behind them", () => {
    const [content] = contentsOf([
      assistant({ type: "reasoning", text: "Odd.", signature: "gemini:Ep==" }, text("Prime.")),
    ]);
    expect(content.parts).toEqual([
      { text: "Odd.", thought: true },
      { text: "Prime.", thoughtSignature: "Ep==" },
    ]);
  });

  test("of another vendor lose their signature, and sealed ones are left out", () => {
    const [content] = contentsOf([
      assistant(
        { type: "reasoning", text: "Odd.", signature: "claude" },
        { type: "reasoning", text: "", encrypted: "x" },
        text("Prime."),
      ),
    ]);
    expect(content.parts).toEqual([{ text: "Odd.", thought: true }, { text: "Prime." }]);
  });

  test.each([
    ["gemini-2.5-flash", { effort: "none" }, { thinkingBudget: 0 }],
    ["gemini-2.5-pro", { effort: "none" }, { thinkingBudget: 128 }],
    ["gemini-2.0-flash", { effort: "none" }, undefined],
    ["gemini-2.5-flash", { effort: "low" }, { thinkingBudget: 1024 }],
    [
      "gemini-2.5-flash",
      { effort: "high", includeThoughts: true },
      { thinkingBudget: 24_576, includeThoughts: true },
    ],
    ["gemini-3-flash-preview", { effort: "none" }, { thinkingLevel: "minimal" }],
    ["gemini-3-pro-preview", { effort: "medium" }, { thinkingLevel: "high" }],
    ["gemini-3.1-pro-preview", { effort: "medium" }, { thinkingLevel: "medium" }],
    ["gemini-3.1-pro-preview", { effort: "minimal" }, { thinkingLevel: "low" }],
    ["gemini-4-flash", { effort: "high" }, { thinkingLevel: "high" }],
    ["gemini-3-flash-preview", { effort: "high", budgetTokens: 2000 }, { thinkingBudget: 2000 }],
    ["gemini-2.5-flash", {}, undefined],
  ] as const)("%s with %j gets %j", (model, reasoning, config) => {
    expect(write({ reasoning }, model).json.generationConfig?.thinkingConfig).toEqual(config);
  });
});

describe("settings", () => {
  test("sampling", () => {
    const sampling = {
      maxOutputTokens: 9,
      temperature: 0.1,
      topP: 0.9,
      topK: 40,
      frequencyPenalty: 1,
      presencePenalty: -1,
      seed: 7,
      choiceCount: 2,
      stopSequences: ["END"],
      topLogprobs: 3,
    };
    const { choiceCount: _, topLogprobs: __, ...same } = sampling;
    expect(write({ sampling }).json.generationConfig).toEqual({
      ...same,
      candidateCount: 2,
      responseLogprobs: true,
      logprobs: 3,
    });
    expect(write({ sampling: { topLogprobs: 0 } }).json.generationConfig).toEqual({ responseLogprobs: true });
  });

  test("output formats", () => {
    const schema = { type: "object", properties: {} };
    const formatOf = (output: Conversation["output"]) =>
      write(output === undefined ? {} : { output }).json.generationConfig;
    expect(formatOf({ type: "text" })).toBeUndefined();
    expect(formatOf({ type: "json" })).toEqual({ responseMimeType: "application/json" });
    expect(formatOf({ type: "json_schema", name: "n", schema, strict: true })).toEqual({
      responseMimeType: "application/json",
      responseJsonSchema: schema,
    });
  });

  test("a target's params without a name in the chat dialect are Gemini's own", () => {
    const params = {
      cachedContent: "cachedContents/1",
      generationConfig: { responseModalities: ["TEXT"] },
      messages: [],
    };
    expect(write({ messages: [user(text("Hi"))], sampling: { seed: 1 } }, undefined, params).json).toEqual({
      contents: [{ role: "user", parts: [{ text: "Hi" }] }],
      generationConfig: { seed: 1, responseModalities: ["TEXT"] },
      cachedContent: "cachedContents/1",
    });
  });
});
