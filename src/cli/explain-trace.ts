/** Explains a stored request by what the admin API gives: its surroundings, the tenant's limits, the names of its keys. */

import { explainStored, type Explanation, type TenantFacts } from "../telemetry/explain/explanation.ts";
import { readResourceSpans, tenantOf } from "../telemetry/otlp/otlp-read.ts";
import type { TraceContext } from "../telemetry/store/stored-trace.ts";

/** The JSON at a path of the admin API; undefined where it answers anything but 200. */
type Get = (path: string) => Promise<unknown>;

interface Limited {
  readonly limits?: { readonly concurrency?: number };
}

/** One for each request of the trace; empty where none is stored. `tenant` narrows the search. */
export async function explainTrace(
  get: Get,
  traceId: string,
  tenant?: string,
): Promise<readonly Explanation[]> {
  const query = tenant === undefined ? "" : `?tenant=${encodeURIComponent(tenant)}`;
  // Our own API's answers: src/docs/admin-api.md.
  const found = (await get(`/admin/traces/${traceId}/surroundings${query}`)) as
    | { readonly items: readonly (Omit<TraceContext, "otlp"> & { readonly trace: unknown })[] }
    | undefined;
  const items = (found?.items ?? []).map(async ({ trace, ...around }) => {
    const otlp = JSON.stringify(trace);
    const facts = await readFacts(get, tenantOf(readResourceSpans(otlp)));
    return explainStored({ otlp, ...around }, facts) ?? [];
  });
  return (await Promise.all(items)).flat();
}

async function readFacts(get: Get, tenantId: string): Promise<TenantFacts> {
  const root = `/admin/tenants/${encodeURIComponent(tenantId)}`;
  const [record, listed] = await Promise.all([get(root), get(`${root}/keys?limit=1000`)]);
  const ofTenant = (record as Limited | undefined)?.limits?.concurrency;
  const keys =
    (listed as { readonly items: readonly (Limited & { id: string; name?: string })[] } | undefined)?.items ??
    [];
  const keyOf = (id: string | null) => keys.find((key) => key.id === id);
  return {
    keyName: (id) => keyOf(id)?.name ?? id,
    slotsOf(keyId) {
      const key = keyOf(keyId);
      const ofKey = key?.limits?.concurrency;
      // Where both are set, the trace does not tell which of them held it.
      if ((ofTenant === undefined) === (ofKey === undefined)) return undefined;
      return ofTenant === undefined
        ? { count: ofKey ?? 0, holder: `the key ${key?.name ?? keyId}` }
        : { count: ofTenant, holder: tenantId };
    },
  };
}
