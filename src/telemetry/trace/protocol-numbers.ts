/** Numbers that OTLP gives to the kinds and flags of a span. */

import type { SpanKind } from "./trace.ts";

/** Protocol numbers (trace.proto); one higher than those of OpenTelemetry's API. */
export const SPAN_KIND_NUMBER: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3 };

/** trace.proto, SpanFlags: sampled, and whether the parent is known to be remote. */
export const FLAGS_LOCAL_PARENT = 0x1_01;
export const FLAG_REMOTE_PARENT = 0x2_00;
