// The official OpenAI SDK against a Gemini upstream. Google's own SDK is in gemini.test.ts, Vercel's with its Google provider in
// ai-sdk-google.test.ts.
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import {
  candidate,
  startScriptedGemini,
  type GeminiReply,
  type ScriptedGemini,
} from "../../support/servers/scripted-gemini.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";

let stack: GatewayStack;
let google: ScriptedGemini;
beforeAll(async () => {
  [stack, google] = await Promise.all([startGatewayStack(), startScriptedGemini()]);
});
afterAll(() => Promise.all([stack.close(), google.close()]));

async function makeKey(): Promise<string> {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const record = { kind: "gemini", baseUrl: google.url, apiKey: "AIza-canary" };
  await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/providers/gem`, record);
  return tenant.key;
}

const STOP = { finishReason: "STOP" };
const USAGE = { promptTokenCount: 5, candidatesTokenCount: 3, thoughtsTokenCount: 4, totalTokenCount: 12 };
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] } as const;
const CALLS = [
  { functionCall: { name: "weather", args: { city: "Zürich" } }, thoughtSignature: "Ci==" },
  { functionCall: { name: "weather", args: { city: "Bern" } } },
];

describe("the OpenAI SDK with a Gemini model", () => {
  async function setUp(reply: GeminiReply) {
    const name = uniqueModel();
    google.script(name, reply);
    const client = new OpenAI({ apiKey: await makeKey(), baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
    const asked = () => google.requestsFor(name).at(-1)?.json ?? {};
    return { client, model: `gem/${name}`, asked };
  }
  const messages = [
    { role: "system" as const, content: "Be brief." },
    { role: "user" as const, content: "Hi" },
  ];

  test("gets text, reason, and usage with thoughts in it", async () => {
    const parts = [{ text: "Hm.", thought: true }, { text: "Grüezi!" }];
    const { client, model, asked } = await setUp({ kind: "events", events: [candidate(parts, STOP, USAGE)] });
    const completion = await client.chat.completions.create({
      model,
      messages,
      temperature: 0.3,
      max_completion_tokens: 99,
      stop: "END",
      reasoning_effort: "low",
    });
    expect(completion.choices[0]?.message.content).toBe("Grüezi!");
    expect(completion.choices[0]?.finish_reason).toBe("stop");
    expect(completion.choices[0]?.message).toMatchObject({ reasoning_content: "Hm." });
    expect(completion.usage).toMatchObject({
      prompt_tokens: 5,
      completion_tokens: 7,
      completion_tokens_details: { reasoning_tokens: 4 },
    });
    expect(asked()).toEqual({
      systemInstruction: { parts: [{ text: "Be brief." }] },
      contents: [{ role: "user", parts: [{ text: "Hi" }] }],
      generationConfig: {
        temperature: 0.3,
        maxOutputTokens: 99,
        stopSequences: ["END"],
        thinkingConfig: expect.objectContaining({ thinkingBudget: 1024 }),
      },
    });
  });

  test("streams text and usage", async () => {
    const events = [candidate([{ text: "Füße " }]), candidate([{ text: "🚀" }], STOP, USAGE)];
    const { client, model } = await setUp({ kind: "events", events, paceMs: 20 });
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe("Füße 🚀");
    expect(usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 7 });
  });

  test("calls tools in parallel, streamed, and sends their results back with Gemini's signature", async () => {
    const { client, model, asked } = await setUp({ kind: "events", events: [candidate(CALLS, STOP, USAGE)] });
    const tools = [{ type: "function" as const, function: { name: "weather", parameters: { ...SCHEMA } } }];
    const completion = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion();
    const [choice] = completion.choices;
    const calls = choice?.message.tool_calls ?? [];
    expect(choice?.finish_reason).toBe("tool_calls");
    expect(calls).toMatchObject([
      { function: { name: "weather", arguments: '{"city":"Zürich"}' } },
      { function: { name: "weather", arguments: '{"city":"Bern"}' } },
    ]);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(2);

    const whole = await client.chat.completions.create({ model, messages, tools });
    const [answered] = whole.choices;
    const results = (answered?.message.tool_calls ?? []).map(({ id }) => ({
      role: "tool" as const,
      tool_call_id: id,
      content: '{"sky":"blue"}',
    }));
    const history = answered === undefined ? [] : [answered.message];
    await client.chat.completions.create({ model, messages: [...messages, ...history, ...results], tools });
    expect(asked()["contents"]).toMatchObject([
      { role: "user" },
      {
        role: "model",
        parts: [{ functionCall: { name: "weather" }, thoughtSignature: "Ci==" }, { functionCall: {} }],
      },
      {
        role: "user",
        parts: [
          { functionResponse: { name: "weather", response: { sky: "blue" } } },
          { functionResponse: { name: "weather", response: { sky: "blue" } } },
        ],
      },
    ]);
  });

  test("gets structured output and sends images", async () => {
    const { client, model, asked } = await setUp({
      kind: "events",
      events: [candidate([{ text: '{"city":"Bern"}' }], STOP)],
    });
    const completion = await client.chat.completions.parse({
      model,
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "Where?" },
            { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw==" } },
          ],
        },
      ],
      response_format: {
        type: "json_schema",
        json_schema: { name: "place", strict: true, schema: { ...SCHEMA } },
      },
    });
    expect(completion.choices[0]?.message.content).toBe('{"city":"Bern"}');
    expect(asked()).toMatchObject({
      contents: [
        { parts: [{ text: "Where?" }, { inlineData: { mimeType: "image/png", data: "iVBORw==" } }] },
      ],
      generationConfig: { responseMimeType: "application/json", responseJsonSchema: SCHEMA },
    });
  });

  test("raises its own error classes", async () => {
    const body = { error: { code: 429, message: "Quota.", status: "RESOURCE_EXHAUSTED" } };
    const { client, model } = await setUp({ kind: "json", status: 429, body });
    await expect(
      client.chat.completions.create({ model, messages }, { headers: { "x-headgate-timeout-ms": "5000" } }),
    ).rejects.toThrow(OpenAI.RateLimitError);
  });
});
