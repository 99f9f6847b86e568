// Generated conversations through both wires and back: Anthropic → OpenAI → Anthropic and OpenAI → Anthropic → OpenAI mean the same.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { ChatRequest } from "../../../../src/schema/chat.ts";
import type { Conversation, Message, Part } from "../../../../src/schema/conversation.ts";
import { anthropicMessages } from "../../../../src/wires/anthropic/client-wire.ts";
import type { ClientWire } from "../../../../src/wires/client-wire.ts";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import { anthropic } from "../../../../src/providers/anthropic.ts";
import type { Provider } from "../../../../src/providers/provider.ts";
import { providerOf } from "../../../../src/providers/registry.ts";

/** Takes sampling parameters and structured output alike. */
const MODEL = "claude-sonnet-4-5";
const openAi = providerOf("openai");

const word = fc.string({ minLength: 1, maxLength: 12 }).filter((said) => said.trim() !== "");
const name = fc.stringMatching(/^[a-z][a-z_]{0,9}$/);
const jsonObject = fc.dictionary(
  name,
  fc.oneof(word, fc.integer(), fc.boolean(), fc.array(fc.integer(), { maxLength: 3 })),
  { maxKeys: 3 },
);
const text = word.map((said): Part => ({ type: "text", text: said }));
const image = fc
  .oneof(
    fc.constant({ kind: "url", url: "https://example.com/a.png" } as const),
    fc
      .base64String({ minLength: 4, maxLength: 16 })
      .map((base64) => ({ kind: "inline", mediaType: "image/png", base64 }) as const),
  )
  .map((source): Part => ({ type: "image", source }));

/** One exchange: a question, then an answer in words, or calls with their results and an answer. */
const exchange = fc
  .record({
    question: fc.array(fc.oneof({ weight: 3, arbitrary: text }, image), { minLength: 1, maxLength: 3 }),
    calls: fc.array(fc.record({ tool: name, input: jsonObject, result: word }), { maxLength: 3 }),
    preface: fc.option(text, { nil: undefined }),
    answer: text,
  })
  .map(({ question, calls, preface, answer }) => (turn: number): readonly Message[] => {
    const id = (at: number): string => `call_${turn}_${at}`;
    const asked = calls.map(({ tool, input }, at): Part => ({
      type: "tool_call",
      id: id(at),
      name: tool,
      argumentsJson: JSON.stringify(input),
    }));
    const found = calls.map(({ tool, result }, at): Part => ({
      type: "tool_result",
      callId: id(at),
      name: tool,
      parts: [{ type: "text", text: result }],
    }));
    const said = preface === undefined ? asked : [preface, ...asked];
    return [
      { role: "user", parts: question },
      ...(calls.length === 0
        ? []
        : ([
            { role: "assistant", parts: said },
            { role: "user", parts: found },
          ] as const)),
      { role: "assistant", parts: [answer] },
    ];
  });

const tools = fc.uniqueArray(
  fc.record({
    name,
    description: word,
    parameters: jsonObject.map((properties) => ({ type: "object", properties: { p: properties } })),
  }),
  { selector: (tool) => tool.name, minLength: 1, maxLength: 3 },
);

const conversation: fc.Arbitrary<Conversation> = fc
  .record({
    system: fc.array(text, { maxLength: 1 }),
    exchanges: fc.array(exchange, { minLength: 1, maxLength: 3 }),
    last: text,
    tools,
    toolChoice: fc.constantFrom("auto", "none", "required", "tool"),
    isSingle: fc.boolean(),
    withSchema: fc.boolean(),
    maxOutputTokens: fc.integer({ min: 1, max: 4096 }),
    temperature: fc.integer({ min: 0, max: 10 }).map((tenths) => tenths / 10),
    stopSequences: fc.array(word, { minLength: 1, maxLength: 4 }),
    endUser: word,
  })
  .map(({ exchanges, last, toolChoice, isSingle, withSchema, ...rest }) => ({
    system: rest.system,
    messages: [...exchanges.flatMap((make, turn) => make(turn)), { role: "user", parts: [last] }],
    tools: rest.tools,
    toolChoice:
      toolChoice === "tool" ? { type: "tool", name: rest.tools[0]?.name ?? "" } : { type: toolChoice },
    ...(isSingle && toolChoice !== "none" && { parallelToolCalls: false }),
    ...(withSchema && {
      output: { type: "json_schema", name: "response", schema: CLOSED, strict: true } as const,
    }),
    sampling: {
      maxOutputTokens: rest.maxOutputTokens,
      temperature: rest.temperature,
      stopSequences: rest.stopSequences,
    },
    endUser: rest.endUser,
  }));
const CLOSED = {
  type: "object",
  properties: { a: { type: "number" } },
  required: ["a"],
  additionalProperties: false,
};

const drop = (field: string): never => {
  throw new Error(`dropped ${field}`);
};

/** The conversation as a request of this provider's wire, and what its own wire reads out of it. */
function through(said: Conversation, provider: Provider, clientWire: ClientWire): Conversation {
  const bodyText = "{}";
  const chat: ChatRequest = {
    wire: clientWire,
    operation: "chat",
    model: MODEL,
    stream: false,
    params: {},
    bodyText,
    body: {},
  };
  const account = {
    name: "up",
    kind: provider.kind,
    baseUrl: "https://up.example",
    headers: {},
    options: {},
  };
  const target = { account: { ...account, propagateTrace: false }, model: MODEL };
  const request = provider.wires[0].toRequest(chat, target, { conversation: said, drop });
  return clientWire.toConversation(clientWire.parseRequest(request.body ?? ""), drop);
}

/** The same whatever wire it is read from: neighbours merged, results named by their calls alone. */
function essence({ messages, ...rest }: Conversation): unknown {
  const merged: { role: string; parts: Part[] }[] = [];
  for (const { role, parts } of messages) {
    const last = merged.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else merged.push({ role, parts: [...parts] });
  }
  const nameless = merged.map(({ role, parts }) => ({
    role,
    parts: parts.map((part) => (part.type === "tool_result" ? { ...part, name: undefined } : part)),
  }));
  // `strict` false and none are one; so is leaving parallel calls to the model and saying so.
  return { ...rest, messages: nameless };
}

test.each([
  ["Anthropic's wire", [[anthropic, anthropicMessages]]],
  ["OpenAI's wire", [[openAi, openAiChat]]],
  [
    "Anthropic's, OpenAI's and Anthropic's wire",
    [
      [anthropic, anthropicMessages],
      [openAi, openAiChat],
      [anthropic, anthropicMessages],
    ],
  ],
  [
    "OpenAI's, Anthropic's and OpenAI's wire",
    [
      [openAi, openAiChat],
      [anthropic, anthropicMessages],
      [openAi, openAiChat],
    ],
  ],
] as const)("a conversation means the same after %s", (_, steps) => {
  fc.assert(
    fc.property(conversation, (said) => {
      let read = said;
      for (const [provider, clientWire] of steps) read = through(read, provider, clientWire);
      expect(essence(read)).toEqual(essence(said));
    }),
  );
});
