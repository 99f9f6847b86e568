// Reports about what a vendor answers: numbers, words for a failure, fragments of calls, counts, and answers in the other form.
import { expect } from "vitest";
import { chatCalls, messageCalls, saidIn } from "./calls.ts";
import {
  chatAnswer,
  chatChunk,
  chatUsage,
  claudeReply,
  claudeText,
  geminiAnswer,
  geminiReply,
  type ReportCase,
} from "./report-case.ts";

/** Above 2^53, so that a number of JavaScript can't hold it. */
const DIGITS = "2512292042121000001";
const withDigits = (value: object): string => JSON.stringify(value).replaceAll('"@digits"', DIGITS);

const TOOL = { type: "function", function: { name: "f", parameters: { type: "object" } } };
const CLAUDE_TOOL = { name: "f", input_schema: { type: "object" } };
const HI = [{ role: "user", content: "hi" }];
const CHAT = { messages: HI };
const MESSAGES = { max_tokens: 100, messages: HI };

const claudeCall = claudeReply(
  [
    {
      start: { type: "tool_use", id: "toolu_1", name: "f", input: {} },
      delta: { type: "input_json_delta", partial_json: `{"id":${DIGITS}}` },
      whole: { type: "tool_use", id: "toolu_1", name: "f", input: { id: "@digits" } },
    },
  ],
  { stopReason: "tool_use" },
);

/** In two fragments, without an index. */
const fragment = (id: string | undefined, name: string | undefined, text: string, index?: number): object =>
  chatChunk({
    tool_calls: [
      {
        ...(index !== undefined && { index }),
        ...(id !== undefined && { id, type: "function" }),
        function: { ...(name !== undefined && { name }), arguments: text },
      },
    ],
  });
const END = [chatChunk({}, "tool_calls"), "[DONE]"] as const;

/** An error in the client's form, which is not kept. */
async function checkFailure({ form, status, text, root }: Parameters<ReportCase["check"]>[0]) {
  if (form === "whole") expect(status, text).toBe(502);
  expect(text).toMatch(/"error":\s*\{/);
  expect(text).not.toContain('"message_stop"');
  expect(await root()).toMatchObject({ "gateway.outcome": "upstream_error" });
}

export const ANSWER_REPORTS: Readonly<Record<string, readonly ReportCase[]>> = {
  "64-bit integers keep their digits in an answer": [
    {
      name: "Claude's call at a client of OpenAI's",
      vendor: "anthropic",
      model: "claude-sonnet-4-5",
      client: "chat",
      body: { ...CHAT, tools: [TOOL] },
      reply: { whole: withDigits(claudeCall.whole as object), streamed: claudeCall.streamed },
      isCached: true,
      check: (seen) => {
        expect(seen.status, seen.text).toBe(200);
        expect(chatCalls(seen)).toEqual([{ name: "f", arguments: `{"id":${DIGITS}}` }]);
      },
    },
    {
      name: "variant: Gemini's call at a client of Anthropic's",
      vendor: "gemini",
      model: "gemini-2.5-pro",
      client: "messages",
      body: { ...MESSAGES, tools: [CLAUDE_TOOL] },
      reply: geminiReply(
        withDigits(geminiAnswer([{ functionCall: { name: "f", args: { ids: ["@digits"] } } }])),
      ),
      isCached: true,
      check: ({ text }) => expect(text.replaceAll("\\", "")).toContain(`{"ids":[${DIGITS}]}`),
    },
  ],

  "a later zero or absent count takes nothing back": [
    {
      name: "zeros of a server that speaks as Anthropic's",
      vendor: "anthropic",
      model: "claude-sonnet-4-5",
      client: "messages",
      body: MESSAGES,
      forms: ["streamed"],
      reply: {
        streamed: claudeText("ok", { input_tokens: 233_535, output_tokens: 1 }).streamed.map((event) =>
          typeof event === "object" && "usage" in event
            ? {
                ...event,
                usage: {
                  input_tokens: 0,
                  cache_read_input_tokens: 0,
                  cache_creation_input_tokens: 0,
                  output_tokens: 23,
                },
              }
            : event,
        ),
      },
      check: async ({ root }) =>
        expect(await root()).toMatchObject({
          "gen_ai.usage.input_tokens": 233_535,
          "gen_ai.usage.output_tokens": 23,
          "gateway.usage.source": "provider",
          // At 6 and 22.50 per million: this model took a prompt above 200,000 tokens in a beta only, which billed all of it so
          // (https://platform.claude.com/docs/en/about-claude/pricing; the model's page of 2026-11 has a window of 200,000).
          "gateway.cost.usd": 1.401728,
        }),
    },
    {
      name: "variant: a last chunk of zeros at a client of Anthropic's",
      vendor: "openai-compatible",
      client: "messages",
      body: MESSAGES,
      forms: ["streamed"],
      reply: {
        streamed: [
          chatChunk({ content: "ok" }),
          chatUsage({ prompt_tokens: 500, completion_tokens: 20, total_tokens: 520 }),
          chatChunk({}, "stop"),
          chatUsage({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }),
          "[DONE]",
        ],
      },
      check: async ({ text, root }) => {
        expect(text).toContain('"output_tokens":20');
        expect(await root()).toMatchObject({
          "gen_ai.usage.input_tokens": 500,
          "gen_ai.usage.output_tokens": 20,
        });
      },
    },
  ],

  "a vendor's word for a failure is a failure": [
    {
      name: "the finish word `error` at a client of Anthropic's",
      vendor: "openrouter",
      client: "messages",
      body: MESSAGES,
      reply: {
        whole: chatAnswer({ content: "hi" }, "error"),
        streamed: [chatChunk({ content: "hi" }), chatChunk({}, "error"), "[DONE]"],
      },
      check: checkFailure,
    },
    {
      name: "variant: a malformed call of Gemini's at a client of OpenAI's",
      vendor: "gemini",
      model: "gemini-2.5-flash",
      client: "chat",
      body: CHAT,
      reply: geminiReply(
        geminiAnswer([], {
          candidates: [{ content: { role: "model" }, finishReason: "MALFORMED_FUNCTION_CALL", index: 0 }],
        }),
      ),
      check: checkFailure,
    },
  ],

  "fragments of calls are joined by what tells them apart": [
    {
      name: "two calls with one index",
      vendor: "openai-compatible",
      client: "messages",
      body: MESSAGES,
      forms: ["streamed"],
      reply: {
        streamed: [fragment("call_a", "f", '{"a":1}', 0), fragment("call_b", "g", '{"b":2}', 0), ...END],
      },
      isCached: true,
      check: (seen) =>
        expect(messageCalls(seen)).toEqual([
          { name: "f", arguments: '{"a":1}' },
          { name: "g", arguments: '{"b":2}' },
        ]),
    },
    {
      name: "one call without an index, from the cache",
      vendor: "openai-compatible",
      client: "chat",
      body: CHAT,
      forms: ["streamed"],
      reply: { streamed: [fragment("a", "f", '{"a":'), fragment("a", undefined, "1}"), ...END] },
      isCached: true,
      check: (seen) => {
        // As a stream, a client of the vendor's own wire gets the vendor's own bytes.
        if (seen.form === "streamed") return;
        expect(chatCalls(seen)).toEqual([{ name: "f", arguments: '{"a":1}' }]);
      },
    },
    {
      name: "variant: two calls without an index, the second in pieces without an id",
      vendor: "openai-compatible",
      client: "messages",
      body: MESSAGES,
      forms: ["streamed"],
      reply: {
        streamed: [
          fragment("a", "f", '{"a":1}'),
          fragment("b", "g", '{"b":'),
          fragment(undefined, undefined, "2}"),
          ...END,
        ],
      },
      isCached: true,
      check: (seen) =>
        expect(messageCalls(seen)).toEqual([
          { name: "f", arguments: '{"a":1}' },
          { name: "g", arguments: '{"b":2}' },
        ]),
    },
  ],

  "an answer in the other form is read as what it is": [
    {
      name: "an error under a status of success where a stream was asked for",
      vendor: "openai-compatible",
      client: "chat",
      body: CHAT,
      reply: { whole: { error: { message: "quota used up", type: "insufficient_quota", code: 429 } } },
      check: ({ status, text }) => {
        expect(status, text).toBe(502);
        expect(JSON.parse(text)).toMatchObject({ error: { code: "upstream_error" } });
        expect(text).toContain("an error body with a 2xx status");
      },
    },
    {
      name: "variant: a whole answer where a stream was asked for",
      vendor: "openai-compatible",
      client: "messages",
      body: MESSAGES,
      reply: { whole: chatAnswer({ content: "all of it" }) },
      check: async ({ status, text, root }) => {
        expect(status, text).toBe(200);
        expect(text).toContain("all of it");
        expect(await root()).toMatchObject({
          "gateway.usage.source": "provider",
          "gen_ai.usage.output_tokens": 2,
        });
      },
    },
    {
      name: "variant: a stream where a whole answer was asked for",
      vendor: "openai-compatible",
      client: "chat",
      body: CHAT,
      forms: ["whole"],
      reply: {
        streamed: [
          chatChunk({ content: "in " }),
          chatChunk({ content: "parts" }, "stop"),
          chatUsage(),
          "[DONE]",
        ],
      },
      check: ({ status, text }) => {
        // One of the two, never a success without the answer's text.
        if (status === 200) expect(text).toContain("in parts");
        else expect(JSON.parse(text)).toMatchObject({ error: { code: "upstream_error" } });
      },
    },
  ],

  "a chunk that was not asked for is not sent": [
    {
      name: "`include_usage: false`",
      vendor: "openai-compatible",
      client: "chat",
      body: { ...CHAT, stream_options: { include_usage: false } },
      forms: ["streamed"],
      check: checkNoEmptyChunk,
    },
    {
      name: "variant: no word of usage, and a vendor of another wire",
      vendor: "anthropic",
      model: "claude-sonnet-4-5",
      client: "chat",
      body: CHAT,
      forms: ["streamed"],
      check: checkNoEmptyChunk,
    },
  ],
};

async function checkNoEmptyChunk(seen: Parameters<ReportCase["check"]>[0]) {
  expect(seen.status, seen.text).toBe(200);
  const chunks = saidIn(seen);
  expect(chunks.length).toBeGreaterThan(1);
  for (const { choices = [] } of chunks) expect(choices).toHaveLength(1);
  expect(await seen.root()).toMatchObject({
    "gateway.usage.source": "provider",
    "gen_ai.usage.output_tokens": 2,
  });
}
