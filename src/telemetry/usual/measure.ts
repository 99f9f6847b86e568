/** What a finished request measures for comparison with others: the parts of its time, its tokens, and who answered. Pure. */

import { numberAttribute, textAttribute } from "../trace/summary.ts";
import { shareTime, viewAttempts, type ShareKind } from "../trace/time-shares.ts";
import type { FinishedSpan } from "../trace/trace.ts";

/** `shared` is the wait for an equal request's answer. */
export type PartKind = ShareKind | "shared";

/** One part of a request's time; a request's parts add up to its duration. */
export interface PartTime {
  readonly kind: PartKind;
  readonly ms: number;
}

export interface MeasuredRequest {
  readonly traceId: string;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly keyId: string | null;
  readonly route: string;
  /** `provider/model` of the call that answered; null without one. */
  readonly target: string | null;
  readonly isStream: boolean;
  /** When that call began and ended, ms since the epoch; 0 without one. */
  readonly calledAt: number;
  readonly answeredAt: number;
  readonly parts: readonly PartTime[];
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly costUsd: number | null;
  readonly replica: string | null;
  readonly region: string | null;
  /** By the vendor's own clock; 0 where it says nothing, or what doesn't fit. */
  readonly vendorQueueMs: number;
  /** The host and the model that answered, by the vendor's names. */
  readonly host: string | null;
  readonly model: string | null;
  readonly outcome: string | null;
}

export function measure(spans: readonly FinishedSpan[]): MeasuredRequest | undefined {
  const [root] = spans;
  if (root === undefined) return undefined;
  const answered = viewAttempts(spans).findLast(({ hasAnswered }) => hasAnswered);
  const call = answered?.span;
  const outcome = textAttribute(root, "gateway.outcome");
  return {
    traceId: root.traceId,
    startedAt: root.startAt,
    durationMs: root.endAt - root.startAt,
    keyId: textAttribute(root, "gateway.key.id"),
    route: textAttribute(root, "gateway.route.id") ?? "",
    target: textAttribute(call, "gateway.attempt.target"),
    isStream: answered?.firstChunkAt !== undefined,
    calledAt: call?.startAt ?? 0,
    answeredAt: call?.endAt ?? 0,
    parts: divide(root, spans, outcome),
    inputTokens: numberAttribute(root, "gen_ai.usage.input_tokens") ?? 0,
    cachedTokens: numberAttribute(call, "gen_ai.usage.cache_read.input_tokens") ?? 0,
    outputTokens: numberAttribute(root, "gen_ai.usage.output_tokens") ?? 0,
    costUsd: numberAttribute(root, "gateway.cost.usd"),
    replica: textAttribute(call, "gateway.upstream.replica"),
    region: textAttribute(call, "gateway.upstream.region"),
    vendorQueueMs: answered?.reported?.isDoubtful === false ? Math.round(answered.reported.queueMs) : 0,
    host: textAttribute(call, "server.address"),
    model: textAttribute(call, "gen_ai.request.model"),
    outcome,
  };
}

export function msOf(parts: readonly PartTime[], kind: PartKind): number {
  return parts.find((part) => part.kind === kind)?.ms ?? 0;
}

/** Takes out of the gateway's rest what was no work of the gateway. */
function divide(
  root: FinishedSpan,
  spans: readonly FinishedSpan[],
  outcome: string | null,
): readonly PartTime[] {
  const parts: readonly PartTime[] = shareTime(root, spans);
  const wait =
    outcome === "coalesced" ? spans.find(({ name }) => name === "gateway.coalesce.wait") : undefined;
  if (wait === undefined) return parts;
  const restMs = msOf(parts, "gateway");
  const sharedMs = Math.min(restMs, wait.endAt - wait.startAt);
  return [
    ...parts.filter(({ kind }) => kind !== "gateway"),
    { kind: "shared" as const, ms: sharedMs },
    { kind: "gateway" as const, ms: restMs - sharedMs },
  ].filter(({ ms }) => ms > 0);
}
