// What is sent and what must come back: the bodies of each case, the check of an answer, the bars. Shared by mock and load.

type FloorCaseName = "1 KB" | "100 KB answer" | "100 KB prompt" | "50-chunk stream";
type DetailCaseName =
  | "1 KB, equal bodies"
  | "1 KB, cache miss and store"
  | "1 KB, cache hit"
  | "1 KB, refused"
  | "50-chunk stream, translated";
export type CaseName = FloorCaseName | DetailCaseName;

/** Each is a tenant of the gateway: everything on, its answers cached as well, or next to nothing allowed. */
export const BENCH_TENANTS = ["plain", "cached", "refused"] as const;
export type BenchTenant = (typeof BENCH_TENANTS)[number];

type BenchCase = {
  readonly name: CaseName;
  readonly path: string;
  /** The route's name; `upstreamModel` gives its target's, and the mock tells the cases apart by it. */
  readonly model: string;
  readonly body: string;
  /** Whether each request has a nonce of its own in its body. */
  readonly isVaried: boolean;
  readonly tenant: BenchTenant;
  /** The most CPU the gateway may use, in multiples of the bare Worker's, and what it is to come to. */
  readonly bar: number;
  readonly goal: number;
};

/** A case that the floors have as well. */
export type FloorCase = BenchCase & { readonly name: FloorCaseName };
/** A case of the gateway alone, compared with what the floor takes for the same size. */
type DetailCase = BenchCase & { readonly name: DetailCaseName; readonly floor: FloorCaseName };

/** What the mock's collector has got so far: posts, and root spans of chat requests in them. */
export type MockCounts = { exports: number; traces: number };

/** The latency mode of the mock: enough chunks to see steady delay, short enough for many rounds. */
export const PACED = { model: "paced", firstChunkMs: 20, paceMs: 10, chunks: 12 } as const;
/** Time to first token that the gateway may add to the bare Worker's, and what it is to come to, in ms. */
export const TTFT_BAR_MS = 1.5;
export const TTFT_GOAL_MS = 0.5;
/** The largest bundle, minified and gzipped, in KiB. */
export const BUNDLE_BAR_KIB = 250;
export const STREAM_CHUNKS = 50;

const SMALL_BYTES = 1024;
const LARGE_BYTES = 100 * 1024;
/** Bytes of JSON around the text of a completion or a prompt, so that a body is about as large as its name says. */
const ENVELOPE_BYTES = 300;
const CHUNK_BYTES = 248;
/** Sixteen characters, for a number in their place. */
export const NONCE = "nonce-0000000000";
const SENTENCE = 'The gateway reads "this" and forwards it, unchanged: naïve façade, 12 × 34. ';

const CHAT = { path: "/v1/chat/completions", isVaried: true, tenant: "plain" } as const;
const SMALL = { ...CHAT, model: "small", body: chatBody("small", SMALL_BYTES, false) };

export const CASES: readonly FloorCase[] = [
  { ...SMALL, name: "1 KB", bar: 4, goal: 2.8 },
  {
    ...CHAT,
    name: "100 KB answer",
    model: "large-answer",
    body: chatBody("large-answer", SMALL_BYTES, false),
    bar: 4.2,
    goal: 2.8,
  },
  {
    ...CHAT,
    name: "100 KB prompt",
    model: "large-prompt",
    body: chatBody("large-prompt", LARGE_BYTES, false),
    bar: 4,
    goal: 2.8,
  },
  {
    ...CHAT,
    name: "50-chunk stream",
    model: "stream",
    body: chatBody("stream", SMALL_BYTES, true),
    bar: 3.8,
    goal: 2.3,
  },
];

export const DETAIL_CASES: readonly DetailCase[] = [
  { ...SMALL, name: "1 KB, equal bodies", floor: "1 KB", isVaried: false, bar: 4, goal: 2.8 },
  { ...SMALL, name: "1 KB, cache miss and store", floor: "1 KB", tenant: "cached", bar: 6.5, goal: 3.6 },
  {
    ...SMALL,
    name: "1 KB, cache hit",
    floor: "1 KB",
    tenant: "cached",
    isVaried: false,
    bar: 3,
    goal: 1.6,
  },
  { ...SMALL, name: "1 KB, refused", floor: "1 KB", tenant: "refused", bar: 2.5, goal: 0.8 },
  {
    ...CHAT,
    name: "50-chunk stream, translated",
    floor: "50-chunk stream",
    path: "/v1/messages",
    model: "stream",
    body: messagesBody("stream", SMALL_BYTES),
    bar: 10,
    goal: 4.5,
  },
];

export const PACED_BODY = chatBody(PACED.model, SMALL_BYTES, true);

export function completion(size: "small" | "large"): string {
  const content = text((size === "small" ? SMALL_BYTES : LARGE_BYTES) - ENVELOPE_BYTES);
  return JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion",
    created: 1_760_000_000,
    model: size,
    choices: [{ index: 0, message: { role: "assistant", content }, logprobs: null, finish_reason: "stop" }],
    usage: { prompt_tokens: 10, completion_tokens: 50, total_tokens: 60 },
  });
}

/** The fifty content events of the stream case, one write each. */
export function streamEvents(): readonly string[] {
  const head = {
    id: "chatcmpl-bench",
    object: "chat.completion.chunk",
    created: 1_760_000_000,
    model: "stream",
  };
  return Array.from({ length: STREAM_CHUNKS }, (_, index) => {
    const isLast = index === STREAM_CHUNKS - 1;
    const choice = {
      index: 0,
      delta: { content: text(CHUNK_BYTES / 2) },
      finish_reason: isLast ? "stop" : null,
    };
    return `data: ${JSON.stringify({ ...head, choices: [choice] })}\n\n`;
  });
}

/** The name at the upstream of a route's model: another one, so that the gateway rewrites it in each request. */
export function upstreamModel(model: string): string {
  return `${model}-v1`;
}

/** What is wrong with an answer, or undefined: status, length, number of content chunks, exactly one end mark at the end. */
export function answerProblem(benchCase: string, status: number, body: string): string | undefined {
  // A refused tenant has one request a minute, which is answered.
  if (benchCase === "1 KB, refused" && status === 429) return undefined;
  if (status !== 200) return `status ${status}: ${body.slice(0, 200)}`;
  if (benchCase === "50-chunk stream, translated") {
    const deltas = body.split('"type":"text_delta"').length - 1;
    const isWhole = body.trimEnd().endsWith('data: {"type":"message_stop"}');
    return deltas === STREAM_CHUNKS && isWhole ? undefined : `${deltas} text deltas, or no end`;
  }
  const isStream = benchCase === "50-chunk stream" || benchCase === PACED.model;
  if (!isStream) {
    const expected = completion(benchCase === "100 KB answer" ? "large" : "small").length;
    return body.endsWith('"total_tokens":60}}') && Math.abs(body.length - expected) < ENVELOPE_BYTES
      ? undefined
      : `${body.length} characters instead of about ${expected}`;
  }
  const expected = benchCase === PACED.model ? PACED.chunks : STREAM_CHUNKS;
  const chunks = body.split('"delta":{"content":').length - 1;
  if (chunks !== expected) return `${chunks} content chunks instead of ${expected}`;
  const isDone = body.endsWith("data: [DONE]\n\n") && body.indexOf("[DONE]") === body.lastIndexOf("[DONE]");
  return isDone ? undefined : "the stream does not end with one [DONE]";
}

function chatBody(model: string, bytes: number, stream: boolean): string {
  return JSON.stringify({ model, ...(stream && { stream }), messages: [promptOf(bytes)] });
}

/** The same as a stream of Anthropic's API, which the gateway translates for the mock. */
function messagesBody(model: string, bytes: number): string {
  return JSON.stringify({ model, stream: true, max_tokens: 1000, messages: [promptOf(bytes)] });
}

function promptOf(bytes: number) {
  return { role: "user", content: NONCE + text(bytes - ENVELOPE_BYTES - NONCE.length) };
}

function text(length: number): string {
  return SENTENCE.repeat(Math.ceil(length / SENTENCE.length)).slice(0, length);
}
