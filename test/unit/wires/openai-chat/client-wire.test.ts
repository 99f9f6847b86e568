// What the openai-chat wire takes from a client, what it refuses and how it says so.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import { GatewayError } from "../../../../src/errors.ts";

const MESSAGES = [{ role: "user", content: "Hi" }];

const parse = (fields: object) =>
  openAiChat.parseRequest(JSON.stringify({ model: "m", messages: MESSAGES, ...fields }));

function refusalOf(bodyText: string): GatewayError {
  try {
    openAiChat.parseRequest(bodyText);
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
  throw new Error("The body was taken.");
}

const paramOf = (fields: object): string | undefined => {
  const error = refusalOf(JSON.stringify({ model: "m", messages: MESSAGES, ...fields }));
  expect(error.code).toBe("invalid_request");
  expect(error.message).toContain(`\`${error.details.param}\``);
  return error.details.param;
};

describe("a request that is taken", () => {
  test("keeps the client's bytes and unknown fields", () => {
    const text = `{ "model":"chat-fast",\n"messages":[{"role":"user","content":"Hi","x":1}], "brand_new": {"a":[1]} }`;
    const chat = openAiChat.parseRequest(text);
    expect(chat.bodyText).toBe(text);
    expect(chat.body).toEqual(JSON.parse(text));
    expect(chat).toMatchObject({
      wire: openAiChat,
      operation: "chat",
      model: "chat-fast",
      stream: false,
    });
  });

  test("is a stream only where it says true", () => {
    expect(parse({ stream: true }).stream).toBe(true);
    expect(parse({ stream: false }).stream).toBe(false);
    expect(parse({ stream: null }).stream).toBe(false);
  });

  test("has its sampling parameters read under our names", () => {
    const { params } = parse({
      max_tokens: 5,
      temperature: 0,
      top_p: 0.5,
      frequency_penalty: -2,
      presence_penalty: 2,
      seed: 7,
      n: 2,
      stop: ["a", "b"],
    });
    expect(params).toEqual({
      maxOutputTokens: 5,
      temperature: 0,
      topP: 0.5,
      frequencyPenalty: -2,
      presencePenalty: 2,
      seed: 7,
      choiceCount: 2,
      stopSequences: ["a", "b"],
    });
  });

  test("may leave every parameter out, or set it to null", () => {
    const nulls = Object.fromEntries(
      ["max_tokens", "temperature", "top_p", "seed", "n", "stop", "tools", "stream_options", "user"].map(
        (name) => [name, null],
      ),
    );
    expect(parse({}).params).toEqual({});
    expect(parse(nulls).params).toEqual({});
  });

  test("prefers the newer name of the token limit", () => {
    expect(parse({ max_tokens: 5, max_completion_tokens: 9 }).params.maxOutputTokens).toBe(9);
  });

  test("may have one stop sequence as a string", () => {
    expect(parse({ stop: "END" }).params.stopSequences).toEqual(["END"]);
  });

  test("may have a seed beyond JavaScript's integers, which is then not read but forwarded", () => {
    const text = '{"model":"m","messages":[{"role":"user"}],"seed":9223372036854775807}';
    const chat = openAiChat.parseRequest(text);
    expect(chat.params).toEqual({});
    expect(chat.bodyText).toBe(text);
  });

  test("may name no model where the tenant has a default one", () => {
    const text = JSON.stringify({ messages: MESSAGES });
    expect(openAiChat.parseRequest(text, { defaultModel: "chat-fast" }).model).toBe("chat-fast");
    expect(parse({ model: "mine" }).model).toBe("mine");
    expect(
      openAiChat.parseRequest(JSON.stringify({ model: "mine", messages: MESSAGES }), { defaultModel: "x" })
        .model,
    ).toBe("mine");
  });

  test("may hold any contents in its messages, and a role we know nothing of", () => {
    const messages = [{ role: "developer", content: [{ type: "hologram" }] }, { role: "oracle" }];
    expect(parse({ messages }).body["messages"]).toEqual(messages);
  });
});

describe("a field that is refused is named", () => {
  test.each([
    ["messages", { messages: undefined }],
    ["messages", { messages: null }],
    ["messages", { messages: "Hi" }],
    ["messages", { messages: {} }],
    ["messages", { messages: [] }],
    ["messages[1]", { messages: [...MESSAGES, "Hi"] }],
    ["messages[1]", { messages: [...MESSAGES, null] }],
    ["messages[0].role", { messages: [{ content: "Hi" }] }],
    ["messages[2].role", { messages: [...MESSAGES, ...MESSAGES, { role: 1 }] }],
    ["model", { model: undefined }],
    ["model", { model: "" }],
    ["model", { model: 5 }],
    ["model", { model: null }],
    ["model", { model: "x".repeat(257) }],
    ["stream", { stream: "true" }],
    ["stream_options", { stream_options: true }],
    ["max_tokens", { max_tokens: 0 }],
    ["max_tokens", { max_tokens: 1.5 }],
    ["max_tokens", { max_tokens: "5" }],
    ["max_completion_tokens", { max_completion_tokens: -1 }],
    ["temperature", { temperature: 2.1 }],
    ["temperature", { temperature: -0.1 }],
    ["top_p", { top_p: 1.1 }],
    ["frequency_penalty", { frequency_penalty: 3 }],
    ["presence_penalty", { presence_penalty: "high" }],
    ["seed", { seed: 0.5 }],
    ["n", { n: 0 }],
    ["n", { n: 129 }],
    ["stop", { stop: 1 }],
    ["top_logprobs", { top_logprobs: 21 }],
    ["tools", { tools: {} }],
    ["tool_choice", { tool_choice: 1 }],
    ["response_format", { response_format: "json" }],
    ["user", { user: 5 }],
  ])("%s in %j", (param, fields) => {
    expect(paramOf(fields)).toBe(param);
  });

  test("a missing field is said to be required", () => {
    expect(refusalOf(JSON.stringify({ messages: MESSAGES })).message).toBe(
      "Invalid `model`: it is required.",
    );
  });
});

describe("a body that is no request", () => {
  test.each(["[]", '"text"', "null", "5"])("%s is not an object", (text) => {
    expect(refusalOf(text).message).toBe("The request body must be a JSON object.");
  });

  test.each(["", "  \n"])("%j is empty", (text) => {
    expect(refusalOf(text).message).toContain("empty");
  });

  test("broken JSON is said to be broken, and where, without quoting the prompt", () => {
    const error = refusalOf('{"model":"m","messages":[{"role":"user","content":"my secret"]}');
    expect(error.code).toBe("invalid_request");
    expect(error.details.param).toBeUndefined();
    expect(error.message).toMatch(/not valid JSON: it breaks at character \d+/);
    expect(error.message).not.toContain("secret");
    expect(refusalOf("my secret").message).not.toContain("secret");
  });

  test("no text makes it throw anything but invalid_request", () => {
    const fields = fc.dictionary(
      fc.constantFrom("model", "messages", "stream", "n", "stop", "seed", "tools", "x"),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fields.map((body) => JSON.stringify(body)),
        ),
        (text) => {
          try {
            openAiChat.parseRequest(text);
          } catch (error) {
            expect(error).toMatchObject({ code: "invalid_request" });
          }
        },
      ),
    );
  });
});

describe("errors", () => {
  const error = new GatewayError("upstream_timeout", "Too late.");

  test("the body is OpenAI's", () => {
    expect(openAiChat.errors.body(error)).toMatchObject({
      error: { code: "upstream_timeout", message: "Too late." },
    });
  });

  test("in a stream it is one event, and no end mark follows", () => {
    const text = openAiChat.errorEvent(error);
    expect(text).toMatch(/^data: \{"error":\{.*\}\}\n\n$/);
    expect(text).not.toContain("[DONE]");
  });
});
