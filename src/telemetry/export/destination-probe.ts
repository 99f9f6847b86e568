/**
 * Sends one test span to one destination and reports the response. Sent once: not retried, not counted, not
 * kept by the outbox.
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

/** The response of `POST …/destinations/{name}/test`. */
export interface ProbeReport {
  readonly delivered: boolean;
  /** The destination's HTTP status; null without a response. */
  readonly status: number | null;
  readonly ms: number;
  /** A reason as in the export status: `http_401`, `timeout`, `credential`; null when it was delivered. */
  readonly error: string | null;
  /** The trace to look for in the back end. */
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
