/**
 * The response cache's part of the pipeline: look up, replay, store, each with its span. What the cache may hold is
 * cache/policy.ts; where it holds it is cache/store.ts.
 */

import type { AnswerSummary } from "../answers/answer-summary.ts";
import { ageSeconds, type CacheEntry } from "../../cache/entry.ts";
import { type CacheKey, cacheKey, type CacheKeyInput } from "../../cache/key.ts";
import { isStorable } from "../../cache/policy.ts";
import { replay } from "../../cache/replay.ts";
import type { CacheLookup } from "../../cache/store.ts";
import { GatewayError } from "../../errors.ts";
import type { BareCall, Call, Deps, Generation } from "../ports.ts";
import { usd } from "../../pricing/cost.ts";
import { type Plan, planVersion } from "../../routing/plan.ts";
import type { Span } from "../../telemetry/trace/trace.ts";

export interface CacheAnswer {
  readonly hit?: Generation;
  /** Where this request's answer may be stored; absent when the cache is out of it. */
  readonly key?: CacheKey;
  /** Of a look-up that found nothing, where a semantic one follows: the epoch in force. */
  readonly missEpoch?: number;
}

/** Throws `cache_miss` where the client wants only a cached answer. */
export async function lookUp(call: Call, plan: Plan, deps: Deps): Promise<CacheAnswer> {
  const { mode, reason } = call.cache;
  const span = call.trace.root.child("gateway.cache.lookup", { kind: "client" });
  try {
    call.facts.cache = mode === "off" ? "BYPASS" : "MISS";
    if (mode === "off") {
      span.set({
        "gateway.cache.status": "bypass",
        "gateway.cache.reason": reason,
        "gateway.span.cpu_only": true,
      });
      return {};
    }
    const key = await keyOf(call, plan);
    if (mode === "refresh") {
      span.set({ "gateway.cache.status": "bypass", "gateway.cache.reason": "refresh" });
      return { key };
    }
    const startedAt = deps.now();
    const [found, epoch] = await Promise.all([deps.cacheStore.get(key), deps.confirmEpoch(call.bundle)]);
    call.facts.cacheMs = deps.now() - startedAt;
    if (epoch !== call.bundle.cacheEpoch) return await afterPurge(call, plan, epoch, span);
    describeLookup(span, found, deps.now());
    const hit = found.status === "hit" ? replayHit(call, found, span, deps.now()) : undefined;
    if (hit) return { hit, key };
    if (isSemantic(call, plan) && found.status !== "error") return { key, missEpoch: epoch };
    if (mode === "only-if-cached") throw nothingCached();
    return { key };
  } finally {
    span.end();
  }
}

/** What was found is from before a purge that this isolate did not know of. */
async function afterPurge(call: Call, plan: Plan, epoch: number, span: Span): Promise<CacheAnswer> {
  span.set({ "gateway.cache.status": "miss", "gateway.cache.reason": "purged" });
  const fresh = { ...call, bundle: { ...call.bundle, cacheEpoch: epoch } };
  if (isSemantic(call, plan)) return { key: await keyOf(fresh, plan), missEpoch: epoch };
  if (call.cache.mode === "only-if-cached") throw nothingCached();
  return { key: await keyOf(fresh, plan) };
}

/** Whether a miss of the exact cache is looked up in the semantic one: semantic-cache.ts. */
function isSemantic({ clientWire }: Call, { semantic }: Plan): boolean {
  return semantic !== undefined && !("operation" in clientWire);
}

export function nothingCached(): GatewayError {
  return new GatewayError("cache_miss", "No answer to this request is cached.");
}

/** Under what this request's answer is stored, and by what equal requests under way are found. */
export function keyOf(call: Pick<Call, "bundle" | "chat" | "headers">, plan: Plan): Promise<CacheKey> {
  return cacheKey(keyInputOf(call, plan));
}

export function keyInputOf(
  { bundle, chat, headers }: Pick<Call, "bundle" | "chat" | "headers">,
  plan: Plan,
): CacheKeyInput {
  const passedHeaders: Record<string, string> = {};
  for (const name of chat.wire.passedHeaders) {
    const value = headers.get(name);
    if (value !== null) passedHeaders[name] = value;
  }
  return {
    tenantId: bundle.id,
    epoch: bundle.cacheEpoch,
    planVersion: planVersion(plan, bundle.providers),
    chat,
    passedHeaders,
  };
}

type CacheHit = Extract<CacheLookup, { readonly status: "hit" }>;

const READ = { "db.system.name": "cloudflare.kv", "db.operation.name": "get" } as const;
const FROM_MEMORY = { "gateway.cache.source": "memory" } as const;

export function describeLookup(
  span: Span,
  found: CacheLookup,
  now: number,
  kind: "exact" | "semantic" = "exact",
): void {
  const isFromMemory = found.status === "hit" && found.source === "memory";
  span.set({
    ...(isFromMemory ? FROM_MEMORY : READ),
    "gateway.cache.status": found.status,
    "gateway.cache.kind": kind,
  });
  if (found.status === "error") span.fail("kv_error");
  if (found.status !== "hit" && found.status !== "stale") return;
  const { entry } = found;
  span.set({
    "gateway.cache.age_s": ageSeconds(entry, now),
    "gateway.cache.ttl_s": entry.ttlSeconds,
    "gateway.cache.bytes": entry.body.length,
    "gateway.cache.saved_usd": entry.costMicroUsd === undefined ? undefined : usd(entry.costMicroUsd),
    "gateway.cache.saved_ms": entry.durationMs,
  });
  span.link(entry.trace, "cached_from");
}

/** A stored answer in the form this client wants; undefined where it can't be put into it. */
export function replayHit(call: Call, found: CacheHit, span: Span, now: number): Generation | undefined {
  const { entry, bytes } = found;
  const replayed = replay(entry, call.clientWire, call.chat);
  if (!replayed) {
    span.set({ "gateway.cache.status": "miss", "gateway.cache.reason": "not_replayable" });
    return undefined;
  }
  const { facts } = call;
  facts.cache = "HIT";
  facts.outcome = "cache_hit";
  facts.cacheAgeSeconds = ageSeconds(entry, now);
  facts.target = entry.target;
  facts.attempts = 0;
  facts.costUsd = 0;
  facts.firstByteAt = now;
  facts.savedMs = entry.durationMs;
  if (entry.costMicroUsd !== undefined) facts.savedUsd = usd(entry.costMicroUsd);
  const isAsStored = replayed.body === entry.body && bytes !== undefined;
  return isAsStored ? { ...replayed, bytes } : replayed;
}

export interface StorableAnswer {
  readonly answer: AnswerSummary;
  readonly form: CacheEntry["form"];
  readonly body: () => string | undefined;
  readonly contentType: string;
  readonly isComplete: boolean;
  readonly target: string;
  readonly durationMs: number;
  readonly costMicroUsd: number | undefined;
  readonly trace: CacheEntry["trace"];
}

/** Stores an answer after the response, where the rules allow it; the span says why where they don't. */
export function storeAnswer(
  call: BareCall,
  key: CacheKey | undefined,
  stored: StorableAnswer,
  deps: Deps,
): void {
  if (!key || !call.cache) return;
  const { answer } = stored;
  const { ttlSeconds } = call.cache;
  const span = call.trace.root.child("gateway.cache.store", { kind: "client" });
  const facts = {
    isComplete: stored.isComplete && answer.finishReasons.every((reason) => reason !== undefined),
    finishReasons: answer.finishReasons.filter((reason) => reason !== undefined),
    hasRefusal: answer.isRefusal,
    hasToolCalls: answer.hasToolCalls,
  };
  const verdict = isStorable(200, facts, { toolCalls: call.bundle.tenant.cache.toolCalls });
  if (!verdict.isStorable) {
    span.set({
      "gateway.cache.status": "bypass",
      "gateway.cache.reason": verdict.reason,
      "gateway.span.cpu_only": true,
    });
    span.end();
    return;
  }
  const body = stored.body();
  if (body === undefined) {
    span.set({ "gateway.cache.reason": "too_large", "gateway.span.cpu_only": true }).end();
    return;
  }
  span.set({
    "db.system.name": "cloudflare.kv",
    "db.operation.name": "put",
    "gateway.cache.ttl_s": ttlSeconds,
    "gateway.cache.bytes": body.length,
  });
  const entry: CacheEntry = {
    form: stored.form,
    contentType: stored.contentType,
    body,
    durationMs: stored.durationMs,
    storedAt: deps.now(),
    ttlSeconds,
    trace: stored.trace,
    target: stored.target,
    ...(answer.model !== undefined && { model: answer.model }),
    ...(answer.usage !== undefined && { usage: answer.usage }),
    ...(stored.costMicroUsd !== undefined && { costMicroUsd: stored.costMicroUsd }),
  };
  deps.defer(
    deps.cacheStore.put(key, entry).then((written) => {
      if (written.status === "too_large") span.set({ "gateway.cache.reason": "too_large" });
      if (written.status === "error") span.fail("kv_error");
      if (written.status === "stored") span.set({ "gateway.cache.indexed": written.isIndexed });
      span.end();
    }),
  );
}
