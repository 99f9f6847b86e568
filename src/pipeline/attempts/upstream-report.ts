/**
 * What an upstream says of its own work and of its limits, on the attempt's span and for the next choice of a target. Nothing here
 * decides by it but the limits.
 */

import { REPORT_HEADERS } from "../../wires/reported/reported.ts";
import type { UpstreamReport } from "../../schema/upstream-report.ts";
import type { SpanAttributes } from "../../telemetry/trace/attributes.ts";
import { isRateLimitHeader, type RateLimitsLeft, readRateLimits } from "../../upstream/rate-limit-headers.ts";

/** Takes from an answer's head what it says of the work so far; gives back what is left of the upstream's limits. */
export function takeHead(
  headers: Headers,
  report: UpstreamReport,
  nowMs: number,
): RateLimitsLeft | undefined {
  let limits: [name: string, value: string][] | undefined;
  // A head has some twenty headers, and hardly one of these: only the names are read of all of them.
  for (const name of headers.keys()) {
    const take = REPORT_HEADERS.get(name);
    if (take === undefined && !isRateLimitHeader(name)) continue;
    const value = headers.get(name) ?? "";
    take?.(report, value);
    if (take === undefined) (limits ??= []).push([name, value]);
  }
  return limits && readRateLimits(limits, nowMs);
}

export function rateLimitAttributes({ requests, tokens }: RateLimitsLeft): SpanAttributes {
  return {
    "gateway.upstream.ratelimit.requests_limit": requests?.limit,
    "gateway.upstream.ratelimit.requests_remaining": requests?.remaining,
    "gateway.upstream.ratelimit.requests_reset_ms": requests?.resetMs,
    "gateway.upstream.ratelimit.tokens_limit": tokens?.limit,
    "gateway.upstream.ratelimit.tokens_remaining": tokens?.remaining,
    "gateway.upstream.ratelimit.tokens_reset_ms": tokens?.resetMs,
  };
}

/** What was measured here of the same call, in ms. */
export interface Measured {
  readonly totalMs: number;
  /** Of a stream. */
  readonly firstChunkMs?: number | undefined;
}

/** Clocks count whole milliseconds, and a Worker's only moves with I/O. */
const TOLERANCE_MS = 5;

export function reportAttributes(report: UpstreamReport, measured: Measured): SpanAttributes {
  return {
    "gateway.upstream.reported.queue_ms": report.queueMs,
    "gateway.upstream.reported.prefill_ms": report.prefillMs,
    "gateway.upstream.reported.decode_ms": report.decodeMs,
    "gateway.upstream.reported.total_ms": report.totalMs,
    "gateway.upstream.reported.doubtful": isDoubtful(report, measured) ? true : undefined,
    "gateway.upstream.region": report.region,
    "gateway.upstream.colo": report.colo,
    "gateway.upstream.replica": report.replica,
    "gateway.upstream.system_fingerprint": report.systemFingerprint,
    "gateway.upstream.service_tier": report.serviceTier,
  };
}

/** Whether the parts are longer than the whole: of the call as measured, of the wait for the first chunk, or of their own total. */
function isDoubtful(
  { queueMs = 0, prefillMs = 0, decodeMs = 0, totalMs = 0 }: UpstreamReport,
  measured: Measured,
): boolean {
  const parts = queueMs + prefillMs + decodeMs;
  if (Math.max(parts, totalMs) > measured.totalMs + TOLERANCE_MS) return true;
  return queueMs + prefillMs > (measured.firstChunkMs ?? Infinity) + TOLERANCE_MS;
}
