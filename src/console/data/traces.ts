/** Reads of the trace store and of the names that its ids stand for. */

import { readResourceSpans } from "../../telemetry/otlp/otlp-read.ts";
import type { TraceContext } from "../../telemetry/store/stored-trace.ts";
import type { TraceSummary } from "../../telemetry/trace/summary.ts";
import { type RequestView, viewRequest } from "../model/steps.ts";
import { getJson, listAll, type ListPage } from "./api.ts";

/** A row of `GET /admin/traces`: a summary with its time as ISO 8601. */
export type TraceItem = Omit<TraceSummary, "startedAt" | "isError" | "isData"> & {
  readonly startedAt: string;
};

export function listTraces(query: URLSearchParams): Promise<ListPage<TraceItem>> {
  return getJson<ListPage<TraceItem>>(`/admin/traces?${query}`);
}

/** The requests stored under a trace id, in the order they began; one, unless the caller used the id again. */
export async function readTrace(traceId: string, tenant: string | null): Promise<readonly RequestView[]> {
  const query = tenant === null ? "" : `?tenant=${encodeURIComponent(tenant)}`;
  const { resourceSpans } = await getJson<{ readonly resourceSpans: readonly unknown[] }>(
    `/admin/traces/${encodeURIComponent(traceId)}${query}`,
  );
  return resourceSpans
    .map((element) => viewRequest(readResourceSpans(JSON.stringify(element)).spans))
    .filter((request): request is RequestView => request !== undefined)
    .toSorted((a, b) => a.startedAt - b.startedAt);
}

/** What each of these requests is compared with, by its root's span id; empty where it can't be read. */
export async function readSurroundings(
  traceId: string,
  tenant: string | null,
): Promise<ReadonlyMap<string, Omit<TraceContext, "otlp">>> {
  type Item = Omit<TraceContext, "otlp"> & { readonly trace: unknown };
  const query = tenant === null ? "" : `?tenant=${encodeURIComponent(tenant)}`;
  try {
    const { items } = await getJson<{ readonly items: readonly Item[] }>(
      `/admin/traces/${encodeURIComponent(traceId)}/surroundings${query}`,
    );
    return new Map(
      items.map(({ trace, ...around }) => [
        readResourceSpans(JSON.stringify(trace)).spans[0]?.spanId ?? "",
        around,
      ]),
    );
  } catch {
    return new Map();
  }
}

/** The names of a tenant's keys by id; empty where they can't be read, since ids do as well. */
export async function keyNames(tenant: string): Promise<ReadonlyMap<string, string>> {
  try {
    const keys = await listAll<{ readonly id: string; readonly name?: string }>(
      `/admin/tenants/${encodeURIComponent(tenant)}/keys`,
    );
    return new Map(keys.map(({ id, name }) => [id, name ?? id]));
  } catch {
    return new Map();
  }
}

/** What became of the traces meant for destinations, over all of a tenant's. */
export interface DeliverySums {
  readonly intended: number;
  readonly lost: number;
}

export async function readDelivery(tenant: string | null): Promise<DeliverySums | undefined> {
  interface Destination {
    readonly enqueued: number;
    readonly dropped?: Readonly<Record<string, number>>;
  }
  const path = tenant === null ? "/admin/export" : `/admin/tenants/${encodeURIComponent(tenant)}/export`;
  try {
    const { items } = await getJson<{ readonly items: readonly Destination[] }>(path);
    const lostOf = ({ dropped }: Destination): number =>
      Object.values(dropped ?? {}).reduce((sum, count) => sum + count, 0);
    return {
      intended: items.reduce((sum, { enqueued }) => sum + enqueued, 0),
      lost: items.reduce((sum, destination) => sum + lostOf(destination), 0),
    };
  } catch {
    return undefined;
  }
}
