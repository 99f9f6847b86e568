/**
 * Traces at the edge of the Worker: created with the platform's clock, randomness and span objects, and passed to the
 * exporter when they are finished. What a trace is, and where it goes, is src/telemetry/.
 */

import type { Settings } from "./config.ts";
import type { ContentRecorder } from "./telemetry/content/content.ts";
import {
  allowedContent,
  type TraceDestination,
  type UnusableDestination,
} from "./telemetry/export/destination.ts";
import type { ExportPolicy, ExportPort, WaitUntil } from "./telemetry/export/exporter.ts";
import type { Meter } from "./telemetry/metrics/meter.ts";
import { createIds } from "./telemetry/trace/ids.ts";
import { createRefusalTraceLimiter, summaryTrace } from "./telemetry/trace/refusal-trace-limiter.ts";
import { createRequestTrace, type RequestTraceInit } from "./telemetry/trace/request-trace.ts";
import { createSpan } from "./telemetry/trace/span-impl.ts";
import type { RequestTrace } from "./telemetry/trace/trace.ts";
import type { TenantBundle } from "./tenants/records/records.ts";

type TraceInit = Pick<RequestTraceInit, "name" | "kind" | "attributes"> & {
  readonly traceparent?: string | null;
};

/** Where finished traces go: part of the isolate's services. */
export interface TraceOutputs {
  readonly settings: Pick<Settings, "isContentAllowed">;
  readonly exporter: ExportPort;
  readonly meter: Meter;
  readonly contents: ContentRecorder;
  /** False for a request of a deleted tenant whose name another one has by now. */
  readonly isCurrentGeneration: (bundle: TenantBundle) => boolean;
  /** A tenant's own trace destinations, those that can't be sent to included. */
  readonly destinationsOf: (
    bundle: TenantBundle,
  ) => Promise<readonly (TraceDestination | UnusableDestination)[]>;
}

const ids = createIds((bytes) => crypto.getRandomValues(bytes));
const clock = (): number => Date.now();
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const refusals = createRefusalTraceLimiter(clock);

export function startTrace(init: TraceInit): RequestTrace {
  return createRequestTrace({ createSpan, clock, sleep, ids, ...init });
}

/**
 * Exports a trace once it is finished; keep the promise alive beyond the response. Refusals without a tenant leave at most
 * one trace and one summary a second.
 */
export async function exportTrace(
  trace: RequestTrace,
  caller: { readonly bundle: TenantBundle | undefined; readonly isUnauthenticated: boolean },
  outputs: TraceOutputs,
  waitUntil: WaitUntil,
): Promise<void> {
  if (caller.isUnauthenticated) {
    const decision = refusals.decide();
    if (decision === "count_and_collect") waitUntil(exportSummary(outputs, waitUntil));
    if (decision !== "trace") return;
  }
  await finishAndExport(trace, caller.bundle, outputs, waitUntil);
}

async function finishAndExport(
  trace: RequestTrace,
  bundle: TenantBundle | undefined,
  outputs: TraceOutputs,
  waitUntil: WaitUntil,
): Promise<void> {
  const finished = await trace.finished;
  if (bundle !== undefined && !outputs.isCurrentGeneration(bundle)) return;
  outputs.meter.note(finished, waitUntil);
  const policy = bundle && (await policyOf(bundle, outputs));
  outputs.exporter.export(finished, policy, waitUntil, outputs.contents.of(trace));
}

async function exportSummary(outputs: TraceOutputs, waitUntil: WaitUntil): Promise<void> {
  await sleep(refusals.windowLeftMs());
  const counted = refusals.takeCounted();
  if (counted === undefined) return;
  const trace = startTrace(summaryTrace(counted.count));
  trace.root.end();
  await finishAndExport(trace, undefined, outputs, waitUntil);
}

async function policyOf(bundle: TenantBundle, outputs: TraceOutputs): Promise<ExportPolicy> {
  const { tracing } = bundle.tenant;
  const { settings, destinationsOf } = outputs;
  return {
    sampling: tracing,
    store: { ...tracing.store, content: allowedContent(tracing.content, settings) },
    destinations: tracing.destinations.length === 0 ? [] : await destinationsOf(bundle),
  };
}
