// A real OTLP/HTTP receiver on node:http, JSON and Protobuf, that a test can make slow, broken or picky, and that keeps every byte it got.
// A span counts only when its export was answered with success, so a retried export is not seen twice. When it closes, all it got
// is judged (check-exports.ts).
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { protobufToJson } from "../checkers/otlp-proto.ts";
import { checkExports } from "../checkers/check-exports.ts";
import { flattenSpans, type FlatSpan, type ReceivedExport } from "../checkers/otlp-spans.ts";
import type { TraceCheck } from "../checkers/trace-invariants.ts";

/** How the receiver behaves for the exports to come; every field is optional and the default is a prompt 200. */
type ReceiverBehaviour = {
  readonly status?: number;
  readonly delayMs?: number;
  /** Takes the request and never answers. */
  readonly hang?: boolean;
  /** Sent as `retry-after`: seconds or an HTTP date, as it stands. */
  readonly retryAfter?: string;
  /** Answers 200 with `partialSuccess.rejectedSpans`. */
  readonly rejectedSpans?: number;
  /** Destroys the connection once the request was read. */
  readonly reset?: boolean;
};

export interface OtlpReceiver {
  /** Base URL, to be given as `OTLP_ENDPOINT`. */
  readonly url: string;
  /** Every POST of traces so far, refused ones too, oldest first. */
  readonly exports: readonly ReceivedExport[];
  /** Every POST of metrics so far: they are always accepted, and `behave` is not about them. */
  readonly metricExports: readonly ReceivedExport[];
  /** Spans of accepted exports, in order of arrival. */
  spans(): readonly FlatSpan[];
  spansOf(traceId: string): readonly FlatSpan[];
  /** Changes how the next exports are answered; `{}` heals it. */
  behave(behaviour: ReceiverBehaviour): void;
  /** All spans of a trace once its root came (a SERVER span whose parent is not among them); throws after `timeoutMs`. */
  waitForTrace(traceId: string, options?: { readonly timeoutMs?: number }): Promise<readonly FlatSpan[]>;
  /** Resolves when `condition` holds, checked after each export; throws after `timeoutMs`. */
  waitUntil(condition: () => boolean, options?: { readonly timeoutMs?: number }): Promise<void>;
  /** Everything received, decompressed and as sent, for canary greps. */
  allText(): string;
  clear(): void;
  /** Throws where a body or a trace among all that it got is not as it must be. */
  close(): Promise<void>;
}

/** Long enough for an export retried once with a second's back-off on a busy machine. */
const DEFAULT_WAIT_MS = 10_000;
const METRICS_PATH = "/v1/metrics";
/** `SpanKind.SPAN_KIND_SERVER` of trace.proto. */
const SPAN_KIND_SERVER = 2;

/** `gets`: what the destination it stands for may have beyond the allow-list. */
export async function startOtlpReceiver({ gets = [] }: Pick<TraceCheck, "gets"> = {}): Promise<OtlpReceiver> {
  const exports: ReceivedExport[] = [];
  const metricExports: ReceivedExport[] = [];
  const accepted: FlatSpan[] = [];
  // Parsing waits until a test asks: a crowd's exports must not hold up the process that measures the crowd.
  const unread: ReceivedExport[] = [];
  const waiting = new Set<() => void>();
  let behaviour: ReceiverBehaviour = {};

  const server = createServer((request, response) => {
    void receive(request, response).catch(() => response.destroy());
  });

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    const isMetrics = path.endsWith(METRICS_PATH);
    const now = isMetrics ? {} : behaviour;
    const wireBytes = await readAll(request);
    const bytes = request.headers["content-encoding"] === "gzip" ? gunzipSync(wireBytes) : wireBytes;
    const isProtobuf = request.headers["content-type"] === "application/x-protobuf";
    const text = isProtobuf ? protobufToJson(bytes) : bytes.toString();
    const isAnswered = now.hang !== true && now.reset !== true;
    const status = isAnswered ? (now.status ?? 200) : undefined;
    const received = toExport({
      path,
      headers: request.headers,
      wireBytes,
      text,
      receivedAt: Date.now(),
      status,
    });
    (isMetrics ? metricExports : exports).push(received);
    if (now.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, now.delayMs));
    if (now.reset === true) request.socket.destroy();
    else if (status !== undefined) answer(response, status, now);
    const isAccepted = status !== undefined && status < 300 && now.rejectedSpans === undefined;
    if (isAccepted && !isMetrics) unread.push(received);
    for (const check of waiting) check();
  }

  async function waitUntil(condition: () => boolean, timeoutMs: number, what: () => string): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const check = (): void => {
        if (!condition()) return;
        clearTimeout(timer);
        waiting.delete(check);
        resolve();
      };
      const timer = setTimeout(() => {
        waiting.delete(check);
        reject(
          new Error(`OTLP receiver: ${what()} (waited ${timeoutMs} ms, ${exports.length} exports in all)`),
        );
      }, timeoutMs);
      waiting.add(check);
    });
  }

  const spans = (): readonly FlatSpan[] => {
    for (const { json } of unread.splice(0)) accepted.push(...flattenSpans(json));
    return accepted;
  };
  const spansOf = (traceId: string): readonly FlatSpan[] =>
    spans().filter((span) => span.traceId === traceId);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A TCP server that listens has an AddressInfo (Node's types allow a pipe name or null as well).
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    exports,
    metricExports,
    spans,
    spansOf,
    behave: (next) => {
      behaviour = next;
    },
    waitForTrace: async (traceId, { timeoutMs = DEFAULT_WAIT_MS } = {}) => {
      const missing = (): string =>
        `no root for trace ${traceId}, ${spansOf(traceId).length} spans of it came`;
      await waitUntil(() => hasRoot(spansOf(traceId)), timeoutMs, missing);
      return spansOf(traceId);
    },
    waitUntil: (condition, { timeoutMs = DEFAULT_WAIT_MS } = {}) =>
      waitUntil(condition, timeoutMs, () => "the condition did not come true"),
    allText: () =>
      [...exports, ...metricExports]
        .map(({ text, wireBytes }) => `${text}\n${wireBytes.toString("latin1")}`)
        .join("\n"),
    clear: () => {
      exports.length = 0;
      metricExports.length = 0;
      accepted.length = 0;
      unread.length = 0;
    },
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      checkExports(exports, metricExports, { gets });
    },
  };
}

function answer(
  response: ServerResponse,
  status: number,
  { retryAfter, rejectedSpans }: ReceiverBehaviour,
): void {
  const partial =
    rejectedSpans === undefined ? {} : { rejectedSpans: String(rejectedSpans), errorMessage: "refused" };
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (retryAfter !== undefined) headers["retry-after"] = retryAfter;
  response
    .writeHead(status, headers)
    .end(JSON.stringify(status < 300 ? { partialSuccess: partial } : { code: 14 }));
}

function hasRoot(spans: readonly FlatSpan[]): boolean {
  const ids = new Set(spans.map((span) => span.spanId));
  return spans.some(
    ({ kind, parentSpanId }) =>
      kind === SPAN_KIND_SERVER && (parentSpanId === undefined || !ids.has(parentSpanId)),
  );
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The body is parsed at the first look at `json`; undefined where it is none. */
function toExport(seen: Omit<ReceivedExport, "json">): ReceivedExport {
  let parsed: { readonly value: unknown } | undefined;
  return {
    ...seen,
    get json() {
      parsed ??= { value: parseJson(seen.text) };
      return parsed.value;
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
