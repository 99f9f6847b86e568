// The answers a scripted upstream can give, and the writing of their bytes: an OpenAI chat completion as JSON or as SSE, whole
// or hurt in one chosen way. It keeps no state but the request record it is handed.
import type { ServerResponse } from "node:http";

/** Cached tokens are a part of the input, reasoning is a part of the output. */
export type Billing = {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens?: number;
  readonly reasoningTokens?: number;
};

/** What a reply reads of the request, and what it notes about how it was answered. */
export type Exchange = {
  /** The parsed body, `{}` where it is not a JSON object. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly model: string;
  /** How many requests for this model came before, 0 for the first: lets a script fail once and then answer. */
  readonly earlier: number;
  /** Our answer was complete, the script cut it, or the other side went away before its end. */
  outcome: "open" | "complete" | "cut" | "client_closed";
  /** The tokens this answer was billed with, of a partial answer what had been sent; undefined for errors and hangs. */
  billed: Billing | undefined;
};

type ToolCall = { readonly id: string; readonly name: string; readonly arguments: string };

/** How a stream ends: as it should, without `[DONE]`, with its socket destroyed, silent for ever, or with an error event. */
type StreamEnd = "done" | "no-done" | "cut" | "stall" | "error-event";

type Answer = {
  /** A whole completion where the request says no `stream`, else SSE. */
  readonly kind: "answer";
  /** The text; in a stream one word a chunk. */
  readonly text?: string;
  /** The texts of the chunks of a stream, instead of words of `text`. */
  readonly chunks?: readonly string[];
  readonly toolCalls?: readonly ToolCall[];
  readonly finishReason?: string;
  readonly usage?: Billing;
  readonly headers?: Readonly<Record<string, string>>;
  /** Wait before the headers. */
  readonly delayMs?: number;
  /** Streams: wait between headers and first chunk. */
  readonly firstChunkDelayMs?: number;
  /** Streams: wait before each further chunk. */
  readonly paceMs?: number;
  /** Bytes in one write, to break events and UTF-8 sequences apart; whole events where absent. */
  readonly writeBytes?: number;
  readonly end?: StreamEnd;
  /** Chunks sent before a `cut`, `stall` or `error-event`; all where absent. */
  readonly endAfterChunks?: number;
  /** Sends the usage chunk although the request did not ask for it, or never. */
  readonly usageChunk?: "always" | "never";
};

export type Reply =
  | Answer
  | {
      readonly kind: "error";
      readonly status: number;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
      readonly delayMs?: number;
    }
  /** Takes the request and sends nothing, not even headers. */
  | { readonly kind: "hang" }
  /** These very bytes; `cut` destroys the socket after them, before the promised length. */
  | {
      readonly kind: "raw";
      readonly status?: number;
      readonly contentType?: string;
      readonly body: string;
      readonly cut?: boolean;
    }
  /** A stream in these very pieces: wire formats that are not OpenAI's. */
  | {
      readonly kind: "pieces";
      readonly status?: number;
      readonly contentType?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly pieces: readonly (string | Uint8Array)[];
      /** Wait before each piece but the first. */
      readonly paceMs?: number;
      /** After the last piece: ended (where absent), the socket destroyed, or silent for ever. */
      readonly end?: "cut" | "stall";
    }
  | { readonly kind: "redirect"; readonly location: string };

const CREATED_AT_S = 1_760_000_000;
const DEFAULT_INPUT_TOKENS = 10;
/** Added to a promised `content-length` that a cut then breaks. */
const MISSING_BYTES = 1000;

export async function writeReply(reply: Reply, request: Exchange, response: ServerResponse): Promise<void> {
  switch (reply.kind) {
    case "hang":
      return;
    case "redirect":
      response.writeHead(307, { location: reply.location }).end();
      return;
    case "error": {
      await pause(reply.delayMs);
      const body = reply.body ?? {
        error: { message: `scripted ${reply.status}`, type: "scripted", code: null },
      };
      const text = typeof body === "string" ? body : JSON.stringify(body);
      response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers }).end(text);
      return;
    }
    case "raw": {
      const length = Buffer.byteLength(reply.body) + (reply.cut === true ? MISSING_BYTES : 0);
      const type = reply.contentType ?? "application/json";
      response.writeHead(reply.status ?? 200, { "content-type": type, "content-length": length });
      if (reply.cut !== true) response.end(reply.body);
      else response.write(reply.body, () => cut(request, response));
      return;
    }
    case "pieces":
      await writePieces(reply, request, response);
      return;
    case "answer":
      await pause(reply.delayMs);
      if (request.json["stream"] === true) await writeStream(reply, request, response);
      else writeCompletion(reply, request, response);
  }
}

function writeCompletion(answer: Answer, request: Exchange, response: ServerResponse): void {
  const usage = usageOf(answer);
  request.billed = usage;
  const message = {
    role: "assistant",
    content: answer.toolCalls === undefined ? (answer.text ?? textsOf(answer).join("")) : null,
    refusal: null,
    ...(answer.toolCalls !== undefined && { tool_calls: answer.toolCalls.map(wireToolCall) }),
  };
  const body = {
    ...envelope(request, "chat.completion"),
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReasonOf(answer) }],
    usage: wireUsage(usage),
  };
  response
    .writeHead(200, { "content-type": "application/json", ...answer.headers })
    .end(JSON.stringify(body));
}

async function writePieces(
  {
    pieces,
    status = 200,
    contentType = "text/event-stream",
    headers,
    paceMs,
    end,
  }: Extract<Reply, { readonly kind: "pieces" }>,
  request: Exchange,
  response: ServerResponse,
): Promise<void> {
  response.writeHead(status, { "content-type": contentType, ...headers });
  response.flushHeaders();
  for (const [index, piece] of pieces.entries()) {
    if (index > 0) await pause(paceMs);
    if (response.destroyed) return;
    await new Promise((resolve) => response.write(piece, resolve));
  }
  if (end === "cut") cut(request, response);
  else if (end !== "stall") response.end();
}

async function writeStream(answer: Answer, request: Exchange, response: ServerResponse): Promise<void> {
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    ...answer.headers,
  });
  response.flushHeaders();
  const deltas = deltasOf(answer);
  const end = answer.end ?? "done";
  const limit =
    end === "done" || end === "no-done" ? deltas.length : (answer.endAfterChunks ?? deltas.length);
  const usage = usageOf(answer);
  const isUsageAsked = answer.usageChunk === "always" || isUsageWanted(request.json);
  const head = envelope(request, "chat.completion.chunk");
  const send = (chunk: object): Promise<void> =>
    writeBytes(response, `data: ${JSON.stringify({ ...head, ...chunk })}\n\n`, answer.writeBytes);

  await pause(answer.firstChunkDelayMs);
  for (const [index, delta] of deltas.slice(0, limit).entries()) {
    if (index > 0) await pause(answer.paceMs);
    if (response.destroyed) return;
    await send({ choices: [{ index: 0, delta, finish_reason: null }] });
    request.billed = {
      inputTokens: usage.inputTokens,
      outputTokens: Math.min(index + 1, usage.outputTokens),
    };
  }
  if (end === "stall") return;
  if (end === "cut") return cut(request, response);
  if (end === "error-event") {
    const error = { message: "scripted failure in mid-stream", type: "server_error", code: null };
    await writeBytes(response, `data: ${JSON.stringify({ error })}\n\n`, answer.writeBytes);
    response.end();
    return;
  }
  await send({ choices: [{ index: 0, delta: {}, finish_reason: finishReasonOf(answer) }] });
  request.billed = usage;
  if (isUsageAsked && answer.usageChunk !== "never") await send({ choices: [], usage: wireUsage(usage) });
  if (end === "done") await writeBytes(response, "data: [DONE]\n\n", answer.writeBytes);
  response.end();
}

/**
 * Writes the text in pieces of `size` bytes, each given its own turn so that it tends to leave as its own packet; resolves when
 * the last is with the kernel, so that a cut after it doesn't take it back.
 */
async function writeBytes(response: ServerResponse, text: string, size: number | undefined): Promise<void> {
  const bytes = Buffer.from(text);
  const step = size ?? bytes.length;
  for (let at = 0; at < bytes.length && !response.destroyed; at += step) {
    await new Promise((resolve) => response.write(bytes.subarray(at, at + step), resolve));
  }
}

function cut(request: Exchange, response: ServerResponse): void {
  request.outcome = "cut";
  response.destroy();
}

/** The deltas of a stream: role first, then texts, then tool calls, each call's arguments in two halves. */
function deltasOf(answer: Answer): object[] {
  const calls = (answer.toolCalls ?? []).flatMap((call, index) => {
    const half = Math.ceil(call.arguments.length / 2);
    const opening = { ...wireToolCall(call), index, function: { name: call.name, arguments: "" } };
    const parts = [call.arguments.slice(0, half), call.arguments.slice(half)];
    return [opening, ...parts.map((part) => ({ index, function: { arguments: part } }))];
  });
  const [first = "", ...rest] = textsOf(answer);
  return [
    { role: "assistant", content: first },
    ...rest.map((content) => ({ content })),
    ...calls.map((call) => ({ tool_calls: [call] })),
  ];
}

function textsOf({ chunks, text, toolCalls }: Answer): readonly string[] {
  if (chunks !== undefined) return chunks;
  if (text === undefined) return toolCalls === undefined ? ["Hello"] : [];
  return text.split(/(?<= )/u);
}

function usageOf(answer: Answer): Billing {
  return answer.usage ?? { inputTokens: DEFAULT_INPUT_TOKENS, outputTokens: deltasOf(answer).length };
}

function finishReasonOf({ finishReason, toolCalls }: Answer): string {
  return finishReason ?? (toolCalls === undefined ? "stop" : "tool_calls");
}

function isUsageWanted(json: Readonly<Record<string, unknown>>): boolean {
  const options = json["stream_options"];
  return (
    typeof options === "object" &&
    options !== null &&
    "include_usage" in options &&
    options.include_usage === true
  );
}

function envelope(request: Exchange, object: string): object {
  return {
    id: `chatcmpl-${request.model}-${request.earlier}`,
    object,
    created: CREATED_AT_S,
    model: request.model,
  };
}

function wireToolCall(call: ToolCall): object {
  return { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } };
}

function wireUsage({ inputTokens, outputTokens, cachedTokens, reasoningTokens }: Billing): object {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    ...(cachedTokens !== undefined && { prompt_tokens_details: { cached_tokens: cachedTokens } }),
    ...(reasoningTokens !== undefined && {
      completion_tokens_details: { reasoning_tokens: reasoningTokens },
    }),
  };
}

async function pause(ms: number | undefined): Promise<void> {
  if (ms !== undefined && ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}
