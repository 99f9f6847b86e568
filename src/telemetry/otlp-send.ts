/**
 * Sends one OTLP/JSON body to one destination, with its retries, and says what became of it. It never throws and never
 * counts; exporter.ts does the counting. The body goes out byte-identical each time.
 */

import { EXPORT_BUDGET_MS, isRetryableStatus, parseRetryAfter, retryDelayMs } from "./export-retry.ts";

export interface Destination {
  readonly name: string;
  /** The full URL of the traces endpoint: see `tracesUrl`. */
  readonly url: string;
  /** Opened headers: credentials in the clear, so never stored or logged. */
  readonly headers: Readonly<Record<string, string>>;
  readonly gzip: boolean;
}

export interface SendPorts {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly random: () => number;
  /** A signal that aborts after so many ms: `AbortSignal.timeout`. */
  readonly timeoutSignal: (ms: number) => AbortSignal;
}

/**
 * What became of an export. `reason` is a short word for counters: `http_400`, `network`, `timeout`, `redirect`,
 * `partial_success`. `mayRetry`: the fault was one that passes, only the time was up.
 */
export type Delivery =
  | { readonly kind: "delivered"; readonly retries: number }
  | {
      readonly kind: "undelivered";
      readonly reason: string;
      readonly mayRetry: boolean;
      readonly retries: number;
    };

/** One try; a receiver that takes longer is treated as gone. */
const ATTEMPT_TIMEOUT_MS = 10_000;
/** Below this compressing costs more than it saves. */
const GZIP_FROM_BYTES = 4096;
/** A receiver's answer is `{}` or a partial success; more is not read. */
const MAX_ANSWER_CHARS = 65_536;

const TRACES_PATH = "/v1/traces";

/** The traces endpoint of a base URL, as OTEL_EXPORTER_OTLP_ENDPOINT means it; one that already ends so is kept. */
export function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith(TRACES_PATH) ? path : path + TRACES_PATH;
  return url.href;
}

/** Sends, and tries again within the budget where the specification allows it. */
export async function sendExport(
  destination: Destination,
  body: string,
  ports: SendPorts,
): Promise<Delivery> {
  const request = await prepare(destination, body);
  const deadlineAt = ports.clock() + EXPORT_BUDGET_MS;
  for (let attempt = 0; ; attempt++) {
    const leftMs = deadlineAt - ports.clock();
    const tried = await tryOnce(destination.url, request, Math.min(ATTEMPT_TIMEOUT_MS, leftMs), ports);
    if (tried.kind === "ok") return { kind: "delivered", retries: attempt };
    const delayMs = retryDelayMs(attempt, tried.retryAfterMs, ports.random());
    if (!tried.mayRetry || ports.clock() + delayMs >= deadlineAt) {
      return { kind: "undelivered", reason: tried.reason, mayRetry: tried.mayRetry, retries: attempt };
    }
    await ports.sleep(delayMs);
  }
}

interface Prepared {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | ArrayBuffer;
}

async function prepare({ headers, gzip }: Destination, text: string): Promise<Prepared> {
  const own = { ...headers, "content-type": "application/json" };
  if (!gzip) return { headers: own, body: text };
  const bytes = new TextEncoder().encode(text);
  if (bytes.length < GZIP_FROM_BYTES) return { headers: own, body: text };
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return {
    headers: { ...own, "content-encoding": "gzip" },
    body: await new Response(packed).arrayBuffer(),
  };
}

type Tried =
  | { readonly kind: "ok" }
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly mayRetry: boolean;
      readonly retryAfterMs?: number | undefined;
    };

async function tryOnce(
  url: string,
  { headers, body }: Prepared,
  timeoutMs: number,
  ports: SendPorts,
): Promise<Tried> {
  const signal = ports.timeoutSignal(timeoutMs);
  try {
    // A redirect could carry the credential elsewhere, and no OTLP receiver needs one.
    const response = await ports.fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
    if (response.ok) return judgeAnswer(await readText(response));
    await response.body?.cancel();
    const { status } = response;
    if (status < 400) return { kind: "failed", reason: "redirect", mayRetry: false };
    return {
      kind: "failed",
      reason: `http_${status}`,
      mayRetry: isRetryableStatus(status),
      retryAfterMs: parseRetryAfter(response.headers.get("retry-after"), ports.clock()),
    };
  } catch {
    return { kind: "failed", reason: signal.aborted ? "timeout" : "network", mayRetry: true };
  }
}

/** A partially refused batch counts as refused, since nothing says which spans it was; it MUST NOT be sent again. */
function judgeAnswer(text: string): Tried {
  const rejected = rejectedSpans(text);
  if (rejected === 0) return { kind: "ok" };
  return { kind: "failed", reason: "partial_success", mayRetry: false };
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

function findRejected(answer: unknown): number {
  if (typeof answer !== "object" || answer === null || !("partialSuccess" in answer)) return 0;
  const { partialSuccess } = answer;
  if (typeof partialSuccess !== "object" || partialSuccess === null) return 0;
  const count: unknown = Reflect.get(partialSuccess, "rejectedSpans");
  return typeof count === "number" && count > 0 ? count : 0;
}

/** Reads an answer to its end, so that the connection can be used again; gives up on one that is too long. */
async function readText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
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
