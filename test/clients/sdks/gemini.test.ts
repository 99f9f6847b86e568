// The official Google Gen AI SDK against the running gateway: each feature once with a Gemini upstream, whose bytes are forwarded,
// and once with an OpenAI-compatible one, where request and answer are translated. Errors are in gemini-errors.test.ts.
import { FunctionCallingConfigMode, GoogleGenAI, Type, type GenerateContentResponse } from "@google/genai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import {
  candidate,
  startScriptedGemini,
  type GeminiReply,
  type ScriptedGemini,
} from "../../support/servers/scripted-gemini.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";

let stack: GatewayStack;
let google: ScriptedGemini;
beforeAll(async () => {
  [stack, google] = await Promise.all([startGatewayStack(), startScriptedGemini()]);
});
afterAll(() => Promise.all([stack.close(), google.close()]));

type Setup = { readonly ai: GoogleGenAI; readonly model: string; asked(): Readonly<Record<string, unknown>> };

/** A tenant whose provider `up` is OpenAI-compatible and whose provider `gem` is Gemini. */
async function makeClient(): Promise<GoogleGenAI> {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const record = { kind: "gemini", baseUrl: google.url, apiKey: "AIza-canary" };
  await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/providers/gem`, record);
  return new GoogleGenAI({ apiKey: tenant.key, httpOptions: { baseUrl: stack.gateway.url } });
}

async function native(reply: GeminiReply): Promise<Setup> {
  const model = uniqueModel();
  google.script(model, reply);
  return {
    ai: await makeClient(),
    model: `gem/${model}`,
    asked: () => google.requestsFor(model)[0]?.json ?? {},
  };
}

async function translated(reply: Reply): Promise<Setup> {
  const model = uniqueModel();
  stack.upstream.script(model, reply);
  return {
    ai: await makeClient(),
    model: `up/${model}`,
    asked: () => stack.upstream.requestsFor(model)[0]?.json ?? {},
  };
}

async function collect(
  stream: Promise<AsyncGenerator<GenerateContentResponse>>,
): Promise<GenerateContentResponse[]> {
  const chunks = [];
  for await (const chunk of await stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks: readonly GenerateContentResponse[]): string =>
  chunks.map((chunk) => chunk.text ?? "").join("");
const USAGE = { promptTokenCount: 5, candidatesTokenCount: 3, totalTokenCount: 8 };
const BILLED = { inputTokens: 5, outputTokens: 3 };
const WEATHER = { name: "weather", args: { city: "Zürich" } };
const TOOLS = [
  {
    functionDeclarations: [
      { name: "weather", parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } } } },
    ],
  },
];

describe("text", () => {
  test("from Gemini, with its own credential and the client's own bytes", async () => {
    const { ai, model, asked } = await native({
      kind: "events",
      events: [candidate([{ text: "Grüezi, 世界!" }], { finishReason: "STOP" }, USAGE)],
    });
    const answer = await ai.models.generateContent({
      model,
      contents: "Say hello.",
      config: { systemInstruction: "Be brief.", temperature: 0.3, topK: 4, safetySettings: [] },
    });
    expect(answer.text).toBe("Grüezi, 世界!");
    expect(answer.candidates?.[0]?.finishReason).toBe("STOP");
    expect(answer.usageMetadata).toMatchObject(USAGE);
    expect(asked()).toMatchObject({ generationConfig: { temperature: 0.3, topK: 4 }, safetySettings: [] });
    const [request] = google.requestsFor(model.slice("gem/".length));
    expect(request?.headers["x-goog-api-key"]).toBe("AIza-canary");
    expect(request?.path).toBe(`/v1beta/models/${model.slice("gem/".length)}:generateContent`);
  });

  test("from an OpenAI-compatible upstream", async () => {
    const { ai, model, asked } = await translated({ kind: "answer", text: "Grüezi, 世界!", usage: BILLED });
    const answer = await ai.models.generateContent({
      model,
      contents: "Say hello.",
      config: {
        systemInstruction: "Be brief.",
        temperature: 0.3,
        maxOutputTokens: 9,
        stopSequences: ["END"],
        seed: 7,
      },
    });
    expect(answer.text).toBe("Grüezi, 世界!");
    expect(answer.candidates?.[0]?.finishReason).toBe("STOP");
    expect(answer.usageMetadata).toMatchObject(USAGE);
    expect(asked()).toMatchObject({
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "Say hello." },
      ],
      temperature: 0.3,
      stop: ["END"],
      seed: 7,
    });
  });
});

describe("a stream", () => {
  test("from Gemini arrives while it is being sent", async () => {
    const events = ["one ", "two ", "three"].map((text, at) =>
      candidate([{ text }], at === 2 ? { finishReason: "STOP" } : {}, USAGE),
    );
    const { ai, model } = await native({ kind: "events", events, paceMs: 60 });
    const outcomes: (string | undefined)[] = [];
    let text = "";
    for await (const chunk of await ai.models.generateContentStream({ model, contents: "Count." })) {
      outcomes.push(google.requestsFor(model.slice("gem/".length))[0]?.outcome);
      text += chunk.text ?? "";
    }
    expect(text).toBe("one two three");
    expect(outcomes.slice(0, 2)).toEqual(["open", "open"]);
  });

  test("from an OpenAI-compatible upstream ends with reason and usage", async () => {
    const { ai, model } = await translated({
      kind: "answer",
      chunks: ["Füße, ", "東京 ", "🚀"],
      usage: BILLED,
      paceMs: 20,
    });
    const chunks = await collect(ai.models.generateContentStream({ model, contents: "Go." }));
    expect(textOf(chunks)).toBe("Füße, 東京 🚀");
    expect(chunks.length).toBeGreaterThan(2);
    expect(chunks.at(-1)?.candidates?.[0]?.finishReason).toBe("STOP");
    expect(chunks.at(-1)?.usageMetadata).toMatchObject(USAGE);
  });

  test("without alt=sse is a JSON array, from either upstream", async () => {
    const reply = {
      kind: "events",
      events: [candidate([{ text: "a" }], { finishReason: "STOP" }, USAGE)],
    } as const;
    const { model } = await native(reply);
    const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
    const record = { kind: "gemini", baseUrl: google.url, apiKey: "AIza-canary" };
    await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/providers/gem`, record);
    for (const name of [model, `up/${uniqueModel()}`]) {
      const url = `${stack.gateway.url}/v1beta/models/${encodeURIComponent(name)}:streamGenerateContent?key=${tenant.key}`;
      const response = await fetch(url, { method: "POST", body: '{"contents":[{"parts":[{"text":"Hi"}]}]}' });
      expect(response.headers.get("content-type")).toMatch(/^application\/json/);
      const events: unknown = await response.json();
      expect(events).toEqual(
        expect.arrayContaining([expect.objectContaining({ candidates: expect.any(Array) })]),
      );
    }
  });
});

describe("tools", () => {
  const request = (model: string) => ({
    model,
    contents: "Weather?",
    config: {
      tools: TOOLS,
      toolConfig: {
        functionCallingConfig: { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ["weather"] },
      },
    },
  });

  test("from Gemini, whole and streamed", async () => {
    const events = [candidate([{ functionCall: WEATHER }], { finishReason: "STOP" }, USAGE)];
    const { ai, model } = await native({ kind: "events", events });
    expect((await ai.models.generateContent(request(model))).functionCalls).toEqual([WEATHER]);
    const chunks = await collect(ai.models.generateContentStream(request(model)));
    expect(chunks.flatMap((chunk) => chunk.functionCalls ?? [])).toEqual([WEATHER]);
  });

  test("from an OpenAI-compatible upstream, in parallel, whole and streamed", async () => {
    const toolCalls = [
      { id: "call_1", name: "weather", arguments: '{"city":"Zürich"}' },
      { id: "call_2", name: "weather", arguments: '{"city":"Bern"}' },
    ];
    const { ai, model, asked } = await translated({ kind: "answer", toolCalls });
    const expected = [
      { id: "call_1", ...WEATHER },
      { id: "call_2", name: "weather", args: { city: "Bern" } },
    ];
    expect((await ai.models.generateContent(request(model))).functionCalls).toEqual(expected);
    const chunks = await collect(ai.models.generateContentStream(request(model)));
    expect(chunks.flatMap((chunk) => chunk.functionCalls ?? [])).toEqual(expected);
    expect(asked()).toMatchObject({
      tools: [
        {
          type: "function",
          function: {
            name: "weather",
            parameters: { type: "object", properties: { city: { type: "string" } } },
          },
        },
      ],
      tool_choice: { type: "function", function: { name: "weather" } },
    });
  });

  test("their results go back to an OpenAI-compatible upstream by the call's id", async () => {
    const { ai, model, asked } = await translated({ kind: "answer", text: "Sunny." });
    const answer = await ai.models.generateContent({
      model,
      contents: [
        { role: "user", parts: [{ text: "Weather?" }] },
        { role: "model", parts: [{ functionCall: WEATHER }] },
        { role: "user", parts: [{ functionResponse: { name: "weather", response: { output: "sun" } } }] },
      ],
      config: { tools: TOOLS },
    });
    expect(answer.text).toBe("Sunny.");
    expect(asked()).toMatchObject({
      messages: [
        { role: "user" },
        {
          role: "assistant",
          tool_calls: [{ id: "call_1", function: { name: "weather", arguments: '{"city":"Zürich"}' } }],
        },
        { role: "tool", tool_call_id: "call_1", content: "sun" },
      ],
    });
  });
});

describe("structured output", () => {
  const config = {
    responseMimeType: "application/json",
    responseSchema: { type: Type.OBJECT, properties: { age: { type: Type.INTEGER } }, required: ["age"] },
  };

  test("is asked of Gemini as it came", async () => {
    const events = [candidate([{ text: '{"age":7}' }], { finishReason: "STOP" })];
    const { ai, model, asked } = await native({ kind: "events", events });
    expect((await ai.models.generateContent({ model, contents: "Age?", config })).text).toBe('{"age":7}');
    expect(asked()["generationConfig"]).toEqual(config);
  });

  test("is asked of an OpenAI-compatible upstream as JSON Schema", async () => {
    const { ai, model, asked } = await translated({ kind: "answer", text: '{"age":7}' });
    expect((await ai.models.generateContent({ model, contents: "Age?", config })).text).toBe('{"age":7}');
    expect(asked()["response_format"]).toMatchObject({
      type: "json_schema",
      json_schema: {
        schema: { type: "object", properties: { age: { type: "integer" } }, required: ["age"] },
      },
    });
  });
});

test("an image reaches an OpenAI-compatible upstream as a data URL, or by its address", async () => {
  const { ai, model, asked } = await translated({ kind: "answer", text: "A cat." });
  await ai.models.generateContent({
    model,
    contents: [
      { inlineData: { mimeType: "image/png", data: "iVBORw==" } },
      { fileData: { fileUri: "https://images.example/cat.png", mimeType: "image/png" } },
      "What is this?",
    ],
  });
  expect(asked()).toMatchObject({
    messages: [
      {
        content: [
          { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw==" } },
          { type: "image_url", image_url: { url: "https://images.example/cat.png" } },
          { type: "text", text: "What is this?" },
        ],
      },
    ],
  });
});

describe("thoughts", () => {
  test("are asked for with an effort, and a chat remembers what was said", async () => {
    const { ai, model } = await translated({ kind: "answer", text: "Yes." });
    const chat = ai.chats.create({ model, config: { thinkingConfig: { thinkingBudget: 24_576 } } });
    await chat.sendMessage({ message: "Is 17 prime?" });
    await chat.sendMessage({ message: "Sure?" });
    const requests = stack.upstream.requestsFor(model.slice("up/".length));
    expect(requests[1]?.json).toMatchObject({
      reasoning_effort: "high",
      messages: [{ content: "Is 17 prime?" }, { role: "assistant", content: "Yes." }, { content: "Sure?" }],
    });
  });
});

describe("embeddings", () => {
  test("from Gemini, with the model that Google compares with the path's", async () => {
    const { ai, model, asked } = await native({
      kind: "json",
      body: { embeddings: [{ values: [0.1] }, { values: [0.2] }] },
    });
    const answer = await ai.models.embedContent({
      model,
      contents: ["a", "b"],
      config: { taskType: "CLUSTERING" },
    });
    expect(answer.embeddings?.map(({ values }) => values)).toEqual([[0.1], [0.2]]);
    expect(asked()).toMatchObject({
      requests: [{ model: `models/${model.slice("gem/".length)}`, taskType: "CLUSTERING" }, {}],
    });
  });
});

describe("embeddings from a provider of another wire", () => {
  test("one and many, each with its vector", async () => {
    const tenant = await makeTenant(stack.gateway);
    const ai = new GoogleGenAI({ apiKey: tenant.key, httpOptions: { baseUrl: stack.gateway.url } });
    const config = { outputDimensionality: 8 };
    const answer = await ai.models.embedContent({ model: "sim/embed", contents: ["a", "b"], config });
    expect(answer.embeddings?.map(({ values }) => values?.length)).toEqual([8, 8]);
    const url = `${stack.gateway.url}/v1beta/models/sim/embed:embedContent`;
    const headers = { "x-goog-api-key": tenant.key };
    const one = await fetch(url, { method: "POST", headers, body: '{"content":{"parts":[{"text":"a"}]}}' });
    expect(await one.json()).toMatchObject({ embedding: { values: expect.any(Array) } });
  });
});

describe("counting tokens", () => {
  test("is Gemini's own where it can be asked, else an estimate", async () => {
    const { ai, model } = await native({ kind: "json", body: { totalTokens: 31 } });
    expect((await ai.models.countTokens({ model, contents: "Hello there." })).totalTokens).toBe(31);
    const other = await translated({ kind: "answer" });
    const estimate = await other.ai.models.countTokens({
      model: other.model,
      contents: "Hello there, how are you?",
    });
    expect(estimate.totalTokens).toBeGreaterThan(3);
  });
});

test("a key in the URL lets its bearer in, names the trace's route and appears in no span", async () => {
  const model = uniqueModel();
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const url = `${stack.gateway.url}/v1beta/models/up/${model}:generateContent?key=${tenant.key}`;
  const response = await fetch(url, { method: "POST", body: '{"contents":[{"parts":[{"text":"Hi"}]}]}' });
  expect(response.status).toBe(200);
  const spans = await stack.otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
  expect(spans.map(({ name }) => name)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^POST \/v1beta\//), `chat ${model}`]),
  );
  expect(JSON.stringify(spans)).not.toContain(tenant.key);
  // Elsewhere a key in a URL is none.
  const other = await fetch(`${stack.gateway.url}/v1/models?key=${tenant.key}`);
  expect(other.status).toBe(401);
});

test("the model list names what the tenant can ask for", async () => {
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    routes: { "chat-fast": { targets: [{ provider: "up", model: "some-model" }] } },
  });
  const ai = new GoogleGenAI({ apiKey: tenant.key, httpOptions: { baseUrl: stack.gateway.url } });
  const names = [];
  for await (const model of await ai.models.list()) names.push(model.name);
  expect(names).toEqual(expect.arrayContaining(["models/chat-fast", "models/up/some-model"]));
  expect((await ai.models.get({ model: "up/some-model" })).name).toBe("models/up/some-model");
});

test("an SDK that calls version v1, as those of Google from 3 on do", async () => {
  const model = uniqueModel();
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const ai = new GoogleGenAI({
    apiKey: tenant.key,
    apiVersion: "v1",
    httpOptions: { baseUrl: stack.gateway.url },
  });
  const answer = await ai.models.generateContent({ model: `up/${model}`, contents: "Hi" });
  expect(answer.text).toBe("Hello from the upstream.");
  let streamed = "";
  for await (const { text } of await ai.models.generateContentStream({
    model: `up/${model}`,
    contents: "Hi",
  }))
    streamed += text ?? "";
  expect(streamed).toBe("Hello from the upstream.");
  const { totalTokens } = await ai.models.countTokens({ model: `up/${model}`, contents: "Hi" });
  expect(totalTokens).toBeGreaterThan(0);
  const wrong = await fetch(`${stack.gateway.url}/v1/models/up/x:generateContent`, { method: "POST" });
  expect([wrong.status, await wrong.json()]).toMatchObject([401, { error: { status: "UNAUTHENTICATED" } }]);
});
