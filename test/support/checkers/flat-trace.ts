// A finished trace as a receiver would see it, for the invariants checker.
import {
  createEnvelope,
  encodeTrace,
  fillEnvelope,
  joinResourceSpans,
} from "../../../src/telemetry/otlp/otlp.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import { flattenSpans, type FlatSpan } from "./otlp-spans.ts";

const headgate = createEnvelope({ serviceName: "headgate", serviceVersion: "0.1.0" });
export const envelope = (spans: string): string => fillEnvelope(headgate, spans);

export function exportBody(traces: readonly FinishedTrace[]): string {
  return joinResourceSpans([envelope(traces.map((trace) => encodeTrace(trace).spans).join(","))]);
}

export function asFlat(...traces: readonly FinishedTrace[]): readonly FlatSpan[] {
  return flattenSpans(JSON.parse(exportBody(traces)));
}
