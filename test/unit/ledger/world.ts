// A tenant's requests through the real pipeline, the real queue client and the real queue rules, in virtual time: fakes are the clock
// and the network alone. It plays a case and gives what each who keeps count has counted; ledger.test.ts compares.
import { anthropicMessages } from "../../../src/wires/anthropic/client-wire.ts";
import { geminiGenerateContent } from "../../../src/wires/gemini/client-wire.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { openAiEmbeddings } from "../../../src/wires/openai-embeddings/client-wire.ts";
import { openAiResponses } from "../../../src/wires/openai-responses/client-wire.ts";
import { createQueueClient } from "../../../src/limits/isolate/queue-client.ts";
import { factHeaders } from "../../../src/pipeline/request-facts.ts";
import { createMeasuredTargets } from "../../../src/targets/targets.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import { createFakeGateway, type FakeGatewayOptions } from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { createVirtualTime, type VirtualTime } from "../../support/fakes/virtual-time.ts";
import { createQueueObject } from "./queue-object.ts";
import { createVendor, type Fate, type VendorCall } from "./vendor.ts";

/** Micro-US-dollars per million tokens: whole micro-dollars a token, so that sums are exact. */
export const PRICE = { input: 3_000_000, output: 7_000_000 };

export const WIRES = ["chat", "responses", "messages", "gemini", "embeddings"] as const;
export type WireName = (typeof WIRES)[number];
export type ProviderName = "openai" | "anthropic" | "gemini";

export interface RequestCase {
  readonly wire: WireName;
  readonly stream: boolean;
  /** Of the route's targets, in order. */
  readonly providers: readonly ProviderName[];
  readonly startAfterMs: number;
  readonly leavesAfterMs: number | undefined;
  readonly hedgeAfterMs: number | undefined;
  readonly maxAttempts: number;
  readonly firstByteMs: number;
}

export interface Case {
  readonly requests: readonly RequestCase[];
  /** Of the vendors' calls, in the order in which they come; the last one goes for all that follow. */
  readonly fates: readonly Fate[];
  /** When the queue's object is restarted, ms after the start. */
  readonly restarts: readonly number[];
}

export interface Played {
  readonly trace: FinishedTrace;
  /** Of the response's head; absent where there was none. */
  readonly headers: ReturnType<typeof factHeaders> | undefined;
  readonly error: unknown;
}

export interface Counts {
  readonly requests: readonly Played[];
  readonly calls: readonly VendorCall[];
  readonly ledgerMicroUsd: number;
  readonly openLeases: number;
}

const START_AT = Date.UTC(2026, 10, 25, 10);
const TOTAL_MS = 20_000;
/** All requests are over by then, and so is everything that is sent late. */
const END_MS = 300_000;
const MICRO = 1_000_000;
/** A plain request long after the others: by its calls the isolate learns that its object was restarted. */
const SWEEP: RequestCase = {
  wire: "chat",
  stream: false,
  providers: ["openai"],
  startAfterMs: 100_000,
  leavesAfterMs: undefined,
  hedgeAfterMs: undefined,
  maxAttempts: 1,
  firstByteMs: 10_000,
};
const PROMPT = "How does the fox jump over the dog?";

export async function play(given: Case): Promise<Counts> {
  const time = createVirtualTime(START_AT);
  const restore = useGlobally(time);
  try {
    return await playIn(time, given);
  } finally {
    restore();
  }
}

async function playIn(time: VirtualTime, { requests, fates, restarts }: Case): Promise<Counts> {
  const object = createQueueObject(time);
  const client = createQueueClient({
    queueOf: () => object.rpc,
    now: time.now,
    startTimer: time.startTimer,
  });
  let called = 0;
  const lastFate: Fate = fates.at(-1) ?? { kind: "hang" };
  const vendor = createVendor(time, () => fates[called++] ?? lastFate);
  const measured = createMeasuredTargets(() => 0.5);
  for (const ms of restarts) time.startTimer(ms, object.restart);

  async function request(asked: RequestCase, index: number): Promise<Played> {
    await time.sleep(asked.startAfterMs);
    const leaving = new AbortController();
    if (asked.leavesAfterMs !== undefined) time.startTimer(asked.leavesAfterMs, () => leaving.abort());
    const work: Promise<unknown>[] = [];
    const queue = client.forTenant("acme", (promise) => void work.push(promise));
    const gateway = createFakeGateway({
      bundle: bundleFor(asked),
      request: requestOf(asked),
      requestId: `req_${index}`,
      isRealTime: true,
      signal: leaving.signal,
      targets: { ...measured, ...queue.targets },
      deps: {
        fetch: vendor.fetch,
        now: time.now,
        sleep: time.sleep,
        queue,
        priceOf: () => PRICE,
        defer: (promise) => void work.push(promise),
      },
    });
    let headers: Played["headers"];
    let error: unknown;
    try {
      const { body } = await gateway.generate();
      headers = factHeaders(gateway.facts, time.now());
      if (typeof body !== "string") await readToEnd(body, leaving.signal);
    } catch (thrown) {
      error = thrown;
    }
    // Work may bring more work.
    for (let done = 0; done < work.length; done += 1) await work[done];
    return { trace: await gateway.finish(), headers, error };
  }

  const played = Promise.all([...requests, SWEEP].map(request));
  await time.runUntil(START_AT + END_MS);
  const { spentUsd, holding } = object.snapshot();
  return {
    requests: await played,
    calls: vendor.calls,
    ledgerMicroUsd: Math.round(spentUsd.month * MICRO),
    openLeases: holding.length,
  };
}

async function readToEnd(body: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
  const reader = body.getReader();
  const leave = (): void => void reader.cancel().catch(() => {});
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  for (;;) {
    const { done } = await reader.read();
    if (done) return;
  }
}

function bundleFor(asked: RequestCase): ReturnType<typeof fakeBundle> {
  const { providers, hedgeAfterMs, maxAttempts, firstByteMs } = asked;
  return fakeBundle({
    providers: {
      openai: { kind: "openai", propagateTrace: true },
      anthropic: { kind: "anthropic", propagateTrace: true },
      gemini: { kind: "gemini", propagateTrace: true },
    },
    routes: {
      r: {
        targets: providers.map((provider, at) => ({ provider, model: `${provider}-${at}` })),
        retries: { maxAttempts, baseDelayMs: 50 },
        timeouts: { firstByteMs, idleMs: 3000, totalMs: TOTAL_MS },
        ...(hedgeAfterMs !== undefined && { hedge: { afterMs: hedgeAfterMs } }),
      },
    },
  });
}

function requestOf({ wire, stream }: RequestCase): NonNullable<FakeGatewayOptions["request"]> {
  const messages = [{ role: "user", content: PROMPT }];
  switch (wire) {
    case "chat":
      return { clientWire: openAiChat, body: { model: "r", stream, messages } };
    case "responses":
      return { clientWire: openAiResponses, body: { model: "r", stream, store: false, input: PROMPT } };
    case "messages":
      return { clientWire: anthropicMessages, body: { model: "r", stream, max_tokens: 500, messages } };
    case "gemini":
      return {
        clientWire: geminiGenerateContent,
        body: { contents: [{ role: "user", parts: [{ text: PROMPT }] }] },
        context: { model: "r", stream },
      };
    case "embeddings":
      return { clientWire: openAiEmbeddings, body: { model: "r", input: PROMPT } };
  }
}

/** What the code under test takes from its platform and not as an argument: timers, the clock of the trace, workerd's own stream. */
function useGlobally(time: VirtualTime): () => void {
  const before = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    // Node has none.
    IdentityTransformStream: undefined,
  };
  const realNow = Date.now;
  const stops = new Map<number, () => void>();
  let ids = 0;
  Object.assign(globalThis, {
    setTimeout: (run: (...args: readonly unknown[]) => void, ms = 0, ...args: readonly unknown[]) => {
      const id = (ids += 1);
      stops.set(
        id,
        time.startTimer(ms, () => {
          stops.delete(id);
          run(...args);
        }),
      );
      return id;
    },
    clearTimeout: (id: number | undefined) => {
      if (id !== undefined) stops.get(id)?.();
    },
    IdentityTransformStream: class extends TransformStream<Uint8Array, Uint8Array> {},
  });
  Date.now = time.now;
  return () => {
    Object.assign(globalThis, before);
    Date.now = realNow;
  };
}
