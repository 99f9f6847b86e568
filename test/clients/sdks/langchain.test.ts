// LangChain's OpenAI package against the running gateway, at an upstream that speaks chat completions and at one that is translated.
import { HumanMessage, ToolMessage, type AIMessageChunk } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
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

async function setUp(script: Script, options: { readonly useResponsesApi?: boolean } = {}) {
  const tenant = await makeTenant(stack.gateway, {
    upstreamUrl: stack.upstream.url,
    providerKind: "openai-compatible",
  });
  const upstreamModel = uniqueModel();
  stack.upstream.script(upstreamModel, script);
  const model = new ChatOpenAI({
    model: `up/${upstreamModel}`,
    apiKey: tenant.key,
    maxRetries: 0,
    configuration: { baseURL: `${stack.gateway.url}/v1` },
    ...options,
  });
  return { model, upstreamModel };
}

const weather = tool(({ city }: { city: string }) => `Sunny in ${city}.`, {
  name: "weather",
  description: "Tells the weather.",
  schema: z.object({ city: z.string() }),
});
const CALLS = ["Zürich", "Genève"].map((city, at) => ({
  id: `call_${at}`,
  name: "weather",
  arguments: JSON.stringify({ city }),
}));

describe.each([false, true])("ChatOpenAI (Responses API: %s)", (useResponsesApi) => {
  test("answers in text, with usage", async () => {
    const usage = { inputTokens: 21, outputTokens: 9 };
    const { model } = await setUp({ kind: "answer", text: "Grüezi 🚀", usage }, { useResponsesApi });
    const answer = await model.invoke("Hi");
    expect(answer.text).toBe("Grüezi 🚀");
    expect(answer.usage_metadata).toMatchObject({ input_tokens: 21, output_tokens: 9, total_tokens: 30 });
  });

  test("streams text", async () => {
    const { model } = await setUp({ kind: "answer", text: "one two three" }, { useResponsesApi });
    const pieces: string[] = [];
    for await (const chunk of await model.stream("Hi")) pieces.push(chunk.text);
    expect(pieces.join("")).toBe("one two three");
    expect(pieces.filter((piece) => piece !== "").length).toBeGreaterThan(1);
  });

  test("calls tools in parallel, whole and streamed, and takes their results", async () => {
    const script: Script = ({ earlier }) =>
      earlier < 2 ? { kind: "answer", toolCalls: CALLS } : { kind: "answer", text: "Sunny." };
    const { model, upstreamModel } = await setUp(script, { useResponsesApi });
    const bound = model.bindTools([weather]);
    const question = new HumanMessage("Weather?");
    const whole = await bound.invoke([question]);
    let streamed: AIMessageChunk | undefined;
    for await (const chunk of await bound.stream([question])) streamed = streamed?.concat(chunk) ?? chunk;
    for (const answer of [whole, streamed]) {
      expect(answer?.tool_calls?.map(({ id, name, args }) => ({ id, name, args }))).toEqual([
        { id: "call_0", name: "weather", args: { city: "Zürich" } },
        { id: "call_1", name: "weather", args: { city: "Genève" } },
      ]);
    }
    const results = (whole.tool_calls ?? []).map(
      ({ id = "" }) => new ToolMessage({ content: "sunny", tool_call_id: id }),
    );
    expect((await bound.invoke([question, whole, ...results])).text).toBe("Sunny.");
    expect(stack.upstream.requestsFor(upstreamModel)[2]?.json["messages"]).toMatchObject([
      { role: "user" },
      { role: "assistant", tool_calls: CALLS.map(({ id }) => ({ id })) },
      { role: "tool", tool_call_id: "call_0", content: "sunny" },
      { role: "tool", tool_call_id: "call_1", content: "sunny" },
    ]);
  });

  test("answers by a schema", async () => {
    const { model } = await setUp({ kind: "answer", text: '{"city":"Bern"}' }, { useResponsesApi });
    const structured = model.withStructuredOutput(z.object({ city: z.string() }), { method: "jsonSchema" });
    expect(await structured.invoke("Where?")).toEqual({ city: "Bern" });
  });

  test("sends pictures", async () => {
    const { model, upstreamModel } = await setUp({ kind: "answer", text: "A cat." }, { useResponsesApi });
    const url = "data:image/png;base64,iVBORw0KGgo=";
    const content = [
      { type: "text", text: "What?" },
      { type: "image_url", image_url: { url } },
    ];
    expect((await model.invoke([new HumanMessage({ content })])).text).toBe("A cat.");
    expect(stack.upstream.requestsFor(upstreamModel)[0]?.json["messages"]).toMatchObject([
      {
        role: "user",
        content: [
          { type: "text", text: "What?" },
          { type: "image_url", image_url: { url } },
        ],
      },
    ]);
  });

  test("a stream that fails after its first byte throws", async () => {
    const { model } = await setUp(
      { kind: "answer", text: "one two three", end: "error-event", endAfterChunks: 2 },
      { useResponsesApi },
    );
    const pieces: string[] = [];
    const read = (async () => {
      for await (const { text } of await model.stream("Hi")) pieces.push(text);
    })();
    await expect(read).rejects.toThrow(/failure|upstream/i);
    expect(pieces.join("")).toBe("one two ");
  });

  test("an upstream's refusal is an error with its status", async () => {
    const { model } = await setUp({ kind: "error", status: 429 }, { useResponsesApi });
    await expect(model.invoke("Hi")).rejects.toMatchObject({ status: 429 });
  });

  test("an aborted stream ends the call upstream", async () => {
    const { model, upstreamModel } = await setUp(ENDLESS, { useResponsesApi });
    const abort = new AbortController();
    const read = (async () => {
      for await (const chunk of await model.stream("Hi", { signal: abort.signal })) {
        if (chunk.text !== "") abort.abort();
      }
    })();
    await read.catch(() => {});
    const request = stack.upstream.requestsFor(upstreamModel)[0];
    await request?.ended;
    expect(request?.outcome).toBe("client_closed");
  });
});

test("OpenAIEmbeddings", async () => {
  const { key } = await makeTenant(stack.gateway);
  const embeddings = new OpenAIEmbeddings({
    model: "sim/embed",
    apiKey: key,
    configuration: { baseURL: `${stack.gateway.url}/v1` },
  });
  const [first, second] = await embeddings.embedDocuments(["one", "two"]);
  expect(first).toHaveLength(64);
  expect(second).not.toEqual(first);
  expect(await embeddings.embedQuery("one")).toEqual(first);
});
