// Reported: an upstream that answers JSON where a stream was asked for, or a stream where JSON was; reasoning of a turn of tool calls
// that a compatible upstream needs back; an Anthropic client without a version.
import { describe, expect, test } from "vitest";
import { anthropicMessages } from "../../../../src/wires/anthropic/client-wire.ts";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import { createFakeGateway } from "../../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../../support/fakes/fake-tenant.ts";
import { streamOf } from "../../../support/builders/wire-named.ts";
import { askedOf } from "./asked.ts";

const BUNDLE = fakeBundle({
  providers: { a: { kind: "openai-compatible" }, claude: { kind: "anthropic" } },
  routes: { once: { targets: [{ provider: "a", model: "m" }], retries: { maxAttempts: 1 } } },
});
const MESSAGES = [{ role: "user", content: "hi" }];
const COMPLETION = {
  id: "c1",
  object: "chat.completion",
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
};

function textOf(body: string | ReadableStream<Uint8Array>): string {
  if (typeof body === "string") return body;
  throw new Error("a stream, where a whole text was due");
}

describe("JSON where a stream was asked for", () => {
  const gatewayFor = (clientWire: typeof openAiChat, reply: object, fields: object = {}) =>
    createFakeGateway({
      bundle: BUNDLE,
      request: { clientWire, body: { model: "once", stream: true, messages: MESSAGES, ...fields } },
      replies: [Response.json(reply)],
    });

  test("that is an error is the upstream's error, as without a stream", async () => {
    const gateway = gatewayFor(openAiChat, {
      error: { message: "quota used up", type: "insufficient_quota" },
    });
    expect(await gateway.refusal()).toMatchObject({
      code: "upstream_error",
      message: "The upstream sent an error body with a 2xx status.",
    });
  });

  test("that is an answer is streamed and counted", async () => {
    const gateway = gatewayFor(openAiChat, COMPLETION);
    const { contentType, body } = await gateway.generate();
    expect(contentType).toMatch(/^text\/event-stream/);
    expect(JSON.parse(openAiChat.wholeFromStream(streamOf(textOf(body)))).choices[0].message.content).toBe(
      "ok",
    );
    expect(gateway.facts).toMatchObject({ outcome: "ok", usage: { inputTokens: 10, outputTokens: 2 } });
  });

  test("that is an answer is streamed to a client of another wire", async () => {
    const gateway = gatewayFor(anthropicMessages, COMPLETION, { max_tokens: 9 });
    const { body } = await gateway.generate();
    expect(JSON.parse(anthropicMessages.wholeFromStream(streamOf(textOf(body)))).content).toMatchObject([
      { type: "text", text: "ok" },
    ]);
  });
});

test("a stream where JSON was asked for is the whole answer it adds up to", async () => {
  const events = openAiChat.streamFromWhole(
    JSON.stringify(COMPLETION),
    openAiChat.parseRequest(JSON.stringify({ model: "m", messages: MESSAGES })),
  );
  const gateway = createFakeGateway({
    bundle: BUNDLE,
    request: { clientWire: openAiChat, body: { model: "once", messages: MESSAGES } },
    replies: [new Response(events, { headers: { "content-type": "text/event-stream" } })],
  });
  const { contentType, body } = await gateway.generate();
  expect(contentType).toBe("application/json");
  expect(JSON.parse(textOf(body)).choices[0].message.content).toBe("ok");
});

describe("reasoning of a turn of tool calls", () => {
  const history = {
    max_tokens: 9,
    tools: [{ name: "f", input_schema: { type: "object" } }],
    messages: [
      ...MESSAGES,
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "" },
          { type: "tool_use", id: "t1", name: "f", input: {} },
        ],
      },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content: "ok" }] },
    ],
  };

  test("goes back to a compatible upstream, in the field that the account names", () => {
    const asked = (options: Readonly<Record<string, string>>) =>
      askedOf("anthropic-messages", history, "openai-compatible", { options }).json.messages[1];
    expect(asked({})).toMatchObject({ reasoning_content: "hm", tool_calls: [{ id: "t1" }] });
    expect(asked({ reasoningField: "reasoning" })).toMatchObject({ reasoning: "hm" });
    expect(JSON.stringify(asked({ reasoningField: "none" }))).not.toContain("hm");
  });

  test("stays away from OpenAI, which has no field for it", () => {
    expect(askedOf("anthropic-messages", history, "openai").body).not.toContain("hm");
  });
});

test.each([
  [{}, "2023-06-01"],
  [{ "anthropic-version": "2024-10-22" }, "2024-10-22"],
])("an Anthropic client with %j calls with the version %s", async (headers, version) => {
  const gateway = createFakeGateway({
    bundle: BUNDLE,
    headers,
    request: {
      clientWire: anthropicMessages,
      body: { model: "claude/claude-sonnet-4-5", max_tokens: 9, messages: MESSAGES },
    },
    replies: [
      Response.json({ type: "message", content: [{ type: "text", text: "ok" }], stop_reason: "end_turn" }),
    ],
  });
  await gateway.generate();
  expect(gateway.upstream.calls[0]?.headers.get("anthropic-version")).toBe(version);
});
