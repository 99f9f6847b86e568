// Replies of a scripted upstream in Anthropic's Messages wire: whole or streamed as the request asks. Goes
// with scripted-upstream.ts, whose own answers are OpenAI's.
import type { Reply } from "./upstream-replies.ts";
import type { UpstreamRequest } from "./scripted-upstream.ts";

type Block = Readonly<Record<string, unknown>> & { readonly type: string };

export type MessageScript = {
  readonly content?: readonly Block[];
  readonly stopReason?: string;
  readonly stopSequence?: string;
  readonly usage?: Readonly<Record<string, unknown>>;
  /** Streams: wait before each event but the first. */
  readonly paceMs?: number;
  /** Streams: events sent before the end below; all where absent. */
  readonly endAfterEvents?: number;
  readonly end?: "cut" | "stall" | "error-event";
};

/** The id of every scripted message. */
export const MESSAGE_ID = "msg_scripted";
const USAGE = {
  input_tokens: 12,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 8,
  output_tokens: 7,
};
/** Enough pieces that arguments are seen to arrive in fragments. */
const PIECES = 3;

/** A script that answers each request with this message, or with its count of tokens. */
export function anthropicMessage(script: MessageScript = {}): (request: UpstreamRequest) => Reply {
  return (request) => {
    if (request.path.endsWith("/count_tokens")) return json({ input_tokens: 4711 });
    if (request.json["stream"] !== true) return json(wholeMessage(script, request.model));
    const events = messageEvents(script, request.model);
    const { end, paceMs } = script;
    const sent = end === undefined ? events : events.slice(0, script.endAfterEvents ?? events.length);
    const fault = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };
    return {
      kind: "pieces",
      pieces: end === "error-event" ? [...sent, formatEvent(fault)] : sent,
      ...(paceMs !== undefined && { paceMs }),
      ...(end !== undefined && end !== "error-event" && { end }),
    };
  };
}

/** An error as Anthropic words it. */
export function anthropicError(status: number, type: string, message = `scripted ${status}`): Reply {
  return {
    kind: "error",
    status,
    body: { type: "error", error: { type, message }, request_id: "req_scripted" },
  };
}

function json(body: object): Reply {
  return { kind: "raw", body: JSON.stringify(body) };
}

function wholeMessage(script: MessageScript, model: string): object {
  const { content = [{ type: "text", text: "Hello from Claude." }], usage = USAGE } = script;
  const stop_reason =
    script.stopReason ?? (content.some(({ type }) => type === "tool_use") ? "tool_use" : "end_turn");
  return {
    id: MESSAGE_ID,
    type: "message",
    role: "assistant",
    model,
    content,
    stop_reason,
    stop_sequence: script.stopSequence ?? null,
    usage,
  };
}

/** The stream's bytes, an event each. */
function messageEvents(script: MessageScript, model: string): readonly string[] {
  const message = Object(wholeMessage(script, model));
  const { content, usage, stop_reason, stop_sequence, ...head } = message;
  const opening = { ...head, content: [], stop_reason: null, stop_sequence: null };
  const blocks: readonly Block[] = content;
  return [
    { type: "message_start", message: { ...opening, usage: { ...usage, output_tokens: 1 } } },
    { type: "ping" },
    ...blocks.flatMap(blockEvents),
    { type: "message_delta", delta: { stop_reason, stop_sequence }, usage },
    { type: "message_stop" },
  ].map(formatEvent);
}

function blockEvents(block: Block, index: number): readonly Block[] {
  const { start, deltas } = splitBlock(block);
  return [
    { type: "content_block_start", index, content_block: start },
    ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
    { type: "content_block_stop", index },
  ];
}

function splitBlock(block: Block): { readonly start: Block; readonly deltas: readonly object[] } {
  switch (block.type) {
    case "text":
      return {
        start: { ...block, text: "" },
        deltas: piecesOf(String(block["text"])).map((text) => ({ type: "text_delta", text })),
      };
    case "thinking": {
      const thoughts = piecesOf(String(block["thinking"]));
      return {
        start: { ...block, thinking: "", signature: "" },
        deltas: [
          ...thoughts.map((thinking) => ({ type: "thinking_delta", thinking })),
          { type: "signature_delta", signature: block["signature"] },
        ],
      };
    }
    case "tool_use": {
      const fragments = piecesOf(JSON.stringify(block["input"]));
      return {
        start: { ...block, input: {} },
        deltas: fragments.map((partial_json) => ({ type: "input_json_delta", partial_json })),
      };
    }
    default:
      return { start: block, deltas: [] };
  }
}

function piecesOf(text: string): readonly string[] {
  const size = Math.max(1, Math.ceil(text.length / PIECES));
  return Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
    text.slice(at * size, (at + 1) * size),
  );
}

function formatEvent(event: { readonly type: string }): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
