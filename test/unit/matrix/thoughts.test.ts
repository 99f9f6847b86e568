// Signed and sealed thoughts between vendors: what one vendor's model thought, kept by a client of each wireName as it came,
// and sent back with the next question to each other vendor. Proofs reach only those whose they are, however they are wrapped.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChatRequest } from "../../../src/schema/chat.ts";
import { openExchange } from "../../../src/pipeline/attempts/exchange.ts";
import { readRequestOptions } from "../../../src/pipeline/request-options.ts";
import { providerOf } from "../../../src/providers/registry.ts";
import { type Client, CLIENTS } from "./clients.ts";

const CLAUDE_ON_AWS = "anthropic.claude-sonnet-4-5-20250929-v1:0";

/** Whom a next turn can go to, by the name of the account that the maker's proofs are good for. */
const VENDORS = {
  anthropic: { kind: "anthropic", model: "claude-sonnet-4-5" },
  "vertex, Claude": { kind: "vertex", model: "claude-sonnet-4-5" },
  "bedrock, Claude": { kind: "bedrock", model: CLAUDE_ON_AWS },
  gemini: { kind: "gemini", model: "gemini-3-flash" },
  "vertex, Gemini": { kind: "vertex", model: "gemini-2.5-flash" },
  openrouter: { kind: "openrouter", model: "x/y" },
  openai: { kind: "openai", model: "gpt-5" },
  deepseek: { kind: "deepseek", model: "deepseek-reasoner" },
  cohere: { kind: "cohere", model: "command-a-reasoning" },
} as const;
type Vendor = keyof typeof VENDORS;

const CLAUDES: readonly Vendor[] = ["anthropic", "vertex, Claude", "bedrock, Claude"];
const GEMINIS: readonly Vendor[] = ["gemini", "vertex, Gemini"];

const CHAT_UPSTREAMS: readonly Vendor[] = ["openrouter", "openai", "deepseek"];

/** What a vendor answers with its proofs, and who may be sent them. */
interface Maker {
  readonly vendor: Vendor;
  readonly mayHave: readonly Vendor[];
  answer(signature: string, sealed: string): object;
}

const chatAnswer = (message: object) => ({
  id: "r-1",
  choices: [{ index: 0, message: { role: "assistant", content: "Yes.", ...message }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 1 },
});
const details = (format: string) => (signature: string, sealed: string) =>
  chatAnswer({
    reasoning: "Hm.",
    reasoning_details: [
      { type: "reasoning.text", text: "Hm.", signature, format },
      { type: "reasoning.encrypted", data: sealed, format },
    ],
  });
const claudeAnswer = (signature: string, sealed: string) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude",
  content: [
    { type: "thinking", thinking: "Hm.", signature },
    { type: "redacted_thinking", data: sealed },
    { type: "text", text: "Yes." },
  ],
  stop_reason: "end_turn",
  usage: { input_tokens: 1, output_tokens: 1 },
});
/** What is signed second is a call, for which Anthropic's wire has no place. */
const geminiAnswer = (signature: string, sealed: string) => ({
  responseId: "r-1",
  candidates: [
    {
      index: 0,
      finishReason: "STOP",
      content: {
        role: "model",
        parts: [
          { text: "Hm.", thought: true },
          { text: "Yes.", thoughtSignature: signature },
          { functionCall: { name: "look", args: {} }, thoughtSignature: sealed },
        ],
      },
    },
  ],
  usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1 },
});

const MAKERS: Readonly<Record<string, Maker>> = {
  Anthropic: { vendor: "anthropic", mayHave: [...CLAUDES, "openrouter"], answer: claudeAnswer },
  Bedrock: {
    vendor: "bedrock, Claude",
    mayHave: [...CLAUDES, "openrouter"],
    answer: (signature, sealed) => ({
      output: {
        message: {
          role: "assistant",
          content: [
            { reasoningContent: { reasoningText: { text: "Hm.", signature } } },
            { reasoningContent: { redactedContent: sealed } },
            { text: "Yes." },
          ],
        },
      },
      stopReason: "end_turn",
      usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
    }),
  },
  Gemini: { vendor: "gemini", mayHave: GEMINIS, answer: geminiAnswer },
  "OpenRouter's Claude": {
    vendor: "openrouter",
    mayHave: [...CLAUDES, "openrouter"],
    answer: details("anthropic-claude-v1"),
  },
  "OpenRouter's others": {
    vendor: "openrouter",
    mayHave: ["openrouter"],
    answer: details("google-gemini-v1"),
  },
};

/** Base64 of random bytes, so that what leaks is found wherever it stands. */
const proof = fc
  .uint8Array({ minLength: 12, maxLength: 12 })
  .map((bytes) => btoa(String.fromCharCode(...bytes)));

function exchangeOf(client: Client, vendor: Vendor, chat: ChatRequest) {
  const { kind, model } = VENDORS[vendor];
  const provider = providerOf(kind);
  const baseUrl = provider.defaultBaseUrl ?? "https://up.test";
  const account = {
    name: "up",
    kind,
    baseUrl,
    headers: {},
    options: { project: "p" },
    propagateTrace: false,
  };
  const options = readRequestOptions(new Headers({ "x-headgate-lenient": "1" }));
  const exchange = openExchange({ chat, clientWire: client.clientWire, options }, provider, {
    account,
    model,
  });
  if (exchange.kind !== "chat") throw new Error("a chat became an embedding");
  return exchange;
}

const parseBody = ({ clientWire, wireName }: Client, body: object): ChatRequest => ({
  ...clientWire.parseRequest(
    JSON.stringify(wireName === "gemini" ? body : { ...body, model: "p/m" }),
    wireName === "gemini" ? { model: "p/m" } : {},
  ),
  stamp: { id: "0123456789abcdef", createdAtSeconds: 1_760_000_000 },
});

/** The body that the client is sent, as it is read by its SDK. */
function told(client: Client, { vendor, answer }: Maker, signature: string, sealed: string) {
  const exchange = exchangeOf(client, vendor, parseBody(client, client.base));
  const said = answer(signature, sealed);
  return exchange.isSameWire ? said : JSON.parse(exchange.read(said).format());
}

/** The client's next question, with that answer as it came in the history. */
function nextTurn({ wireName, base }: Client, body: ReturnType<typeof JSON.parse>): object {
  switch (wireName) {
    case "openai-chat":
      return { messages: [user("Hi"), body.choices[0].message, user("Why?")] };
    case "openai-responses":
      return { ...base, input: [user("Hi"), ...body.output, user("Why?")] };
    case "anthropic-messages":
      return { ...base, messages: [user("Hi"), { role: "assistant", content: body.content }, user("Why?")] };
    case "gemini": {
      const said = (text: string) => ({ role: "user", parts: [{ text }] });
      return { contents: [said("Hi"), body.candidates[0].content, said("Why?")] };
    }
  }
}
const user = (content: string) => ({ role: "user", content });

/** Whether this stands in the text, bare or inside something in base64. */
function holds(text: string, value: string): boolean {
  if (text.includes(value)) return true;
  const inBase64 = text.match(/[A-Za-z0-9+/]{16,}={0,2}/g) ?? [];
  return inBase64.some((part) => atob(part.slice(0, part.length - (part.length % 4))).includes(value));
}

const names = (record: object) => Object.keys(record);

test("Gemini 3 is asked not to look for the signature of a call that another vendor made", () => {
  const [client] = CLIENTS.filter(({ wireName }) => wireName === "gemini");
  if (client === undefined) throw new Error("no Gemini client");
  const call = { functionCall: { id: "call_1", name: "look", args: {} } };
  const contents = [
    { role: "user", parts: [{ text: "Hi" }] },
    { role: "model", parts: [call, call] },
  ];
  const sentTo = (vendor: Vendor) =>
    JSON.parse(exchangeOf(client, vendor, parseBody(client, { contents })).request.body ?? "");
  const signed = { ...call, thoughtSignature: "skip_thought_signature_validator" };
  expect(sentTo("gemini").contents[1]).toEqual({ role: "model", parts: [signed, call] });
  expect(sentTo("vertex, Gemini")).toEqual({ contents });
});

test("thoughts without a signature reach neither Claude nor OpenAI as theirs", () => {
  const maker: Maker = {
    vendor: "deepseek",
    mayHave: [],
    answer: () => chatAnswer({ reasoning_content: "Hm." }),
  };
  for (const client of CLIENTS) {
    const chat = parseBody(client, nextTurn(client, told(client, maker, "", "")));
    for (const vendor of CLAUDES) {
      const { body = "" } = exchangeOf(client, vendor, chat).request;
      expect(body).not.toContain("Hm.");
      expect(body).toContain("Yes.");
    }
    const { body = "" } = exchangeOf(client, "openai", chat).request;
    // The client's own bytes, in a field that OpenAI does not know.
    if (client.wireName !== "openai-chat") expect(body).not.toContain("Hm.");
  }
});

describe.each(CLIENTS.map((client) => [client.wireName, client] as const))("%s", (_, client) => {
  describe.each(Object.entries(MAKERS))("%s's proofs", (__, maker) => {
    // typed by the record itself
    test.each(names(VENDORS) as Vendor[])("at %s", (vendor) => {
      fc.assert(
        fc.property(proof, proof, (signature, sealed) => {
          const chat = parseBody(client, nextTurn(client, told(client, maker, signature, sealed)));
          const { body = "" } = exchangeOf(client, vendor, chat).request;
          const mayHave = maker.mayHave.includes(vendor);
          // A client's own fields that a chat upstream does not know stay with its bytes; it reads no proof in them.
          if (client.wireName !== "openai-chat" || !CHAT_UPSTREAMS.includes(vendor)) {
            const isLost = maker.answer === geminiAnswer && client.wireName === "anthropic-messages";
            expect([holds(body, signature), holds(body, sealed)]).toEqual([mayHave, mayHave && !isLost]);
          }
          expect(body).toContain("Yes.");
          expect(body).not.toMatch(/headgate:|"(gemini|chat):/);
        }),
        { numRuns: 10 },
      );
    });
  });
});
