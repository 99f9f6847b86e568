/**
 * What an isolate provides to all requests, wired once from the Worker's bindings. The only reader of `env` besides the
 * Durable Objects.
 */

import type { Services } from "./app-types.ts";
import { createEpochCheck, EPOCH_CHECK_MS } from "./cache/epoch.ts";
import { withHotEntries } from "./cache/hot-entries.ts";
import type { SemanticIndexRpc } from "./cache/semantic-protocol.ts";
import { type CacheKv, createCacheStore } from "./cache/store.ts";
import { readSettings, type Settings } from "./config.ts";
import { GatewayError } from "./errors.ts";
import { createInflightClient } from "./coalescing/coalescing-client.ts";
import type { Deps } from "./pipeline/ports.ts";
import { createModelRunner } from "./upstream/model-binding.ts";
import { createUnqueuedRate } from "./limits/isolate/unqueued-rate.ts";
import { createQueueClient } from "./limits/isolate/queue-client.ts";
import type { QueueRpc } from "./limits/protocol.ts";
import { createUsageReader } from "./limits/isolate/usage-reader.ts";
import { findPrice, isPriced } from "./pricing/prices.ts";
import { providerOf, REGISTERED_KINDS } from "./providers/registry.ts";
import { createContentRecorder } from "./telemetry/content/content.ts";
import { allowedContent, operatorDestination, toDestination } from "./telemetry/export/destination.ts";
import { probeDestination } from "./telemetry/export/destination-probe.ts";
import { createBodyMemory } from "./limits/isolate/body-memory.ts";
import { type CallBreaker, createCallBreaker } from "./runtime/call-breaker.ts";
import { createMeasuredTargets } from "./targets/targets.ts";
import { createExporter } from "./telemetry/export/exporter.ts";
import { createMeter } from "./telemetry/metrics/meter.ts";
import type { MetricsPort } from "./telemetry/metrics/metrics-port.ts";
import { createMetricsReader } from "./telemetry/metrics/metrics-reader.ts";
import type { TraceOutboxPort } from "./telemetry/export/outbox-port.ts";
import type { TraceStorePort } from "./telemetry/store/stored-trace.ts";
import { createTraceReader } from "./telemetry/store/trace-reader.ts";
import { createDirectoryCalls } from "./tenants/directory/directory-calls.ts";
import { createDirectoryClient, type DirectoryClientDeps } from "./tenants/directory/directory-client.ts";
import type { DirectoryRpc } from "./tenants/directory/directory-api.ts";
import { parseLimitRules } from "./tenants/records/limit-rules.ts";
import { createRecordOpener } from "./tenants/records/open-records.ts";
import { createTokenFinder } from "./tenants/directory/token-client.ts";
import type { TenantBundle } from "./tenants/records/records.ts";
import { createLookupBudget, platformLimiterOf } from "./tenants/lookup-budget.ts";
import { createGenerationCheck } from "./tenants/generations.ts";
import { createTenantSource } from "./tenants/source.ts";
import { DIRECTORY_NAME, generationObject } from "./tenants/storage-keys.ts";
import { createGuardedFetch } from "./upstream/guarded-fetch.ts";
import { startTrace, type TraceOutputs } from "./tracing.ts";
import { VERSION } from "./version.ts";

export type IsolateServices = Services & TraceOutputs;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const now = (): number => Date.now();
// A bare reference would lose `this` in workerd.
const send: typeof fetch = (input, init) => fetch(input, init);

const PAGE_LIMIT = 1000;

/** The part of `Deps` that is one tenant's and no request's: it holds no I/O. */
type TenantDeps = Omit<Deps, "timer" | "defer" | "queue" | "targets">;

/** Throws `unavailable` that names a wrong setting. */
export function createServices(env: Env): IsolateServices {
  const settings = readSettings(env);
  const directory = (): DirectoryRpc => env.DIRECTORY.getByName(DIRECTORY_NAME);
  const queueStub = (tenantId: string): QueueRpc => env.TENANT_QUEUE.getByName(tenantId);
  const storeOf = (tenantId: string): TraceStorePort => env.TRACE_STORE.getByName(tenantId);
  const metricsOf = (tenantId: string): MetricsPort => env.TENANT_METRICS.getByName(tenantId);

  const limitRules = parseLimitRules(settings.defaultLimits, settings.maxLimits);
  const rules = {
    allowPrivateUpstreams: settings.allowPrivateUpstreams,
    defaultBaseUrl: (kind: string): string | undefined => providerOf(kind).defaultBaseUrl,
    providerKinds: REGISTERED_KINDS,
    limitRules,
  };
  const opener = createRecordOpener(settings.masterKeys, rules);
  const breaker = createCallBreaker(now);
  const queueVersion = (tenantId: string): Promise<number> =>
    breaker.guarded(`queue ${tenantId}`, () => queueStub(tenantId).configVersion());
  const lookups = createLookupBudget(now, platformLimiterOf(Reflect.get(env, "KEY_LOOKUPS")));
  const tenants = createTenantSource({
    kv: {
      get: (key, options) => breaker.guarded("KV TENANTS", () => env.TENANTS.get(key, options)),
    },
    directory: () => ({
      findKey: (hash) => breaker.guarded("directory", () => directory().findKey(hash)),
      readBundle: (tenantId) => breaker.guarded("directory", () => directory().readBundle(tenantId)),
    }),
    queueVersion,
    lookups,
    limitRules,
    clock: now,
  });
  const resource = { serviceName: settings.serviceName, serviceVersion: VERSION };
  const network = { fetch: send, clock: now, timeoutSignal: (ms: number) => AbortSignal.timeout(ms) };
  const exporter = createExporter({
    ...network,
    resource,
    operator: operatorDestination(settings),
    storeOf,
    outboxOf: (tenantId): TraceOutboxPort => env.TRACE_OUTBOX.getByName(tenantId),
    newId: () => crypto.randomUUID(),
    sleep,
    random: Math.random,
  });
  const contents = createContentRecorder();
  const destinationsOf = async (bundle: TenantBundle) => {
    const opened = await opener.openDestinations(bundle);
    return opened.map((record) => toDestination(record, bundle.tenant.tracing.content, settings));
  };
  const newId = (): string => crypto.randomUUID();
  const meter = createMeter({ metricsOf, clock: now, sleep, newId, isPriced });
  const cacheKv: CacheKv = {
    getWithMetadata: (name, options) =>
      breaker.guarded("KV CACHE", () => env.CACHE.getWithMetadata(name, options)),
    put: (name, value, options) => env.CACHE.put(name, value, options),
  };
  const cacheStore = withHotEntries(createCacheStore(cacheKv, now), now);
  const confirmEpoch = createEpochCheck({
    versionOf: queueVersion,
    async reload(tenantId, version) {
      tenants.noteVersion(tenantId, version);
      return (await tenants.load(tenantId))?.bundle;
    },
    now,
  });
  const unqueued = createUnqueuedRate();
  const bodies = createBodyMemory(settings.bodyMemoryBytes, Math.random);
  const measured = createMeasuredTargets(Math.random);
  const flights = createInflightClient((name) => env.INFLIGHT.getByName(name), breaker);
  const queue = createQueueClient({ queueOf: queueStub, now });

  const sendUpstream = createGuardedFetch(send, { allowPrivate: settings.allowPrivateUpstreams });
  // Optional: `Env` has only what every deployment has.
  const runModel = createModelRunner(Reflect.get(env, "AI"));

  /** By a copy of the records: what all requests that use it share, so that each adds only what is its own. */
  const tenantDeps = new WeakMap<TenantBundle, TenantDeps>();

  function openTenantDeps(bundle: TenantBundle): TenantDeps {
    const objectName = generationObject(bundle.id, bundle.generation);
    return {
      fetch: sendUpstream,
      ...(runModel && { runModel }),
      sleep,
      now,
      random: Math.random,
      bodies,
      unqueued,
      cacheStore,
      ...(wantsContent(bundle, settings) && { content: contents }),
      confirmEpoch,
      flights: flights(objectName),
      semanticIndex: () =>
        guardedIndex(env.SEMANTIC_INDEX.getByName(objectName), `index ${objectName}`, breaker),
      vendorObjects: (call) =>
        breaker.guarded(`objects ${objectName}`, () => call(env.VENDOR_OBJECTS.getByName(objectName))),
      providerOf,
      accountOf: (current, name) => opener.openProvider(current, name),
      priceOf: (kind, model) => providerOf(kind).listPrice ?? findPrice(kind, model),
      notePrompt: (turn) =>
        breaker.guarded(`queue ${bundle.id}`, () => queueStub(bundle.id).notePrompt(turn)),
      noteVersion: (version) => tenants.noteVersion(bundle.id, version),
      reload: async () => (await tenants.reload(bundle.id))?.bundle,
    };
  }

  const depsFor: Services["depsFor"] = (bundle, defer, timer): Deps => {
    let shared = tenantDeps.get(bundle);
    if (shared === undefined) tenantDeps.set(bundle, (shared = openTenantDeps(bundle)));
    const tenantQueue = queue.forTenant(bundle.id, defer, bundle.generation, timer.start);
    const { concurrency, circuits } = tenantQueue.targets;
    return { ...shared, timer, defer, queue: tenantQueue, targets: { ...measured, concurrency, circuits } };
  };

  const directoryDeps = {
    directory,
    masterKeys: settings.masterKeys,
    rules,
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    hasEmbeddings: (kind) => providerOf(kind).embeddings !== undefined,
    lastUsed: (tenantId) => env.TENANT_QUEUE.getByName(tenantId).lastUsed(),
    now,
  } satisfies DirectoryClientDeps;

  return {
    settings,
    limitRules,
    directoryFor(writer) {
      const client = createDirectoryClient(directoryDeps, writer);
      return {
        ...client,
        async purgeCache(tenantId) {
          const epoch = await client.purgeCache(tenantId);
          await sleep(EPOCH_CHECK_MS);
          return epoch;
        },
      };
    },
    findAdmin: createTokenFinder(createDirectoryCalls(directory), lookups),
    tenants,
    traces: createTraceReader({
      storeOf,
      listTenantIds: () => listTenantIds(directory()),
      flush: () => exporter.flushStores(),
    }),
    metrics: createMetricsReader({
      metricsOf,
      listTenantIds: () => listTenantIds(directory()),
      exportStatusOf: (tenantId) => exporter.status(tenantId),
      flush: () => meter.flush(),
    }),
    queueOf: queueStub,
    noteUsage: queue.note,
    readUsage: createUsageReader({
      listTenantIds: () => listTenantIds(directory()),
      flush: (tenantId, defer) => queue.forTenant(tenantId, defer).flush(),
      queueOf: queueStub,
    }),
    depsFor,
    exportStatusOf: (tenantId) =>
      exporter.status(tenantId).catch((cause: unknown) => {
        throw new GatewayError(
          "unavailable",
          "The trace outbox is unavailable. Try again in a few seconds.",
          { cause },
        );
      }),
    testDestination: async (bundle, name) => {
      const destination = (await destinationsOf(bundle)).find((each) => each.name === name);
      if (destination === undefined) return undefined;
      const attributes = { "gateway.tenant.id": bundle.id };
      const trace = startTrace({ name: "gateway.destination.test", kind: "internal", attributes });
      trace.root.end();
      return probeDestination(destination, await trace.finished, resource, network);
    },
    destinationsOf,
    contents,
    exporter,
    meter,
    bodies,
    unqueued,
    isCurrentGeneration: createGenerationCheck((tenantId) => {
      exporter.forget(tenantId);
      meter.forget(tenantId);
    }),
    now,
  };
}

/** Whether any of the tenant's trace back ends gets prompts and answers: if not, none are kept at all. */
function wantsContent({ tenant: { tracing } }: TenantBundle, settings: Settings): boolean {
  if (allowedContent(tracing.content, settings) === "off") return false;
  return tracing.store.enabled || tracing.destinations.some(({ content }) => content !== "off");
}

/** The look-up has a shorter time limit of its own. */
function guardedIndex(index: SemanticIndexRpc, name: string, { guarded }: CallBreaker): SemanticIndexRpc {
  return {
    nearest: (ask) => guarded(name, () => index.nearest(ask)),
    add: (entry) => guarded(name, () => index.add(entry)),
    forget: (scope, key) => guarded(name, () => index.forget(scope, key)),
  };
}

async function listTenantIds(directory: DirectoryRpc): Promise<readonly string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<DirectoryRpc["listTenants"]>> = await directory.listTenants(
      cursor === null ? { limit: PAGE_LIMIT } : { limit: PAGE_LIMIT, cursor },
    );
    ids.push(...page.items.map(({ name }) => name));
    ({ cursor } = page);
  } while (cursor !== null);
  return ids;
}
