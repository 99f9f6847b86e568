/**
 * What one request came to, gathered while it runs and rendered once: as response headers and as the root span's
 * attributes. Headers, span and error body agree because they are made of the same facts.
 */

import { type Bill, type CostBasis, knownUsd } from "./bills.ts";
import type { TokenUsage } from "../schema/chat.ts";
import type { GatewayError } from "../errors.ts";
import type { BudgetAlert, BudgetUse } from "../limits/budget-protocol.ts";
import type { LimitWindow } from "../limits/protocol.ts";
import { usd } from "../pricing/cost.ts";
import type { PromptCacheFacts } from "../targets/prompt-turns.ts";
import type { SpanAttributes } from "../telemetry/trace/attributes.ts";

export type Outcome =
  | "ok"
  | "cache_hit"
  | "coalesced"
  | "replayed"
  | "rejected"
  | "upstream_error"
  | "client_disconnected"
  | "gateway_error";

export type CacheStatus = "HIT" | "MISS" | "BYPASS" | "COALESCED";

/** Filled in while the request runs; a field is absent until its fact is known. */
export interface RequestFacts {
  readonly startedAt: number;
  /** Set where the request ends. */
  outcome?: Outcome;
  tenantId?: string;
  keyId?: string;
  model?: string;
  routeId?: string;
  isStream?: boolean;
  session?: string;
  /** Hashed: usage.ts. */
  endUser?: string;
  /** Its tenant's usage has the request. */
  isCounted?: boolean;
  metadata?: Readonly<Record<string, string>>;
  cache?: CacheStatus;
  /** How a hit was found. */
  cacheKind?: "exact" | "semantic";
  /** Bytes of its bodies that the isolate holds: limits/isolate/body-memory.ts. */
  heldBytes?: number;
  /** The key whose rate of requests without the queue counts it: limits/isolate/unqueued-rate.ts. */
  unqueuedKey?: string | undefined;
  /** Of the most similar entry, whether it was similar enough or not. */
  cacheSimilarity?: number;
  /** What the semantic look-up's embedding cost: a part of `costUsd`, recorded in the ledger by itself. */
  embeddingBills?: readonly Bill[];
  cacheAgeSeconds?: number;
  savedUsd?: number;
  savedMs?: number;
  /** The answer is that of an earlier request with the same idempotency key. */
  isReplayed?: boolean;
  target?: string;
  vendor?: string;
  attempts?: number;
  /** The client's fields that the upstream had no counterpart for. */
  dropped?: readonly string[];
  usedFallback?: boolean;
  queueMs?: number;
  queueDepth?: number;
  queueLimit?: string;
  cacheMs?: number;
  /** Time to the response headers of the attempt that answered, and of those that failed before it. */
  upstreamMs?: number;
  firstByteAt?: number;
  /** What each attempt used and cost, in the order of their ends. */
  bills?: Bill[];
  /** How many of them were recorded when the request returned its slot for a pause. */
  bookedBills?: number | undefined;
  usage?: TokenUsage;
  usageIsEstimate?: boolean;
  /** The sum over all attempts, and what the semantic cache's embedding cost. */
  costUsd?: number;
  costBasis?: CostBasis;
  /** What the cost leaves out, since it has no price: empty for a whole sum. */
  costMissing?: readonly string[];
  /** Set behind the response, for a client that sends a session or a cache mark: the vendor's prompt cache. */
  promptCache?: PromptCacheFacts;
  /** What calls cost that a hedge made needless: a part of `costUsd`. */
  hedgeMicroUsd?: number;
  requests?: LimitWindow;
  tokens?: LimitWindow;
  /** As of the request's admission. */
  budget?: BudgetUse;
}

const MS_PER_SECOND = 1000;

/** Every header that `factHeaders` can write: what a browser's script may read (middleware/cors.ts). */
export const FACT_HEADERS = [
  "server-timing",
  "x-headgate-cache",
  "x-headgate-cache-similarity",
  "age",
  "x-headgate-saved-usd",
  "x-headgate-saved-ms",
  "idempotent-replayed",
  "x-headgate-target",
  "x-headgate-attempts",
  "x-headgate-dropped",
  "x-headgate-queue-ms",
  "x-headgate-cost-usd",
  "x-headgate-cost-missing",
  "x-headgate-budget-used",
  "x-ratelimit-limit-requests",
  "x-ratelimit-remaining-requests",
  "x-ratelimit-reset-requests",
  "x-ratelimit-limit-tokens",
  "x-ratelimit-remaining-tokens",
  "x-ratelimit-reset-tokens",
] as const;

type FactHeaders = { [name in (typeof FACT_HEADERS)[number]]?: string };

/** The headers that tell the client what happened (src/docs/http-api.md), written when the response's head leaves. */
export function factHeaders(facts: RequestFacts, now: number): FactHeaders {
  const headers: FactHeaders = { "server-timing": serverTiming(facts, now) };
  if (facts.cache !== undefined) headers["x-headgate-cache"] = facts.cache;
  if (facts.cacheKind === "semantic" && facts.cacheSimilarity !== undefined) {
    headers["x-headgate-cache-similarity"] = formatSimilarity(facts.cacheSimilarity);
  }
  if (facts.cacheAgeSeconds !== undefined) headers["age"] = String(facts.cacheAgeSeconds);
  if (facts.savedUsd !== undefined) headers["x-headgate-saved-usd"] = formatUsd(facts.savedUsd);
  if (facts.savedMs !== undefined) headers["x-headgate-saved-ms"] = String(facts.savedMs);
  if (facts.isReplayed) headers["idempotent-replayed"] = "true";
  if (facts.target !== undefined) headers["x-headgate-target"] = escapeTarget(facts.target);
  if (facts.attempts !== undefined) headers["x-headgate-attempts"] = String(facts.attempts);
  if (facts.dropped !== undefined && facts.dropped.length > 0) {
    headers["x-headgate-dropped"] = facts.dropped.map(escapeFieldName).join(", ");
  }
  if (facts.queueMs !== undefined) headers["x-headgate-queue-ms"] = String(facts.queueMs);
  if (facts.costUsd !== undefined && !facts.isStream) {
    headers["x-headgate-cost-usd"] = formatUsd(facts.costUsd);
    if (facts.costMissing?.length)
      headers["x-headgate-cost-missing"] = facts.costMissing.map(escapeTarget).join(", ");
  }
  const used = budgetUsed(facts);
  if (used !== undefined && used >= SHOWN_BUDGET_SHARE) headers["x-headgate-budget-used"] = String(used);
  addWindow(headers, "requests", facts.requests);
  addWindow(headers, "tokens", facts.tokens);
  return headers;
}

/** From here on a client learns how much of its budget is used: at the first alert. */
const SHOWN_BUDGET_SHARE = 0.5;
const SHARE_STEPS = 100;
/** More than any sum of fractions is wrong by. */
const ROUNDING_SLACK = 1e-3;

/** The used share of the budget, this request's own cost included once it is known. */
function budgetUsed({ budget, costUsd = 0 }: RequestFacts): number | undefined {
  return budget && usedShare(usd(budget.spentMicroUsd) + costUsd, budget);
}

/** Cut off after two decimals: it never reads as more than it is. */
function usedShare(spentUsd: number, { microUsd }: Pick<BudgetUse, "microUsd">): number {
  return Math.floor((spentUsd / usd(microUsd)) * SHARE_STEPS + ROUNDING_SLACK) / SHARE_STEPS;
}

/** What the root's `gateway.budget.alert` event says. */
export function alertAttributes({ keyId, threshold, spentMicroUsd, budget }: BudgetAlert): SpanAttributes {
  return {
    "gateway.budget.holder": keyId === undefined ? "tenant" : "key",
    "gateway.budget.threshold": threshold,
    "gateway.budget.used": usedShare(usd(spentMicroUsd), budget),
  };
}

/** A model's name may hold what a header can't: percent-encoded as UTF-8, as in a URL. */
function escapeTarget(label: string): string {
  return label.toWellFormed().replaceAll(/[^\x21-\x7e]/gu, encodeURIComponent);
}

/** Field names are the client's own words: whatever can't stand in a header, or in a list of them, is percent-encoded. */
function escapeFieldName(name: string): string {
  return name.replaceAll(/[^\w.$[\]-]/gu, encodeURIComponent);
}

/** OpenAI's names and formats: https://platform.openai.com/docs/guides/rate-limits (seen 2026-11). */
function addWindow(headers: FactHeaders, noun: "requests" | "tokens", window: LimitWindow | undefined): void {
  if (window === undefined) return;
  headers[`x-ratelimit-limit-${noun}`] = String(window.limit);
  headers[`x-ratelimit-remaining-${noun}`] = String(window.remaining);
  headers[`x-ratelimit-reset-${noun}`] = formatDuration(window.resetMs);
}

/** `1s`, `6m0s`, `120ms`: how OpenAI writes a duration. */
export function formatDuration(ms: number): string {
  const wholeMs = Math.max(0, Math.ceil(ms));
  if (wholeMs < MS_PER_SECOND) return `${wholeMs}ms`;
  const seconds = Math.ceil(ms / MS_PER_SECOND);
  const minutes = Math.floor(seconds / 60);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds % 60}s`;
}

const SIMILARITY_STEPS = 1000;

/** Cut off, not rounded: it never reads as more than it is. */
function formatSimilarity(similarity: number): string {
  return String(Math.floor(similarity * SIMILARITY_STEPS) / SIMILARITY_STEPS);
}

/** Dollars to the micro-dollar, without an exponent. */
function formatUsd(usd: number): string {
  return usd.toFixed(6).replace(/(?:\.|(?<![.0]))0+$/, "");
}

/** https://www.w3.org/TR/server-timing/: what is left after queue, cache and upstream is the gateway's own. */
function serverTiming(
  { startedAt, queueMs = 0, cacheMs = 0, upstreamMs = 0 }: RequestFacts,
  now: number,
): string {
  const own = Math.max(0, now - startedAt - queueMs - cacheMs - upstreamMs);
  return `queue;dur=${queueMs}, cache;dur=${cacheMs}, upstream;dur=${upstreamMs}, gateway;dur=${own}`;
}

/** The root span's attributes: numbers where a TraceQL line wants numbers. */
export function rootAttributes(facts: RequestFacts): SpanAttributes {
  const { usage } = facts;
  const metadata: { [name in `gateway.metadata.${string}`]: string } = {};
  for (const [key, value] of Object.entries(facts.metadata ?? {}))
    metadata[`gateway.metadata.${key}`] = value;
  return {
    ...metadata,
    "gateway.outcome": facts.outcome,
    "gateway.tenant.id": facts.tenantId,
    "gateway.key.id": facts.keyId,
    "gen_ai.request.model": facts.model,
    "gen_ai.provider.name": facts.vendor,
    "gen_ai.conversation.id": facts.session,
    "enduser.pseudo.id": facts.endUser,
    "gateway.route.id": facts.routeId,
    "gateway.stream": facts.isStream,
    "gateway.attempt.target": facts.target,
    "gateway.attempt.count": facts.attempts,
    "gateway.fallback.used": facts.usedFallback,
    "gateway.cache.status": facts.cache?.toLowerCase(),
    "gateway.cache.kind": facts.cache === "HIT" ? (facts.cacheKind ?? "exact") : undefined,
    "gateway.cache.similarity": facts.cacheSimilarity,
    "gateway.cache.embedding_cost_usd": knownUsd(facts.embeddingBills ?? []),
    "gateway.cache.age_s": facts.cacheAgeSeconds,
    "gateway.cache.saved_usd": facts.savedUsd,
    "gateway.cache.saved_ms": facts.savedMs,
    "gateway.queue.wait_ms": facts.queueMs,
    "gateway.queue.depth": facts.queueDepth,
    "gateway.queue.limit": facts.queueLimit,
    "gateway.ttfb_ms": facts.firstByteAt === undefined ? undefined : facts.firstByteAt - facts.startedAt,
    "gateway.cost.usd": facts.costUsd,
    "gateway.cost.basis": facts.costBasis,
    "gateway.cost.missing": facts.costMissing?.length ? facts.costMissing : undefined,
    "gateway.budget.used": budgetUsed(facts),
    "gateway.hedge.cost_usd": facts.hedgeMicroUsd === undefined ? undefined : usd(facts.hedgeMicroUsd),
    "gateway.usage.source":
      facts.usageIsEstimate === undefined ? undefined : facts.usageIsEstimate ? "estimate" : "provider",
    ...usageAttributes(usage),
  };
}

/** Token counts by the conventions' names; the prompt-cache writes under both of theirs. */
export function usageAttributes(usage: TokenUsage | undefined): SpanAttributes {
  return {
    "gen_ai.usage.input_tokens": usage?.inputTokens,
    "gen_ai.usage.output_tokens": usage?.outputTokens,
    "gen_ai.usage.cache_read.input_tokens": usage?.cacheReadTokens,
    "gen_ai.usage.cache_creation.input_tokens": usage?.cacheWriteTokens,
    "gen_ai.usage.cache_write.input_tokens": usage?.cacheWriteTokens,
    "gen_ai.usage.reasoning.output_tokens": usage?.reasoningTokens,
    "gateway.usage.input_audio_tokens": usage?.inputAudioTokens,
    "gateway.usage.cache_read_audio_tokens": usage?.cacheReadAudioTokens,
    "gateway.usage.output_audio_tokens": usage?.outputAudioTokens,
  };
}

/** What a refusal's span says, in the same numbers as its headers and body: src/docs/tracing.md. */
export function refusalAttributes(error: GatewayError): SpanAttributes {
  const { retryAfterMs } = error;
  const { limit } = error.details;
  return {
    "gateway.decision": error.code,
    "gateway.limit.name": limit?.name,
    "gateway.limit.value": limit?.value,
    "gateway.limit.remaining": limit?.remaining,
    "gateway.limit.reset_s": retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs / MS_PER_SECOND),
    "gateway.retry_after_ms": retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs),
  };
}

/** Which of the outcomes an error is. */
export function outcomeOf(error: GatewayError): Outcome {
  if (error.code === "client_disconnected") return "client_disconnected";
  if (error.code.startsWith("upstream_")) return "upstream_error";
  return error.status >= 500 && error.code !== "cache_miss" ? "gateway_error" : "rejected";
}
