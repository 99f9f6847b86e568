// What a public bug report comes to as a test: one request of a client, what the vendor answers it, and what is then right. The reports are
// those of other gateways and clients; the facts are theirs, the words and the variants are ours.
import type { UpstreamRequest } from "../../support/servers/scripted-upstream.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";
import type { Attributes } from "../../support/checkers/otlp-spans.ts";
import { fixtureBytes } from "../../support/builders/wire-fixtures.ts";

export type Form = "whole" | "streamed";
export type ClientWire = "chat" | "messages" | "responses" | "gemini";

/** The vendors' accounts of the test's tenant: each is named as its kind. */
export const VENDORS = {
  anthropic: { kind: "anthropic", apiKey: "key" },
  bedrock: {
    kind: "bedrock",
    apiKey: "key",
    options: { accessKeyId: "AKIDEXAMPLE", region: "eu-west-1" },
  },
  gemini: { kind: "gemini", apiKey: "key" },
  mistral: { kind: "mistral", apiKey: "key" },
  openai: { kind: "openai", apiKey: "key" },
  "openai-compatible": { kind: "openai-compatible", apiKey: "key" },
  openrouter: { kind: "openrouter", apiKey: "key" },
} as const;
export type Vendor = keyof typeof VENDORS;

/** An answer in the vendor's wire; text where digits must stay as they are written. A stream is a list of its events' data. */
export interface VendorReply {
  readonly whole?: object | string;
  readonly streamed?: readonly (object | string)[];
}

/** What came of one request. */
export interface Seen {
  readonly form: Form;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** What the vendor was sent last; absent where it was sent nothing. */
  readonly sent: UpstreamRequest | undefined;
  /** Attributes of the request's root span. */
  root(): Promise<Attributes>;
}

export interface ReportCase {
  readonly name: string;
  readonly vendor: Vendor;
  /** Absent: a name of the test's own. */
  readonly model?: string;
  readonly client: ClientWire;
  readonly headers?: Readonly<Record<string, string>>;
  /** Without its model and `stream`; JSON where digits must stay as they are written. */
  readonly body: object | string;
  /** `content-encoding` of the body. */
  readonly encode?: (json: string) => Uint8Array<ArrayBuffer>;
  /** Absent: the vendor says "ok". */
  readonly reply?: VendorReply;
  /** The forms that are asked for; both where absent. */
  readonly forms?: readonly Form[];
  /** The answer is asked for again, from the cache and in both forms. */
  readonly isCached?: boolean;
  check(seen: Seen): void | Promise<void>;
}

const CHAT_USAGE = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 };

export const chatChunk = (delta: object, finish: string | null = null): object => ({
  id: "c1",
  object: "chat.completion.chunk",
  created: 1,
  model: "m1",
  choices: [{ index: 0, delta, finish_reason: finish }],
});
export const chatAnswer = (message: object, finish = "stop", usage: object = CHAT_USAGE): object => ({
  id: "c1",
  object: "chat.completion",
  created: 1,
  model: "m1",
  choices: [{ index: 0, message: { role: "assistant", content: null, ...message }, finish_reason: finish }],
  usage,
});
export const chatUsage = (usage: object = CHAT_USAGE): object => ({
  id: "c1",
  object: "chat.completion.chunk",
  created: 1,
  model: "m1",
  choices: [],
  usage,
});
const CHAT_OK: VendorReply = {
  whole: chatAnswer({ content: "ok" }),
  streamed: [chatChunk({ content: "ok" }), chatChunk({}, "stop"), chatUsage(), "[DONE]"],
};

/** A message of Claude's with these blocks, whole and streamed; `deltas` say what a block's stream fills it with. */
export function claudeReply(
  blocks: readonly { readonly start: object; readonly delta: object; readonly whole: object }[],
  { stopReason = "end_turn", usage = {} }: { readonly stopReason?: string; readonly usage?: object } = {},
): Required<VendorReply> {
  const said = { input_tokens: 10, output_tokens: 2, ...usage };
  const head = { id: "msg_1", type: "message", role: "assistant", model: "claude" };
  const content = blocks.flatMap(({ start, delta }, index) => [
    { type: "content_block_start", index, content_block: start },
    { type: "content_block_delta", index, delta },
    { type: "content_block_stop", index },
  ]);
  return {
    whole: { ...head, content: blocks.map(({ whole }) => whole), stop_reason: stopReason, usage: said },
    streamed: [
      { type: "message_start", message: { ...head, content: [], stop_reason: null, usage: said } },
      ...content,
      {
        type: "message_delta",
        delta: { stop_reason: stopReason, stop_sequence: null },
        usage: { output_tokens: said.output_tokens },
      },
      { type: "message_stop" },
    ],
  };
}

export const claudeText = (text: string, usage: object = {}): Required<VendorReply> =>
  claudeReply(
    [
      {
        start: { type: "text", text: "" },
        delta: { type: "text_delta", text },
        whole: { type: "text", text },
      },
    ],
    { usage },
  );

/** One event, which is a whole answer too. */
export const geminiReply = (answer: object | string): VendorReply => ({ whole: answer, streamed: [answer] });
export const geminiAnswer = (parts: readonly object[], more: object = {}): object => ({
  candidates: [{ content: { role: "model", parts }, finishReason: "STOP", index: 0 }],
  usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 2, totalTokenCount: 12 },
  responseId: "r1",
  modelVersion: "gemini",
  ...more,
});

const CONVERSE_OK: VendorReply = {
  whole: {
    output: { message: { role: "assistant", content: [{ text: "ok" }] } },
    stopReason: "end_turn",
    usage: { inputTokens: 10, outputTokens: 2, totalTokens: 12 },
  },
};

function okOf(vendor: Vendor): VendorReply {
  if (vendor === "anthropic") return claudeText("ok");
  if (vendor === "gemini") return geminiReply(geminiAnswer([{ text: "ok" }]));
  return vendor === "bedrock" ? CONVERSE_OK : CHAT_OK;
}

/** The bytes of a vendor's answer, in the form that it is scripted for. */
export function scriptOf(vendor: Vendor, form: Form, given: VendorReply = okOf(vendor)): Reply {
  const { whole, streamed } = given;
  if (vendor === "bedrock" && form === "streamed") {
    const pieces = [fixtureBytes("bedrock/text.bin")];
    return { kind: "pieces", contentType: "application/vnd.amazon.eventstream", pieces };
  }
  // Where a vendor answers in one form alone, that is what the report is about.
  if (streamed === undefined || (form === "whole" && whole !== undefined)) {
    const body = typeof whole === "string" ? whole : JSON.stringify(whole);
    return { kind: "raw", body };
  }
  const pieces = streamed.map((event) => {
    const data = typeof event === "string" ? event : JSON.stringify(event);
    const name = typeof event === "object" && "type" in event ? `event: ${String(event.type)}\n` : "";
    return `${name}data: ${data}\n\n`;
  });
  return { kind: "pieces", pieces };
}

/** How a client asks: where, and with which body. */
export function requestOf(
  { client, body, vendor }: ReportCase,
  model: string,
  form: Form,
): { readonly path: string; readonly json: string } {
  const named = `${vendor}/${model}`;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const isStreamed = form === "streamed";
  if (client === "gemini") {
    const call = isStreamed ? "streamGenerateContent?alt=sse" : "generateContent";
    return { path: `/v1beta/models/${named}:${call}`, json: text };
  }
  const path = { chat: "/v1/chat/completions", messages: "/v1/messages", responses: "/v1/responses" }[client];
  const head = { model: named, ...(isStreamed && { stream: true }) };
  return { path, json: `${JSON.stringify(head).slice(0, -1)},${text.slice(1)}` };
}
