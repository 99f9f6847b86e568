// A real OTLP/HTTP JSON receiver on node:http that a test can make slow, broken or picky, and that keeps every byte it got.
// It judges nothing (otlp-proto.ts and trace-invariants.ts do); a span counts only when its export was answered with success,
// so a retried export is not seen twice. Called by the client tests and the bench.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

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

/** One POST as it came in. */
export type ReceivedExport = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The body as sent, compressed or not. */
  readonly wireBytes: Buffer;
  /** The body after `content-encoding`. */
  readonly text: string;
  readonly json: unknown;
  readonly receivedAt: number;
  /** The status it was answered with; undefined while unanswered, hung or reset. */
  readonly status: number | undefined;
};

/** A scalar attribute value of OTLP/JSON; 64-bit integers become numbers. */
export type AttributeValue = string | number | boolean | readonly AttributeValue[] | null;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** A span out of an accepted export, flattened: plain attributes, nanosecond strings kept, resource and scope beside it. */
export type FlatSpan = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Attributes;
  readonly events: readonly {
    readonly name: string;
    readonly timeUnixNano: string;
    readonly attributes: Attributes;
  }[];
  readonly links: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: Attributes;
  }[];
  readonly status: { readonly code?: number; readonly message?: string };
  readonly resource: Attributes;
  readonly scope: string;
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
  close(): Promise<void>;
}

/** Long enough for an export retried once with a second's back-off on a busy machine. */
const DEFAULT_WAIT_MS = 10_000;
const METRICS_PATH = "/v1/metrics";
/** `SpanKind.SPAN_KIND_SERVER` of trace.proto. */
const SPAN_KIND_SERVER = 2;

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const exports: ReceivedExport[] = [];
  const metricExports: ReceivedExport[] = [];
  const accepted: FlatSpan[] = [];
  // Parsing waits until somebody asks: a crowd's exports must not hold up the process that measures the crowd.
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
    const text = (
      request.headers["content-encoding"] === "gzip" ? gunzipSync(wireBytes) : wireBytes
    ).toString();
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
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
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

type WireValue = {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: string | number;
  doubleValue?: number;
  arrayValue?: { values?: WireValue[] };
};
type WireAttributes = readonly { key: string; value?: WireValue }[];
type WireSpan = Omit<FlatSpan, "attributes" | "events" | "links" | "resource" | "scope"> & {
  attributes?: WireAttributes;
  events?: { name: string; timeUnixNano: string; attributes?: WireAttributes }[];
  links?: { traceId: string; spanId: string; attributes?: WireAttributes }[];
};
type WireBody = {
  resourceSpans?: {
    resource?: { attributes?: WireAttributes };
    scopeSpans?: { scope?: { name?: string }; spans?: WireSpan[] }[];
  }[];
};

/** Flattens the spans of an OTLP/JSON body; a body of another shape gives what can be read of it. */
export function flattenSpans(body: unknown): FlatSpan[] {
  // Only the shape matters here: whether the values keep to the protocol is checkOtlp's business.
  const { resourceSpans = [] } = (body ?? {}) as WireBody;
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ scope, spans = [] }) =>
      spans.map((span) => ({
        ...span,
        parentSpanId: span.parentSpanId === "" ? undefined : span.parentSpanId,
        attributes: plainAttributes(span.attributes),
        events: (span.events ?? []).map((event) => ({
          ...event,
          attributes: plainAttributes(event.attributes),
        })),
        links: (span.links ?? []).map((link) => ({ ...link, attributes: plainAttributes(link.attributes) })),
        status: span.status ?? {},
        resource: plainAttributes(resource?.attributes),
        scope: scope?.name ?? "",
      })),
    ),
  );
}

function plainAttributes(attributes: WireAttributes = []): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]));
}

function plainValue(value: WireValue = {}): AttributeValue {
  if (value.intValue !== undefined) return Number(value.intValue);
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? null;
}
