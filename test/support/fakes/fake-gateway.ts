// Everything that the pipeline (src/gateway.ts) is given, in memory: a queue that answers as the test says, a cache that is a Map, a
// clock that moves only by sleeping, upstreams from fake-upstream.ts, and a real trace. Runs in Node and in workerd.
import type { CacheEntry } from "../../../src/cache/entry.ts";
import type { CacheStore } from "../../../src/cache/store.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import type { RequestContext } from "../../../src/wires/client-wire.ts";
import { generate } from "../../../src/gateway.ts";
import type { Admitted, AdmissionReply, AdmissionRequest, Settlement } from "../../../src/limits/protocol.ts";
import type { Expense } from "../../../src/limits/budget-protocol.ts";
import type { HeartbeatHooks } from "../../../src/limits/isolate/heartbeat.ts";
import {
  circuitsFor,
  createIsolateCircuits,
  type TargetCircuits,
} from "../../../src/targets/isolate-circuits.ts";
import { createConcurrencyLimiter } from "../../../src/targets/concurrency-limiter.ts";
import type { Call, Deps, Generation, QueuePort } from "../../../src/pipeline/ports.ts";
import { createUnqueuedRate } from "../../../src/limits/isolate/unqueued-rate.ts";
import { createBodyMemory } from "../../../src/limits/isolate/body-memory.ts";
import { type RequestFacts, rootAttributes } from "../../../src/pipeline/request-facts.ts";
import { readRequestOptions } from "../../../src/pipeline/request-options.ts";
import { providerOf } from "../../../src/providers/registry.ts";
import { createMeasuredTargets, type Targets } from "../../../src/targets/targets.ts";
import { createRequestTrace } from "../../../src/telemetry/trace/request-trace.ts";
import type { FinishedSpan, FinishedTrace, RequestTrace } from "../../../src/telemetry/trace/trace.ts";
import type { TenantBundle } from "../../../src/tenants/records/records.ts";
import type { VendorObjectsRpc } from "../../../src/vendor-objects/protocol.ts";
import { createPlainSpan, startTrace } from "./fake-trace.ts";
import { fakeBundle, fakeChat, fakeKey } from "./fake-tenant.ts";
import { createFakeUpstream, type FakeReply, type FakeUpstream } from "./fake-upstream.ts";
import { SharedTimer } from "../../../src/runtime/shared-timer.ts";

/** The credential of every fake account: it must reach the upstream and no other server. */
export const UPSTREAM_SECRET = "canary-credential-1f2e3d";

/** A tenant of which vendors keep nothing. */
export const EMPTY_REGISTER: VendorObjectsRpc = {
  keep: async () => {},
  hasRoom: async () => true,
  find: async () => undefined,
  page: async () => ({ items: [], hasMore: false }),
  forget: async () => {},
  claim: async () => 0,
};

export const ADMITTED: Admitted = {
  kind: "admitted",
  lease: { id: "lease-1", token: 1, expiresAt: 0 },
  goInMs: 0,
  canDeferSettle: false,
  epoch: 1,
  wait: { waitMs: 0, position: 0, depth: 0, queuedBehind: [] },
  configVersion: 7,
};

export interface FakeQueue extends QueuePort {
  readonly asks: readonly AdmissionRequest[];
  readonly settlements: readonly Settlement[];
  readonly expenses: readonly Expense[];
  /** Heartbeats that were not stopped. */
  readonly heartbeats: number;
  /** Those of the last heartbeat. */
  readonly hooks: HeartbeatHooks | undefined;
}

export interface FakeQueueOptions {
  readonly answer?:
    | AdmissionReply
    | ((ask: AdmissionRequest, signal: AbortSignal) => Promise<AdmissionReply>);
  readonly settle?: () => Promise<void>;
  readonly isBlocked?: boolean;
}

/** Circuits of an isolate that reaches no object. */
export function createLoneCircuits(now: () => number): TargetCircuits {
  return circuitsFor(
    createIsolateCircuits(() => {}),
    { now, send: () => Promise.reject(new Error("nobody")), sendSoon: () => {}, isReachable: () => false },
  );
}

export function createFakeQueue({
  answer = ADMITTED,
  settle,
  isBlocked = false,
}: FakeQueueOptions = {}): FakeQueue {
  const asks: AdmissionRequest[] = [];
  const settlements: Settlement[] = [];
  const expenses: Expense[] = [];
  let hooks: HeartbeatHooks | undefined;
  let heartbeats = 0;
  return {
    get hooks() {
      return hooks;
    },
    asks,
    settlements,
    expenses,
    get heartbeats() {
      return heartbeats;
    },
    async admit(ask, signal) {
      asks.push(ask);
      return typeof answer === "function" ? answer(ask, signal) : answer;
    },
    async settle(settlement) {
      settlements.push(settlement);
      await settle?.();
      return [];
    },
    admitAlone: () => undefined,
    isBlocked: () => isBlocked,
    spend: (expense) => void expenses.push(expense),
    keepAlive(_lease, given) {
      hooks = given;
      let isStopped = false;
      heartbeats++;
      return () => {
        if (!isStopped) heartbeats--;
        isStopped = true;
      };
    },
  };
}

export interface FakeCache extends CacheStore {
  readonly entries: Map<string, CacheEntry>;
}

export function createFakeCache(): FakeCache {
  const entries = new Map<string, CacheEntry>();
  const nameOf = (key: { readonly tenantId: string; readonly digest: string }): string =>
    `${key.tenantId}/${key.digest}`;
  return {
    entries,
    async get(key) {
      const entry = entries.get(nameOf(key));
      return entry === undefined ? { status: "miss" } : { status: "hit", entry };
    },
    async put(key, entry) {
      entries.set(nameOf(key), entry);
      return { status: "stored" };
    },
  };
}

export interface FakeGatewayOptions {
  readonly bundle?: TenantBundle;
  readonly chat?: Readonly<Record<string, unknown>>;
  /** A request of another wire, in place of `chat`: which client wire reads which body. */
  readonly request?: {
    readonly clientWire: Call["clientWire"];
    readonly body: Readonly<Record<string, unknown>>;
    /** What the path says of it. */
    readonly context?: RequestContext;
  };
  readonly headers?: Readonly<Record<string, string>>;
  readonly cache?: Partial<Call["cache"]>;
  readonly cacheStore?: FakeCache;
  readonly queue?: FakeQueueOptions;
  readonly replies?: readonly FakeReply[];
  readonly deps?: Partial<Deps>;
  readonly targets?: Partial<Targets>;
  readonly signal?: AbortSignal;
  readonly requestId?: string;
  /** Called at each sleep, after the clock has moved. */
  readonly onSleep?: (ms: number) => void;
  /** The real clock in place of the standing one: for streams, whose reads take real time. */
  readonly isRealTime?: boolean;
}

export interface FakeGateway {
  readonly call: Call;
  readonly deps: Deps;
  readonly facts: RequestFacts;
  readonly queue: FakeQueue;
  readonly cacheStore: FakeCache;
  readonly upstream: FakeUpstream;
  /** Every sleep asked for, in ms. */
  readonly sleeps: readonly number[];
  readonly notedVersions: readonly number[];
  readonly releases: number;
  pass(ms: number): void;
  generate(): Promise<Generation>;
  /** What `generate` throws; fails where it doesn't. */
  refusal(): Promise<unknown>;
  /** Waits for all deferred work, ends the root as the middleware does, and gives the trace. */
  finish(): Promise<FinishedTrace>;
}

export function createFakeGateway(options: FakeGatewayOptions = {}): FakeGateway {
  const bundle = options.bundle ?? fakeBundle();
  const setup = options.isRealTime === true ? startRealTrace() : startTrace();
  const queue = createFakeQueue(options.queue);
  const cacheStore = options.cacheStore ?? createFakeCache();
  const upstream = createFakeUpstream(...(options.replies ?? []));
  const headers = new Headers(options.headers);
  const sleeps: number[] = [];
  const notedVersions: number[] = [];
  const deferred: Promise<unknown>[] = [];
  let releases = 0;
  const facts: RequestFacts = { startedAt: setup.now() };
  const deps: Deps = {
    fetch: upstream.fetch,
    now: setup.now,
    timer: new SharedTimer(setup.now),
    async sleep(ms) {
      sleeps.push(ms);
      setup.pass(ms);
      options.onSleep?.(ms);
    },
    notePrompt: async () => undefined,
    unqueued: createUnqueuedRate(),
    bodies: createBodyMemory(Infinity, () => 0),
    random: () => 0.5,
    queue,
    cacheStore,
    confirmEpoch: async ({ cacheEpoch }) => cacheEpoch,
    // No other request is there: every request with a key leads.
    flights: {
      join: async () => ({ kind: "alone", reason: "too_late" }),
      lead: async () => null,
      leave: async () => false,
      hasFailed: async () => false,
    },
    vendorObjects: (ask) => ask(EMPTY_REGISTER),
    semanticIndex: () => ({
      nearest: async () => ({ compared: 0 }),
      add: async () => {},
      forget: async () => {},
    }),
    targets: {
      ...createMeasuredTargets(() => 0),
      concurrency: createConcurrencyLimiter(() => {}),
      circuits: createLoneCircuits(setup.now),
      ...options.targets,
    },
    providerOf,
    async accountOf({ providers }, name) {
      const record = providers[name];
      if (record === undefined) throw new Error(`no provider ${name}`);
      const { kind, baseUrl = "", options, propagateTrace } = record;
      return { name, kind, baseUrl, apiKey: UPSTREAM_SECRET, headers: {}, options, propagateTrace };
    },
    priceOf: () => ({ input: 150_000, output: 600_000 }),
    defer: (work) => void deferred.push(work),
    noteVersion: (version) => void notedVersions.push(version),
    reload: async () => undefined,
    ...options.deps,
  };
  const signal = options.signal ?? new AbortController().signal;
  const call: Call = {
    chat: options.request
      ? options.request.clientWire.parseRequest(JSON.stringify(options.request.body), options.request.context)
      : fakeChat(options.chat),
    clientWire: options.request?.clientWire ?? openAiChat,
    holder: facts,
    bundle,
    key: bundle.keys[0] ?? fakeKey,
    options: readRequestOptions(headers),
    cache: { mode: "off", reason: "tenant_off", ttlSeconds: 3600, ...options.cache },
    requestId: options.requestId ?? "req_1",
    signal: () => signal,
    headers,
    trace: setup.trace,
    facts,
    release() {
      releases++;
    },
  };
  return {
    call,
    deps,
    facts,
    queue,
    cacheStore,
    upstream,
    sleeps,
    notedVersions,
    get releases() {
      return releases;
    },
    pass: setup.pass,
    generate: () => generate(call, deps),
    refusal: () =>
      generate(call, deps).then(
        () => {
          throw new Error("it was answered");
        },
        (thrown: unknown) => thrown,
      ),
    async finish() {
      // Deferred work may defer more.
      for (let done = 0; done < deferred.length;) {
        const open = deferred.slice(done);
        done = deferred.length;
        await Promise.all(open);
      }
      setup.trace.root.set(rootAttributes(facts)).end();
      return setup.trace.finished;
    },
  };
}

/** As fake-trace.ts starts one, by the real clock. */
function startRealTrace(): { readonly trace: RequestTrace; now(): number; pass(ms: number): void } {
  let spans = 0;
  const trace = createRequestTrace({
    createSpan: createPlainSpan,
    clock: Date.now,
    sleep: () => new Promise(() => {}),
    ids: {
      traceId: () => crypto.randomUUID().replaceAll("-", ""),
      spanId: () => (++spans).toString(16).padStart(16, "0"),
    },
    name: "POST /v1/chat/completions",
    kind: "server",
  });
  return { trace, now: Date.now, pass: () => {} };
}

/** The spans of that name, in the order in which they began. */
export function spansNamed({ spans }: FinishedTrace, name: string): readonly FinishedSpan[] {
  return spans.filter((span) => span.name === name);
}

/** The only span of that name; throws where there are none or several. */
export function spanNamed(trace: FinishedTrace, name: string): FinishedSpan {
  const [span, ...more] = spansNamed(trace, name);
  if (span === undefined || more.length > 0) {
    throw new Error(
      `${more.length + (span ? 1 : 0)} spans are named ${name}: ${trace.spans.map((s) => s.name).join(", ")}`,
    );
  }
  return span;
}
