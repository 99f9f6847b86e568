// Reported: 64-bit integers in tool arguments and schemas lost their last digits in translation. They keep them between each pair of
// wires, in requests, in whole answers and in streams.
import { describe, expect, test } from "vitest";
import type { ChatResponse } from "../../../../src/schema/chat.ts";
import { parseJson } from "../../../../src/json/exact.ts";
import { streamOf, wireNamed } from "../../../support/builders/wire-named.ts";
import { askedOf, UPSTREAMS } from "./asked.ts";

const ID = "2512292042121000001";
const ARGUMENTS = `{"id":${ID},"deep":{"list":[-9223372036854775808]}}`;
const SCHEMA = `{"type":"object","properties":{"id":{"type":"integer","maximum":9223372036854775807}}}`;

const HISTORIES: Readonly<Record<string, string>> = {
  "openai-chat": `{"model":"a/m","tools":[{"type":"function","function":{"name":"f","parameters":${SCHEMA}}}],"messages":[
    {"role":"user","content":"go"},
    {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":${JSON.stringify(ARGUMENTS)}}}]},
    {"role":"tool","tool_call_id":"c1","content":"one"}]}`,
  "openai-responses": `{"model":"a/m","tools":[{"type":"function","name":"f","parameters":${SCHEMA}}],"input":[
    {"role":"user","content":"go"},
    {"type":"function_call","call_id":"c1","name":"f","arguments":${JSON.stringify(ARGUMENTS)}},
    {"type":"function_call_output","call_id":"c1","output":"one"}]}`,
  "anthropic-messages": `{"model":"a/m","max_tokens":9,"tools":[{"name":"f","input_schema":${SCHEMA}}],"messages":[
    {"role":"user","content":"go"},
    {"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":${ARGUMENTS}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"one"}]}]}`,
  gemini: `{"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":${SCHEMA}}]}],"contents":[
    {"role":"user","parts":[{"text":"go"}]},
    {"role":"model","parts":[{"functionCall":{"name":"f","args":${ARGUMENTS}}}]},
    {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"one"}}}]}]}`,
};

describe.each(Object.keys(HISTORIES))("%s clients", (client) => {
  test.each(UPSTREAMS)("a history with long integers reaches %s digit for digit", (upstream) => {
    const body = askedOf(client, HISTORIES[client] ?? "", upstream).body.replaceAll(String.raw`\"`, '"');
    for (const digits of [ID, "-9223372036854775808", "9223372036854775807"]) expect(body).toContain(digits);
  });

  test("get a call's long integers digit for digit, whole, streamed and from the cache in the other form", () => {
    const wire = wireNamed(client);
    if ("operation" in wire) throw new Error("not a chat wire");
    const response: ChatResponse = {
      id: "r1",
      model: "m",
      choices: [
        {
          index: 0,
          text: "",
          toolCalls: [{ id: "c1", name: "f", argumentsJson: ARGUMENTS }],
          finishReason: "tool_calls",
        },
      ],
    };
    const chat = wire.parseRequest(HISTORIES[client] ?? "", { model: "a/m" });
    const encoder = wire.encoder(chat);
    const streamed =
      encoder.push([
        { type: "start", id: "r1", model: "m" },
        { type: "tool_call", index: 0, call: 0, id: "c1", name: "f", argumentsFragment: ARGUMENTS },
        { type: "finish", index: 0, reason: "tool_calls" },
      ]) + encoder.end();
    const whole = wire.formatResponse(response, chat);
    const forms = [
      whole,
      streamed,
      wire.wholeFromStream(streamOf(streamed)),
      wire.wholeFromStream(streamOf(wire.streamFromWhole(whole, chat))),
    ];
    for (const form of forms) expect(form.replaceAll(String.raw`\"`, '"')).toContain(ID);
  });
});

test.each([
  [
    "anthropic",
    `{"type":"message","content":[{"type":"tool_use","id":"c1","name":"f","input":${ARGUMENTS}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}`,
  ],
  [
    "gemini",
    `{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":${ARGUMENTS}}}]},"finishReason":"STOP"}]}`,
  ],
  [
    "bedrock",
    `{"output":{"message":{"content":[{"toolUse":{"toolUseId":"c1","name":"f","input":${ARGUMENTS}}}]}},"stopReason":"tool_use"}`,
  ],
])("an answer of %s is read digit for digit", (upstream, body) => {
  const { response } = askedOf("openai-chat", HISTORIES["openai-chat"] ?? "", upstream);
  const [call] = response(parseJson(body)).choices[0]?.toolCalls ?? [];
  expect(call?.argumentsJson).toBe(ARGUMENTS);
});
