// What the gemini wire takes from a client, what it refuses, and what a request means to an upstream of another wire.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Conversation } from "../../../../src/schema/conversation.ts";
import { geminiGenerateContent } from "../../../../src/wires/gemini/client-wire.ts";
import { wrapForGemini } from "../../../../src/wires/gemini/client-reasoning.ts";
import { GatewayError } from "../../../../src/errors.ts";

const CONTENTS = [{ role: "user", parts: [{ text: "Hi" }] }];

const parse = (fields: object, stream = false) =>
  geminiGenerateContent.parseRequest(JSON.stringify({ contents: CONTENTS, ...fields }), {
    model: "g/m",
    stream,
  });

function read(fields: object): { readonly conversation: Conversation; readonly dropped: readonly string[] } {
  const dropped: string[] = [];
  const conversation = geminiGenerateContent.toConversation(
    parse(fields),
    (field) => void dropped.push(field),
  );
  return { conversation, dropped };
}

function refusalOf(bodyText: string, context: object = { model: "g/m" }): GatewayError {
  try {
    geminiGenerateContent.toConversation(geminiGenerateContent.parseRequest(bodyText, context), () => {});
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("The body was taken.");
}

const partsOf = (parts: readonly object[], role = "user") =>
  read({ contents: [{ role, parts }] }).conversation.messages[0]?.parts;

describe("a request that is taken", () => {
  test("keeps the client's bytes; model and form come from the path", () => {
    const body = `{ "contents":[{"parts":[{"text":"Hi","x":1}]}], "brand_new": 1 }`;
    const chat = geminiGenerateContent.parseRequest(body, { model: "google/gemini-2.5-flash", stream: true });
    expect(chat).toEqual({
      wire: geminiGenerateContent,
      operation: "chat",
      model: "google/gemini-2.5-flash",
      stream: true,
      params: {},
      bodyText: body,
      body: JSON.parse(body),
    });
  });

  test.each([
    {
      generationConfig: {
        maxOutputTokens: 9,
        temperature: 0,
        topP: 0.5,
        topK: 3,
        stopSequences: ["a"],
        seed: 1,
      },
    },
    {
      generation_config: {
        max_output_tokens: 9,
        temperature: 0,
        top_p: 0.5,
        top_k: 3,
        stop_sequences: ["a"],
        seed: 1,
      },
    },
  ])("tells spans its parameters, in either case: %j", (fields) => {
    expect(parse(fields).params).toEqual({
      maxOutputTokens: 9,
      temperature: 0,
      topP: 0.5,
      stopSequences: ["a"],
      seed: 1,
    });
  });
});

describe("a request that is refused", () => {
  test.each([
    ["{", undefined],
    ["[]", undefined],
    ["{}", "contents"],
    ['{"contents":"Hi"}', "contents"],
    ['{"contents":[]}', "contents"],
    ['{"contents":[1]}', "contents"],
    ['{"contents":[{}],"tools":{}}', "tools"],
    ['{"contents":[{}],"generationConfig":{"temperature":"hot"}}', "generationConfig.temperature"],
    ['{"contents":[{}],"generation_config":{"top_p":"x"}}', "generationConfig.topP"],
    ['{"contents":[{"parts":[{"functionCall":{}}]}]}', "contents[0].parts[0].functionCall.name"],
    ['{"contents":[{"parts":[{"inlineData":{"data":"x"}}]}]}', "contents[0].parts[0].inlineData.mimeType"],
    ['{"contents":[{}],"tools":[{"functionDeclarations":[{}]}]}', "tools[0].functionDeclarations[0].name"],
  ])("%s names %s", (body, param) => {
    expect(refusalOf(body)).toMatchObject({
      code: "invalid_request",
      details: param === undefined ? {} : { param },
    });
  });

  test("no body makes it throw anything but invalid_request", () => {
    const part = fc.dictionary(
      fc.constantFrom("text", "functionCall", "functionResponse", "inlineData", "fileData"),
      fc.jsonValue(),
    );
    const body = fc.record({
      contents: fc.array(fc.record({ role: fc.constantFrom("user", "model"), parts: fc.array(part) })),
      tools: fc.array(
        fc.record({
          functionDeclarations: fc.array(fc.record({ name: fc.string(), parameters: fc.jsonValue() })),
        }),
      ),
      generationConfig: fc.dictionary(
        fc.constantFrom("responseSchema", "thinkingConfig", "responseFormat", "seed"),
        fc.jsonValue(),
      ),
      toolConfig: fc.record({ functionCallingConfig: fc.jsonValue() }),
    });
    fc.assert(
      fc.property(body, (value) => {
        try {
          geminiGenerateContent.toConversation(
            geminiGenerateContent.parseRequest(JSON.stringify(value), { model: "m" }),
            () => {},
          );
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid_request" });
        }
      }),
    );
  });
});

describe("messages", () => {
  test("roles, system prompt, and texts", () => {
    const { conversation, dropped } = read({
      systemInstruction: { parts: [{ text: "Be brief." }] },
      contents: [...CONTENTS, { role: "model", parts: [{ text: "Hello" }] }, { parts: [{ text: "More" }] }],
    });
    expect(conversation).toEqual({
      system: [{ type: "text", text: "Be brief." }],
      messages: [
        { role: "user", parts: [{ type: "text", text: "Hi" }] },
        { role: "assistant", parts: [{ type: "text", text: "Hello" }] },
        { role: "user", parts: [{ type: "text", text: "More" }] },
      ],
      tools: [],
      sampling: {},
    });
    expect(dropped).toEqual([]);
  });

  test("media, inline and by address", () => {
    expect(
      partsOf([
        { inlineData: { mimeType: "image/png", data: "-_-_" } },
        { inline_data: { mime_type: "audio/wav", data: "UklG" } },
        { inlineData: { mimeType: "application/pdf", data: "JVBE", displayName: "a.pdf" } },
        { fileData: { fileUri: "https://i.test/a.png" } },
        { fileData: { fileUri: "https://i.test/a", mimeType: "application/pdf" } },
      ]),
    ).toEqual([
      { type: "image", source: { kind: "inline", mediaType: "image/png", base64: "+/+/" } },
      { type: "audio", source: { kind: "inline", mediaType: "audio/wav", base64: "UklG" } },
      {
        type: "document",
        source: { kind: "inline", mediaType: "application/pdf", base64: "JVBE" },
        name: "a.pdf",
      },
      { type: "image", source: { kind: "url", url: "https://i.test/a.png" } },
      { type: "document", source: { kind: "url", url: "https://i.test/a" } },
    ]);
  });

  test("calls get ids, and results find their call by name and order, or by the id they give", () => {
    const call = (name: string, id?: string) => ({
      functionCall: { name, args: { at: name }, ...(id && { id }) },
    });
    const result = (name: string, response: object, id?: string) => ({
      functionResponse: { name, response, ...(id && { id }) },
    });
    const { messages } = read({
      contents: [
        { role: "model", parts: [call("f"), call("g"), call("f"), call("g", "own")] },
        {
          role: "user",
          parts: [
            result("f", { output: "first" }),
            result("g", { a: 1 }, "own"),
            result("f", { error: "no" }),
            result("g", { output: { b: 2 } }),
          ],
        },
      ],
    }).conversation;
    expect(
      messages[0]?.parts.map((part) => part.type === "tool_call" && [part.id, part.argumentsJson]),
    ).toEqual([
      ["call_1", '{"at":"f"}'],
      ["call_2", '{"at":"g"}'],
      ["call_3", '{"at":"f"}'],
      ["own", '{"at":"g"}'],
    ]);
    const said = (text: string) => [{ type: "text", text }];
    expect(messages[1]?.parts).toEqual([
      { type: "tool_result", callId: "call_1", name: "f", parts: said("first") },
      { type: "tool_result", callId: "own", name: "g", parts: said('{"a":1}') },
      { type: "tool_result", callId: "call_3", name: "f", parts: said("no"), isError: true },
      { type: "tool_result", callId: "call_2", name: "g", parts: said('{"b":2}') },
    ]);
  });

  test("thoughts, with the signatures of other vendors that a client kept, and without Gemini's own", () => {
    expect(
      partsOf(
        [
          { text: "Odd.", thought: true, thoughtSignature: wrapForGemini("signature", "of-claude") },
          { text: "", thought: true, thoughtSignature: wrapForGemini("encrypted", "secret") },
          { text: "Even.", thought: true, thoughtSignature: "CiQB0e2Kb8mT" },
          { functionCall: { name: "f" }, thoughtSignature: "CiQB0e2Kb8mT" },
        ],
        "model",
      ),
    ).toEqual([
      { type: "reasoning", text: "Odd.", signature: "of-claude" },
      { type: "reasoning", text: "", encrypted: "secret" },
      { type: "reasoning", text: "Even." },
      { type: "tool_call", id: "call_1", name: "f", argumentsJson: "{}" },
    ]);
  });
});

describe("tools", () => {
  const toolsOf = (tools: unknown, toolConfig?: unknown) => read({ tools, toolConfig });

  test("Gemini's schema form becomes JSON Schema; JSON Schema stays", () => {
    const parameters = {
      type: "OBJECT",
      properties: {
        city: { type: "STRING", nullable: true, description: "Where" },
        unit: { type: "STRING", format: "enum", enum: ["C", "F"] },
        days: { type: "ARRAY", items: { type: "INTEGER", format: "int32" }, minItems: "1" },
        when: { any_of: [{ type: "STRING" }, { type: "NUMBER" }] },
      },
      propertyOrdering: ["unit", "city"],
      required: ["city"],
    };
    const schema = { type: "object", properties: { q: { type: "string" } }, additionalProperties: false };
    const { conversation } = toolsOf([
      {
        functionDeclarations: [
          { name: "f", description: "d", parameters },
          { name: "g", parametersJsonSchema: schema },
        ],
      },
      { function_declarations: [{ name: "h" }] },
    ]);
    expect(conversation.tools).toEqual([
      {
        name: "f",
        description: "d",
        parameters: {
          type: "object",
          properties: {
            unit: { type: "string", enum: ["C", "F"] },
            city: { type: ["string", "null"], description: "Where" },
            days: { type: "array", items: { type: "integer", format: "int32" }, minItems: 1 },
            when: { anyOf: [{ type: "string" }, { type: "number" }] },
          },
          required: ["city"],
        },
      },
      { name: "g", parameters: schema },
      { name: "h" },
    ]);
    const [first] = conversation.tools;
    expect(Object.keys(Object(Object(first?.parameters)["properties"]))).toEqual([
      "unit",
      "city",
      "days",
      "when",
    ]);
  });

  const TWO = [{ functionDeclarations: [{ name: "f" }, { name: "g" }, { name: "h" }] }];
  test.each([
    [undefined, undefined, ["f", "g", "h"]],
    [{ mode: "AUTO" }, { type: "auto" }, ["f", "g", "h"]],
    [{ mode: "NONE" }, { type: "none" }, ["f", "g", "h"]],
    [{ mode: "ANY" }, { type: "required" }, ["f", "g", "h"]],
    [{ mode: "ANY", allowedFunctionNames: ["g"] }, { type: "tool", name: "g" }, ["f", "g", "h"]],
    [{ mode: "ANY", allowed_function_names: ["g", "h"] }, { type: "required" }, ["g", "h"]],
  ])("the mode %j is the choice %j among %j", (functionCallingConfig, choice, names) => {
    const { conversation } = toolsOf(TWO, { functionCallingConfig });
    expect(conversation.toolChoice).toEqual(choice);
    expect(conversation.tools.map(({ name }) => name)).toEqual(names);
  });

  test("VALIDATED makes the tools strict", () => {
    const { conversation } = toolsOf(TWO, { functionCallingConfig: { mode: "VALIDATED" } });
    expect(conversation.toolChoice).toEqual({ type: "auto" });
    expect(conversation.tools.every(({ strict }) => strict === true)).toBe(true);
  });
});

describe("settings", () => {
  const settingsOf = (generationConfig: object) => read({ generationConfig });

  test("sampling", () => {
    const same = {
      maxOutputTokens: 9,
      temperature: 0.1,
      topP: 0.9,
      topK: 40,
      frequencyPenalty: 1,
      presencePenalty: -1,
      seed: 7,
    };
    const { conversation } = settingsOf({
      ...same,
      candidateCount: 2,
      stopSequences: ["a"],
      responseLogprobs: true,
      logprobs: 3,
    });
    expect(conversation.sampling).toEqual({ ...same, choiceCount: 2, stopSequences: ["a"], topLogprobs: 3 });
    expect(settingsOf({ responseLogprobs: true }).conversation.sampling).toEqual({ topLogprobs: 0 });
  });

  test.each([
    [{ responseMimeType: "text/plain" }, { type: "text" }],
    [{ responseMimeType: "application/json" }, { type: "json" }],
    [
      { responseMimeType: "application/json", responseSchema: { type: "OBJECT" } },
      { type: "json_schema", name: "response", schema: { type: "object" } },
    ],
    [
      { response_mime_type: "application/json", response_json_schema: { type: "object", a_b: 1 } },
      { type: "json_schema", name: "response", schema: { type: "object", a_b: 1 } },
    ],
    [
      { responseFormat: [{ text: { mimeType: "APPLICATION_JSON", schema: { type: "object" } } }] },
      { type: "json_schema", name: "response", schema: { type: "object" } },
    ],
    [{}, undefined],
  ])("%j asks for %j", (config, output) => {
    expect(settingsOf(config)).toMatchObject({ dropped: [] });
    expect(settingsOf(config).conversation.output).toEqual(output);
  });

  test.each([
    [{ thinkingBudget: 0 }, { effort: "none" }],
    [{ thinkingBudget: -1, includeThoughts: true }, { includeThoughts: true }],
    [{ thinkingBudget: 2048 }, { budgetTokens: 2048 }],
    [{ thinkingLevel: "HIGH" }, { effort: "high" }],
    [
      { thinking_level: "minimal", include_thoughts: false },
      { effort: "minimal", includeThoughts: false },
    ],
  ])("the thinking %j is %j", (thinkingConfig, reasoning) => {
    expect(settingsOf({ thinkingConfig }).conversation.reasoning).toEqual(reasoning);
  });
});

test.each([
  [{ safetySettings: [] }, "safetySettings"],
  [{ cached_content: "cachedContents/1" }, "cachedContent"],
  [{ labels: { a: "b" } }, "labels"],
  [{ tools: [{ googleSearch: {} }] }, "tools[0].googleSearch"],
  [
    { tools: [{ functionDeclarations: [{ name: "f", response: {} }] }] },
    "tools[0].functionDeclarations[0].response",
  ],
  [{ toolConfig: { retrievalConfig: {} } }, "toolConfig.retrievalConfig"],
  [{ toolConfig: { functionCallingConfig: { mode: "NEW" } } }, "toolConfig.functionCallingConfig.mode"],
  [{ generationConfig: { responseModalities: ["TEXT", "IMAGE"] } }, "generationConfig.responseModalities"],
  [{ generationConfig: { speechConfig: {} } }, "generationConfig.speechConfig"],
  [{ generationConfig: { responseMimeType: "text/x.enum" } }, "generationConfig.responseMimeType"],
  [
    { generationConfig: { thinkingConfig: { thinkingLevel: "EXTREME" } } },
    "generationConfig.thinkingConfig.thinkingLevel",
  ],
  [{ contents: [{ parts: [{ executableCode: {} }] }] }, "contents[0].parts[0].executableCode"],
  [{ contents: [{ parts: [{ text: "a", videoMetadata: {} }] }] }, "contents[0].parts[0].videoMetadata"],
  [{ contents: [{ parts: [{ fileData: { fileUri: "gs://b/a.png" } }] }] }, "contents[0].parts[0].fileData"],
  [
    { contents: [{ parts: [{ inlineData: { mimeType: "video/mp4", data: "x" } }] }] },
    "contents[0].parts[0].inlineData",
  ],
  [{ systemInstruction: { parts: [{ inlineData: {} }] } }, "systemInstruction.parts[0].inlineData"],
])("%j has no counterpart elsewhere: %s is dropped", (fields, name) => {
  expect(read(fields).dropped).toEqual([name]);
});
