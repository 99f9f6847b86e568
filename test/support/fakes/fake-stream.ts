// A streamed answer by hand, in workerd: an upstream's body that a test writes, cuts and watches, a call over it as upstream/call.ts
// makes one, and a client that reads.
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { GatewayError } from "../../../src/errors.ts";
import { type AnswerSummary, createAnswerCollector } from "../../../src/pipeline/answers/answer-summary.ts";
import { upstreamWireFor } from "../../../src/providers/provider.ts";
import { providerOf } from "../../../src/providers/registry.ts";
import { createSseParser, type ServerSentEvent } from "../../../src/bytes/sse.ts";
import { openStream, type OpenStream } from "../../../src/upstream/stream.ts";
import type { UpstreamCall } from "../../../src/upstream/call.ts";
import { type CallLimits, sendUpstream } from "../../../src/upstream/send.ts";
import { fakeChat } from "./fake-tenant.ts";
import { SharedTimer } from "../../../src/runtime/shared-timer.ts";

/**
 * `native`: a body that came over a connection, outside of JavaScript, as every fetched one. `script`: a byte stream made by one, as
 * `sim` has them. The runtime carries the two in different ways.
 */
export type SourceKind = "native" | "script";

/** The upstream's side of a stream: what its script may do. */
export interface FakeSource {
  /** Resolves when the bytes are under way; never rejects. */
  send(text: string | Uint8Array): Promise<void>;
  pause(ms: number): Promise<void>;
  /** Waits for the test. It may be in another request's context, where no promise of the test's would do. */
  until(isSo: () => boolean): Promise<void>;
  /** A source whose script ends without `end` or `cut` falls silent. */
  end(): Promise<void>;
  /** The connection breaks. */
  cut(): Promise<void>;
}

export type SourceScript = (source: FakeSource) => Promise<void>;

/** Whether the reader of the upstream's answer has stopped before its end. */
interface Watch {
  isStopped: boolean;
}

const BROKEN = new Error("connection reset by 10.0.0.7");
const GRAIN_MS = 2;

interface Writer {
  send(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
  fail(reason: unknown): Promise<void>;
}

function play(script: SourceScript, writer: Writer, watch: Watch): void {
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const unlessStopped = async (work: () => Promise<void>): Promise<void> => {
    if (!watch.isStopped) await work().catch(() => void (watch.isStopped = true));
  };
  void script({
    send: (text) =>
      unlessStopped(() => writer.send(typeof text === "string" ? new TextEncoder().encode(text) : text)),
    pause,
    async until(isSo) {
      while (!isSo() && !watch.isStopped) await pause(GRAIN_MS);
    },
    end: () => unlessStopped(writer.end),
    cut: () => unlessStopped(() => writer.fail(BROKEN)),
  });
}

/** In the caller's context: the pipe's far end is a body that JavaScript has no hand in. */
function createNativeBody(script: SourceScript, watch: Watch): ReadableStream<Uint8Array> {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  play(
    script,
    {
      send: (bytes) => writer.write(bytes),
      end: () => writer.close(),
      fail: (reason) => writer.abort(reason),
    },
    watch,
  );
  return readable;
}

function createScriptBody(
  script: SourceScript,
  watch: Watch,
  signal: AbortSignal | null | undefined,
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      signal?.addEventListener("abort", () => {
        watch.isStopped = true;
        controller.error(signal.reason);
      });
      const writer: Writer = {
        send: async (bytes) => controller.enqueue(bytes),
        async end() {
          controller.close();
          // A pending BYOB read is only answered with an empty view.
          controller.byobRequest?.respond(0);
        },
        fail: async (reason) => controller.error(reason),
      };
      play(script, writer, watch);
    },
    cancel: () => void (watch.isStopped = true),
  });
}

/** An upstream's streamed body in the caller's own context, that breaks when the signal fires, as a fetched one does. */
export function createFakeBody(script: SourceScript, signal?: AbortSignal): ReadableStream<Uint8Array> {
  return createScriptBody(script, { isStopped: false }, signal);
}

/** Plays the script inside a Durable Object, so that what comes back has crossed a connection. */
async function fetchNative(
  script: SourceScript,
  watch: Watch,
  signal: AbortSignal | null | undefined,
): Promise<Response> {
  const stub = env.DIRECTORY.getByName(crypto.randomUUID());
  await runInDurableObject(stub, (instance) => {
    // The class has no `fetch` of its own; this instance is the test's alone.
    Object.assign(instance, { fetch: async () => new Response(createNativeBody(script, watch)) });
  });
  return stub.fetch("http://up.example/", { signal: signal ?? null });
}

/** One `data:` event of a chat stream. */
export function textEvent(content: string, finishReason: string | null = null, index = 0): string {
  return `data: ${JSON.stringify({
    id: "c-1",
    object: "chat.completion.chunk",
    model: "m-1",
    choices: [{ index, delta: { content }, finish_reason: finishReason }],
  })}\n\n`;
}

export const USAGE_EVENT = `data: ${JSON.stringify({
  id: "c-1",
  choices: [],
  usage: { prompt_tokens: 10, completion_tokens: 20 },
})}\n\n`;
export const END = "data: [DONE]\n\n";
/** An answer of several events with characters of two, three and four bytes. */
export const ANSWER = [
  textEvent("Hé"),
  ": ping\n\n",
  textEvent("€llo "),
  textEvent("😀", "stop"),
  USAGE_EVENT,
  END,
].join("");

export interface FakeStreamOptions {
  readonly kind?: SourceKind;
  readonly limits?: Partial<Omit<CallLimits, "deadlineAt">> & { readonly totalMs?: number };
  readonly client?: AbortSignal;
}

export interface FakeStream {
  readonly attempt: UpstreamCall;
  /** Whether the upstream was stopped before its script's end. */
  readonly isStopped: () => boolean;
  readonly events: readonly ServerSentEvent[];
  readonly summary: () => AnswerSummary;
  open(): Promise<OpenStream>;
  /** Opens it and sends it to a client. */
  start(): Promise<ReturnType<OpenStream["send"]>>;
}

const PATIENT_MS = 10_000;

/** An upstream that has answered with the head of a stream, and now plays the script. */
export async function createFakeStream(
  script: SourceScript,
  options: FakeStreamOptions = {},
): Promise<FakeStream> {
  const { kind = "native", limits = {}, client = new AbortController().signal } = options;
  const { firstByteMs = PATIENT_MS, idleMs = PATIENT_MS, totalMs = PATIENT_MS } = limits;
  const watch: Watch = { isStopped: false };
  const provider = providerOf("openai");
  const account = {
    name: "up",
    kind: "openai",
    baseUrl: "https://up.example/v1",
    headers: {},
    options: {},
    propagateTrace: false,
  };
  const target = { account, model: "m-1" };
  const wire = upstreamWireFor(provider, "openai-chat", target);
  const attempt = await sendUpstream(
    {
      request: wire.toRequest(fakeChat({ stream: true }), target),
      provider,
      target,
      limits: { firstByteMs, idleMs, deadlineAt: Date.now() + totalMs },
      client: { signal: client, headers: new Headers(), passed: [], traceparent: "" },
      throwOnStatus: true,
    },
    {
      fetch: async (_, init) =>
        kind === "native"
          ? fetchNative(script, watch, init?.signal)
          : new Response(createScriptBody(script, watch, init?.signal)),
      sleep: () => Promise.reject(new Error("nobody sleeps here")),
      now: Date.now,
      timer: new SharedTimer(Date.now),
    },
  );
  const collector = createAnswerCollector();
  const events: ServerSentEvent[] = [];
  const observer = {
    onChunks: collector.add,
    onEvents: (found: readonly ServerSentEvent[]) => void events.push(...found),
  };
  const format = { parser: createSseParser(), decode: wire.decoder() };
  const open = () => openStream(attempt, { format, observer, idleMs, now: Date.now });
  return {
    attempt,
    isStopped: () => watch.isStopped,
    events,
    summary: collector.summary,
    open,
    async start() {
      const opened = await open();
      return opened.send({ errorEvent: openAiChat.errorEvent });
    },
  };
}

/** All of a body as text. */
export async function readAll(body: ReadableStream<Uint8Array>): Promise<string> {
  return new TextDecoder().decode(await new Response(body).arrayBuffer());
}

/** What it was rejected with; fails where it was not. */
export async function faultOf(work: Promise<unknown>): Promise<GatewayError> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown;
    throw new Error(`not of the table: ${String(thrown)}`, { cause: thrown });
  }
  throw new Error("it did not fail");
}
