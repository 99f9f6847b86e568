// Reported: requests that are right by themselves and that Claude, or Bedrock, refuses for what stands beside them or by their form.
import { describe, expect, test } from "vitest";
import { GatewayError } from "../../../../src/errors.ts";
import { askedOf } from "./asked.ts";

const USER = { role: "user", content: "a" };
const TOOL = { type: "function", function: { name: "f", parameters: { type: "object" } } };
const LOOP = [
  { role: "user", content: "go" },
  {
    role: "assistant",
    content: null,
    tool_calls: [
      { id: "call_1", type: "function", function: { name: "f", arguments: '{"id":1}' } },
      { id: "call_2", type: "function", function: { name: "f", arguments: '{"id":2}' } },
    ],
  },
  { role: "tool", tool_call_id: "call_1", content: "one" },
  { role: "tool", tool_call_id: "call_2", content: "two" },
];
const CLAUDES = ["anthropic", "bedrock"] as const;

const ask = (kind: string, body: object, model?: string) =>
  askedOf("openai-chat", { messages: [USER], ...body }, kind, model === undefined ? {} : { model });

describe("temperature and top_p", () => {
  test("only one goes to Claude 4.5; a top_p that is the default says nothing", () => {
    const { json, dropped } = ask("anthropic", { temperature: 0.7, top_p: 1 });
    expect(json).toMatchObject({ temperature: 0.7 });
    expect(json).not.toHaveProperty("top_p");
    expect(dropped).toEqual([]);
  });

  test("another top_p is left out and listed, at Bedrock too", () => {
    expect(ask("anthropic", { temperature: 0.7, top_p: 0.5 }).dropped).toEqual(["top_p"]);
    const { json, dropped } = ask("bedrock", { temperature: 0.7, top_p: 0.5 });
    expect(json.inferenceConfig).toMatchObject({ temperature: 0.7 });
    expect(json.inferenceConfig).not.toHaveProperty("topP");
    expect(dropped).toEqual(["top_p"]);
  });

  test("both go to a model that takes both, and one alone to any", () => {
    expect(
      ask("anthropic", { temperature: 0.7, top_p: 0.5 }, "claude-3-7-sonnet-20250219").json,
    ).toMatchObject({
      temperature: 0.7,
      top_p: 0.5,
    });
    expect(ask("anthropic", { top_p: 0.5 }).json).toMatchObject({ top_p: 0.5 });
  });
});

describe("thinking", () => {
  test("goes without a temperature, which is listed", () => {
    const { json, dropped } = ask("anthropic", { reasoning_effort: "medium", temperature: 0.7 });
    expect(json.thinking).toMatchObject({ type: "enabled" });
    expect(json).not.toHaveProperty("temperature");
    expect(dropped).toEqual(["temperature"]);
  });

  test("goes without top_p below its bound and without top_k, at Bedrock too", () => {
    const { json, dropped } = ask("bedrock", { reasoning_effort: "medium", top_p: 0.5, top_k: 4 });
    expect(JSON.stringify(json)).not.toMatch(/topP|top_k/);
    expect(dropped).toEqual(["top_k", "top_p"]);
    expect(ask("anthropic", { reasoning_effort: "low", top_p: 0.97 }).json).toMatchObject({ top_p: 0.97 });
  });

  test.each(CLAUDES)("is left out where a tool must be called, at %s", (kind) => {
    const body = { reasoning_effort: "medium", tools: [TOOL], tool_choice: "required" };
    const { body: sent, dropped } = ask(kind, body);
    expect(sent).not.toContain('"thinking"');
    expect(dropped).toEqual(["reasoning_effort"]);
  });

  test.each(CLAUDES)("is left out while tools answer a turn that has no thinking, at %s", (kind) => {
    const { body: sent, dropped } = ask(kind, { reasoning_effort: "medium", tools: [TOOL], messages: LOOP });
    expect(sent).not.toContain('"thinking"');
    expect(dropped).toEqual(["reasoning_effort"]);
  });

  test("stays where that turn begins with Claude's own, and once the user has spoken", () => {
    const signed = LOOP.map((message, at) =>
      at === 1
        ? {
            ...message,
            reasoning_details: [
              { type: "reasoning.text", text: "hm", signature: "s", format: "anthropic-claude-v1" },
            ],
          }
        : message,
    );
    for (const messages of [signed, [...LOOP, USER]]) {
      const { json } = ask("anthropic", { reasoning_effort: "medium", tools: [TOOL], messages });
      expect(json.thinking).toMatchObject({ type: "enabled" });
    }
  });
});

describe("forms", () => {
  test("a tool's schema without a type is an object's, at every vendor", () => {
    const tools = [{}, { properties: { a: { type: "string" } } }].map((parameters, at) => ({
      type: "function",
      function: { name: `f${at}`, parameters },
    }));
    const schemas = (kind: string): unknown[] => {
      const { json } = ask(kind, { tools });
      const listed = json.tools ?? json.toolConfig.tools;
      const specs = listed.flatMap(
        (tool: ReturnType<typeof JSON.parse>) => tool.functionDeclarations ?? [tool],
      );
      return specs.map(
        (tool: ReturnType<typeof JSON.parse>) =>
          tool.input_schema ??
          tool.toolSpec?.inputSchema.json ??
          tool.parametersJsonSchema ??
          tool.function.parameters,
      );
    };
    for (const kind of ["anthropic", "bedrock", "gemini", "cohere"]) {
      expect(schemas(kind)).toEqual([
        expect.objectContaining({ type: "object" }),
        { type: "object", properties: { a: { type: "string" } } },
      ]);
    }
  });

  test.each(CLAUDES)(
    "a turn of white space only is left out and its neighbours are joined, at %s",
    (kind) => {
      const messages = [USER, { role: "assistant", content: " \n" }, { role: "user", content: "b" }];
      const { json } = ask(kind, { messages });
      expect(json.messages).toHaveLength(1);
      expect(JSON.stringify(json.messages)).toContain('"b"');
    },
  );

  test.each(CLAUDES)("a request of white space only is refused by name, at %s", (kind) => {
    expect(() => ask(kind, { messages: [{ role: "user", content: " " }] })).toThrow(/`messages`/);
    expect(() => askedOf("openai-responses", { input: "\n" }, kind)).toThrow(/`input`/);
  });

  test.each([...CLAUDES, "gemini"])("a system prompt alone becomes the user's, at %s", (kind) => {
    const { json } = ask(kind, { messages: [{ role: "system", content: "Say hi." }] });
    const [turn] = json.messages ?? json.contents;
    expect(turn.role).toBe("user");
    expect(JSON.stringify(turn)).toContain("Say hi.");
    expect(json).not.toHaveProperty("system");
  });

  test("what Claude goes on from does not end in white space", () => {
    const { json } = ask("anthropic", { messages: [USER, { role: "assistant", content: "Well, \n" }] });
    expect(json.messages.at(-1)).toEqual({ role: "assistant", content: "Well," });
  });

  test.each(CLAUDES)(
    "a stop sequence of white space is refused by name, or left out for a lenient client, at %s",
    (kind) => {
      const body = { messages: [USER], stop: ["\n", "END"] };
      expect(() => ask(kind, body)).toThrow(GatewayError);
      const { json, dropped } = askedOf("openai-chat", body, kind, {
        headers: { "x-headgate-lenient": "1" },
      });
      expect(json.stop_sequences ?? json.inferenceConfig.stopSequences).toEqual(["END"]);
      expect(dropped).toEqual(["stop"]);
    },
  );
});

describe("a tool history without tool definitions", () => {
  test("gets definitions made of it at Bedrock", () => {
    const { json } = ask("bedrock", { messages: [...LOOP, { role: "user", content: "summarise" }] });
    expect(json.toolConfig.tools).toEqual([
      { toolSpec: { name: "f", inputSchema: { json: { type: "object" } } } },
    ]);
    expect(json.toolConfig).not.toHaveProperty("toolChoice");
  });

  test("and at Anthropic, where none of them may be called", () => {
    const { json } = ask("anthropic", { messages: [...LOOP, { role: "user", content: "summarise" }] });
    expect(json).toMatchObject({ tools: [{ name: "f" }], tool_choice: { type: "none" } });
  });
});
