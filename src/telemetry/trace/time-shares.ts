/**
 * A request's duration in parts that add up to it: queue, failed attempts, wait for the first token, stream,
 * and the rest for the gateway. Pure.
 */

import { isAnswerAttempt, numberAttribute, textAttribute } from "./summary.ts";
import type { FinishedSpan } from "./trace.ts";

export type ShareKind = "queue" | "failed" | "pause" | "first_token" | "answer" | "cache" | "gateway";

export interface TimeShare {
  readonly kind: ShareKind;
  readonly ms: number;
}

/** One call to an upstream, with its result. */
export interface AttemptView {
  readonly span: FinishedSpan;
  /** Some or all of its bytes went to the client. */
  readonly hasAnswered: boolean;
  /** The call ended as it should. */
  readonly isWhole: boolean;
  /** Undefined where there was no stream. */
  readonly firstChunkAt: number | undefined;
  /** Undefined where the time is too short for a rate. */
  readonly tokensPerSecond: number | undefined;
  /** What the upstream says of its own time; undefined where it says nothing of its parts. */
  readonly reported: ReportedParts | undefined;
}

/** The parts of a call by its upstream's clock, in ms, in their order; what they leave of the call is the network's. */
export interface ReportedParts {
  readonly networkMs: number;
  readonly queueMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
  /** They are longer than the call: not drawn. */
  readonly isDoubtful: boolean;
}

/** Clocks count whole milliseconds: a rate over less time is noise. */
const MIN_RATE_MS = 20;
const MS_PER_SECOND = 1000;

/** The calls of a request in their order. */
export function viewAttempts(spans: readonly FinishedSpan[]): readonly AttemptView[] {
  return spans
    .filter(isAnswerAttempt)
    .toSorted(
      (a, b) =>
        (numberAttribute(a, "gateway.attempt.number") ?? 0) -
        (numberAttribute(b, "gateway.attempt.number") ?? 0),
    )
    .map(viewAttempt);
}

function viewAttempt(span: FinishedSpan): AttemptView {
  const isWhole = textAttribute(span, "gateway.attempt.outcome") === "ok";
  const firstChunkAt = span.events.find(({ name }) => name === "gateway.stream.first_chunk")?.at;
  const outputTokens = numberAttribute(span, "gen_ai.usage.output_tokens") ?? 0;
  const lastedMs = span.endAt - (firstChunkAt ?? span.startAt);
  return {
    span,
    isWhole,
    hasAnswered: isWhole || firstChunkAt !== undefined,
    firstChunkAt,
    tokensPerSecond:
      outputTokens > 0 && lastedMs >= MIN_RATE_MS ? (outputTokens * MS_PER_SECOND) / lastedMs : undefined,
    reported: readReported(span, firstChunkAt),
  };
}

function readReported(span: FinishedSpan, firstChunkAt: number | undefined): ReportedParts | undefined {
  const queueMs = numberAttribute(span, "gateway.upstream.reported.queue_ms");
  const prefillMs = numberAttribute(span, "gateway.upstream.reported.prefill_ms");
  const saidMs = numberAttribute(span, "gateway.upstream.reported.decode_ms");
  const totalMs = numberAttribute(span, "gateway.upstream.reported.total_ms");
  if (queueMs === null && prefillMs === null && saidMs === null && totalMs === null) return undefined;
  const durationMs = span.endAt - span.startAt;
  const before = (queueMs ?? 0) + (prefillMs ?? 0);
  // A total alone is the model's time; of a stream it ends with the head.
  const rest = firstChunkAt === undefined && totalMs !== null ? Math.max(0, totalMs - before) : 0;
  const decodeMs = saidMs ?? (firstChunkAt === undefined ? rest : Math.max(0, span.endAt - firstChunkAt));
  return {
    queueMs: queueMs ?? 0,
    prefillMs: prefillMs ?? (firstChunkAt === undefined ? 0 : Math.max(0, (totalMs ?? 0) - (queueMs ?? 0))),
    decodeMs,
    networkMs: Math.max(0, durationMs - before - decodeMs),
    isDoubtful: span.attributes["gateway.upstream.reported.doubtful"] === true,
  };
}

/** The parts that took time, in the order of a request; they add up to the root's duration. */
export function shareTime(root: FinishedSpan, spans: readonly FinishedSpan[]): readonly TimeShare[] {
  const attempts = viewAttempts(spans);
  const answered = attempts.findLast(({ hasAnswered }) => hasAnswered);
  const queueWait = spans.find(({ name }) => name === "gateway.queue.wait");
  const queueMs = numberAttribute(root, "gateway.queue.wait_ms") ?? durationOf(queueWait);
  // A hedged call counts up to the start of the one that answered, which it ran beside.
  const lostMs = attempts
    .filter((attempt) => attempt !== answered)
    .map(({ span }) =>
      durationOf(span, span.startAt, Math.min(span.endAt, answered?.span.startAt ?? span.endAt)),
    );
  const chunkAt = answered?.firstChunkAt;
  const isHit = textAttribute(root, "gateway.outcome") === "cache_hit";
  // A lookup that found nothing is the gateway's own time, unless it called a model for an embedding.
  const lookups = spans.filter(
    (span) =>
      span.name === "gateway.cache.lookup" &&
      (isHit || textAttribute(span, "gateway.cache.kind") === "semantic"),
  );
  const parts: readonly TimeShare[] = [
    { kind: "queue", ms: queueMs },
    { kind: "failed", ms: sum(lostMs) },
    { kind: "pause", ms: pausedMs(root, spans, attempts) },
    { kind: "first_token", ms: chunkAt === undefined ? 0 : chunkAt - (answered?.span.startAt ?? chunkAt) },
    {
      kind: "answer",
      ms: chunkAt === undefined ? durationOf(answered?.span) : durationOf(answered?.span, chunkAt),
    },
    { kind: "cache", ms: sum(lookups.map((span) => durationOf(span))) },
  ];
  return withRest(parts, durationOf(root));
}

/** Cuts parts that exceed the duration (work after the response), and assigns the rest to the gateway. */
function withRest(parts: readonly TimeShare[], totalMs: number): readonly TimeShare[] {
  let leftMs = totalMs;
  const shares = parts.map(({ kind, ms }) => {
    const part = Math.min(leftMs, Math.max(0, ms));
    leftMs -= part;
    return { kind, ms: part };
  });
  return [...shares, { kind: "gateway" as const, ms: leftMs }].filter(({ ms }) => ms > 0);
}

/** Between two calls, and before the first where its target's Retry-After held it back. */
function pausedMs(
  root: FinishedSpan,
  spans: readonly FinishedSpan[],
  attempts: readonly AttemptView[],
): number {
  const [first] = attempts;
  if (first === undefined) return 0;
  const closedAt = root.events.find(({ attributes }) => attributes["error.type"] === "target_closed")?.at;
  const beganAt = Math.min(closedAt ?? Infinity, first.span.endAt);
  // A slot that was given back for a pause is waited for again: that time is the queue's.
  const again = spans.filter(({ name, startAt }) => name === "gateway.queue.wait" && startAt >= beganAt);
  return sum([
    Math.max(0, first.span.startAt - beganAt),
    ...attempts.slice(1).map(({ span }, at) => Math.max(0, span.startAt - (attempts[at]?.span.endAt ?? 0))),
    ...again.map((span) => -durationOf(span)),
  ]);
}

function durationOf(
  span: FinishedSpan | undefined,
  from = span?.startAt ?? 0,
  to = span?.endAt ?? 0,
): number {
  return Math.max(0, to - from);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
