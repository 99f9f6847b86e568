// What is sent and what must come back: the bodies of each case, the check of an answer, the bars. Shared by mock and load.

export type CaseName = "1 KB" | "100 KB answer" | "100 KB prompt" | "50-chunk stream";

export type BenchCase = {
  readonly name: CaseName;
  /** The route's and the upstream model's name; the mock tells the cases apart by it. */
  readonly model: string;
  readonly body: string;
  readonly isStream: boolean;
  /** The most CPU the gateway may use, in multiples of the bare Worker's. */
  readonly bar: number;
};

/** What the mock's collector has got so far: posts, and root spans of chat requests in them. */
export type MockCounts = { exports: number; traces: number };

/** The latency mode of the mock: enough chunks to see steady delay, short enough for many rounds. */
export const PACED = { model: "paced", firstChunkMs: 20, paceMs: 10, chunks: 12 } as const;
/** Time to first token the gateway may add, in ms. */
export const TTFT_BAR_MS = 2;
/** The largest bundle, minified and gzipped, in KiB. */
export const BUNDLE_BAR_KIB = 250;
export const STREAM_CHUNKS = 50;

const SMALL_BYTES = 1024;
const LARGE_BYTES = 100 * 1024;
/** Bytes of JSON around the text of a completion or a prompt, so that a body is about as large as its name says. */
const ENVELOPE_BYTES = 300;
const CHUNK_BYTES = 248;
const SENTENCE = 'The gateway reads "this" and forwards it, unchanged: naïve façade, 12 × 34. ';

export const CASES: readonly BenchCase[] = [
  { name: "1 KB", model: "small", body: chatBody("small", SMALL_BYTES, false), isStream: false, bar: 8 },
  {
    name: "100 KB answer",
    model: "large-answer",
    body: chatBody("large-answer", SMALL_BYTES, false),
    isStream: false,
    bar: 7,
  },
  {
    name: "100 KB prompt",
    model: "large-prompt",
    body: chatBody("large-prompt", LARGE_BYTES, false),
    isStream: false,
    bar: 7,
  },
  {
    name: "50-chunk stream",
    model: "stream",
    body: chatBody("stream", SMALL_BYTES, true),
    isStream: true,
    bar: 5,
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

/** What is wrong with an answer, or undefined: status, length, number of content chunks, exactly one `[DONE]` at the end. */
export function answerProblem(benchCase: string, status: number, body: string): string | undefined {
  if (status !== 200) return `status ${status}: ${body.slice(0, 200)}`;
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
  const content = text(bytes - ENVELOPE_BYTES);
  return JSON.stringify({ model, ...(stream && { stream }), messages: [{ role: "user", content }] });
}

function text(length: number): string {
  return SENTENCE.repeat(Math.ceil(length / SENTENCE.length)).slice(0, length);
}
