// What Bedrock is sent for a conversation, at which address, and how the request is signed.
import { describe, expect, test } from "vitest";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import type { ChatRequest } from "../../../../src/schema/chat.ts";
import type { Conversation, Message, Part } from "../../../../src/schema/conversation.ts";
import { bedrock } from "../../../../src/providers/bedrock.ts";
import type { ProviderAccount } from "../../../../src/wires/upstream-wire.ts";
import { signAws } from "../../../../src/providers/sigv4.ts";

const [wire] = bedrock.wires;
const CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA = "amazon.nova-pro-v1:0";
const NOW_MS = Date.UTC(2026, 10, 25, 10, 0, 0);

const ACCOUNT: ProviderAccount = {
  name: "aws",
  kind: "bedrock",
  baseUrl: bedrock.defaultBaseUrl ?? "",
  apiKey: "the-secret",
  headers: {},
  options: {},
  propagateTrace: false,
};

const user = (...parts: readonly Part[]): Message => ({ role: "user", parts });
const assistant = (...parts: readonly Part[]): Message => ({ role: "assistant", parts });
const text = (said: string): Part => ({ type: "text", text: said });
const PLAIN: Conversation = { system: [], messages: [user(text("Hi"))], tools: [], sampling: {} };

function write(
  conversation: Partial<Conversation>,
  {
    model = NOVA,
    stream = false,
    account = {},
    params,
  }: {
    model?: string;
    stream?: boolean;
    account?: Partial<ProviderAccount>;
    params?: Readonly<Record<string, unknown>>;
  } = {},
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
  const target = { account: { ...ACCOUNT, ...account }, model, ...(params !== undefined && { params }) };
  const request = wire.toRequest(chat, target, {
    conversation: { ...PLAIN, ...conversation },
    drop: (field) => void dropped.push(field),
  });
  return { request, body: JSON.parse(request.body ?? ""), dropped };
}

describe("the address", () => {
  test("names region, model and operation", () => {
    const { request } = write({}, { account: { options: { region: "eu-central-1" } } });
    expect(request.url).toBe(
      "https://bedrock-runtime.eu-central-1.amazonaws.com/model/amazon.nova-pro-v1%3A0/converse",
    );
    expect(write({}, { stream: true }).request.url).toMatch(/us-east-1.*\/converse-stream$/);
  });

  test("may be the account's own, the model an ARN", () => {
    const model = "arn:aws:bedrock:eu-west-1:1:inference-profile/x";
    const { request } = write({}, { model, account: { baseUrl: "https://vpce.example/" } });
    expect(request.url).toBe(
      "https://vpce.example/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/converse",
    );
  });
});

describe("the credential", () => {
  const ports = { now: () => NOW_MS, fetch: () => Promise.reject(new Error("not to be called")) };
  const sign = async (account: Partial<ProviderAccount>) => {
    const { request } = write({}, { account });
    const target = { account: { ...ACCOUNT, ...account }, model: NOVA };
    const signed = await bedrock.sign?.(request, target, ports);
    return signed ?? request;
  };

  test("is a Bedrock API key where no access key is named", async () => {
    expect((await sign({})).headers).toMatchObject({ authorization: "Bearer the-secret" });
  });

  test("signs the request where one is, for the region of the address", async () => {
    const { headers, body } = await sign({
      baseUrl: "https://bedrock-runtime.eu-west-3.amazonaws.com",
      options: { accessKeyId: "AKIDEXAMPLE" },
      headers: { "X-Amz-Security-Token": "session" },
    });
    expect(headers["authorization"]).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20261125\/eu-west-3\/bedrock\/aws4_request, SignedHeaders=\S+, Signature=[0-9a-f]{64}$/,
    );
    expect(headers).toMatchObject({ "x-amz-date": "20261125T100000Z", "x-amz-security-token": "session" });
    expect(JSON.stringify(headers)).not.toContain("the-secret");
    expect(body).toContain("Hi");
  });

  test("without its secret is refused before anyone is asked", async () => {
    const { apiKey: _, ...account } = ACCOUNT;
    const target = { account: { ...account, options: { accessKeyId: "AKIDEXAMPLE" } }, model: NOVA };
    await expect(bedrock.sign?.(write({}).request, target, ports)).rejects.toMatchObject({
      code: "upstream_auth",
    });
  });

  test("is AWS's own test suite's signature (get-vanilla)", async () => {
    const { headers } = await signAws(
      { method: "GET", url: "https://example.amazonaws.com/", headers: {} },
      { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" },
      { service: "service", region: "us-east-1" },
      Date.UTC(2015, 7, 30, 12, 36, 0),
    );
    expect(headers["authorization"]).toContain(
      "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    );
  });
});

describe("turns", () => {
  test("alternate, with results first and cache points behind what is marked", () => {
    const { body } = write({
      system: [{ type: "text", text: "Be brief.", cacheMark: {} }],
      messages: [
        user(text("Weather?")),
        assistant({ type: "tool_call", id: "a.1", name: "w", argumentsJson: '{"c":1}' }),
        user(text("quickly"), { type: "tool_result", callId: "a.1", parts: [text("sunny")], isError: true }),
        user({ type: "text", text: "please", cacheMark: { ttl: "1h" } }),
      ],
    });
    expect(body.system).toEqual([{ text: "Be brief." }, { cachePoint: { type: "default" } }]);
    expect(body.messages).toEqual([
      { role: "user", content: [{ text: "Weather?" }] },
      {
        role: "assistant",
        content: [
          { toolUse: { toolUseId: expect.stringMatching(/^a_1_\w{14}$/), name: "w", input: { c: 1 } } },
        ],
      },
      {
        role: "user",
        content: [
          {
            toolResult: {
              toolUseId: body.messages[1].content[0].toolUse.toolUseId,
              content: [{ text: "sunny" }],
              status: "error",
            },
          },
          { text: "quickly" },
          { text: "please" },
          { cachePoint: { type: "default", ttl: "1h" } },
        ],
      },
    ]);
  });

  test("carry media inline or from S3, by a format each", () => {
    const inline = (mediaType: string) => ({ kind: "inline", mediaType, base64: "AA==" }) as const;
    const { body, dropped } = write({
      messages: [
        user(
          { type: "image", source: inline("image/jpeg") },
          { type: "image", source: { kind: "url", url: "s3://b/a.png" } },
          { type: "document", source: inline("application/pdf"), name: "Q3 (final).pdf" },
          { type: "document", source: { kind: "text", text: "plain" } },
          { type: "audio", source: inline("audio/wav") },
          { type: "image", source: { kind: "url", url: "https://example.com/a.png" } },
          { type: "document", source: inline("application/zip") },
        ),
      ],
    });
    expect(body.messages[0].content).toEqual([
      { image: { format: "jpeg", source: { bytes: "AA==" } } },
      { image: { format: "png", source: { s3Location: { uri: "s3://b/a.png" } } } },
      { document: { name: "Q3 (final) pdf", format: "pdf", source: { bytes: "AA==" } } },
      { document: { name: "document", format: "txt", source: { text: "plain" } } },
      { audio: { format: "wav", source: { bytes: "AA==" } } },
    ]);
    expect(dropped).toEqual(["messages[].content[].image_url", "messages[].content[].file"]);
  });

  test("carry only thoughts that were signed or sealed, and not by Gemini", () => {
    const { body } = write({
      messages: [
        assistant(
          { type: "reasoning", text: "mine", signature: "s" },
          { type: "reasoning", text: "", encrypted: "xyz" },
          { type: "reasoning", text: "unsigned" },
          { type: "reasoning", text: "google's", signature: "gemini:abc" },
        ),
      ],
    });
    expect(body.messages[0].content).toEqual([
      { reasoningContent: { reasoningText: { text: "mine", signature: "s" } } },
      { reasoningContent: { redactedContent: "xyz" } },
    ]);
  });
});

describe("tools", () => {
  const tools = [
    { name: "f", description: "d", parameters: { type: "object" }, strict: true, cacheMark: {} },
  ];

  test("are specified with a schema, and chosen", () => {
    expect(write({ tools, toolChoice: { type: "tool", name: "f" } }).body.toolConfig).toEqual({
      tools: [
        {
          toolSpec: { name: "f", description: "d", inputSchema: { json: { type: "object" } }, strict: true },
        },
        { cachePoint: { type: "default" } },
      ],
      toolChoice: { tool: { name: "f" } },
    });
    expect(write({ tools, toolChoice: { type: "required" } }).body.toolConfig.toolChoice).toEqual({
      any: {},
    });
    expect(write({ tools, toolChoice: { type: "auto" } }).body.toolConfig.toolChoice).toEqual({ auto: {} });
  });

  test("that may not be called are left out, unless earlier turns need them", () => {
    const none = { tools, toolChoice: { type: "none" } } as const;
    expect(write(none).body).not.toHaveProperty("toolConfig");
    const messages = [assistant({ type: "tool_call", id: "a", name: "f", argumentsJson: "{}" })];
    expect(write({ ...none, messages }).dropped).toEqual(["tool_choice"]);
  });

  test("can't be kept from being called in parallel", () => {
    expect(write({ tools, parallelToolCalls: false }).dropped).toEqual(["parallel_tool_calls"]);
  });
});

describe("parameters", () => {
  test("of the wire's own are passed on", () => {
    const sampling = { maxOutputTokens: 9, temperature: 0.5, topP: 0.9, stopSequences: ["END"] };
    const { body, dropped } = write({ sampling });
    expect(body.inferenceConfig).toEqual({
      maxTokens: 9,
      temperature: 0.5,
      topP: 0.9,
      stopSequences: ["END"],
    });
    expect(dropped).toEqual([]);
    expect(write({}).body).not.toHaveProperty("inferenceConfig");
  });

  test("that only Claude takes go beside them", () => {
    const asked = { sampling: { topK: 4 }, reasoning: { budgetTokens: 2048 } };
    const { body, dropped } = write({ reasoning: { budgetTokens: 2048 } }, { model: CLAUDE });
    expect(body.additionalModelRequestFields).toEqual({ thinking: { type: "enabled", budget_tokens: 2048 } });
    const { body: sampled } = write({ sampling: { topK: 4 } }, { model: CLAUDE });
    expect(sampled.additionalModelRequestFields).toEqual({ top_k: 4 });
    expect(body.inferenceConfig.maxTokens).toBe(64_000);
    expect(dropped).toEqual([]);
    expect(write(asked).dropped).toEqual(["reasoning_effort", "top_k"]);
  });

  test("of effort are said in each model's own way", () => {
    const reasoning = { effort: "high" } as const;
    expect(write({ reasoning }, { model: "openai.gpt-oss-120b-1:0" }).body).toMatchObject({
      additionalModelRequestFields: { reasoning_effort: "high" },
    });
    expect(write({ reasoning }, { model: "global.anthropic.claude-opus-5-5" }).body).toMatchObject({
      additionalModelRequestFields: { thinking: { type: "adaptive", display: "summarized" } },
      outputConfig: { effort: "high" },
    });
    expect(write({ reasoning: { effort: "none" } }).dropped).toEqual([]);
  });

  test("without a counterpart are named as the client wrote them", () => {
    const { dropped } = write({
      sampling: { seed: 1, choiceCount: 2, frequencyPenalty: 1, presencePenalty: 1, topLogprobs: 0 },
      endUser: "u",
      output: { type: "json" },
    });
    expect(dropped.toSorted()).toEqual([
      "frequency_penalty",
      "logprobs",
      "n",
      "presence_penalty",
      "response_format",
      "seed",
      "user",
    ]);
  });

  test("of the target are the wire's own words", () => {
    const params = { guardrailConfig: { guardrailIdentifier: "g" }, messages: [] };
    const { body } = write({}, { params });
    expect(body.guardrailConfig).toEqual({ guardrailIdentifier: "g" });
    expect(body.messages).toHaveLength(1);
  });
});

test("output in a schema is text, closed for Claude", () => {
  const output = { type: "json_schema", name: "n", schema: { type: "object", properties: {} } } as const;
  const schemaOf = (model: string) => {
    const { textFormat } = write({ output }, { model }).body.outputConfig;
    expect(textFormat).toMatchObject({ type: "json_schema", structure: { jsonSchema: { name: "n" } } });
    return JSON.parse(textFormat.structure.jsonSchema.schema);
  };
  expect(schemaOf(NOVA)).toEqual(output.schema);
  expect(schemaOf(CLAUDE)).toEqual({ ...output.schema, additionalProperties: false });
});
