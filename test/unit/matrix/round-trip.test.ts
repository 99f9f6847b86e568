// Generated conversations and answers between every two wires: what a client says on its wire is what another wire's own reader
// finds in the request that goes there, and an answer of that wire, whole or streamed in pieces, is what the client's reader finds
// in its own. The client's requests are written here by hand, and not by the code under test.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatChunk, ChatRequest, ChatResponse } from "../../../src/schema/chat.ts";
import type { Conversation, Part } from "../../../src/schema/conversation.ts";
import { type Provider, upstreamWireFor } from "../../../src/providers/provider.ts";
import { providerOf } from "../../../src/providers/registry.ts";
import { createSseParser } from "../../../src/bytes/sse.ts";
import { type Client, CLIENTS } from "./clients.ts";

type WireName = Client["wireName"];

/** Who speaks each wire, and a model of it that takes everything that is generated here. */
const SPEAKERS: Readonly<Record<WireName, { readonly provider: Provider; readonly model: string }>> = {
  "openai-chat": { provider: providerOf("openai-compatible"), model: "m" },
  "openai-responses": { provider: providerOf("openai"), model: "gpt-5" },
  "anthropic-messages": { provider: providerOf("anthropic"), model: "claude-sonnet-4-5" },
  gemini: { provider: providerOf("gemini"), model: "gemini-2.5-flash" },
};

const word = fc
  .string({ minLength: 1, maxLength: 12, unit: "grapheme" })
  .filter((said) => said.trim() !== "" && said.isWellFormed());
const name = fc.stringMatching(/^[a-z][a-z_]{0,9}$/);
const input = fc.dictionary(name, fc.oneof(word, fc.integer(), fc.boolean()), { maxKeys: 3 });
const picture = fc.base64String({ minLength: 4, maxLength: 16 });

/** A question with or without a picture, calls and what they gave, an answer. */
interface Exchange {
  readonly question: string;
  readonly picture?: string | undefined;
  readonly calls: readonly {
    readonly id: string;
    readonly name: string;
    readonly input: object;
    readonly result: string;
  }[];
  readonly answer: string;
}
interface Said {
  readonly system: string;
  readonly exchanges: readonly Exchange[];
  readonly last: string;
}

const said: fc.Arbitrary<Said> = fc.record({
  system: word,
  exchanges: fc
    .array(
      fc.record({
        question: word,
        picture: fc.option(picture, { nil: undefined }),
        calls: fc.array(fc.record({ name, input, result: word }), { maxLength: 3 }),
        answer: word,
      }),
      { minLength: 1, maxLength: 3 },
    )
    .map((list) =>
      list.map(({ calls, ...rest }, turn) => ({
        ...rest,
        calls: calls.map((call, at) => ({ ...call, id: `call_${turn}_${at}` })),
      })),
    ),
  last: word,
});

const dataUrl = (base64: string) => `data:image/png;base64,${base64}`;

/** How an application writes it, by its vendor's documentation. */
const WRITERS: Readonly<Record<WireName, (conversation: Said) => object>> = {
  "openai-chat": ({ system, exchanges, last }) => ({
    messages: [
      { role: "system", content: system },
      ...exchanges.flatMap(({ question, picture: shown, calls, answer }) => [
        {
          role: "user",
          content: [
            { type: "text", text: question },
            ...(shown === undefined ? [] : [{ type: "image_url", image_url: { url: dataUrl(shown) } }]),
          ],
        },
        ...(calls.length === 0
          ? []
          : [
              {
                role: "assistant",
                content: null,
                tool_calls: calls.map((call) => ({
                  id: call.id,
                  type: "function",
                  function: { name: call.name, arguments: JSON.stringify(call.input) },
                })),
              },
              ...calls.map(({ id, result }) => ({ role: "tool", tool_call_id: id, content: result })),
            ]),
        { role: "assistant", content: answer },
      ]),
      { role: "user", content: last },
    ],
  }),
  "openai-responses": ({ system, exchanges, last }) => ({
    instructions: system,
    store: false,
    input: [
      ...exchanges.flatMap(({ question, picture: shown, calls, answer }) => [
        {
          role: "user",
          content: [
            { type: "input_text", text: question },
            ...(shown === undefined ? [] : [{ type: "input_image", image_url: dataUrl(shown) }]),
          ],
        },
        ...calls.map((call) => ({
          type: "function_call",
          call_id: call.id,
          name: call.name,
          arguments: JSON.stringify(call.input),
        })),
        ...calls.map(({ id, result }) => ({ type: "function_call_output", call_id: id, output: result })),
        { role: "assistant", content: answer },
      ]),
      { role: "user", content: last },
    ],
  }),
  "anthropic-messages": ({ system, exchanges, last }) => ({
    max_tokens: 99,
    system,
    messages: [
      ...exchanges.flatMap(({ question, picture: shown, calls, answer }) => [
        {
          role: "user",
          content: [
            { type: "text", text: question },
            ...(shown === undefined
              ? []
              : [{ type: "image", source: { type: "base64", media_type: "image/png", data: shown } }]),
          ],
        },
        ...(calls.length === 0
          ? []
          : [
              {
                role: "assistant",
                content: calls.map((call) => ({
                  type: "tool_use",
                  id: call.id,
                  name: call.name,
                  input: call.input,
                })),
              },
              {
                role: "user",
                content: calls.map(({ id, result }) => ({
                  type: "tool_result",
                  tool_use_id: id,
                  content: result,
                })),
              },
            ]),
        { role: "assistant", content: answer },
      ]),
      { role: "user", content: last },
    ],
  }),
  gemini: ({ system, exchanges, last }) => ({
    systemInstruction: { parts: [{ text: system }] },
    contents: [
      ...exchanges.flatMap(({ question, picture: shown, calls, answer }) => [
        {
          role: "user",
          parts: [
            { text: question },
            ...(shown === undefined ? [] : [{ inlineData: { mimeType: "image/png", data: shown } }]),
          ],
        },
        ...(calls.length === 0
          ? []
          : [
              {
                role: "model",
                parts: calls.map((call) => ({
                  functionCall: { id: call.id, name: call.name, args: call.input },
                })),
              },
              {
                role: "user",
                parts: calls.map((call) => ({
                  functionResponse: { id: call.id, name: call.name, response: { output: call.result } },
                })),
              },
            ]),
        { role: "model", parts: [{ text: answer }] },
      ]),
      { role: "user", parts: [{ text: last }] },
    ],
  }),
};

const drop = (field: string): never => {
  throw new Error(`dropped ${field}`);
};

function parse({ clientWire, wireName }: Client, body: object, stream = false): ChatRequest {
  const isInPath = wireName === "gemini";
  const usage = stream && wireName === "openai-chat" ? { stream_options: { include_usage: true } } : {};
  return clientWire.parseRequest(
    JSON.stringify({ ...body, ...usage, ...(!isInPath && { model: "p/m", stream }) }),
    isInPath ? { model: "p/m", stream } : {},
  );
}

function wireOf(wireName: WireName) {
  const { provider, model } = SPEAKERS[wireName];
  const options = {};
  const account = { name: "x", kind: provider.kind, baseUrl: "https://x.test", headers: {}, options };
  const target = { account: { ...account, propagateTrace: false }, model };
  return { wire: upstreamWireFor(provider, wireName, target), target };
}

/** What was said, on any wire: parts in order, results with their words. */
function plain({ system, messages }: Conversation): unknown {
  const parts = messages.flatMap(({ role, parts: all }) => all.map((part) => [role, plainPart(part)]));
  return [system.map(plainPart), ...parts];
}

function plainPart(part: Part): unknown {
  switch (part.type) {
    case "tool_call":
      return { id: part.id, name: part.name, input: JSON.parse(part.argumentsJson) };
    case "tool_result":
      return { id: part.callId, result: part.parts.map(plainPart) };
    case "image":
      return part.source;
    case "text":
      return part.text;
    case "refusal":
    case "reasoning":
    case "document":
    case "audio":
      return part;
  }
}

/** The same of what was generated. */
function meant({ system, exchanges, last }: Said): unknown {
  return [
    [system],
    ...exchanges.flatMap(({ question, picture: shown, calls, answer }) => [
      ["user", question],
      ...(shown === undefined ? [] : [["user", { kind: "inline", mediaType: "image/png", base64: shown }]]),
      ...calls.map((call) => ["assistant", { id: call.id, name: call.name, input: call.input }]),
      ...calls.map(({ id, result }) => ["user", { id, result: [result] }]),
      ["assistant", answer],
    ]),
    ["user", last],
  ];
}

const PAIRS = CLIENTS.flatMap((one) =>
  CLIENTS.map((other) => [one.wireName, other.wireName, one, other] as const),
);
/** No request is translated to the Responses wire: upstreams that speak it speak the chat wire too. */
const ASKED = PAIRS.filter(([one, other]) => other !== "openai-responses" && one !== other);

describe.each(ASKED)("%s asked of %s", (wireName, otherName, client, other) => {
  test("means the same there", () => {
    const { wire, target } = wireOf(otherName);
    fc.assert(
      fc.property(said, (conversation) => {
        const chat = parse(client, WRITERS[wireName](conversation));
        const read = client.clientWire.toConversation(chat, drop);
        expect(plain(read)).toEqual(meant(conversation));
        const { body = "" } = wire.toRequest(chat, target, { conversation: read, drop });
        expect(plain(other.clientWire.toConversation(parse(other, JSON.parse(body)), drop))).toEqual(
          meant(conversation),
        );
      }),
    );
  });
});

const answer: fc.Arbitrary<ChatResponse> = fc
  .record({
    text: word,
    reasoning: fc.option(word, { nil: undefined }),
    calls: fc.array(fc.record({ name, input }), { maxLength: 3 }),
    isCut: fc.boolean(),
    usage: fc.record({ input: fc.nat(1000), output: fc.nat(1000), cached: fc.nat(1000) }),
  })
  .map(({ text, reasoning, calls, isCut, usage }) => ({
    id: "r-1",
    model: "some-model",
    choices: [
      {
        index: 0,
        text,
        ...(reasoning !== undefined && { reasoning }),
        toolCalls: calls.map((call, at) => ({
          id: `call_${at}`,
          name: call.name,
          argumentsJson: JSON.stringify(call.input),
        })),
        finishReason: isCut ? "length" : calls.length > 0 ? "tool_calls" : "stop",
      },
    ],
    usage: {
      inputTokens: usage.input + usage.cached,
      outputTokens: usage.output,
      ...(usage.cached > 0 && { cacheReadTokens: usage.cached }),
    },
  }));

/** What a client goes by. */
function facts({ choices, usage }: ChatResponse): unknown {
  const [choice] = choices;
  return {
    text: choice?.text,
    reasoning: choice?.reasoning,
    calls: choice?.toolCalls.map((call) => ({ ...call, argumentsJson: JSON.parse(call.argumentsJson) })),
    finishReason: choice?.finishReason,
    tokens: [usage?.inputTokens, usage?.outputTokens, usage?.cacheReadTokens ?? 0],
  };
}

/** An answer as its upstream streams it, a piece of text or arguments at a time. */
function chunksOf({ id, model, choices, usage }: ChatResponse, size: number): readonly ChatChunk[] {
  const [choice] = choices;
  if (choice === undefined || usage === undefined || id === undefined || model === undefined) return [];
  const pieces = (whole: string) => whole.match(new RegExp(`[^]{1,${size}}`, "gu")) ?? [];
  return [
    { type: "start", id, model },
    ...pieces(choice.reasoning ?? "").map((text) => ({ type: "reasoning", index: 0, text }) as const),
    ...pieces(choice.text).map((text) => ({ type: "text", index: 0, text }) as const),
    ...choice.toolCalls.flatMap((called, call) =>
      pieces(called.argumentsJson).map((argumentsFragment, at) => ({
        type: "tool_call" as const,
        index: 0,
        call,
        ...(at === 0 && { id: called.id, name: called.name }),
        argumentsFragment,
      })),
    ),
    { type: "finish", index: 0, reason: choice.finishReason ?? "stop" },
    { type: "usage", usage },
    { type: "done" },
  ];
}

const HELLO: Said = { system: "s", exchanges: [], last: "Hi" };

describe.each(PAIRS)("an answer to %s from %s", (wireName, otherName, client, other) => {
  const { wire } = wireOf(otherName);
  const { wire: own } = wireOf(wireName);
  const asked = (who: Client, stream: boolean) => parse(who, WRITERS[who.wireName](HELLO), stream);

  test("is the same to both, whole", () => {
    fc.assert(
      fc.property(answer, (given) => {
        const there = other.clientWire.formatResponse(given, asked(other, false));
        const here = client.clientWire.formatResponse(
          wire.toResponse(JSON.parse(there)),
          asked(client, false),
        );
        expect(facts(own.toResponse(JSON.parse(here)))).toEqual(facts(given));
      }),
    );
  });

  test("is the same to both, streamed in any pieces", () => {
    fc.assert(
      fc.property(
        answer,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 60 }),
        (given, size, cut) => {
          const encoder = other.clientWire.encoder(asked(other, true));
          const bytes = new TextEncoder().encode(encoder.push(chunksOf(given, size)) + encoder.end());
          const parser = createSseParser();
          const decode = wire.decoder();
          const again = client.clientWire.encoder(asked(client, true));
          let here = "";
          for (let at = 0; at < bytes.length; at += cut) {
            for (const event of parser.push(bytes.subarray(at, at + cut))) here += again.push(decode(event));
          }
          const events = createSseParser().push(new TextEncoder().encode(here + again.end()));
          expect(facts(own.toResponse(JSON.parse(client.clientWire.wholeFromStream(events))))).toEqual(
            facts(given),
          );
        },
      ),
    );
  });
});
