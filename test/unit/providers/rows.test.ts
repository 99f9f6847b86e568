// The quirks of the OpenAI-compatible vendors, row by row: what each is sent and how its answers are read.
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../src/schema/chat.ts";
import type { Conversation, Message } from "../../../src/schema/conversation.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { geminiGenerateContent } from "../../../src/wires/gemini/client-wire.ts";
import { OPENAI_COMPATIBLE_ROWS } from "../../../src/providers/openai-rows.ts";
import type { Provider } from "../../../src/providers/provider.ts";
import { providerOf } from "../../../src/providers/registry.ts";

type Row = (typeof OPENAI_COMPATIBLE_ROWS)[number];
type Kind = Row["kind"];

const GEMINI_CLIENT = geminiGenerateContent.parseRequest('{"contents":[{"parts":[{"text":"Hi"}]}]}', {
  model: "p/m",
});
const NOTHING: Conversation = { system: [], messages: [], tools: [], sampling: {} };

function targetOf({ kind, defaultBaseUrl = "https://up.test/v1" }: Provider) {
  const account = { name: "up", kind, baseUrl: defaultBaseUrl, apiKey: "key-1", headers: {}, options: {} };
  return { model: "m", account: { ...account, propagateTrace: false } };
}

/** What a translated conversation becomes, and what of it was dropped. */
function write(kind: Kind, fields: Partial<Conversation>, stream = false) {
  const provider = providerOf(kind);
  const dropped: string[] = [];
  const translation = {
    conversation: { ...NOTHING, ...fields },
    drop: (field: string) => void dropped.push(field),
  };
  const request = provider.wires[0].toRequest({ ...GEMINI_CLIENT, stream }, targetOf(provider), translation);
  return { ...request, json: JSON.parse(request.body ?? ""), dropped };
}

/** What an OpenAI client's body becomes. */
function forward(kind: Kind, fields: object) {
  const provider = providerOf(kind);
  const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hi" }], ...fields });
  const request = provider.wires[0].toRequest(openAiChat.parseRequest(body), targetOf(provider));
  const { model: _, messages: __, ...rest } = JSON.parse(request.body ?? "");
  return rest;
}

const read = (kind: Kind, body: object) => providerOf(kind).wires[0].toResponse(body);
const decode = (kind: Kind, ...events: object[]): readonly ChatChunk[] =>
  events
    .map((event) => ({ event: "message", data: JSON.stringify(event) }))
    .flatMap(providerOf(kind).wires[0].decoder());

const THOUGHT: Message = {
  role: "assistant",
  parts: [
    { type: "reasoning", text: "Hm.", signature: "s1" },
    { type: "text", text: "Yes." },
  ],
};

describe("addresses and keys", () => {
  test.each([
    ["openai", "https://api.openai.com/v1"],
    ["mistral", "https://api.mistral.ai/v1"],
    ["groq", "https://api.groq.com/openai/v1"],
    ["deepseek", "https://api.deepseek.com"],
    ["xai", "https://api.x.ai/v1"],
    ["openrouter", "https://openrouter.ai/api/v1"],
    ["together", "https://api.together.ai/v1"],
    ["fireworks", "https://api.fireworks.ai/inference/v1"],
    ["perplexity", "https://api.perplexity.ai"],
    ["cerebras", "https://api.cerebras.ai/v1"],
    ["nvidia", "https://integrate.api.nvidia.com/v1"],
    ["hugging-face", "https://router.huggingface.co/v1"],
    ["moonshot", "https://api.moonshot.ai/v1"],
    ["ollama", "http://localhost:11434/v1"],
    ["vllm", "http://localhost:8000/v1"],
    ["llama-cpp", "http://localhost:8080/v1"],
    ["lm-studio", "http://localhost:1234/v1"],
    ["litellm", "http://localhost:4000/v1"],
  ] as const)("%s is called at %s with a bearer token", (kind, base) => {
    const { url, headers } = write(kind, {});
    expect(url).toBe(`${base}/chat/completions`);
    expect(headers["authorization"]).toBe("Bearer key-1");
  });

  test("portkey takes its key in a header of its own", () => {
    const { url, headers } = write("portkey", {});
    expect(url).toBe("https://api.portkey.ai/v1/chat/completions");
    expect(headers).toEqual({ "content-type": "application/json", "x-portkey-api-key": "key-1" });
  });

  test.each(["databricks", "mlflow", "openai-compatible"] as const)(
    "%s has no address of its own",
    (kind) => {
      expect(providerOf(kind).defaultBaseUrl).toBeUndefined();
    },
  );

  test("spans name the vendor in the conventions' words", () => {
    const names = Object.fromEntries(OPENAI_COMPATIBLE_ROWS.map(({ kind, vendor }) => [kind, vendor]));
    expect(names).toMatchObject({
      mistral: "mistral_ai",
      xai: "x_ai",
      moonshot: "moonshot_ai",
      "hugging-face": "hugging_face",
    });
    expect(Object.values(names).every((name) => /^[a-z_]+$/.test(name))).toBe(true);
  });
});

describe("the limit of tokens", () => {
  const sampling = { maxOutputTokens: 9 };
  test.each(["openai", "groq", "xai", "cerebras"] as const)("%s gets max_completion_tokens", (kind) => {
    expect(write(kind, { sampling }).json).toMatchObject({ max_completion_tokens: 9 });
  });

  test.each(["mistral", "deepseek", "perplexity", "databricks", "ollama", "lm-studio"] as const)(
    "%s gets max_tokens, also from an OpenAI client that says it the new way",
    (kind) => {
      expect(write(kind, { sampling }).json).toMatchObject({ max_tokens: 9 });
      expect(forward(kind, { max_completion_tokens: 9 })).toEqual({ max_tokens: 9 });
      expect(forward(kind, { max_tokens: 8, max_completion_tokens: 9 })).toEqual({
        max_tokens: 8,
        max_completion_tokens: 9,
      });
    },
  );
});

describe("usage of streams", () => {
  test("is asked for where the vendor takes the question", () => {
    for (const { kind, takesStreamOptions } of OPENAI_COMPATIBLE_ROWS) {
      const asked = { include_usage: true };
      expect(write(kind, {}, true).json.stream_options).toEqual(takesStreamOptions ? asked : undefined);
      expect(forward(kind, { stream: true }).stream_options).toEqual(takesStreamOptions ? asked : undefined);
    }
  });

  test.each(["mistral", "perplexity"] as const)(
    "%s is spared a client's stream_options, which it refuses",
    (kind) => {
      expect(forward(kind, { stream: true, stream_options: { include_usage: true } })).toEqual({
        stream: true,
        stream_options: null,
      });
    },
  );

  test("groq may put it into x_groq, moonshot into the choice that ends", () => {
    const usage = { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 };
    const expected = { type: "usage", usage: { inputTokens: 12, outputTokens: 5 } };
    const finish = { index: 0, delta: {}, finish_reason: "stop" };
    expect(decode("groq", { choices: [finish], x_groq: { id: "r", usage } }).at(-1)).toEqual(expected);
    expect(decode("moonshot", { choices: [{ ...finish, usage }] }).at(-1)).toEqual(expected);
  });

  test("perplexity's and databricks' stands in each event: the last one counts", () => {
    const event = (completion_tokens: number) => ({
      choices: [],
      usage: { prompt_tokens: 3, completion_tokens },
    });
    expect(decode("perplexity", event(1), event(2))).toHaveLength(2);
  });
});

describe("counts", () => {
  const usageOf = (kind: Kind, usage: object) =>
    read(kind, {
      choices: [{ message: { content: "x" } }],
      usage: { prompt_tokens: 20, completion_tokens: 5, ...usage },
    }).usage;

  test("cached tokens under deepseek's and moonshot's names", () => {
    expect(
      usageOf("deepseek", { prompt_cache_hit_tokens: 16, prompt_cache_miss_tokens: 4 })?.cacheReadTokens,
    ).toBe(16);
    expect(usageOf("moonshot", { cached_tokens: 8 })?.cacheReadTokens).toBe(8);
  });

  test("xai counts thoughts beside the output, others in it", () => {
    const details = { completion_tokens_details: { reasoning_tokens: 100 } };
    expect(usageOf("xai", { total_tokens: 125, ...details })).toMatchObject({
      outputTokens: 105,
      reasoningTokens: 100,
    });
    expect(usageOf("groq", { completion_tokens: 105, total_tokens: 125, ...details })).toMatchObject({
      outputTokens: 105,
    });
  });
});

describe("thoughts", () => {
  test.each([
    ["deepseek", { reasoning_content: "Hm." }],
    ["moonshot", { reasoning_content: "Hm." }],
    ["fireworks", { reasoning_content: "Hm." }],
    ["cerebras", { reasoning: "Hm." }],
    [
      "openrouter",
      {
        reasoning_details: [
          { type: "reasoning.text", text: "Hm.", signature: "s1", format: "anthropic-claude-v1" },
        ],
      },
    ],
  ] as const)("%s gets them back as %j", (kind, fields) => {
    expect(write(kind, { messages: [THOUGHT] }).json.messages).toEqual([
      { role: "assistant", content: "Yes.", ...fields },
    ]);
  });

  test.each(["openai", "mistral", "groq", "xai"] as const)("%s, which refuses them, does not", (kind) => {
    expect(write(kind, { messages: [THOUGHT] }).json.messages).toEqual([
      { role: "assistant", content: "Yes." },
    ]);
  });

  test.each([
    ["groq", { reasoning: "Hm.", content: "Yes." }],
    ["deepseek", { reasoning_content: "Hm.", content: "Yes." }],
    [
      "mistral",
      {
        content: [
          { type: "thinking", thinking: [{ type: "text", text: "Hm." }] },
          { type: "text", text: "Yes." },
        ],
      },
    ],
    [
      "databricks",
      {
        content: [
          { type: "reasoning", summary: [{ type: "summary_text", text: "Hm." }] },
          { type: "text", text: "Yes." },
        ],
      },
    ],
  ] as const)("%s writes them as %j", (kind, message) => {
    expect(read(kind, { choices: [{ message }] }).choices[0]).toMatchObject({
      reasoning: "Hm.",
      text: "Yes.",
    });
    expect(decode(kind, { choices: [{ delta: message }] })).toEqual([
      { type: "reasoning", index: 0, text: "Hm." },
      { type: "text", index: 0, text: "Yes." },
    ]);
  });

  test.each([
    ["deepseek", { thinking: { type: "disabled" } }],
    ["moonshot", { thinking: { type: "disabled" } }],
    ["openrouter", { reasoning: { enabled: false } }],
    ["ollama", { reasoning_effort: "none" }],
    ["openai", {}],
  ] as const)("%s is asked not to think by %j", (kind, fields) => {
    const { model: _, messages: __, ...rest } = write(kind, { reasoning: { effort: "none" } }).json;
    expect(rest).toEqual(fields);
  });
});

describe("what vendors lack", () => {
  const sampling = {
    frequencyPenalty: 1,
    presencePenalty: 1,
    seed: 7,
    stopSequences: ["END"],
    topLogprobs: 2,
    choiceCount: 2,
  };
  const config = (...names: string[]) => names.map((name) => `generationConfig.${name}`);
  test.each([
    ["mistral", config("responseLogprobs")],
    ["groq", config("responseLogprobs", "candidateCount")],
    ["deepseek", config("candidateCount")],
    ["xai", config("frequencyPenalty", "presencePenalty", "stopSequences")],
    ["perplexity", config("stopSequences", "seed", "responseLogprobs", "candidateCount")],
    ["cerebras", config("frequencyPenalty", "presencePenalty")],
    ["ollama", config("candidateCount")],
    ["openai", []],
  ] as const)("%s: %j", (kind, dropped) => {
    expect(write(kind, { sampling }).dropped).toEqual(dropped);
    expect(write(kind, { sampling: { choiceCount: 1 } }).dropped).toEqual([]);
  });

  test("mistral has another name for the seed, and refuses a user", () => {
    expect(write("mistral", { sampling: { seed: 7 }, endUser: "u" }).json).toEqual({
      model: "m",
      messages: [],
      random_seed: 7,
    });
    expect(forward("mistral", { seed: 7 })).toEqual({ random_seed: 7 });
  });

  test("deepseek writes JSON, but by no schema", () => {
    const { json, dropped } = write("deepseek", { output: { type: "json_schema", name: "n", schema: {} } });
    expect(json.response_format).toEqual({ type: "json_object" });
    expect(dropped).toEqual(["generationConfig.responseMimeType"]);
  });

  test("perplexity calls no tools", () => {
    const { json, dropped } = write("perplexity", { tools: [{ name: "f" }] });
    expect(json.tools).toBeUndefined();
    expect(dropped).toEqual(["tools"]);
  });

  test("ollama can't be made to call one, but can be kept from it", () => {
    const tools = [{ name: "f" }];
    expect(write("ollama", { tools, toolChoice: { type: "required" } }).dropped).toEqual(["toolConfig"]);
    const none = write("ollama", { tools, toolChoice: { type: "none" } });
    expect(none.dropped).toEqual([]);
    expect(none.json.tools).toBeUndefined();
    expect(write("ollama", { tools, toolChoice: { type: "auto" } }).json.tools).toHaveLength(1);
  });

  test.each(["groq", "deepseek", "xai", "cerebras", "hugging-face", "moonshot"] as const)(
    "%s has no embeddings",
    (kind) => {
      expect(providerOf(kind).embeddings).toBeUndefined();
    },
  );

  test("only those that know top_k and cache marks get them", () => {
    const marked: Message = { role: "user", parts: [{ type: "text", text: "Hi", cacheMark: {} }] };
    const cached = { type: "text", text: "Hi", cache_control: { type: "ephemeral" } };
    for (const kind of ["openrouter", "litellm"] as const) {
      const { json, dropped } = write(kind, { messages: [marked], sampling: { topK: 3 } });
      expect(json).toMatchObject({ top_k: 3, messages: [{ content: [cached] }] });
      expect(dropped).toEqual([]);
    }
    expect(write("groq", { messages: [marked], sampling: { topK: 3 } })).toMatchObject({
      json: { messages: [{ content: "Hi" }] },
      dropped: ["generationConfig.topK"],
    });
  });
});

describe("calls", () => {
  test("mistral takes ids of nine characters only: the same short one for the same long one", () => {
    const messages: readonly Message[] = [
      {
        role: "assistant",
        parts: [
          { type: "tool_call", id: "call_8dS2Vm6bWpJ4oUqXq0Yv3zkT", name: "f", argumentsJson: "{}" },
          { type: "tool_call", id: "D681PevKs", name: "g", argumentsJson: "{}" },
        ],
      },
      {
        role: "user",
        parts: [
          {
            type: "tool_result",
            callId: "call_8dS2Vm6bWpJ4oUqXq0Yv3zkT",
            parts: [{ type: "text", text: "1" }],
          },
          { type: "tool_result", callId: "D681PevKs", parts: [{ type: "text", text: "2" }] },
        ],
      },
    ];
    const [assistant, first, second] = write("mistral", { messages }).json.messages;
    expect(assistant.tool_calls[0].id).toMatch(/^[A-Za-z0-9]{9}$/);
    expect(first.tool_call_id).toBe(assistant.tool_calls[0].id);
    expect(second.tool_call_id).toBe("D681PevKs");
  });

  test("in a stream without their places are kept apart by their ids", () => {
    const call = (id: string | undefined, args: string) => ({
      choices: [{ delta: { tool_calls: [{ ...(id && { id }), function: { name: "f", arguments: args } }] } }],
    });
    const places = decode("moonshot", call("a", '{"x"'), call(undefined, ":1}"), call("b", "{}")).map(
      (chunk) => chunk.type === "tool_call" && [chunk.call, chunk.argumentsFragment],
    );
    expect(places).toEqual([
      [0, '{"x"'],
      [0, ":1}"],
      [1, "{}"],
    ]);
  });
});

describe("ends and sources", () => {
  test.each([
    ["together", "eos", "stop"],
    ["mistral", "model_length", "length"],
  ] as const)("%s ends with %s: %s", (kind, word, reason) => {
    expect(
      read(kind, { choices: [{ message: { content: "x" }, finish_reason: word }] }).choices[0]?.finishReason,
    ).toBe(reason);
  });

  test.each([
    ["mistral", "error"],
    ["deepseek", "insufficient_system_resource"],
  ] as const)("%s ends with %s: an error", (kind, word) => {
    const body = { choices: [{ message: { content: "x" }, finish_reason: word }] };
    expect(() => read(kind, body)).toThrow(expect.objectContaining({ code: "upstream_error" }));
  });

  test("perplexity's sources are citations, told once in a stream that repeats them", () => {
    const sources = { search_results: [{ title: "A", url: "https://a.test", date: "2026-01-01" }] };
    const citation = { url: "https://a.test", title: "A" };
    expect(
      read("perplexity", { ...sources, choices: [{ message: { content: "x" } }] }).choices[0]?.citations,
    ).toEqual([citation]);
    expect(
      read("perplexity", { citations: ["https://b.test"], choices: [{ message: { content: "x" } }] })
        .choices[0]?.citations,
    ).toEqual([{ url: "https://b.test" }]);
    expect(decode("perplexity", { ...sources, choices: [] }, { ...sources, choices: [] })).toEqual([
      { type: "citation", index: 0, citation },
    ]);
  });
});
