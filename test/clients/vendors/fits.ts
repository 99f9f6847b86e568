// Reports about what a vendor refuses: parameters together, forms, ids, and history that it can't read as it is.
import { expect } from "vitest";
import type { ReportCase, Seen } from "./report-case.ts";

const SONNET = "claude-sonnet-4-5";
const BEDROCK_SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const A = [{ role: "user", content: "a" }];
const PARAMETERS = { type: "object", properties: { id: { type: "integer" } } };
const TOOL = { type: "function", function: { name: "f", parameters: PARAMETERS } };

const call = (id: string, argumentsJson: string) => ({
  id,
  type: "function",
  function: { name: "f", arguments: argumentsJson },
});
const TWO_CALLS = [
  { role: "user", content: "go" },
  { role: "assistant", content: null, tool_calls: [call("call_1", '{"id":1}'), call("call_2", '{"id":2}')] },
  { role: "tool", tool_call_id: "call_1", content: "one" },
  { role: "tool", tool_call_id: "call_2", content: "two" },
];
const claudeCall = (id: string, before: readonly object[] = []) => [
  { role: "user", content: "x" },
  { role: "assistant", content: [...before, { type: "tool_use", id, name: "f", input: {} }] },
  { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: "ok" }] },
];
const CLAUDE_TOOL = { name: "f", input_schema: { type: "object" } };

const DIGITS = "2512292042121000001";

/** What the vendor was sent, after an answer of 200. */
function sentOf({ status, text, sent }: Seen): Readonly<Record<string, unknown>> {
  expect(status, text).toBe(200);
  expect(sent).toBeDefined();
  return sent?.json ?? {};
}
const dropped = ({ headers }: Seen): readonly string[] =>
  (headers.get("x-headgate-dropped") ?? "").split(", ");

export const FIT_REPORTS: Readonly<Record<string, readonly ReportCase[]>> = {
  "64-bit integers keep their digits in a request": [
    {
      name: "a call of the history, at Claude",
      vendor: "anthropic",
      model: SONNET,
      client: "chat",
      body: {
        tools: [TOOL],
        messages: [
          { role: "user", content: "go" },
          { role: "assistant", content: null, tool_calls: [call("c1", `{"id":${DIGITS}}`)] },
          { role: "tool", tool_call_id: "c1", content: "one" },
        ],
      },
      check: (seen) => {
        sentOf(seen);
        expect(seen.sent?.body).toContain(`"input":{"id":${DIGITS}}`);
      },
    },
    {
      name: "variant: a call of Gemini's history and a bound of its schema, at a compatible server",
      vendor: "openai-compatible",
      client: "gemini",
      body: JSON.stringify({
        tools: [
          {
            functionDeclarations: [
              {
                name: "f",
                parametersJsonSchema: {
                  type: "object",
                  properties: { id: { type: "integer", maximum: "@digits" } },
                },
              },
            ],
          },
        ],
        contents: [
          { role: "user", parts: [{ text: "go" }] },
          { role: "model", parts: [{ functionCall: { name: "f", args: { id: "@digits" } } }] },
          { role: "user", parts: [{ functionResponse: { name: "f", response: { output: "one" } } }] },
        ],
      }).replaceAll('"@digits"', DIGITS),
      check: (seen) => {
        sentOf(seen);
        expect(seen.sent?.body).toContain(`"maximum":${DIGITS}`);
        expect(seen.sent?.body.replaceAll("\\", "")).toContain(`{"id":${DIGITS}}`);
      },
    },
  ],

  "of parameters that are refused together one is left out and named": [
    {
      name: "a temperature beside thinking",
      vendor: "anthropic",
      model: SONNET,
      client: "chat",
      body: { reasoning_effort: "medium", temperature: 0.7, messages: A },
      check: (seen) => {
        expect(sentOf(seen)).toMatchObject({ thinking: { type: "enabled" } });
        expect(seen.sent?.json["temperature"] ?? 1).toBe(1);
        expect(dropped(seen)).toContain("temperature");
      },
    },
    {
      name: "`top_p` beside a temperature",
      vendor: "anthropic",
      model: SONNET,
      client: "chat",
      body: { temperature: 0.7, top_p: 1, messages: A },
      check: (seen) => {
        expect(sentOf(seen)).toMatchObject({ temperature: 0.7 });
        expect(seen.sent?.json).not.toHaveProperty("top_p");
      },
    },
    {
      name: "thinking on a turn of calls that were not signed",
      vendor: "anthropic",
      model: SONNET,
      client: "chat",
      body: { reasoning_effort: "medium", tools: [TOOL], messages: TWO_CALLS },
      check: (seen) => {
        expect(sentOf(seen)).not.toHaveProperty("thinking");
        expect(dropped(seen)).toContain("reasoning_effort");
      },
    },
    {
      name: "variant: a temperature and `top_p` beside thinking, on Bedrock",
      vendor: "bedrock",
      model: BEDROCK_SONNET,
      client: "chat",
      body: { reasoning_effort: "medium", temperature: 0.7, top_p: 0.5, messages: A },
      check: (seen) => {
        expect(JSON.stringify(sentOf(seen))).toContain('"thinking":{"type":"enabled"');
        expect(seen.sent?.body).not.toMatch(/"temperature":0|"topP"/);
        expect(dropped(seen)).toEqual(expect.arrayContaining(["temperature", "top_p"]));
      },
    },
  ],

  "history of calls without definitions of tools": [
    {
      name: "on Bedrock, by OpenAI's wire",
      vendor: "bedrock",
      model: BEDROCK_SONNET,
      client: "chat",
      body: { messages: [...TWO_CALLS, { role: "user", content: "summarise" }] },
      check: (seen) =>
        expect(sentOf(seen)).toMatchObject({ toolConfig: { tools: [{ toolSpec: { name: "f" } }] } }),
    },
    {
      name: "variant: on Bedrock, by Anthropic's wire",
      vendor: "bedrock",
      model: BEDROCK_SONNET,
      client: "messages",
      body: { max_tokens: 10, messages: claudeCall("toolu_1") },
      check: (seen) =>
        expect(sentOf(seen)).toMatchObject({ toolConfig: { tools: [{ toolSpec: { name: "f" } }] } }),
    },
  ],

  "ids of calls are made fit": [
    {
      name: "another vendor's id in Claude's own wire",
      vendor: "anthropic",
      model: SONNET,
      client: "messages",
      body: { max_tokens: 10, messages: claudeCall("functions.Bash:0") },
      check: (seen) => {
        const text = JSON.stringify(sentOf(seen)["messages"]);
        const ids = [...text.matchAll(/"(?:id|tool_use_id)":"([^"]*)"/g)].map(([, id]) => id);
        expect(new Set(ids).size).toBe(1);
        expect(ids).toEqual([expect.stringMatching(/^[a-zA-Z0-9_-]+$/), ids[0]]);
      },
    },
    {
      name: "variant: nine letters or digits at Mistral",
      vendor: "mistral",
      client: "messages",
      body: { max_tokens: 10, messages: claudeCall("toolu_01ABC") },
      check: (seen) => {
        const text = JSON.stringify(sentOf(seen)["messages"]);
        const ids = [...text.matchAll(/"(?:id|tool_call_id)":"([^"]*)"/g)].map(([, id]) => id);
        expect(ids).toEqual([expect.stringMatching(/^[a-zA-Z0-9]{9}$/), ids[0]]);
      },
    },
  ],

  "what one vendor takes and another refuses is made fit": [
    {
      name: "schemas without a type",
      vendor: "anthropic",
      model: SONNET,
      client: "chat",
      body: {
        messages: A,
        tools: [
          { type: "function", function: { name: "f", parameters: {} } },
          {
            type: "function",
            function: { name: "g", parameters: { properties: { a: { type: "string" } } } },
          },
        ],
      },
      check: (seen) =>
        expect(sentOf(seen)).toMatchObject({
          tools: [{ input_schema: { type: "object" } }, { input_schema: { type: "object" } }],
        }),
    },
    {
      name: "a turn of white space",
      vendor: "anthropic",
      model: SONNET,
      client: "chat",
      body: { messages: [...A, { role: "assistant", content: " \n" }, { role: "user", content: "b" }] },
      check: (seen) => expect(seen.sent?.body).not.toMatch(/"(?:text|content)":"[\\n ]*"/),
    },
    {
      name: "a stop sequence of white space",
      vendor: "anthropic",
      model: SONNET,
      client: "chat",
      body: { messages: A, stop: ["\n", "END"] },
      check: ({ status, text, sent }) => {
        if (status === 400) expect(JSON.parse(text)).toMatchObject({ error: { param: "stop" } });
        else expect(sent?.json).toMatchObject({ stop_sequences: ["END"] });
      },
    },
    {
      name: "variant: a schema without a type and a turn of white space, on Bedrock",
      vendor: "bedrock",
      model: BEDROCK_SONNET,
      client: "responses",
      body: {
        input: [
          { role: "user", content: "a" },
          { role: "assistant", content: "\t" },
          { role: "user", content: "b" },
        ],
        tools: [{ type: "function", name: "f", parameters: {} }],
      },
      check: (seen) => {
        expect(sentOf(seen)).toMatchObject({
          toolConfig: { tools: [{ toolSpec: { inputSchema: { json: { type: "object" } } } }] },
        });
        expect(seen.sent?.body).not.toMatch(/"text":"(?:\\[nt]| )*"/);
      },
    },
  ],

  "thoughts that must come back do": [
    {
      name: "Kimi behind a compatible address",
      vendor: "openai-compatible",
      client: "messages",
      body: {
        max_tokens: 100,
        thinking: { type: "enabled", budget_tokens: 2000 },
        tools: [CLAUDE_TOOL],
        messages: claudeCall("t1", [{ type: "thinking", thinking: "hm", signature: "" }]),
      },
      check: checkThoughts,
    },
    {
      name: "variant: thoughts of a client of Gemini's",
      vendor: "openai-compatible",
      client: "gemini",
      body: {
        contents: [
          { role: "user", parts: [{ text: "x" }] },
          {
            role: "model",
            parts: [{ text: "hm", thought: true }, { functionCall: { id: "t1", name: "f", args: {} } }],
          },
          {
            role: "user",
            parts: [{ functionResponse: { id: "t1", name: "f", response: { output: "ok" } } }],
          },
        ],
        tools: [{ functionDeclarations: [{ name: "f" }] }],
      },
      check: checkThoughts,
    },
  ],
};

function checkThoughts(seen: Seen): void {
  expect(sentOf(seen)).toMatchObject({
    messages: [
      { role: "user" },
      { role: "assistant", reasoning_content: "hm", tool_calls: [{ function: { name: "f" } }] },
      { role: "tool" },
    ],
  });
}
