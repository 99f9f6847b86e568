// A model vendor in place of the network that plays one fate a call, in virtual time, and writes down what it did: how far it had come
// when the call ended, and so what it bills. It is called by `fetch` alone.
import type { VirtualTime } from "../../support/fakes/virtual-time.ts";
import { vendorWireOf } from "./vendor-answers.ts";

export type Fate =
  /** Answers to the end. `hasUsage`: false for a vendor that says none. */
  | {
      readonly kind: "answer";
      readonly afterMs: number;
      readonly paceMs: number;
      readonly hasUsage: boolean;
    }
  /** The body breaks off at a share of its bytes: by a fault, by an early end, or by silence. */
  | {
      readonly kind: "cut";
      readonly afterMs: number;
      readonly paceMs: number;
      readonly at: number;
      readonly by: "fault" | "end" | "silence";
    }
  /** Never sends a head. */
  | { readonly kind: "hang" }
  | {
      readonly kind: "refused";
      readonly afterMs: number;
      readonly status: number;
      readonly retryAfterMs?: number;
    }
  /** The connection fails before a head. */
  | { readonly kind: "unreachable"; readonly afterMs: number }
  | { readonly kind: "malformed"; readonly afterMs: number };

export interface VendorCall {
  /** `traceparent`: names the attempt's span. */
  readonly traceparent: string;
  readonly model: string;
  readonly fate: Fate;
  /** Of the whole answer, as it would be billed. */
  readonly tokens: { readonly inputTokens: number; readonly outputTokens: number };
  readonly textChars: number;
  /** The head, or the connection's failure, came before the caller had stopped the call. */
  isDecided: boolean;
  /** The body's last byte has left, and its end. */
  isSent: boolean;
  /** The caller has stopped the call. */
  isAborted: boolean;
}

export interface Vendor {
  readonly fetch: typeof fetch;
  readonly calls: readonly VendorCall[];
}

const TEXT_WORDS = "The quick brown fox jumps over the lazy dog again ";

/** `nextFate` is called once a call. */
export function createVendor(time: VirtualTime, nextFate: (model: string) => Fate): Vendor {
  const calls: VendorCall[] = [];

  async function answer(
    input: Parameters<typeof fetch>[0],
    init: Parameters<typeof fetch>[1],
  ): Promise<Response> {
    const url = typeof input === "string" ? input : input instanceof URL ? input.href : input.url;
    // The gateway sends its headers as a record; the platforms' types allow more.
    const headers = init?.headers as Readonly<Record<string, string>>;
    const body: unknown = JSON.parse(typeof init?.body === "string" ? init.body : "{}");
    const wire = vendorWireOf(url);
    const model = modelOf(url, body);
    const isStream = url.includes("streamGenerateContent") || Object(body)["stream"] === true;
    const fate = nextFate(model);
    const number = calls.length + 1;
    const text = TEXT_WORDS.repeat(1 + (number % 3)).trim();
    const tokens = {
      inputTokens: 1000 + 7 * number,
      outputTokens: wire.name === "embeddings" ? 0 : 100 + number,
    };
    const call: VendorCall = {
      traceparent: headers["traceparent"] ?? "",
      model,
      fate,
      tokens,
      textChars: wire.name === "embeddings" ? 0 : text.length,
      isDecided: false,
      isSent: false,
      isAborted: false,
    };
    calls.push(call);
    const signal = init?.signal ?? new AbortController().signal;
    const gone = Promise.withResolvers<never>();
    gone.promise.catch(() => {});
    const leave = (): void => {
      call.isAborted = true;
      gone.reject(signal.reason);
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });

    await Promise.race([headOf(fate), gone.promise]);
    call.isDecided = true;
    if (fate.kind === "unreachable") throw new TypeError("fetch failed");
    if (fate.kind === "refused") {
      const more = fate.retryAfterMs === undefined ? {} : { "retry-after-ms": String(fate.retryAfterMs) };
      call.isSent = true;
      return Response.json({ error: { message: "refused" } }, { status: fate.status, headers: more });
    }
    if (fate.kind === "malformed") {
      call.isSent = true;
      return new Response("<html>", { headers: { "content-type": "text/html" } });
    }
    const hasUsage = fate.kind !== "answer" || fate.hasUsage;
    // Three of four are near each other.
    const vector = number % 4 === 0 ? [0.5, -0.25] : [0.25, 0.5];
    const answered = { model, text, vector, usage: hasUsage ? tokens : undefined };
    const pieces = isStream ? wire.stream(answered) : [wire.whole(answered)];
    return new Response(bodyOf(call, pieces, signal), {
      headers: { "content-type": isStream ? "text/event-stream" : "application/json" },
    });
  }

  async function headOf(fate: Fate): Promise<void> {
    if (fate.kind === "hang") return new Promise(() => {});
    await time.sleep(fate.afterMs);
  }

  function bodyOf(
    call: VendorCall,
    pieces: readonly string[],
    signal: AbortSignal,
  ): ReadableStream<Uint8Array> {
    const { fate } = call;
    const whole = new TextEncoder().encode(pieces.join(""));
    const isCut = fate.kind === "cut";
    const end = isCut ? Math.floor(fate.at * whole.byteLength) : whole.byteLength;
    const paceMs = "paceMs" in fate ? fate.paceMs : 0;
    const step = Math.max(1, Math.ceil(whole.byteLength / Math.max(1, pieces.length)));
    let at = 0;
    let isOver = false;
    return new ReadableStream<Uint8Array>({
      start(controller) {
        signal.addEventListener("abort", () => {
          if (!isOver) controller.error(signal.reason);
          isOver = true;
        });
      },
      async pull(controller) {
        if (isOver) return;
        if (at < end) {
          if (at > 0) await time.sleep(paceMs);
          // The await may have outlived the call.
          if (isOver) return;
          controller.enqueue(whole.subarray(at, Math.min(end, at + step)));
          at += step;
          return;
        }
        if (isCut && fate.by === "silence") return new Promise(() => {});
        isOver = true;
        if (isCut && fate.by === "fault") return controller.error(new TypeError("terminated"));
        call.isSent = !isCut;
        controller.close();
      },
      cancel() {
        isOver = true;
      },
    });
  }

  return { calls, fetch: answer };
}

function modelOf(url: string, body: unknown): string {
  const inPath = /\/models\/([^:/]+):/.exec(url)?.[1];
  return inPath ?? String(Object(body)["model"]);
}
