// Reported: tools that take free text (Codex's apply_patch) were refused where the upstream speaks another wire. They are declared as a
// function of one string, and their calls come back in the client's form, whole and streamed.
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import { streamOf, wireNamed } from "../../../support/builders/wire-named.ts";
import { askedOf, UPSTREAMS } from "./asked.ts";

const PATCH = '*** Begin "Patch"\n+x';
const NAME = "apply_patch";
const GRAMMAR = { syntax: "lark", definition: "start: /.+/s" };

const CLIENTS = {
  "openai-responses": {
    tools: [
      { type: "custom", name: NAME, description: "freeform patch", format: { type: "grammar", ...GRAMMAR } },
    ],
    input: [
      { role: "user", content: "hi" },
      { type: "custom_tool_call", call_id: "c1", name: NAME, input: PATCH },
      { type: "custom_tool_call_output", call_id: "c1", output: "done" },
    ],
  },
  "openai-chat": {
    tools: [
      {
        type: "custom",
        custom: { name: NAME, description: "freeform patch", format: { type: "grammar", grammar: GRAMMAR } },
      },
    ],
    messages: [
      { role: "user", content: "hi" },
      { role: "assistant", tool_calls: [{ id: "c1", type: "custom", custom: { name: NAME, input: PATCH } }] },
      { role: "tool", tool_call_id: "c1", content: "done" },
    ],
  },
} as const;

describe.each(Object.entries(CLIENTS))("%s clients", (client, body) => {
  const others = UPSTREAMS.filter((kind) =>
    client === "openai-chat"
      ? ["anthropic", "bedrock", "gemini", "cohere"].includes(kind)
      : kind !== "openai",
  );

  test.each(others)("have such a tool and its earlier call told to %s", (kind) => {
    const { body: sent, dropped } = askedOf(client, body, kind);
    expect(dropped).toEqual([]);
    for (const part of [NAME, "freeform patch", "start: /.+/s", "*** Begin", "done"])
      expect(sent).toContain(part);
  });

  const argumentsJson = JSON.stringify({ input: PATCH });
  const wire = wireNamed(client);
  if ("operation" in wire) throw new Error("not a chat wire");
  const chat = wire.parseRequest(JSON.stringify({ model: "a/m", stream: true, ...body }));
  const whole = wire.formatResponse(
    {
      id: "r",
      choices: [
        {
          index: 0,
          text: "",
          toolCalls: [{ id: "c2", name: NAME, argumentsJson }],
          finishReason: "tool_calls",
        },
      ],
    },
    chat,
  );
  const called =
    client === "openai-chat"
      ? { type: "custom", id: "c2", custom: { name: NAME, input: PATCH } }
      : { type: "custom_tool_call", call_id: "c2", name: NAME, input: PATCH, status: "completed" };

  const callIn = (text: string): unknown => {
    const answer = JSON.parse(text);
    return answer.choices?.[0].message.tool_calls[0] ?? answer.output.at(-1);
  };

  test("get a call of it in their form", () => {
    expect(callIn(whole)).toMatchObject(called);
  });

  test("get it streamed in their form", () => {
    const encoder = wire.encoder(chat);
    const chunks: ChatChunk[] = [
      {
        type: "tool_call",
        index: 0,
        call: 0,
        id: "c2",
        name: NAME,
        argumentsFragment: argumentsJson.slice(0, 9),
      },
      { type: "tool_call", index: 0, call: 0, argumentsFragment: argumentsJson.slice(9) },
      { type: "finish", index: 0, reason: "tool_calls" },
    ];
    const text = encoder.push(chunks) + encoder.end();
    expect(callIn(wire.wholeFromStream(streamOf(text)))).toMatchObject(called);
    expect(text).not.toContain("function_call");
  });
});

test("arguments of another form are the text that they are", () => {
  const wire = wireNamed("openai-responses");
  if ("operation" in wire) throw new Error("not a chat wire");
  const chat = wire.parseRequest(JSON.stringify({ model: "a/m", ...CLIENTS["openai-responses"] }));
  const answer = wire.formatResponse(
    {
      choices: [
        {
          index: 0,
          text: "",
          toolCalls: [{ id: "c", name: NAME, argumentsJson: "plain" }],
          finishReason: "stop",
        },
      ],
    },
    chat,
  );
  expect(JSON.parse(answer).output[0]).toMatchObject({ type: "custom_tool_call", input: "plain" });
});
