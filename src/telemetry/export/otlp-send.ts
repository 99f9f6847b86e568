/**
 * Sends one OTLP body to one destination, with retries, and returns the result. It never throws and counts
 * nothing. The body is byte-identical in each try.
 */

import { encodeText } from "../../bytes/digest.ts";
import { parseRetryAfter } from "../../runtime/retry-after.ts";
import type { Encoding } from "../../tenants/records/destination-presets.ts";
import { toProtobuf } from "../otlp/otlp-protobuf.ts";
import { isRetryableStatus, RETRY_WINDOW_MS, retryDelayMs } from "./export-retry.ts";

export interface Destination {
  readonly name: string;
  /** The full URL of the traces endpoint: see `tracesUrl`. */
  readonly url: string;
  /** Decrypted headers: they hold credentials and are never stored or logged. */
  readonly headers: Readonly<Record<string, string>>;
  readonly gzip: boolean;
  /** JSON where absent. */
  readonly encoding?: Encoding;
}

export interface SendPorts {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly random: () => number;
  /** A signal that aborts after this many ms: `AbortSignal.timeout`. */
  readonly timeoutSignal: (ms: number) => AbortSignal;
}

/** The OTLP/JSON of one POST; a destination that wants Protobuf gets it written at each try. */
export interface ExportPayload {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly isGzip: boolean;
}

/**
 * The result of an export. `reason` is for counters: `http_400`, `network`, `timeout`, `redirect`,
 * `partial_success`. `mayRetry`: the fault is temporary, but there was no time left.
 */
export type Delivery =
  | { readonly kind: "delivered"; readonly retries: number }
  | {
      readonly kind: "undelivered";
      readonly reason: string;
      readonly mayRetry: boolean;
      readonly retryAfterMs?: number | undefined;
      readonly retries: number;
    };

/** The result of one try. `status` is absent without a response. */
export type SendResult =
  | { readonly kind: "ok"; readonly status: number }
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly mayRetry: boolean;
      readonly status?: number;
      readonly retryAfterMs?: number | undefined;
    };

/** Timeout of one try. */
export const ATTEMPT_TIMEOUT_MS = 10_000;
/** Below this, compression costs more than it saves. */
const GZIP_FROM_BYTES = 4096;
/** A response is `{}` or a partial success; more is not read. */
const MAX_ANSWER_CHARS = 65_536;

const TRACES_PATH = "/v1/traces";

/**
 * The traces endpoint of a base URL, as for OTEL_EXPORTER_OTLP_ENDPOINT; one that already ends in /v1/traces is
 * kept.
 */
export function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/(?<!\/)\/+$/, "");
  url.pathname = path.endsWith(TRACES_PATH) ? path : path + TRACES_PATH;
  return url.href;
}

/** Sends a body, and retries where the specification and the request's time allow it. */
export async function sendExport(
  destination: Destination,
  body: string,
  ports: SendPorts,
): Promise<Delivery> {
  return sendPayload(destination, await toPayload(encodeText(body), destination.gzip), ports);
}

/** The same for a prepared body; tries begin within RETRY_WINDOW_MS, so that all of it ends within 20 s. */
export async function sendPayload(
  destination: Destination,
  payload: ExportPayload,
  ports: SendPorts,
): Promise<Delivery> {
  const lastTryAt = ports.clock() + RETRY_WINDOW_MS;
  for (let retries = 0; ; retries++) {
    const tried = await sendOnce(destination, payload, ports);
    if (tried.kind === "ok") return { kind: "delivered", retries };
    const { reason, mayRetry, retryAfterMs } = tried;
    const delayMs = retryDelayMs(retries, retryAfterMs, ports.random());
    if (!mayRetry || ports.clock() + delayMs >= lastTryAt) {
      return { kind: "undelivered", reason, mayRetry, retryAfterMs, retries };
    }
    await ports.sleep(delayMs);
  }
}

/** A body ready to send: compressed where wanted and worthwhile. */
export async function toPayload(body: Uint8Array<ArrayBuffer>, wantsGzip: boolean): Promise<ExportPayload> {
  if (!wantsGzip || body.length < GZIP_FROM_BYTES) return { body, isGzip: false };
  const packed = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
  return { body: new Uint8Array(await new Response(packed).arrayBuffer()), isGzip: true };
}

/** What waits is JSON, so that a changed encoding holds for it too. */
async function toEncoding({ gzip, encoding }: Destination, payload: ExportPayload): Promise<ExportPayload> {
  if (encoding !== "protobuf") return payload;
  const { body, isGzip } = payload;
  const stream = new Blob([body]).stream();
  const plain = isGzip ? stream.pipeThrough(new DecompressionStream("gzip")) : stream;
  return toPayload(toProtobuf(await new Response(plain).text()), gzip);
}

/** One try. */
export async function sendOnce(
  destination: Destination,
  payload: ExportPayload,
  ports: Pick<SendPorts, "fetch" | "clock" | "timeoutSignal">,
): Promise<SendResult> {
  const { url, headers, encoding } = destination;
  const signal = ports.timeoutSignal(ATTEMPT_TIMEOUT_MS);
  try {
    const { body, isGzip } = await toEncoding(destination, payload);
    const allHeaders = {
      ...headers,
      "content-type": encoding === "protobuf" ? "application/x-protobuf" : "application/json",
      ...(isGzip && { "content-encoding": "gzip" }),
    };
    // A redirect could carry the credential elsewhere, and no OTLP receiver needs one.
    const response = await ports.fetch(url, {
      method: "POST",
      headers: allHeaders,
      body,
      redirect: "manual",
      signal,
    });
    const { status } = response;
    // A character for each byte of Protobuf.
    const label = encoding === "protobuf" ? "latin1" : "utf-8";
    if (response.ok) return judgeAnswer(status, await readText(response, label));
    await response.body?.cancel();
    if (status < 400) return { kind: "failed", reason: "redirect", mayRetry: false, status };
    return {
      kind: "failed",
      reason: `http_${status}`,
      mayRetry: isRetryableStatus(status),
      status,
      retryAfterMs: parseRetryAfter(response.headers, ports.clock()),
    };
  } catch {
    return { kind: "failed", reason: signal.aborted ? "timeout" : "network", mayRetry: true };
  }
}

/**
 * A partially refused batch counts as refused, since the response doesn't name the spans; it MUST NOT be sent
 * again.
 */
function judgeAnswer(status: number, text: string): SendResult {
  if (rejectedSpans(text) === 0 && !hasRejectedBytes(text)) return { kind: "ok", status };
  return { kind: "failed", reason: "partial_success", mayRetry: false, status };
}

/** `partialSuccess.rejectedSpans`, a decimal string in strict JSON encodings and a number in loose ones. */
function rejectedSpans(text: string): number {
  if (!text.includes("rejectedSpans")) return 0;
  try {
    const answer: unknown = JSON.parse(text, (key, value: unknown) =>
      key === "rejectedSpans" ? Number(value) : value,
    );
    return findRejected(answer);
  } catch {
    return 0;
  }
}

/** The same of a Protobuf answer: its first field holds a message whose first field is a count that isn't zero. */
function hasRejectedBytes(text: string): boolean {
  const at = text.charCodeAt(1) < 0x80 ? 2 : 3;
  return text.startsWith("\n") && text[at] === "\b" && text[at + 1] !== "\0";
}

function findRejected(answer: unknown): number {
  if (typeof answer !== "object" || answer === null || !("partialSuccess" in answer)) return 0;
  const { partialSuccess } = answer;
  if (typeof partialSuccess !== "object" || partialSuccess === null) return 0;
  const count: unknown = Reflect.get(partialSuccess, "rejectedSpans");
  return typeof count === "number" && count > 0 ? count : 0;
}

/** Reads a response to its end, so that the connection can be reused; stops at one that is too long. */
async function readText(response: Response, label: string): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder(label);
  const reader = response.body.getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += decoder.decode(value, { stream: true });
    if (text.length > MAX_ANSWER_CHARS) {
      await reader.cancel();
      return text;
    }
  }
}
