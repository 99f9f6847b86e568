/**
 * Finds traces across the tenants' stores: one object when the tenant is named, else all of them, a few at a time.
 * Reads only.
 */

import { GatewayError } from "../../errors.ts";
import { mapInParallel } from "../../runtime/parallel.ts";
import { NEWEST } from "./store-query.ts";
import {
  UNKNOWN_TENANT,
  type FoundTrace,
  type SessionSums,
  type TraceContext,
  type TraceStorePort,
} from "./stored-trace.ts";
import type { TraceSummary } from "../trace/summary.ts";
import type { Cursor, SessionQuery, TraceQuery } from "./trace-query.ts";

interface TracePage {
  readonly items: readonly TraceSummary[];
  readonly cursor: Cursor | undefined;
}

interface SessionPage {
  readonly items: readonly SessionSums[];
  /** Where the next page begins; undefined on the last. */
  readonly before: number | undefined;
}

export interface TraceReader {
  /** Newest first. Throws `invalid_request` when there are too many tenants to search. */
  search(query: TraceQuery): Promise<TracePage>;
  /** A tenant's conversations, newest first. */
  sessions(tenant: string, query: SessionQuery): Promise<SessionPage>;
  /** The stored requests of a trace as `resourceSpans` elements in JSON; of all tenants unless one is named. */
  get(traceId: string, tenant?: string): Promise<readonly string[]>;
  /** The same, each with what the store of its own tenant knows of its surroundings. */
  explain(traceId: string, tenant?: string): Promise<readonly TraceContext[]>;
}

export interface TraceReaderDeps {
  readonly storeOf: (tenantId: string) => TraceStorePort;
  readonly listTenantIds: () => Promise<readonly string[]>;
  /** Writes this isolate's enqueued traces, so that a trace can be read as soon as it is finished. */
  readonly flush: () => Promise<void>;
}

/** Half of the 1,000 object calls a request has on the free plan. */
const MAX_TENANTS = 500;

export function createTraceReader({ storeOf, listTenantIds, flush }: TraceReaderDeps): TraceReader {
  async function tenantsOf(tenant: string | undefined): Promise<readonly string[]> {
    if (tenant !== undefined) return [tenant];
    const tenantIds = await listTenantIds();
    if (tenantIds.length > MAX_TENANTS) {
      const message = `There are more than ${MAX_TENANTS} tenants. Name one in the parameter 'tenant'.`;
      throw new GatewayError("invalid_request", message, { param: "tenant" });
    }
    return [...tenantIds, UNKNOWN_TENANT];
  }

  return {
    async search({ tenant, filters, limit, cursor }) {
      await flush();
      const tenantIds = await tenantsOf(tenant);
      const pages = await mapInParallel(tenantIds, async (tenantId) => {
        const found = await storeOf(tenantId).search(filters, firstBefore(cursor, tenantId), limit + 1);
        return found.map((trace) => ({ ...trace, tenantId }));
      });
      const merged = pages.flat().toSorted(inListOrder);
      const items = merged.slice(0, limit);
      const last = items.at(-1);
      const hasMore = merged.length > limit && last !== undefined;
      return {
        items: items.map(({ summary }) => summary),
        cursor: hasMore ? { position: last.position, tenant: last.tenantId } : undefined,
      };
    },
    async sessions(tenant, { filters, limit, before }) {
      await flush();
      const found = await storeOf(tenant).sessions(filters, before, limit + 1);
      const items = found.slice(0, limit);
      return { items, before: found.length > limit ? items.at(-1)?.position : undefined };
    },
    async get(traceId, tenant) {
      await flush();
      const tenantIds = await tenantsOf(tenant);
      return (await mapInParallel(tenantIds, (tenantId) => storeOf(tenantId).get(traceId))).flat();
    },
    async explain(traceId, tenant) {
      await flush();
      const tenantIds = await tenantsOf(tenant);
      return (await mapInParallel(tenantIds, (tenantId) => storeOf(tenantId).explain(traceId))).flat();
    },
  };
}

type Placed = FoundTrace & { readonly tenantId: string };

function inListOrder(a: Placed, b: Placed): number {
  return b.position - a.position || (a.tenantId < b.tenantId ? -1 : 1);
}

/**
 * The first position that is not in a tenant's page: tenants after the cursor's still have that position to
 * show.
 */
function firstBefore(cursor: Cursor | undefined, tenantId: string): number {
  if (cursor === undefined) return NEWEST;
  return tenantId > cursor.tenant ? cursor.position + 1 : cursor.position;
}
