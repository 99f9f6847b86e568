/**
 * One test span to one destination, and what the destination said: for whoever has just written its record. Sent once,
 * counted nowhere, kept by no outbox. Called by tracing.ts.
 */

import { encodeText } from "../../bytes/digest.ts";
import type { TraceDestination, UnusableDestination } from "./destination.ts";
import {
  createEnvelope,
  encodeTrace,
  fillEnvelope,
  joinResourceSpans,
  type OtlpResource,
} from "../otlp/otlp.ts";
import { sendOnce, toPayload, type SendPorts } from "./otlp-send.ts";
import type { FinishedTrace } from "../trace/trace.ts";

/** The answer of `POST …/destinations/{name}/test`. */
export interface ProbeReport {
  readonly delivered: boolean;
  /** The destination's HTTP status; null when it gave none. */
  readonly status: number | null;
  readonly ms: number;
  /** A short word, as in the export status: `http_401`, `timeout`, `credential`; null when it was delivered. */
  readonly error: string | null;
  /** What to look for in the back end. */
  readonly traceId: string;
}

export async function probeDestination(
  destination: TraceDestination | UnusableDestination,
  trace: FinishedTrace,
  resource: OtlpResource,
  ports: Pick<SendPorts, "fetch" | "clock" | "timeoutSignal">,
): Promise<ProbeReport> {
  const { traceId } = trace;
  if ("fault" in destination) {
    return { delivered: false, status: null, ms: 0, error: destination.fault, traceId };
  }
  const body = joinResourceSpans([fillEnvelope(createEnvelope(resource), encodeTrace(trace).spans)]);
  const payload = await toPayload(encodeText(body), destination.gzip);
  const startedAt = ports.clock();
  const tried = await sendOnce(destination, payload, ports);
  return {
    delivered: tried.kind === "ok",
    status: tried.status ?? null,
    ms: ports.clock() - startedAt,
    error: tried.kind === "ok" ? null : tried.reason,
    traceId,
  };
}
