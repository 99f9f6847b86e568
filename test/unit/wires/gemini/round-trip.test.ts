// Generated conversations through Gemini's wire and another one, and back: they mean the same as before. OpenAI ↔ Anthropic is in
// round-trip.test.ts.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChoice, ChatRequest, ChatResponse } from "../../../../src/schema/chat.ts";
import type { Conversation, Message, Part } from "../../../../src/schema/conversation.ts";
import { anthropicMessages } from "../../../../src/wires/anthropic/client-wire.ts";
import type { ClientWire } from "../../../../src/wires/client-wire.ts";
import { geminiGenerateContent } from "../../../../src/wires/gemini/client-wire.ts";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";
import type { Provider } from "../../../../src/providers/provider.ts";
import { providerOf } from "../../../../src/providers/registry.ts";
import { createSseParser } from "../../../../src/bytes/sse.ts";

interface Side {
  readonly clientWire: ClientWire;
  readonly provider: Provider;
  readonly model: string;
}

const GEMINI: Side = {
  clientWire: geminiGenerateContent,
  provider: providerOf("gemini"),
  model: "gemini-2.5-flash",
};
const OPENAI: Side = { clientWire: openAiChat, provider: providerOf("openai-compatible"), model: "m" };
const CLAUDE: Side = {
  clientWire: anthropicMessages,
  provider: providerOf("anthropic"),
  model: "claude-sonnet-4-5",
};

const word = fc
  .string({ minLength: 1, maxLength: 12, unit: "grapheme" })
  .filter((said) => said.trim() !== "");
const name = fc.stringMatching(/^[a-z][a-z_]{0,9}$/);
const value = fc.oneof(word, fc.integer(), fc.boolean(), fc.array(fc.integer(), { maxLength: 3 }));
const jsonObject = fc.dictionary(name, value, { maxKeys: 3 });
const text = word.map((said): Part => ({ type: "text", text: said }));
const base64 = fc.base64String({ minLength: 4, maxLength: 16 });
const image = fc
  .oneof(
    fc.constant({ kind: "url", url: "https://example.com/a.png" } as const),
    base64.map((data) => ({ kind: "inline", mediaType: "image/png", base64: data }) as const),
  )
  .map((source): Part => ({ type: "image", source }));
const pdf = base64.map((data): Part => ({
  type: "document",
  source: { kind: "inline", mediaType: "application/pdf", base64: data },
}));
/** What a tool says: words, an object, or an object that uses Gemini's own words. */
const result = fc.oneof(
  word,
  jsonObject.map((object) => JSON.stringify(object)),
  fc.constant('{"output":"x"}'),
);

const exchange = fc
  .record({
    question: fc.array(fc.oneof({ weight: 3, arbitrary: text }, image, pdf), { minLength: 1, maxLength: 3 }),
    calls: fc.array(fc.record({ tool: name, input: jsonObject, said: result }), { maxLength: 3 }),
    answer: text,
  })
  .map(({ question, calls, answer }) => (turn: number): readonly Message[] => {
    const id = (at: number): string => `call_${turn}_${at}`;
    const asked = calls.map(({ tool, input }, at): Part => ({
      type: "tool_call",
      id: id(at),
      name: tool,
      argumentsJson: JSON.stringify(input),
    }));
    const found = calls.map(({ tool, said }, at): Part => ({
      type: "tool_result",
      callId: id(at),
      name: tool,
      parts: [{ type: "text", text: said }],
    }));
    const called: readonly Message[] = [
      { role: "assistant", parts: asked },
      { role: "user", parts: found },
    ];
    return [
      { role: "user", parts: question },
      ...(calls.length === 0 ? [] : called),
      { role: "assistant", parts: [answer] },
    ];
  });

const SCHEMA = {
  type: "object",
  properties: { a: { type: "number" } },
  required: ["a"],
  additionalProperties: false,
};

const conversation: fc.Arbitrary<Conversation> = fc
  .record({
    system: fc.array(text, { maxLength: 1 }),
    exchanges: fc.array(exchange, { minLength: 1, maxLength: 3 }),
    last: text,
    tools: fc.uniqueArray(fc.record({ name, description: word }), {
      selector: (tool) => tool.name,
      minLength: 1,
      maxLength: 3,
    }),
    choice: fc.constantFrom("auto", "none", "required", "tool"),
    hasSchema: fc.boolean(),
    maxOutputTokens: fc.integer({ min: 1, max: 4096 }),
    temperature: fc.integer({ min: 0, max: 10 }).map((tenths) => tenths / 10),
    stopSequences: fc.array(word, { minLength: 1, maxLength: 4 }),
  })
  .map(({ system, exchanges, last, tools, choice, hasSchema, ...sampling }) => ({
    system,
    messages: [...exchanges.flatMap((make, turn) => make(turn)), { role: "user", parts: [last] }],
    tools: tools.map((tool) => ({ ...tool, parameters: SCHEMA })),
    toolChoice: choice === "tool" ? { type: "tool", name: tools[0]?.name ?? "" } : { type: choice },
    ...(hasSchema && { output: { type: "json_schema", name: "response", schema: SCHEMA } as const }),
    sampling,
  }));

const drop = (field: string): never => {
  throw new Error(`dropped ${field}`);
};

function chatOf({ clientWire }: Side, body: string): ChatRequest {
  return clientWire.parseRequest(body, { model: "p/m" });
}

/** The conversation as it is written for this side, and read again by this side's wire. */
function through(side: Side, said: Conversation): Conversation {
  const { provider, model, clientWire } = side;
  const account = {
    name: "x",
    kind: provider.kind,
    baseUrl: "https://x.test",
    headers: {},
    options: {},
    propagateTrace: false,
  };
  // Who asks doesn't matter here: nothing is dropped.
  const chat = chatOf(GEMINI, '{"contents":[{}]}');
  const { body = "" } = provider.wires[0].toRequest(chat, { account, model }, { conversation: said, drop });
  return clientWire.toConversation(chatOf(side, body), drop);
}

/** Neighbours of one role are one turn; strictness and the schema's name are this or that wire's own. */
function meaning({ messages, output, tools, ...rest }: Conversation) {
  const turns: { readonly role: string; readonly parts: Part[] }[] = [];
  for (const { role, parts } of messages) {
    const last = turns.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else turns.push({ role, parts: [...parts] });
  }
  return {
    ...rest,
    turns: turns.map(({ role, parts }) => ({ role, parts: parts.map(plain) })),
    tools: tools.map(({ name: called, description, parameters }) => ({ called, description, parameters })),
    output: output?.type === "json_schema" ? output.schema : output?.type,
  };
}

function plain(part: Part): object {
  if (part.type === "tool_call") return { ...part, argumentsJson: JSON.parse(part.argumentsJson) };
  if (part.type !== "tool_result") return part;
  const { name: _, ...rest } = part;
  return rest;
}

const PAIRS = [
  ["OpenAI → Gemini → OpenAI", OPENAI, GEMINI],
  ["Gemini → OpenAI → Gemini", GEMINI, OPENAI],
  ["Anthropic → Gemini → Anthropic", CLAUDE, GEMINI],
  ["Gemini → Anthropic → Gemini", GEMINI, CLAUDE],
] as const;

test.each(PAIRS)("%s keeps a conversation's meaning", (_, one, other) => {
  fc.assert(
    fc.property(conversation, (generated) => {
      const before = through(one, generated);
      const after = through(one, through(other, before));
      expect(meaning(after)).toEqual(meaning(before));
    }),
    { numRuns: 200 },
  );
});

const choice: fc.Arbitrary<ChatChoice> = fc
  .record({
    text: fc.oneof(fc.constant(""), word),
    reasoning: fc.option(word, { nil: undefined }),
    calls: fc.array(fc.record({ name, input: jsonObject }), { maxLength: 3 }),
    finishReason: fc.constantFrom("stop", "length", "content_filter"),
  })
  .map(({ text: said, reasoning, calls, finishReason }) => ({
    index: 0,
    text: said,
    ...(reasoning !== undefined && { reasoning }),
    toolCalls: calls.map(({ name: called, input }, at) => ({
      id: `call_${at}`,
      name: called,
      argumentsJson: JSON.stringify(input),
    })),
    finishReason: finishReason === "stop" && calls.length > 0 ? ("tool_calls" as const) : finishReason,
  }));

const response: fc.Arbitrary<ChatResponse> = fc
  .record({ choice, input: fc.nat(1000), output: fc.nat(1000), cached: fc.nat(1000), thoughts: fc.nat(1000) })
  .map(({ choice: only, input, output, cached, thoughts }) => ({
    id: "r-1",
    model: "some-model",
    choices: [only],
    usage: {
      inputTokens: input + cached,
      outputTokens: output + thoughts,
      cacheReadTokens: cached,
      ...(thoughts > 0 && { reasoningTokens: thoughts }),
    },
  }));

describe("an answer written for a Gemini client", () => {
  const CHAT = chatOf(GEMINI, '{"contents":[{}]}');
  const [wire] = GEMINI.provider.wires;

  test("is read by Gemini's own reader as it was", () => {
    fc.assert(
      fc.property(response, (answer) => {
        expect(wire.toResponse(JSON.parse(geminiGenerateContent.formatResponse(answer, CHAT)))).toEqual(
          answer,
        );
      }),
    );
  });

  test("streamed, however its text and arguments are cut, adds up to the same", () => {
    fc.assert(
      fc.property(response, fc.integer({ min: 1, max: 5 }), (answer, size) => {
        const [only] = answer.choices;
        if (only === undefined) return;
        const encoder = geminiGenerateContent.encoder(CHAT);
        const cut = (said: string): readonly string[] => said.match(new RegExp(`[^]{1,${size}}`, "gu")) ?? [];
        const streamed = [
          encoder.push([{ type: "start", id: "r-1", model: "some-model" }]),
          ...cut(only.reasoning ?? "").map((piece) =>
            encoder.push([{ type: "reasoning", index: 0, text: piece }]),
          ),
          ...cut(only.text).map((piece) => encoder.push([{ type: "text", index: 0, text: piece }])),
          ...only.toolCalls.flatMap(({ id, name: called, argumentsJson }, call) =>
            cut(argumentsJson).map((argumentsFragment, at) => {
              const opening = at === 0 ? { id, name: called } : {};
              return encoder.push([{ type: "tool_call", index: 0, call, ...opening, argumentsFragment }]);
            }),
          ),
          encoder.push([{ type: "finish", index: 0, reason: only.finishReason ?? "stop" }]),
          answer.usage === undefined ? "" : encoder.push([{ type: "usage", usage: answer.usage }]),
          encoder.end(),
        ].join("");
        const events = createSseParser().push(new TextEncoder().encode(streamed));
        expect(wire.toResponse(JSON.parse(geminiGenerateContent.wholeFromStream(events)))).toEqual(answer);
      }),
    );
  });
});
