/**
 * Traces of requests at the edge of the Worker: begun from the platform's clock, randomness and span objects, and handed
 * to the exporter when they are finished. The shell around src/telemetry/; called by middleware/request-scope.ts.
 */

import type { IsolateServices } from "./services.ts";
import { allowedContent } from "./telemetry/export/destination.ts";
import type { ExportPolicy, WaitUntil } from "./telemetry/export/exporter.ts";
import { createRefusalFlood, summaryTrace } from "./telemetry/trace/refusal-trace-limiter.ts";
import { createIds } from "./telemetry/trace/ids.ts";
import { createRequestTrace, type RequestTraceInit } from "./telemetry/trace/request-trace.ts";
import { createSpan } from "./telemetry/trace/span-impl.ts";
import type { RequestTrace } from "./telemetry/trace/trace.ts";
import type { TenantBundle } from "./tenants/records/records.ts";

type Named = Pick<RequestTraceInit, "name" | "kind" | "attributes"> & {
  readonly traceparent?: string | null;
};

const ids = createIds((bytes) => crypto.getRandomValues(bytes));
const clock = (): number => Date.now();
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const flood = createRefusalFlood(clock);

export function startTrace(about: Named): RequestTrace {
  return createRequestTrace({ createSpan, clock, sleep, ids, ...about });
}

/**
 * Exports a trace once it is finished; the promise is to be waited for beyond the response. Refusals without a tenant
 * leave at most one trace and one summary a second.
 */
export async function exportTrace(
  trace: RequestTrace,
  about: { readonly bundle: TenantBundle | undefined; readonly isUnauthenticated: boolean },
  services: IsolateServices,
  waitUntil: WaitUntil,
): Promise<void> {
  if (about.isUnauthenticated) {
    const verdict = flood.note();
    if (verdict === "first_counted") waitUntil(exportSummary(services, waitUntil));
    if (verdict !== "own") return;
  }
  await finishAndExport(trace, about.bundle, services, waitUntil);
}

async function finishAndExport(
  trace: RequestTrace,
  bundle: TenantBundle | undefined,
  services: IsolateServices,
  waitUntil: WaitUntil,
): Promise<void> {
  const finished = await trace.finished;
  services.meter.note(finished, waitUntil);
  const policy = bundle && (await policyOf(bundle, services));
  services.exporter.export(finished, policy, waitUntil, services.contents.of(trace));
}

async function exportSummary(services: IsolateServices, waitUntil: WaitUntil): Promise<void> {
  await sleep(flood.remainingMs());
  const taken = flood.take();
  if (!taken) return;
  const trace = startTrace(summaryTrace(taken.count));
  trace.root.end();
  await finishAndExport(trace, undefined, services, waitUntil);
}

async function policyOf(bundle: TenantBundle, services: IsolateServices): Promise<ExportPolicy> {
  const { tracing } = bundle.tenant;
  const { settings, destinationsOf } = services;
  return {
    sampling: tracing,
    store: { ...tracing.store, content: allowedContent(tracing.content, settings) },
    destinations: tracing.destinations.length === 0 ? [] : await destinationsOf(bundle),
  };
}
