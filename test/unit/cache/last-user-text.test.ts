// What of a request is compared by meaning, and what must be equal, in each wire that clients speak.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cutLastUserText } from "../../../src/cache/last-user-text.ts";
import type { WireName } from "../../../src/schema/chat.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { wireNamed } from "../../support/builders/wire-named.ts";

const SYSTEM = { role: "system", content: "Be brief." };
const image = { type: "image_url", image_url: { url: "https://example.com/a.png" } };

describe("the last user text", () => {
  test.each<[WireName, object, object]>([
    [
      "openai-chat",
      { messages: [SYSTEM, { role: "user", content: "Hi?" }] },
      { messages: [SYSTEM, { role: "user", content: "" }] },
    ],
    [
      "openai-chat",
      { messages: [{ role: "user", name: "Ann", content: [{ type: "text", text: "Hi?" }] }] },
      { messages: [{ role: "user", name: "Ann", content: [{ type: "text", text: "" }] }] },
    ],
    [
      "anthropic-messages",
      {
        system: "x",
        messages: [{ role: "user", content: [{ type: "text", text: "Hi?", cache_control: { type: "e" } }] }],
      },
      {
        system: "x",
        messages: [{ role: "user", content: [{ type: "text", text: "", cache_control: { type: "e" } }] }],
      },
    ],
    ["openai-responses", { instructions: "x", input: "Hi?" }, { instructions: "x", input: "" }],
    [
      "openai-responses",
      { input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "Hi?" }] }] },
      { input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "" }] }] },
    ],
    ["gemini", { contents: [{ parts: [{ text: "Hi?" }] }] }, { contents: [{ parts: [{ text: "" }] }] }],
    [
      "gemini",
      {
        contents: [
          { role: "model", parts: [{ text: "?" }] },
          { role: "user", parts: [{ text: "Hi?" }] },
        ],
      },
      {
        contents: [
          { role: "model", parts: [{ text: "?" }] },
          { role: "user", parts: [{ text: "" }] },
        ],
      },
    ],
  ])("is taken out of %s, and all else is the rest", (dialect, body, rest) => {
    expect(cutLastUserText({ wire: wireNamed(dialect), body: { ...body, temperature: 0 } })).toEqual({
      text: "Hi?",
      rest: { ...rest, temperature: 0 },
    });
  });

  test("is all of its parts, whose number stays in the rest", () => {
    const content = [
      { type: "text", text: "Look" },
      { type: "text", text: "here" },
    ];
    const cut = cutLastUserText({ wire: openAiChat, body: { messages: [{ role: "user", content }] } });
    expect(cut).toEqual({
      text: "Look\nhere",
      rest: {
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "" },
              { type: "text", text: "" },
            ],
          },
        ],
      },
    });
  });

  test.each<[string, WireName, object]>([
    [
      "no_user_text",
      "openai-chat",
      {
        messages: [
          { role: "user", content: "Hi" },
          { role: "assistant", content: "Yo" },
        ],
      },
    ],
    ["no_user_text", "openai-chat", { messages: [{ role: "tool", tool_call_id: "1", content: "42" }] }],
    ["no_user_text", "openai-chat", { messages: [{ role: "user", content: "  " }] }],
    ["no_user_text", "openai-chat", { messages: [] }],
    ["no_user_text", "openai-chat", { messages: [{ role: "user" }] }],
    ["no_user_text", "openai-responses", { prompt: { id: "pmpt_1" } }],
    ["no_user_text", "openai-responses", { input: [{ type: "function_call_output", output: "42" }] }],
    ["no_user_text", "gemini", { contents: [{ role: "model", parts: [{ text: "Hi" }] }] }],
    ["no_user_text", "openai-embeddings", { input: "Hi" }],
    [
      "not_only_text",
      "openai-chat",
      { messages: [{ role: "user", content: [{ type: "text", text: "Hi" }, image] }] },
    ],
    [
      "not_only_text",
      "openai-chat",
      { messages: [{ role: "user", content: [{ type: "input_audio", input_audio: {} }] }] },
    ],
    [
      "not_only_text",
      "anthropic-messages",
      { messages: [{ role: "user", content: [{ type: "tool_result", content: "42" }] }] },
    ],
    ["not_only_text", "gemini", { contents: [{ parts: [{ text: "Hi" }, { inlineData: { data: "" } }] }] }],
    ["text_too_long", "openai-chat", { messages: [{ role: "user", content: "x".repeat(32_001) }] }],
  ])("is none: %s (%s)", (reason, dialect, body) => {
    expect(cutLastUserText({ wire: wireNamed(dialect), body: { ...body } })).toEqual({ reason });
  });

  test("leaves the request itself as it was", () => {
    const body = { messages: [{ role: "user", content: [{ type: "text", text: "Hi" }] }] };
    const before = structuredClone(body);
    cutLastUserText({ wire: openAiChat, body });
    expect(body).toEqual(before);
  });

  test("is never thrown over, whatever the body is", () => {
    const dialect = fc.constantFrom<WireName>(
      "openai-chat",
      "openai-responses",
      "anthropic-messages",
      "gemini",
    );
    const turns = fc.oneof(
      fc.jsonValue(),
      fc.array(
        fc.record({
          role: fc.constantFrom("user", "model", null),
          content: fc.jsonValue(),
          parts: fc.array(fc.jsonValue()),
        }),
      ),
    );
    fc.assert(
      fc.property(dialect, turns, (name, list) => {
        const cut = cutLastUserText({
          wire: wireNamed(name),
          body: { messages: list, input: list, contents: list },
        });
        expect(cut.text === undefined ? cut.reason : cut.text).not.toBe("");
      }),
    );
  });
});
