/**
 * W3C Trace Context, level 1 and 2: reading `traceparent` strictly and writing `traceresponse`. The sampled
 * flag and `tracestate` are ignored on purpose: a caller may join a trace, but not decide what we record. Pure.
 */

import type { SpanContextRef } from "./trace.ts";

/** `00-` + 32 + `-` + 16 + `-` + 2: all that version 00 allows, and the least any version has. */
const LENGTH = 55;
const PATTERN = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;
const ZERO_TRACE_ID = "0".repeat(32);
const ZERO_SPAN_ID = "0".repeat(16);

/**
 * The caller's span, or undefined for anything that is not a valid `traceparent`. Of an unknown higher version
 * the part that version 00 defines is read, if it ends there or a dash follows; version ff is invalid (W3C
 * Trace Context §3.2).
 */
export function parseTraceparent(header: string | null | undefined): SpanContextRef | undefined {
  if (header === null || header === undefined || header.length < LENGTH) return undefined;
  const [, version, traceId, spanId] = PATTERN.exec(header.slice(0, LENGTH)) ?? [];
  if (version === undefined || traceId === undefined || spanId === undefined || version === "ff") {
    return undefined;
  }
  if (header.length > LENGTH && (version === "00" || header[LENGTH] !== "-")) return undefined;
  if (traceId === ZERO_TRACE_ID || spanId === ZERO_SPAN_ID) return undefined;
  return { traceId, spanId };
}

/** A span as a `traceparent` or `traceresponse` value, flagged as sampled, since every span is recorded. */
export function formatTraceparent({ traceId, spanId }: SpanContextRef): string {
  return `00-${traceId}-${spanId}-01`;
}
