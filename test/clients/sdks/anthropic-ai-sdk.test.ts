// Vercel's AI SDK with its Anthropic provider against the running gateway: in front of an Anthropic upstream and of an
// OpenAI-compatible one. Anthropic's own SDK is in anthropic.test.ts.
import { createAnthropic } from "@ai-sdk/anthropic";
import { APICallError, generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import {
  anthropicError,
  anthropicMessage,
  type MessageScript,
} from "../../support/servers/scripted-anthropic.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";

const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
} as const;
const CITIES = ["Zürich", "Bern"];

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

const KINDS = ["anthropic", "openai-compatible"] as const;
type Kind = (typeof KINDS)[number];

async function setUp(kind: Kind, script: Script) {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, providerKind: kind });
  const name = uniqueModel();
  stack.upstream.script(name, script);
  const provider = createAnthropic({ apiKey: tenant.key, baseURL: `${stack.gateway.url}/v1` });
  return { name, model: provider(`${tenant.provider}/${name}`), maxRetries: 0, maxOutputTokens: 64 };
}

const PIXEL = "iVBORw0KGgo=";
/** Goes on for longer than any test: plain workerd notices that a client has left when it writes to it. */
const WORDS = Array.from({ length: 400 }, (_, at) => `word ${at} `);

/** What the upstream was asked at its nth call (from 0). */
const askedAt = (side: { readonly name: string }, nth: number) => stack.upstream.requestsFor(side.name)[nth];

const said = (kind: Kind, text: string): Script =>
  kind === "anthropic"
    ? anthropicMessage({ content: [{ type: "text", text }] })
    : { kind: "answer", text, usage: { inputTokens: 20, outputTokens: 7 } };

const called = (kind: Kind): Script => {
  const calls = CITIES.map((city, at) => ({ id: `call_${at}`, name: "weather", city }));
  if (kind === "anthropic") {
    const content = calls.map(({ id, name, city }) => ({ type: "tool_use", id, name, input: { city } }));
    return anthropicMessage({ content });
  }
  const toolCalls = calls.map(({ id, name, city }) => ({ id, name, arguments: JSON.stringify({ city }) }));
  return { kind: "answer", toolCalls };
};

const weather = tool({
  description: "Tells the weather.",
  inputSchema: jsonSchema<{ city: string }>({ ...SCHEMA }),
  execute: ({ city }) => `Sun in ${city}.`,
});
const tools = { weather };

describe.each(KINDS)("in front of %s", (kind) => {
  test("text is generated, with its usage", async () => {
    const side = await setUp(kind, said(kind, "Grüezi 👋🏽!"));
    const { text, finishReason, usage } = await generateText({ ...side, prompt: "Hi" });
    expect({ text, finishReason }).toEqual({ text: "Grüezi 👋🏽!", finishReason: "stop" });
    expect(usage).toMatchObject({ inputTokens: 20, outputTokens: 7 });
  });

  test("text is streamed", async () => {
    const side = await setUp(kind, said(kind, "Grüezi 👋🏽, wie geht's?"));
    const pieces = [];
    for await (const piece of streamText({ ...side, prompt: "Hi" }).textStream) pieces.push(piece);
    expect(pieces.join("")).toBe("Grüezi 👋🏽, wie geht's?");
    expect(pieces.length).toBeGreaterThan(1);
  });

  test("tools are called in parallel, whole and streamed", async () => {
    const side = await setUp(kind, called(kind));
    const expected = CITIES.map((city) => ({ toolName: "weather", input: { city } }));
    const whole = await generateText({ ...side, prompt: "Weather?", tools });
    expect(whole.toolCalls).toMatchObject(expected);
    expect(await streamText({ ...side, prompt: "Weather?", tools }).toolCalls).toMatchObject(expected);
  });

  test("tools' results go back, and their answer comes", async () => {
    const side = await setUp(kind, (request) =>
      reply(request.earlier === 0 ? called(kind) : said(kind, "Sunny."), request),
    );
    const { text } = await generateText({ ...side, prompt: "Weather?", tools, stopWhen: stepCountIs(2) });
    expect(text).toBe("Sunny.");
    const results = JSON.stringify(askedAt(side, 1)?.json["messages"]);
    for (const city of CITIES) expect(results).toContain(`Sun in ${city}.`);
  });

  test("pictures are sent", async () => {
    const side = await setUp(kind, said(kind, "A cat."));
    const image = Uint8Array.from(atob(PIXEL), (char) => char.charCodeAt(0));
    const content = [
      { type: "text" as const, text: "What?" },
      { type: "image" as const, image },
    ];
    await generateText({ ...side, messages: [{ role: "user", content }] });
    const picture =
      kind === "anthropic"
        ? { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } }
        : { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } };
    expect(askedAt(side, 0)?.json["messages"]).toMatchObject([
      { role: "user", content: [{ type: "text", text: "What?" }, picture] },
    ]);
  });

  test.each([
    [400, "invalid_request_error", false],
    [429, "rate_limit_error", true],
    [529, "overloaded_error", true],
  ])("an upstream's %i is an API error that says whether to try again", async (status, type, isRetryable) => {
    const failed: Script = kind === "anthropic" ? anthropicError(status, type) : { kind: "error", status };
    const side = await setUp(kind, failed);
    const error: unknown = await generateText({ ...side, prompt: "Hi" }).catch((reason: unknown) => reason);
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ statusCode: status, isRetryable });
  });

  test("a stream that fails after its first byte ends in an error", async () => {
    const message: MessageScript = { endAfterEvents: 5, end: "error-event" };
    const side = await setUp(
      kind,
      kind === "anthropic"
        ? anthropicMessage(message)
        : { kind: "answer", text: "one two three", end: "error-event", endAfterChunks: 2 },
    );
    const errors: unknown[] = [];
    const answer = streamText({ ...side, prompt: "Hi", onError: ({ error }) => void errors.push(error) });
    const parts: string[] = [];
    for await (const { type } of answer.fullStream) parts.push(type);
    expect(errors).toHaveLength(1);
    expect(parts).toContain("text-delta");
    expect(await answer.finishReason).not.toBe("stop");
  });

  test("an aborted stream ends the call upstream", async () => {
    const content = WORDS.map((text) => ({ type: "text", text }));
    const side = await setUp(
      kind,
      kind === "anthropic"
        ? anthropicMessage({ content, paceMs: 25 })
        : { kind: "answer", chunks: WORDS, paceMs: 25 },
    );
    const abort = new AbortController();
    const answer = streamText({ ...side, prompt: "Hi", abortSignal: abort.signal });
    for await (const { type } of answer.fullStream) if (type === "text-delta") abort.abort();
    await askedAt(side, 0)?.ended;
    expect(askedAt(side, 0)?.outcome).toBe("client_closed");
  });

  test("an object is generated by its schema", async () => {
    // The SDK asks by a tool or by the vendor's own structured output, as it knows the model: the upstream answers either.
    const side = await setUp(kind, (request) => {
      const wantsTool = Array.isArray(request.json["tools"]);
      const [city] = CITIES;
      if (!wantsTool) return reply(said(kind, JSON.stringify({ city })), request);
      if (kind === "anthropic") {
        const content = [{ type: "tool_use", id: "call_1", name: "json", input: { city } }];
        return anthropicMessage({ content })(request);
      }
      const toolCalls = [{ id: "call_1", name: "json", arguments: JSON.stringify({ city }) }];
      return { kind: "answer", toolCalls };
    });
    const { object } = await generateObject({ ...side, prompt: "Where?", schema: jsonSchema(SCHEMA) });
    expect(object).toEqual({ city: "Zürich" });
  });
});

function reply(script: Script, request: Parameters<Extract<Script, (...given: never[]) => unknown>>[0]) {
  return typeof script === "function" ? script(request) : script;
}
