// The simulated model server: its answers, in both forms, as the gateway's own readers understand them.
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../../src/schema/chat.ts";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import { sim } from "../../../../src/providers/sim/sim.ts";
import { fixtureText, parseText } from "../../../support/builders/wire-fixtures.ts";
import { askSim, callSim } from "./sim-call.ts";

const user = (content: unknown) => ({ messages: [{ role: "user", content }] });
const textOf = async (model: string, body: object = {}): Promise<string> =>
  (await askSim(model, body)).choices[0].message.content;

async function streamOf(model: string, body: object = {}): Promise<string> {
  const { response } = await callSim(model, { body: { stream: true, ...body } });
  return response.text();
}

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer", minimum: 2 } },
      required: ["city"],
    },
  },
};
const TIME = {
  type: "function",
  function: { name: "get_time", parameters: { type: "object", properties: {} } },
};

describe("the bytes", () => {
  test("of a whole answer", async () => {
    const { response } = await callSim("echo", { body: user("Grüezi 👋🏽, how are you?") });
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("x-request-id")).toMatch(/^req-chatcmpl-sim[0-9a-f]{8}$/);
    expect(`${await response.text()}\n`).toBe(fixtureText("sim/echo.json"));
  });

  test("of a stream", async () => {
    const body = { ...user("Grüezi 👋🏽, how are you?"), stream_options: { include_usage: true } };
    expect(await streamOf("echo", body)).toBe(fixtureText("sim/echo.sse"));
  });

  test("of a streamed tool call", async () => {
    const body = { ...user("Call get_weather"), tools: [WEATHER] };
    expect(await streamOf("demo", body)).toBe(fixtureText("sim/tools.sse"));
  });
});

describe("text", () => {
  test("echo says the last user text again, parts of it line by line", async () => {
    const messages = [
      { role: "user", content: "First" },
      { role: "assistant", content: "Well" },
      {
        role: "user",
        content: [{ type: "text", text: "Second" }, { type: "image_url" }, { type: "text", text: "2" }],
      },
    ];
    expect(await textOf("echo", { messages })).toBe("Second\n2");
  });

  test("any other model speaks about the prompt, the same each time", async () => {
    const text = await textOf("gpt-9", user("Say hello"));
    expect(text).toContain("Hello from gpt-9");
    expect(text).toContain("“Say hello”");
    expect(await textOf("gpt-9", user("Say hello"))).toBe(text);
    expect(await textOf("gpt-9", user("Say bye"))).not.toBe(text);
  });

  test("a long prompt is quoted in part, never with half a character", async () => {
    const text = await textOf("demo", user(`${"x".repeat(59)}👋${"y".repeat(100_000)}`));
    expect(text.length).toBeLessThan(400);
    expect(text.isWellFormed()).toBe(true);
  });

  test("ends at a stop sequence, which is not said", async () => {
    const { choices } = await askSim("echo", { ...user("one, two. three"), stop: [".", "two"] });
    expect(choices[0]).toMatchObject({ message: { content: "one, " }, finish_reason: "stop" });
  });

  test.each(["max_tokens", "max_completion_tokens"])("ends at %s, and says so", async (name) => {
    const { choices, usage } = await askSim("echo", { ...user("x".repeat(100)), [name]: 3 });
    expect(choices[0]).toMatchObject({ message: { content: "x".repeat(12) }, finish_reason: "length" });
    expect(usage.completion_tokens).toBe(3);
  });

  test("that just fits into max_tokens is whole", async () => {
    const { choices } = await askSim("echo", { ...user("x".repeat(12)), max_tokens: 3 });
    expect(choices[0].finish_reason).toBe("stop");
  });

  test("n choices are n choices, all paid for", async () => {
    const one = await askSim("echo", user("Hi there"));
    const three = await askSim("echo", { ...user("Hi there"), n: 3 });
    expect(three.choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1, 2]);
    expect(three.usage.completion_tokens).toBe(3 * one.usage.completion_tokens);
  });

  test("an empty prompt has an empty echo", async () => {
    expect(await textOf("echo", { messages: [{ role: "system", content: "x" }] })).toBe("");
    expect(await streamOf("echo", user(""))).toContain("[DONE]");
  });
});

describe("usage", () => {
  test("is about a quarter of the characters, and some for each message", async () => {
    const { usage } = await askSim("echo", user("x".repeat(400)));
    expect(usage).toMatchObject({ prompt_tokens: 104, completion_tokens: 100, total_tokens: 204 });
  });

  test("counts half the prompt as cached where a cache key is named", async () => {
    const { usage } = await askSim("echo", { ...user("x".repeat(400)), prompt_cache_key: "k" });
    expect(usage.prompt_tokens_details.cached_tokens).toBe(52);
  });

  test("counts reasoning within the output where effort is asked for, and shows it", async () => {
    const plain = await askSim("echo", user("Why?"));
    const thinking = await askSim("echo", { ...user("Why?"), reasoning_effort: "low" });
    const { reasoning_tokens: reasoning } = thinking.usage.completion_tokens_details;
    expect(thinking.choices[0].message.reasoning_content).toContain("“Why?”");
    expect(reasoning).toBeGreaterThan(0);
    expect(thinking.usage.completion_tokens).toBe(plain.usage.completion_tokens + reasoning);
    expect(plain.usage.completion_tokens_details.reasoning_tokens).toBe(0);
  });

  test("is streamed only where it is asked for", async () => {
    expect(await streamOf("echo")).not.toContain("usage");
    expect(await streamOf("echo", { stream_options: { include_usage: true } })).toContain(
      '"choices":[],"usage":{',
    );
  });
});

describe("tools", () => {
  const callsOf = async (body: object): Promise<readonly string[]> => {
    const { choices } = await askSim("demo", { tools: [WEATHER, TIME], ...body });
    const calls: readonly { function: { name: string } }[] = choices[0].message.tool_calls ?? [];
    expect(choices[0].finish_reason).toBe(calls.length > 0 ? "tool_calls" : "stop");
    return calls.map((call) => call.function.name);
  };

  test("are called where the prompt names them, all of them", async () => {
    expect(await callsOf(user("get_time, please"))).toEqual(["get_time"]);
    expect(await callsOf(user("get_time and GET_WEATHER"))).toEqual(["get_weather", "get_time"]);
  });

  test("are called one at a time where parallel calls are off", async () => {
    expect(await callsOf({ ...user("get_time and get_weather"), parallel_tool_calls: false })).toEqual([
      "get_weather",
    ]);
  });

  test("are not called where the prompt asks for none", async () => {
    expect(await callsOf(user("Hello"))).toEqual([]);
    expect(await callsOf(user("Use a tool"))).toEqual(["get_weather"]);
  });

  test("obey tool_choice", async () => {
    expect(await callsOf({ ...user("Hello"), tool_choice: "required" })).toEqual(["get_weather"]);
    expect(await callsOf({ ...user("get_weather"), tool_choice: "none" })).toEqual([]);
    const named = { type: "function", function: { name: "get_time" } };
    expect(await callsOf({ ...user("Hello"), tool_choice: named })).toEqual(["get_time"]);
  });

  test("are answered after their result", async () => {
    const messages = [
      { role: "user", content: "get_time" },
      { role: "assistant", tool_calls: [{ id: "c" }] },
      { role: "tool", tool_call_id: "c", content: "12:00" },
    ];
    expect(await callsOf({ messages })).toEqual([]);
    expect(await textOf("demo", { messages, tools: [TIME] })).toBe("The tool answered: 12:00");
  });

  test("get arguments that fit their schema", async () => {
    const { choices } = await askSim("demo", { ...user("get_weather"), tools: [WEATHER] });
    const [call] = choices[0].message.tool_calls;
    expect(JSON.parse(call.function.arguments)).toEqual({ city: "city", days: 2 });
    expect(call.id).toMatch(/^call_sim[0-9a-f]{8}$/);
    expect(choices[0].message.content).toBeNull();
  });
});

describe("structured output", () => {
  test("json_object is some JSON object with the answer in it", async () => {
    const text = await textOf("echo", { ...user("Hi"), response_format: { type: "json_object" } });
    expect(JSON.parse(text)).toEqual({ answer: "Hi" });
  });

  test("json_schema is a value of that schema", async () => {
    const schema = {
      type: "object",
      properties: { ok: { type: "boolean" }, tags: { type: "array", items: { enum: ["a"] } } },
    };
    const format = { type: "json_schema", json_schema: { name: "x", schema } };
    expect(JSON.parse(await textOf("echo", { ...user("Hi"), response_format: format }))).toEqual({
      ok: true,
      tags: ["a"],
    });
  });
});

describe("both forms", () => {
  test.each([
    ["text", {}],
    ["reasoning", { reasoning_effort: "high" }],
    ["two choices", { n: 2 }],
    ["tools", { ...user("get_weather and get_time"), tools: [WEATHER, TIME] }],
    ["a cut by length", { max_tokens: 4 }],
  ])("%s says the same in a stream as in one body", async (_, body) => {
    const stream = await streamOf("demo", { ...body, stream_options: { include_usage: true } });
    expect(JSON.parse(openAiChat.wholeFromStream(parseText(stream)))).toEqual(await askSim("demo", body));
  });

  test("a stream is read by the gateway's decoder to its end", async () => {
    const chunks = parseText(await streamOf("echo", user("a b c"))).flatMap(sim.wires[0].decoder());
    const said = chunks.filter((chunk): chunk is ChatChunk & { type: "text" } => chunk.type === "text");
    expect(said.map(({ text }) => text)).toEqual(["a ", "b ", "c"]);
    expect(chunks.slice(-2)).toEqual([{ type: "finish", index: 0, reason: "stop" }, { type: "done" }]);
  });
});

describe("other requests", () => {
  test("a path it does not serve is a 404, a body it can't read a 400", async () => {
    expect((await callSim("echo", { path: "/completions" })).response.status).toBe(404);
    expect((await callSim("echo", { bodyText: "{" })).response.status).toBe(400);
    expect((await callSim("echo", { bodyText: "{}" })).response.status).toBe(400);
  });
});
