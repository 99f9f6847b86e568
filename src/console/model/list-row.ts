/** A row of the list of requests: its strip and its reason in words, from the summary alone. Pure. */

import { failureInWords } from "../../telemetry/explain/plain-words.ts";
import { paint, type Segment } from "./parts.ts";
import { durationText } from "./words.ts";

/** What the list's row needs of a summary. */
export interface RowFacts {
  readonly durationMs: number;
  readonly status: number | null;
  readonly outcome: string | null;
  readonly queueMs: number | null;
  readonly ttfbMs: number | null;
  readonly attempts: number | null;
}

const WHOLE_MS = 20;
const WHOLE_SHARE = 0.02;

/** The request's time as far as a summary tells it: queue, up to the first byte, answer. Segments touch and add up to its length. */
export function stripOf({
  durationMs,
  outcome,
  queueMs,
  ttfbMs,
  attempts,
  status,
}: RowFacts): readonly Segment[] {
  const waited = Math.min(queueMs ?? 0, durationMs);
  if (outcome === "cache_hit") return [{ part: "cache", from: 0, to: durationMs }];
  const isFailed = status !== null && status >= 500;
  // An answer that came whole has its first byte at its end: all of it is the answer.
  const isWhole = ttfbMs === null || durationMs - ttfbMs < Math.max(WHOLE_MS, durationMs * WHOLE_SHARE);
  const first = isWhole ? (isFailed ? durationMs : waited) : Math.max(ttfbMs, waited);
  const segments: Segment[] = [{ part: "queue", from: 0, to: waited }];
  if ((attempts ?? 0) > 0) {
    segments.push({ part: isFailed && ttfbMs === null ? "failed" : "first_token", from: waited, to: first });
    segments.push({ part: isFailed ? "failed" : "answer", from: first, to: durationMs });
  }
  return paint(segments, { from: 0, to: durationMs, rest: "gateway" });
}

/** Why in words; undefined where nothing is remarkable. */
export function reasonOf(
  { outcome, queueMs, attempts, status }: RowFacts,
  decision?: string | null,
): string | undefined {
  const parts = [
    OUTCOMES[outcome ?? ""],
    outcome === "rejected" && decision != null ? failureInWords(decision) : undefined,
    (queueMs ?? 0) >= MIN_QUEUE_MS ? `waited ${durationText(queueMs ?? 0)} in the queue` : undefined,
    (attempts ?? 0) > 1 ? `${attempts} attempts` : undefined,
    outcome === "ok" && status !== null && status >= 400 ? "answered with an error" : undefined,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join("; ");
}

const MIN_QUEUE_MS = 50;

const OUTCOMES: Readonly<Record<string, string>> = {
  cache_hit: "answered from the cache",
  coalesced: "shared the answer of an equal request",
  replayed: "answered again by its idempotency key",
  rejected: "refused",
  upstream_error: "the upstream failed",
  client_disconnected: "the client left",
  gateway_error: "the gateway failed",
  abandoned: "ended without an answer",
};

/** The end of the scale that all rows share: the longest, rounded up to two digits. */
export function scaleOf(rows: readonly { readonly durationMs: number }[]): number {
  const longest = Math.max(1, ...rows.map(({ durationMs }) => durationMs));
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(longest)) - 1);
  return Math.ceil(longest / unit) * unit;
}
