// A tenant's records, a key and a chat request for tests of the pipeline, without storage and without crypto. Runs in Node and in
// workerd. The whole admin plane's version is test-tenant.ts.
import type { ChatRequest } from "../../../src/schema/chat.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import {
  type KeyRecord,
  type ProviderRecord,
  tenantSchema,
  type TenantBundle,
} from "../../../src/tenants/records/records.ts";
import { routeSchema } from "../../../src/tenants/records/route-record.ts";

export interface FakeTenant {
  readonly id?: string;
  readonly version?: number;
  /** Fields of the tenant record, as the admin API takes them; no destinations. */
  readonly record?: Readonly<Record<string, unknown>>;
  readonly providers?: Readonly<Record<string, Partial<ProviderRecord>>>;
  /** Routes by name, as the admin API takes them. */
  readonly routes?: Readonly<Record<string, unknown>>;
  readonly key?: Partial<KeyRecord>;
  /** False: the records know no key. */
  readonly hasKey?: boolean;
}

export const fakeKey: KeyRecord = {
  id: "key-1",
  name: "test",
  hash: "0".repeat(64),
  createdAt: "2026-11-01T00:00:00.000Z",
};

/** Two providers `a` and `b` of kind `openai` unless others are named. */
export function fakeBundle(tenant: FakeTenant = {}): TenantBundle {
  const { id = "acme", version = 7, record = {}, providers = { a: {}, b: {} }, routes = {} } = tenant;
  // Nothing here seals: a fake tenant has neither a webhook nor destinations.
  const { alerts: _alerts, ...parsed } = tenantSchema.parse(record);
  return {
    id,
    version,
    tenant: { ...parsed, tracing: { ...parsed.tracing, destinations: [] } },
    keys: tenant.hasKey === false ? [] : [{ ...fakeKey, ...tenant.key }],
    providers: fakeMap(
      Object.entries(providers).map(([name, provider]) => [name, { ...providerDefaults(name), ...provider }]),
    ),
    routes: fakeMap(Object.entries(routes).map(([name, route]) => [name, routeSchema.parse(route)])),
    cacheEpoch: 1,
  };
}

function providerDefaults(name: string): ProviderRecord {
  return {
    kind: "openai",
    baseUrl: `https://${name}.example/v1`,
    headers: {},
    options: {},
    propagateTrace: false,
  };
}

/** Without a prototype, as source.ts has them. */
function fakeMap<Value>(entries: readonly (readonly [string, Value])[]): Readonly<Record<string, Value>> {
  const map: Record<string, Value> = Object.create(null);
  for (const [name, value] of entries) map[name] = value;
  return map;
}

/** A request of the openai-chat wire, read by its own client wire. */
export function fakeChat(body: Readonly<Record<string, unknown>> = {}): ChatRequest {
  return openAiChat.parseRequest(
    JSON.stringify({ model: "a/gpt-4o-mini", messages: [{ role: "user", content: "Hi" }], ...body }),
  );
}
