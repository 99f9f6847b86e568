// Vercel's AI SDK with its OpenAI provider against the running gateway: the chat and the Responses wire, whole and streamed, at an
// upstream that speaks chat completions only.
import { createOpenAI } from "@ai-sdk/openai";
import {
  APICallError,
  embedMany,
  generateObject,
  generateText,
  type LanguageModel,
  stepCountIs,
  streamText,
  tool,
} from "ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";

/** Goes on for longer than any test: plain workerd notices that a client has left when it writes to it. */
const ENDLESS: Script = { kind: "answer", chunks: Array.from({ length: 2000 }, () => "word "), paceMs: 25 };

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const WIRES = ["chat", "responses"] as const;
type WireName = (typeof WIRES)[number];

async function setUp(wire: WireName, script: Script) {
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    providerKind: "openai-compatible",
  });
  const upstreamModel = uniqueModel();
  stack.upstream.script(upstreamModel, script);
  const provider = createOpenAI({ apiKey: tenant.key, baseURL: `${stack.gateway.url}/v1` });
  const model: LanguageModel = provider[wire](`up/${upstreamModel}`);
  return { model, upstreamModel, provider };
}

const WEATHER = {
  weather: tool({
    description: "Tells the weather.",
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => Promise.resolve(`Sunny in ${city}.`),
  }),
};
const CALLS = ["Zürich", "Genève"].map((city, at) => ({
  id: `call_${at}`,
  name: "weather",
  arguments: JSON.stringify({ city }),
}));
const withTools: Script = ({ earlier }) =>
  earlier === 0 ? { kind: "answer", toolCalls: CALLS } : { kind: "answer", text: "Sunny." };
/** Without it the SDK refers to what OpenAI keeps of earlier turns, which no other server has. */
const STATELESS = { providerOptions: { openai: { store: false } } };

describe.each(WIRES)("the %s wire", (wire) => {
  test("answers in text, with usage", async () => {
    const usage = { inputTokens: 21, outputTokens: 9 };
    const { model } = await setUp(wire, { kind: "answer", text: "Grüezi 🚀", usage });
    const answer = await generateText({ model, system: "Be brief.", prompt: "Hi" });
    expect(answer.text).toBe("Grüezi 🚀");
    expect(answer.finishReason).toBe("stop");
    expect(answer.usage).toMatchObject({ inputTokens: 21, outputTokens: 9 });
  });

  test("streams text", async () => {
    const { model } = await setUp(wire, { kind: "answer", text: "one two three", writeBytes: 7 });
    const answer = streamText({ model, prompt: "Hi" });
    const pieces: string[] = [];
    for await (const piece of answer.textStream) pieces.push(piece);
    expect(pieces.join("")).toBe("one two three");
    expect(pieces.length).toBeGreaterThan(1);
    expect(await answer.finishReason).toBe("stop");
    expect((await answer.usage).inputTokens).toBe(10);
  });

  test("calls tools in parallel and answers from their results", async () => {
    const { model, upstreamModel } = await setUp(wire, withTools);
    const asked = { model, tools: WEATHER, prompt: "Weather?", stopWhen: stepCountIs(2), ...STATELESS };
    const { text, steps } = await generateText(asked);
    expect(text).toBe("Sunny.");
    expect(steps[0]?.toolCalls.map(({ input }) => input)).toEqual([{ city: "Zürich" }, { city: "Genève" }]);
    const messages = stack.upstream.requestsFor(upstreamModel)[1]?.json["messages"];
    expect(messages).toMatchObject([
      { role: "user" },
      { role: "assistant", tool_calls: [{ id: "call_0" }, { id: "call_1" }] },
      { role: "tool", tool_call_id: "call_0", content: "Sunny in Zürich." },
      { role: "tool", tool_call_id: "call_1", content: "Sunny in Genève." },
    ]);
  });

  test("streams tool calls", async () => {
    const { model } = await setUp(wire, withTools);
    const answer = streamText({
      model,
      tools: WEATHER,
      prompt: "Weather?",
      stopWhen: stepCountIs(2),
      ...STATELESS,
    });
    expect(await answer.text).toBe("Sunny.");
    const steps = await answer.steps;
    expect(steps[0]?.toolCalls.map(({ input }) => input)).toEqual([{ city: "Zürich" }, { city: "Genève" }]);
  });

  test("answers by a schema", async () => {
    const { model } = await setUp(wire, { kind: "answer", text: '{"city":"Bern"}' });
    const { object } = await generateObject({
      model,
      schema: z.object({ city: z.string() }),
      prompt: "Where?",
    });
    expect(object).toEqual({ city: "Bern" });
  });

  test("sends pictures", async () => {
    const { model, upstreamModel } = await setUp(wire, { kind: "answer", text: "A cat." });
    const image = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    await generateText({
      model,
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "What?" },
            { type: "image", image },
          ],
        },
      ],
    });
    expect(stack.upstream.requestsFor(upstreamModel)[0]?.json["messages"]).toMatchObject([
      {
        role: "user",
        content: [
          { type: "text", text: "What?" },
          { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
        ],
      },
    ]);
  });

  test.for([
    [400, false],
    [429, true],
    [503, true],
  ] as const)(
    "an upstream's %i is an API error that says whether to try again",
    async ([status, isRetryable]) => {
      const { model } = await setUp(wire, { kind: "error", status });
      const error: unknown = await generateText({ model, prompt: "Hi", maxRetries: 0 }).catch(
        (reason: unknown) => reason,
      );
      expect(APICallError.isInstance(error)).toBe(true);
      expect(error).toMatchObject({ statusCode: status, isRetryable });
    },
  );

  test("a stream that is cut ends in an error", async () => {
    const { model } = await setUp(wire, {
      kind: "answer",
      text: "one two three",
      end: "cut",
      endAfterChunks: 2,
    });
    const errors: unknown[] = [];
    const answer = streamText({
      model,
      prompt: "Hi",
      maxRetries: 0,
      onError: ({ error }) => void errors.push(error),
    });
    const parts: string[] = [];
    for await (const part of answer.fullStream) parts.push(part.type);
    expect(errors).toHaveLength(1);
    expect(parts).toContain("error");
  });

  test("an aborted stream ends the call upstream", async () => {
    const { model, upstreamModel } = await setUp(wire, ENDLESS);
    const abort = new AbortController();
    const answer = streamText({ model, prompt: "Hi", abortSignal: abort.signal });
    for await (const part of answer.fullStream) if (part.type === "text-delta") abort.abort();
    const request = stack.upstream.requestsFor(upstreamModel)[0];
    await request?.ended;
    expect(request?.outcome).toBe("client_closed");
  });
});

test("embeddings", async () => {
  const { key } = await makeTenant(stack.gateway);
  const provider = createOpenAI({ apiKey: key, baseURL: `${stack.gateway.url}/v1` });
  const model = provider.textEmbeddingModel("sim/embed");
  const { embeddings, usage } = await embedMany({ model, values: ["one", "two"] });
  expect(embeddings.map((vector) => vector.length)).toEqual([64, 64]);
  expect(usage.tokens).toBe(2);
});
