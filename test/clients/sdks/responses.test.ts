// The official OpenAI SDK's Responses API against the running gateway: forwarded to an upstream that speaks it, and translated for
// one that speaks chat completions only.
import OpenAI from "openai";
import type { ResponseStreamEvent } from "openai/resources/responses/responses";
import { zodTextFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { fixtureText } from "../../support/builders/wire-fixtures.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";

const TOOLS: OpenAI.Responses.Tool[] = [
  {
    type: "function",
    name: "weather",
    strict: true,
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
  },
];
const CALLS = ["Zürich", "Genève"].map((city, at) => ({
  id: `call_${at}`,
  name: "weather",
  arguments: JSON.stringify({ city }),
}));

/** Goes on for longer than any test: plain workerd notices that a client has left when it writes to it. */
const ENDLESS: Script = { kind: "answer", chunks: Array.from({ length: 2000 }, () => "word "), paceMs: 25 };

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

type Setup = {
  readonly client: OpenAI;
  readonly model: string;
  readonly upstreamModel: string;
  readonly tenant: TestTenant;
};

async function setUp(script: Script, providerKind: "openai" | "openai-compatible"): Promise<Setup> {
  const tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, providerKind });
  const client = new OpenAI({ apiKey: tenant.key, baseURL: `${stack.gateway.url}/v1`, maxRetries: 0 });
  const upstreamModel = uniqueModel();
  stack.upstream.script(upstreamModel, script);
  return { client, model: `${tenant.provider}/${upstreamModel}`, upstreamModel, tenant };
}

async function collect(stream: AsyncIterable<ResponseStreamEvent>): Promise<ResponseStreamEvent[]> {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const textOf = (events: readonly ResponseStreamEvent[]): string =>
  events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join("");

describe("an upstream that speaks the Responses API", () => {
  const native: Script = ({ json }) =>
    json["stream"] === true
      ? { kind: "pieces", pieces: [fixtureText("openai-responses/tools.sse")] }
      : { kind: "raw", body: fixtureText("openai-responses/text.json") };

  test("gets the client's bytes with its own model and credential, and its answer is the client's", async () => {
    const { client, model, upstreamModel, tenant } = await setUp(native, "openai");
    const { id: previous } = await client.responses.create({ model, input: "Hello" });
    const response = await client.responses.create({
      model,
      input: "Hi",
      store: true,
      previous_response_id: previous,
      tools: [{ type: "web_search" }],
    });
    expect(response.output_text).toBe("Grüezi mitenand 👋🏽!");
    expect(response.usage?.input_tokens_details.cached_tokens).toBe(16);
    const request = stack.upstream.requestsFor(upstreamModel)[1];
    expect(request?.path).toBe("/v1/responses");
    expect(request?.headers.authorization).toBe(`Bearer ${tenant.credential}`);
    expect(request?.json).toEqual({
      model: upstreamModel,
      input: "Hi",
      store: true,
      previous_response_id: previous,
      tools: [{ type: "web_search" }],
    });
  });

  test("streams its events untouched", async () => {
    const { client, model } = await setUp(native, "openai");
    const stream = client.responses.stream({ model, input: "Hi" });
    const final = await stream.finalResponse();
    expect(final.output.map(({ type }) => type)).toEqual(["reasoning", "function_call", "function_call"]);
    expect(final.usage?.output_tokens_details.reasoning_tokens).toBe(32);
  });
});

describe("an upstream that speaks chat completions only", () => {
  test("answers in text, with usage", async () => {
    const usage = { inputTokens: 21, outputTokens: 9 };
    const { client, model, upstreamModel } = await setUp(
      { kind: "answer", text: "Grüezi, 世界!", usage },
      "openai-compatible",
    );
    const response = await client.responses.create({
      model,
      instructions: "Be brief.",
      input: [
        {
          role: "user",
          content: [
            { type: "input_text", text: "What is this?" },
            { type: "input_image", image_url: "data:image/png;base64,AAAA", detail: "low" },
          ],
        },
      ],
    });
    expect(response.output_text).toBe("Grüezi, 世界!");
    expect(response.status).toBe("completed");
    expect(response.usage).toMatchObject({ input_tokens: 21, output_tokens: 9, total_tokens: 30 });
    const request = stack.upstream.requestsFor(upstreamModel)[0];
    expect(request?.path).toBe("/v1/chat/completions");
    expect(request?.json["messages"]).toEqual([
      { role: "system", content: "Be brief." },
      {
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } },
        ],
      },
    ]);
  });

  test.for([undefined, 1, 7])("streams text as it comes, from writes of %s bytes", async (writeBytes) => {
    const text = "Füße, 東京 and 🚀 in one line";
    const { client, model } = await setUp(
      { kind: "answer", text, ...(writeBytes && { writeBytes }) },
      "openai-compatible",
    );
    const events = await collect(await client.responses.create({ model, input: "Hi", stream: true }));
    expect(textOf(events)).toBe(text);
    expect(events.at(0)?.type).toBe("response.created");
    expect(events.at(-1)?.type).toBe("response.completed");
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, at) => at));
  });

  test("streams while the upstream is still sending", async () => {
    const chunks = ["one ", "two ", "three ", "four "];
    const { client, model, upstreamModel } = await setUp(
      { kind: "answer", chunks, paceMs: 60 },
      "openai-compatible",
    );
    const states: (string | undefined)[] = [];
    for await (const event of await client.responses.create({ model, input: "Hi", stream: true })) {
      if (event.type !== "response.output_text.delta") continue;
      states.push(stack.upstream.requestsFor(upstreamModel)[0]?.outcome);
    }
    expect(states.slice(0, -1)).toEqual(["open", "open", "open"]);
  });

  test("calls tools in parallel, whole and streamed, and takes their results", async () => {
    const script: Script = ({ earlier }) =>
      earlier < 2 ? { kind: "answer", toolCalls: CALLS } : { kind: "answer", text: "Sunny." };
    const { client, model, upstreamModel } = await setUp(script, "openai-compatible");
    const input: OpenAI.Responses.ResponseInput = [{ role: "user", content: "Weather?" }];
    const asked = { model, tools: TOOLS, input };
    const whole = await client.responses.create(asked);
    const streamed = await client.responses.stream(asked).finalResponse();
    for (const { output } of [whole, streamed]) {
      expect(output).toMatchObject(
        CALLS.map(({ id, name, arguments: given }) => ({
          type: "function_call",
          call_id: id,
          name,
          arguments: given,
        })),
      );
    }
    const calls = whole.output.filter((item) => item.type === "function_call");
    const results = CALLS.map(({ id }) => ({
      type: "function_call_output" as const,
      call_id: id,
      output: "sunny",
    }));
    const last = await client.responses.create({ ...asked, input: [...input, ...calls, ...results] });
    expect(last.output_text).toBe("Sunny.");
    const messages = stack.upstream.requestsFor(upstreamModel)[2]?.json["messages"];
    expect(messages).toMatchObject([
      { role: "user" },
      { role: "assistant", tool_calls: CALLS.map(({ id }) => ({ id })) },
      { role: "tool", tool_call_id: "call_0", content: "sunny" },
      { role: "tool", tool_call_id: "call_1", content: "sunny" },
    ]);
  });

  test("answers by a schema", async () => {
    const { client, model, upstreamModel } = await setUp(
      { kind: "answer", text: '{"city":"Bern"}' },
      "openai-compatible",
    );
    const format = zodTextFormat(z.object({ city: z.string() }), "place");
    const { output_parsed } = await client.responses.parse({ model, input: "Where?", text: { format } });
    expect(output_parsed).toEqual({ city: "Bern" });
    expect(stack.upstream.requestsFor(upstreamModel)[0]?.json["response_format"]).toMatchObject({
      type: "json_schema",
      json_schema: { name: "place", strict: true },
    });
  });

  test("that stops at the limit leaves the response incomplete", async () => {
    const { client, model } = await setUp(
      { kind: "answer", text: "Half", finishReason: "length" },
      "openai-compatible",
    );
    const response = await client.responses.create({ model, input: "Hi", max_output_tokens: 16 });
    expect(response.status).toBe("incomplete");
    expect(response.incomplete_details).toEqual({ reason: "max_output_tokens" });
  });
});

describe("faults", () => {
  test("a field without a counterpart is a bad request that names it, or is dropped for a lenient client", async () => {
    const { client, model } = await setUp({ kind: "answer" }, "openai-compatible");
    const body = { model, input: "Hi", background: true, tools: [{ type: "web_search" as const }] };
    const refused = await client.responses.create(body).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(OpenAI.BadRequestError);
    expect(refused).toMatchObject({ param: "background" });
    const { response } = await client.responses
      .create(body, { headers: { "x-headgate-lenient": "1" } })
      .withResponse();
    expect(response.headers.get("x-headgate-dropped")).toBe("background, tools[0]");
  });

  test.for([
    [401, OpenAI.InternalServerError],
    [422, OpenAI.UnprocessableEntityError],
    [429, OpenAI.RateLimitError],
  ] as const)("an upstream's %i is the SDK's own class of error", async ([status, kind]) => {
    const { client, model } = await setUp({ kind: "error", status }, "openai-compatible");
    await expect(client.responses.create({ model, input: "Hi" })).rejects.toThrow(kind);
  });

  test.for(["cut", "error-event"] as const)(
    "a stream that ends by %s throws, after what had come",
    async (end) => {
      const reply = { kind: "answer", text: "one two three", end, endAfterChunks: 2 } as const;
      const { client, model } = await setUp(reply, "openai-compatible");
      const events: ResponseStreamEvent[] = [];
      const stream = await client.responses.create({ model, input: "Hi", stream: true });
      const read = (async () => {
        for await (const event of stream) events.push(event);
      })();
      await expect(read).rejects.toThrow(OpenAI.APIError);
      expect(textOf(events)).toBe("one two ");
      expect(events.map(({ type }) => type)).not.toContain("response.completed");
    },
  );

  test("a client that leaves in mid-stream ends the call upstream", async () => {
    const { client, model, upstreamModel } = await setUp(ENDLESS, "openai-compatible");
    const stream = await client.responses.create({ model, input: "Hi", stream: true });
    for await (const event of stream) if (event.type === "response.output_text.delta") break;
    const request = stack.upstream.requestsFor(upstreamModel)[0];
    await request?.ended;
    expect(request?.outcome).toBe("client_closed");
  });
});
