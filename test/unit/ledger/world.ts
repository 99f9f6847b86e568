// A tenant's requests through the real pipeline, the real queue client and the real queue rules, in virtual time: fakes are the clock
// and the network alone. It plays a case and gives what each who keeps count has counted; ledger.test.ts compares.
import { createHash } from "node:crypto";
import { anthropicMessages } from "../../../src/wires/anthropic/client-wire.ts";
import { geminiGenerateContent } from "../../../src/wires/gemini/client-wire.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { openAiEmbeddings } from "../../../src/wires/openai-embeddings/client-wire.ts";
import { openAiResponses } from "../../../src/wires/openai-responses/client-wire.ts";
import { createQueueClient } from "../../../src/limits/isolate/queue-client.ts";
import { factHeaders, outcomeOf } from "../../../src/pipeline/request-facts.ts";
import { usageOf } from "../../../src/pipeline/usage.ts";
import { toGatewayError } from "../../../src/errors.ts";
import type { TenantBundle } from "../../../src/tenants/records/records.ts";
import type { StartTimer } from "../../../src/runtime/waits.ts";
import { createMeasuredTargets } from "../../../src/targets/targets.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import {
  createFakeCache,
  createFakeGateway,
  type FakeGatewayOptions,
} from "../../support/fakes/fake-gateway.ts";
import { createFakeIndex } from "../../support/fakes/fake-index.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { createVirtualTime, type VirtualTime } from "../../support/fakes/virtual-time.ts";
import { createIsolate, type Isolate } from "./isolate.ts";
import { createQueueObject, type QueueObject } from "./queue-object.ts";
import { createVendor, type Fate, type VendorCall } from "./vendor.ts";

/** Micro-US-dollars per million tokens: whole micro-dollars a token, so that sums are exact. */
export const PRICE = { input: 3_000_000, output: 7_000_000 };

export const WIRES = ["chat", "responses", "messages", "gemini", "embeddings"] as const;
export type WireName = (typeof WIRES)[number];
export type ProviderName = "openai" | "anthropic" | "gemini";

export interface RequestCase {
  readonly wire: WireName;
  /** Which question: equal ones find each other's answers, where there is a cache. */
  readonly prompt: number;
  /** Whether its route looks answers up by meaning, and the exact cache is on: an embedding is paid for beside the answer. */
  readonly isSemantic: boolean;
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
  /** Of the calls that embed a question for the cache, likewise. */
  readonly embeddingFates: readonly Fate[];
  /** When the queue's object is restarted, ms after the start. */
  readonly restarts: readonly number[];
  /** How long the object stays in memory without a call or timer; undefined: for ever. */
  readonly sleepsAfterMs: number | undefined;
  /** When the object is out of reach. */
  readonly outages: readonly { readonly atMs: number; readonly forMs: number }[];
  /** When the isolate dies with all that it does; requests that come later go to a new one. */
  readonly deaths: readonly number[];
  /** Whether the tenant has a budget, far from used up: then money is reserved. */
  readonly hasBudget: boolean;
}

export interface Admission {
  /** Each admission of a request has an id of its own. */
  readonly requestId: string;
  readonly at: number;
  readonly isPrefetched: boolean;
}

/** A request that was made. */
export interface Asked {
  readonly requestId: string;
  readonly traceId: string;
  /** The lease it had last, and when it got it; undefined before that, and while it pauses without one. */
  readonly admission: Admission | undefined;
  /** When its isolate died; undefined where it lived to the end. */
  readonly diedAt: number | undefined;
}

/** A request that came to its end, and whose trace was exported. */
export interface Played extends Asked {
  readonly trace: FinishedTrace;
  /** Of the response's head; absent where there was none. */
  readonly headers: ReturnType<typeof factHeaders> | undefined;
  readonly error: unknown;
}

export interface Counts {
  readonly requests: readonly Played[];
  /** Requests that ended with their isolates. */
  readonly died: readonly Asked[];
  readonly calls: readonly VendorCall[];
  readonly object: Pick<QueueObject, "told" | "expenses" | "abandoned" | "unreportedMicroUsd">;
  /** What requests cost that held no lease, by request. */
  readonly spends: ReadonlyMap<string, number>;
  readonly ledgerMicroUsd: number;
  /** The tenant's usage by the values of a dimension. */
  readonly usage: QueueObject["usage"];
  readonly reservedMicroUsd: number;
  readonly openLeases: number;
}

/** Close to the end of an hour: usage is kept by the hour. */
const START_AT = Date.UTC(2026, 10, 25, 10, 59, 56);
const TOTAL_MS = 20_000;
/** All requests are over by then, and so is everything that is sent late. */
const END_MS = 300_000;
const MICRO = 1_000_000;
/** A plain request long after the others: by its calls the isolate learns that its object was restarted. */
const SWEEP: RequestCase = {
  wire: "chat",
  prompt: 0,
  isSemantic: false,
  stream: false,
  providers: ["openai"],
  startAfterMs: 100_000,
  leavesAfterMs: undefined,
  hedgeAfterMs: undefined,
  maxAttempts: 1,
  firstByteMs: 10_000,
};
/** Of the tenant's only key: fake-tenant.ts. */
export const KEY_ID = "key-1";
/** Of the look-up by meaning. */
export const EMBEDDING_MODEL = "embed";
export const PROMPTS = [
  "How does the fox jump over the dog?",
  "By what means does the fox get over that dog?",
  "Is the dog lazy?",
];

export async function play(given: Case): Promise<Counts> {
  const time = createVirtualTime(START_AT);
  let startTimer = time.startTimer;
  const restore = useGlobally(time, (ms, run) => startTimer(ms, run));
  try {
    return await playIn(time, given, (isolate) => (startTimer = isolate.startTimer));
  } finally {
    restore();
  }
}

async function playIn(
  time: VirtualTime,
  given: Case,
  setIsolate: (isolate: Isolate) => void,
): Promise<Counts> {
  const { requests, fates, restarts, outages, deaths } = given;
  const object = createQueueObject(time, given.sleepsAfterMs);
  const nextOfAnswers = inTurn(fates);
  const nextOfEmbeddings = inTurn(given.embeddingFates);
  const vendor = createVendor(time, (model) =>
    model === EMBEDDING_MODEL ? nextOfEmbeddings() : nextOfAnswers(),
  );
  const cacheStore = createFakeCache();
  const semanticIndex = createFakeIndex();
  let living = bornIsolate();
  for (const ms of restarts) time.startTimer(ms, object.restart);
  for (const { atMs, forMs } of outages) time.startTimer(atMs, () => object.cutOff(forMs));
  for (const ms of deaths)
    time.startTimer(ms, () => {
      living.isolate.die();
      living = bornIsolate();
    });

  const spends = new Map<string, number>();

  function bornIsolate() {
    const isolate = createIsolate(time);
    setIsolate(isolate);
    const rpc = isolate.reach(object.rpc);
    const { startTimer } = isolate;
    const client = createQueueClient({ queueOf: () => rpc, now: time.now, startTimer });
    return { isolate, client, measured: createMeasuredTargets(() => 0.5) };
  }

  async function request(asked: RequestCase, index: number): Promise<() => Played | Asked> {
    await time.sleep(asked.startAfterMs);
    const { isolate, client, measured } = living;
    const requestId = `req_${index}`;
    const leaving = new AbortController();
    if (asked.leavesAfterMs !== undefined) isolate.startTimer(asked.leavesAfterMs, () => leaving.abort());
    const work: Promise<unknown>[] = [];
    const queue = client.forTenant("acme", (promise) => void work.push(promise));
    let admission: Asked["admission"];
    const gateway = createFakeGateway({
      bundle: bundleFor(asked, given.hasBudget),
      request: requestOf(asked),
      requestId,
      isRealTime: true,
      cacheStore,
      ...(asked.isSemantic && { cache: { mode: "on" } }),
      signal: leaving.signal,
      targets: { ...measured, ...queue.targets },
      deps: {
        fetch: isolate.fetchBy(vendor.fetch),
        now: time.now,
        sleep: isolate.sleep,
        queue: {
          ...queue,
          async admit(ask, signal, target) {
            const answer = await queue.admit(ask, signal, target);
            if (answer.kind === "admitted")
              admission = {
                requestId: ask.requestId,
                at: time.now(),
                isPrefetched: answer.isPrefetched === true,
              };
            return answer;
          },
          spend(expense) {
            spends.set(expense.requestId, (spends.get(expense.requestId) ?? 0) + expense.costMicroUsd);
            queue.spend(expense);
          },
          settle(settlement, canBeLate) {
            if (settlement.outcome === "returned" && admission?.requestId === settlement.requestId)
              admission = undefined;
            return queue.settle(settlement, canBeLate);
          },
        },
        priceOf: () => PRICE,
        semanticIndex: () => semanticIndex,
        defer: (promise) => void work.push(promise),
      },
    });

    // As the middleware and http/open-call.ts note it.
    gateway.facts.keyId = KEY_ID;
    gateway.facts.isStream = asked.stream;

    async function live(): Promise<Omit<Played, keyof Asked>> {
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
      if (error !== undefined) gateway.facts.outcome ??= outcomeOf(toGatewayError(error));
      const trace = await gateway.finish();
      if (!gateway.facts.isCounted)
        client.note({ id: "acme" }, requestId, usageOf(gateway.facts), (promise) => void work.push(promise));
      return { trace, headers, error };
    }

    const ended = await Promise.race([isolate.death, live()]);
    const { traceId } = gateway.call.trace;
    // The isolate may die later, with a settlement that waits for its next call.
    return () => ({ requestId, traceId, admission, diedAt: isolate.diedAt, ...ended });
  }

  const played = Promise.all([...requests, SWEEP].map(request));
  await time.runUntil(START_AT + END_MS);
  const ended = (await played).map((look) => look());
  const { spentUsd, holding } = object.snapshot();
  return {
    requests: ended.filter((one) => "trace" in one),
    died: ended.filter((one) => !("trace" in one)),
    calls: vendor.calls,
    object,
    usage: object.usage,
    spends,
    ledgerMicroUsd: Math.round(spentUsd.month * MICRO),
    reservedMicroUsd: Math.round(spentUsd.reserved * MICRO),
    openLeases: holding.length,
  };
}

function inTurn(fates: readonly Fate[]): () => Fate {
  let called = 0;
  const last: Fate = fates.at(-1) ?? { kind: "hang" };
  return () => fates[called++] ?? last;
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

const bundles = new Map<string, TenantBundle>();

/** Reading records takes longer than a request: equal ones are read once. */
function bundleFor(asked: RequestCase, hasBudget: boolean): TenantBundle {
  const { providers, hedgeAfterMs, maxAttempts, firstByteMs, isSemantic } = asked;
  const name = [providers, hedgeAfterMs, maxAttempts, firstByteMs, isSemantic, hasBudget].join();
  const known = bundles.get(name);
  if (known !== undefined) return known;
  const bundle = fakeBundle({
    ...(hasBudget && { record: { budget: { usd: 1_000_000, period: "month" } } }),
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
        ...(isSemantic && {
          cache: { semantic: { embedding: `openai/${EMBEDDING_MODEL}`, timeoutMs: 500 } },
        }),
      },
    },
  });
  bundles.set(name, bundle);
  return bundle;
}

function requestOf({ wire, stream, prompt }: RequestCase): NonNullable<FakeGatewayOptions["request"]> {
  const text = PROMPTS[prompt] ?? "";
  const messages = [{ role: "user", content: text }];
  switch (wire) {
    case "chat":
      return { clientWire: openAiChat, body: { model: "r", stream, messages } };
    case "responses":
      return { clientWire: openAiResponses, body: { model: "r", stream, store: false, input: text } };
    case "messages":
      return { clientWire: anthropicMessages, body: { model: "r", stream, max_tokens: 500, messages } };
    case "gemini":
      return {
        clientWire: geminiGenerateContent,
        body: { contents: [{ role: "user", parts: [{ text }] }] },
        context: { model: "r", stream },
      };
    case "embeddings":
      return { clientWire: openAiEmbeddings, body: { model: "r", input: text } };
  }
}

function bytesOf(data: BufferSource): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

/** What the code under test takes from its platform and not as an argument: timers, the clock of the trace, workerd's own stream. */
function useGlobally(time: VirtualTime, startTimer: StartTimer): () => void {
  const before = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    // Node has none.
    IdentityTransformStream: undefined,
  };
  const { now: realNow } = Date;
  const { subtle } = crypto;
  const { stackTraceLimit } = Error;
  const stops = new Map<number, () => void>();
  let ids = 0;
  Object.assign(globalThis, {
    setTimeout: (run: (...args: readonly unknown[]) => void, ms = 0, ...args: readonly unknown[]) => {
      const id = (ids += 1);
      stops.set(
        id,
        startTimer(ms, () => {
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
  // The platform's own answers from another thread, and virtual time would pass meanwhile.
  const digest = async (_: string, data: BufferSource): Promise<ArrayBuffer> =>
    Uint8Array.from(createHash("sha256").update(bytesOf(data)).digest()).buffer;
  Object.defineProperty(crypto, "subtle", { configurable: true, value: { digest } });
  // Most fates are errors, and their stacks are not read.
  Error.stackTraceLimit = 0;
  return () => {
    Error.stackTraceLimit = stackTraceLimit;
    Object.assign(globalThis, before);
    Date.now = realNow;
    Object.defineProperty(crypto, "subtle", { configurable: true, value: subtle });
  };
}
