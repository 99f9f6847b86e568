// Reported: ids of another vendor's tool calls came back to a vendor that refuses them. Ids are made to fit, different ones stay
// different, and a result still finds its call, also where the client's own bytes are forwarded.
import { expect, test } from "vitest";
import { askedOf } from "./asked.ts";

const IDS = ["functions.Bash:0", "functions.Bash.0", "functions_Bash_0", `call_${"x".repeat(80)}`];

const chat = {
  messages: [
    { role: "user", content: "x" },
    {
      role: "assistant",
      content: null,
      tool_calls: IDS.map((id) => ({ id, type: "function", function: { name: "f", arguments: "{}" } })),
    },
    ...IDS.map((id) => ({ role: "tool", tool_call_id: id, content: "ok" })),
  ],
};
const messages = {
  max_tokens: 10,
  messages: [
    { role: "user", content: "x" },
    { role: "assistant", content: IDS.map((id) => ({ type: "tool_use", id, name: "f", input: {} })) },
    { role: "user", content: IDS.map((id) => ({ type: "tool_result", tool_use_id: id, content: "ok" })) },
  ],
};

/** The ids of calls, and those of results, in the order of the body. */
function idsIn(body: string): { readonly calls: readonly string[]; readonly results: readonly string[] } {
  const all = (pattern: RegExp): string[] => Array.from(body.matchAll(pattern), ([, id = ""]) => id);
  return {
    calls: all(/"(?:id|toolUseId)":"([^"]+)","(?:name|type":"function)|"toolUse":\{"toolUseId":"([^"]+)"/g),
    results: all(/"(?:tool_use_id|tool_call_id)":"([^"]+)"/g),
  };
}

test.each([
  ["anthropic-messages", messages, "anthropic", /^[a-zA-Z0-9_-]{1,64}$/],
  ["openai-chat", chat, "anthropic", /^[a-zA-Z0-9_-]{1,64}$/],
  ["anthropic-messages", messages, "mistral", /^[a-zA-Z0-9]{9}$/],
  ["openai-chat", chat, "mistral", /^[a-zA-Z0-9]{9}$/],
  ["anthropic-messages", messages, "openai", /^.{1,40}$/],
  ["openai-chat", chat, "openai", /^.{1,40}$/],
])("a history fits, %#", (client, body, kind, taken) => {
  const { calls, results } = idsIn(askedOf(client, body, kind).body);
  expect(calls).toHaveLength(IDS.length);
  expect(new Set(calls).size).toBe(IDS.length);
  expect(results).toEqual(calls);
  for (const id of calls) expect(id).toMatch(taken);
});

test("ids that fit stay as they are, and then the client's bytes too", () => {
  const fitting = {
    ...messages,
    messages: [
      { role: "assistant", content: [{ type: "tool_use", id: "toolu_01-a", name: "f", input: {} }] },
    ],
  };
  expect(askedOf("anthropic-messages", fitting, "anthropic").body).toBe(
    JSON.stringify({ model: "claude-sonnet-4-5", ...fitting }),
  );
});
