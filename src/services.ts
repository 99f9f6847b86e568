/**
 * What an isolate offers to every request, wired once from the Worker's bindings. The only reader of `env` besides the
 * Durable Objects; called by worker.ts.
 */

import type { Services } from "./app.ts";
import { createCacheStore } from "./cache/store.ts";
import { readSettings, type Settings } from "./config.ts";
import type { Deps } from "./pipeline/ports.ts";
import { createQueueClient } from "./limits/client.ts";
import type { QueueRpc } from "./limits/protocol.ts";
import { findPrice } from "./pricing/prices.ts";
import { providerOf } from "./providers/registry.ts";
import { createLatencyBook } from "./routing/latency.ts";
import { createExporter, type ExportPort } from "./telemetry/exporter.ts";
import { tracesUrl } from "./telemetry/otlp-send.ts";
import type { TraceStorePort } from "./telemetry/stored-trace.ts";
import { createTraceReader } from "./telemetry/trace-reader.ts";
import { createDirectoryClient } from "./tenants/directory-client.ts";
import type { DirectoryRpc } from "./tenants/directory-api.ts";
import { createRecordOpener } from "./tenants/open-records.ts";
import type { ProviderKind, TenantBundle } from "./tenants/records.ts";
import { createTenantSource } from "./tenants/source.ts";
import { VERSION } from "./version.ts";

export interface IsolateServices extends Services {
  readonly exporter: ExportPort;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const now = (): number => Date.now();
// A bare reference would lose `this` in workerd.
const send: typeof fetch = (input, init) => fetch(input, init);

/** There is one directory, and this is its name. */
const DIRECTORY = "directory";
const PAGE_LIMIT = 1000;

/** Throws `unavailable` that names a wrong setting. */
export function createServices(env: Env): IsolateServices {
  const settings = readSettings(env);
  // Stubs have their class's methods; their generated types are too deep for the compiler to compare with the ports.
  const directory = (): DirectoryRpc => env.DIRECTORY.getByName(DIRECTORY) as unknown as DirectoryRpc;
  const queueStub = (tenantId: string): QueueRpc =>
    env.TENANT_QUEUE.getByName(tenantId) as unknown as QueueRpc;
  const storeOf = (tenantId: string): TraceStorePort =>
    env.TRACE_STORE.getByName(tenantId) as unknown as TraceStorePort;

  const defaultBaseUrl = (kind: ProviderKind): string | undefined => providerOf(kind).defaultBaseUrl;
  const opener = createRecordOpener(settings.masterKey, defaultBaseUrl);
  const tenants = createTenantSource({
    kv: env.TENANTS,
    directory,
    queueVersion: (tenantId) => queueStub(tenantId).configVersion(),
    clock: now,
  });
  const exporter = createExporter({
    resource: { serviceName: settings.serviceName, serviceVersion: VERSION },
    operator: operatorDestination(settings),
    storeOf,
    fetch: send,
    clock: now,
    sleep,
    random: Math.random,
    timeoutSignal: (ms) => AbortSignal.timeout(ms),
  });
  const cacheStore = createCacheStore(env.CACHE, now);
  const latency = createLatencyBook();
  const queue = createQueueClient({ queueOf: queueStub, now });

  const depsFor = (bundle: TenantBundle, defer: Deps["defer"]): Deps => ({
    fetch: send,
    sleep,
    now,
    random: Math.random,
    queue: queue.forTenant(bundle.id, defer),
    cacheStore,
    latency,
    providerOf,
    accountOf: (current, name) => opener.openProvider(current, name),
    priceOf: (kind, model) => providerOf(kind).listPrice ?? findPrice(kind, model),
    defer,
    noteVersion: (version) => tenants.noteVersion(bundle.id, version),
    reload: async () => (await tenants.reload(bundle.id))?.bundle,
  });

  return {
    settings,
    directory: createDirectoryClient({
      directory,
      masterKey: settings.masterKey,
      rules: { allowPrivateUpstreams: settings.allowPrivateUpstreams, defaultBaseUrl },
      randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
      lastUsed: (tenantId) => env.TENANT_QUEUE.getByName(tenantId).lastUsed(),
      now,
    }),
    tenants,
    traces: createTraceReader({
      storeOf,
      listTenantIds: () => listTenantIds(directory()),
      flush: () => exporter.flushStores(),
    }),
    queueOf: queueStub,
    depsFor,
    openDestinations: (bundle) => opener.openDestinations(bundle),
    exporter,
    now,
  };
}

function operatorDestination(settings: Settings) {
  if (settings.otlpEndpoint === undefined) return undefined;
  return {
    name: "operator",
    url: tracesUrl(settings.otlpEndpoint),
    headers: settings.otlpHeaders,
    gzip: false,
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
