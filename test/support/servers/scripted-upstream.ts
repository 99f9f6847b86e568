// A real OpenAI-compatible model API on node:http whose every answer a test scripts, faults included, and which remembers what
// it was asked, how each answer ended and how many it held at once. The bytes it writes are made in upstream-replies.ts.
// It is no part of the gateway: `sim` is.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { writeReply, type Exchange, type Reply } from "./upstream-replies.ts";

/** One request as the upstream saw it; the fields about its end are filled in when it ends. */
export type UpstreamRequest = Exchange & {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly startedAt: number;
  endedAt: number | undefined;
  /** Resolves when the exchange is over, by whichever side. */
  readonly ended: Promise<void>;
};

/** A fixed reply, or one decided from the request. */
export type Script = Reply | ((request: UpstreamRequest) => Reply | Promise<Reply>);

export interface ScriptedUpstream {
  /** Base URL without a path; OpenAI-compatible providers take `${url}/v1`. */
  readonly url: string;
  /** Every request so far, oldest first. */
  readonly requests: readonly UpstreamRequest[];
  requestsFor(model: string): readonly UpstreamRequest[];
  /** Requests that are being answered now, and the most there ever were at once; of one model where it is named. */
  inFlight(model?: string): number;
  maxInFlight(model?: string): number;
  /** How requests for this model are answered from now on; tests keep apart by using their own model names. */
  script(model: string, script: Script): void;
  /** Resolves with the nth (from 1) request for a model as soon as it has come; throws after `timeoutMs`. */
  waitForRequest(
    model: string,
    options?: { readonly nth?: number; readonly timeoutMs?: number },
  ): Promise<UpstreamRequest>;
  close(): Promise<void>;
}

/** What a model without a script answers. */
const DEFAULT_REPLY: Reply = { kind: "answer", text: "Hello from the upstream." };
const DEFAULT_WAIT_MS = 10_000;

type Gauge = { now: number; max: number };

export async function startScriptedUpstream(): Promise<ScriptedUpstream> {
  const requests: UpstreamRequest[] = [];
  const scripts = new Map<string, Script>();
  const gauges = new Map<string, Gauge>();
  const arrivals = new Set<() => void>();
  const total: Gauge = { now: 0, max: 0 };

  const server = createServer((incoming, response) => {
    response.socket?.setNoDelay(true);
    void exchange(incoming, response).catch(() => response.destroy());
  });

  async function exchange(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await readRequest(incoming, response, requests);
    requests.push(request);
    const counted = [total, gaugeOf(gauges, request.model)];
    counted.forEach(enter);
    void request.ended.then(() => counted.forEach(leave));
    for (const notice of arrivals) notice();

    const script = scripts.get(request.model) ?? DEFAULT_REPLY;
    const reply = typeof script === "function" ? await script(request) : script;
    await writeReply(reply, request, response);
  }

  function waitForRequest(model: string, nth: number, timeoutMs: number): Promise<UpstreamRequest> {
    const find = (): UpstreamRequest | undefined =>
      requests.filter((request) => request.model === model)[nth - 1];
    const present = find();
    if (present !== undefined) return Promise.resolve(present);
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = find();
        if (found === undefined) return;
        clearTimeout(timer);
        arrivals.delete(check);
        resolve(found);
      };
      const timer = setTimeout(() => {
        arrivals.delete(check);
        reject(new Error(`upstream: request ${nth} for ${model} did not come within ${timeoutMs} ms`));
      }, timeoutMs);
      arrivals.add(check);
    });
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A TCP server that listens has an AddressInfo (Node's types allow a pipe name or null as well).
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    requestsFor: (model) => requests.filter((request) => request.model === model),
    inFlight: (model) => (model === undefined ? total : gaugeOf(gauges, model)).now,
    maxInFlight: (model) => (model === undefined ? total : gaugeOf(gauges, model)).max,
    script: (model, script) => {
      scripts.set(model, script);
    },
    waitForRequest: (model, { nth = 1, timeoutMs = DEFAULT_WAIT_MS } = {}) =>
      waitForRequest(model, nth, timeoutMs),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readRequest(
  incoming: IncomingMessage,
  response: ServerResponse,
  before: readonly UpstreamRequest[],
): Promise<UpstreamRequest> {
  const startedAt = Date.now();
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  const json = parseObject(body);
  const model = typeof json["model"] === "string" ? json["model"] : "";
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const request: UpstreamRequest = {
    method: incoming.method ?? "",
    path: incoming.url ?? "/",
    headers: incoming.headers,
    body,
    json,
    model,
    earlier: before.filter((other) => other.model === model).length,
    startedAt,
    endedAt: undefined,
    outcome: "open",
    billed: undefined,
    ended,
  };
  // "close" comes once: after the last byte was handed over, or when the socket is gone. A scripted cut has marked itself.
  response.once("close", () => {
    request.endedAt = Date.now();
    if (request.outcome === "open")
      request.outcome = response.writableFinished ? "complete" : "client_closed";
    end();
  });
  return request;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    // A JSON object has string keys and unknown values, which is all this type says.
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function gaugeOf(gauges: Map<string, Gauge>, model: string): Gauge {
  const gauge = gauges.get(model) ?? { now: 0, max: 0 };
  gauges.set(model, gauge);
  return gauge;
}

function enter(gauge: Gauge): void {
  gauge.now += 1;
  gauge.max = Math.max(gauge.max, gauge.now);
}

function leave(gauge: Gauge): void {
  gauge.now -= 1;
}
