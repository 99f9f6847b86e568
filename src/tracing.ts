/**
 * Traces of requests at the edge of the Worker: begun from the platform's clock, randomness and span objects, and handed
 * to the exporter when they are finished. The shell around src/telemetry/; called by middleware/request-scope.ts.
 */

import type { Settings } from "./config.ts";
import type { IsolateServices } from "./services.ts";
import { type ExportPolicy, type WaitUntil } from "./telemetry/exporter.ts";
import { createRefusalFlood, summaryTrace } from "./telemetry/flood.ts";
import { createIds } from "./telemetry/ids.ts";
import { tracesUrl } from "./telemetry/otlp-send.ts";
import { createRequestTrace, type RequestTraceInit } from "./telemetry/request-trace.ts";
import { createSpan } from "./telemetry/span-impl.ts";
import type { RequestTrace } from "./telemetry/trace.ts";
import { refuseUrl } from "./public-url.ts";
import type { TenantBundle } from "./tenants/records.ts";

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

/** Exports a trace once it is finished. Refusals without a tenant leave at most one trace and one summary a second. */
export function exportTrace(
  trace: RequestTrace,
  about: { readonly bundle: TenantBundle | undefined; readonly isUnauthenticated: boolean },
  services: IsolateServices,
  waitUntil: WaitUntil,
): void {
  if (about.isUnauthenticated) {
    const verdict = flood.note();
    if (verdict === "first_counted") waitUntil(exportSummary(services, waitUntil));
    if (verdict !== "own") return;
  }
  waitUntil(finishAndExport(trace, about.bundle, services, waitUntil));
}

async function finishAndExport(
  trace: RequestTrace,
  bundle: TenantBundle | undefined,
  services: IsolateServices,
  waitUntil: WaitUntil,
): Promise<void> {
  const finished = await trace.finished;
  const policy = bundle && (await policyOf(bundle, services));
  services.exporter.export(finished, policy, waitUntil);
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
  const destinations = tracing.destinations.length === 0 ? [] : await services.openDestinations(bundle);
  return {
    sampling: tracing,
    store: tracing.store,
    destinations: destinations
      .filter(({ endpoint }) => isCallable(endpoint, services.settings))
      .map(({ name, endpoint, headers, gzip }) => ({ name, url: tracesUrl(endpoint), headers, gzip })),
  };
}

/** Asked again before each call: the record may be older than the deployment's rules. */
function isCallable(endpoint: string, { allowPrivateUpstreams }: Settings): boolean {
  return refuseUrl(endpoint, { allowPrivate: allowPrivateUpstreams }) === undefined;
}
