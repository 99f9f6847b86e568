/**
 * Embeddings are cached text by text: a request for many calls its upstream only for those that are not cached. One look-up
 * and one store span cover all of a request's texts.
 */

import { keyOf } from "./cached.ts";
import { ageSeconds, type CacheEntry } from "../../cache/entry.ts";
import type { CacheKey } from "../../cache/key.ts";
import type { ChatRequest, TokenUsage } from "../../schema/chat.ts";
import type { EmbeddingBatch } from "../../wires/embedding-batch.ts";
import { GatewayError } from "../../errors.ts";
import type { Call, Deps, Generation } from "../ports.ts";
import { usd } from "../../pricing/cost.ts";
import type { Plan } from "../../routing/plan.ts";
import type { Span } from "../../telemetry/trace/trace.ts";

/** Each is one operation of KV, of which a request has a thousand, and most are for one text or a page of them. */
const MAX_TEXTS = 100;
/** As many as a span may have. */
const MAX_LINKS = 8;
const MICRO_USD_PER_USD = 1_000_000;

/** How a request's texts are separated; undefined where it goes through the cache as a whole, or past it. */
export function batchOf({ clientWire, chat, cache }: Call): EmbeddingBatch | undefined {
  if (cache.mode === "off" || !("operation" in clientWire) || clientWire.batch === undefined)
    return undefined;
  const count = clientWire.batch.split(chat).length;
  return count > 1 && count <= MAX_TEXTS ? clientWire.batch : undefined;
}

/** `generate` is called for those texts that are not cached. Throws `cache_miss` where the client wants only cached ones. */
export async function embedEach(
  call: Call,
  plan: Plan,
  batch: EmbeddingBatch,
  deps: Deps,
  generate: (call: Call) => Promise<Generation>,
): Promise<Generation> {
  const { chat, cache, facts } = call;
  const singles = batch.split(chat);
  const span = call.trace.root.child("gateway.cache.lookup", { kind: "client" });
  facts.cache = "MISS";
  const { keys, entries } = await lookUpEach(call, plan, singles, span, deps);
  const missing = singles.flatMap((_, at) => (entries[at] === undefined ? [at] : []));
  describe(span, entries, missing.length);
  if (missing.length === 0) return allFound(call, batch, present(entries), deps.now());
  if (cache.mode === "only-if-cached") {
    throw new GatewayError("cache_miss", `${missing.length} of the texts are not cached.`);
  }
  const startedAt = deps.now();
  const generation = await generate({ ...call, chat: batch.pick(chat, missing) });
  const { body } = generation;
  if (typeof body !== "string") return generation;
  const shares = sharesOf(missing.map((at) => singles[at]?.bodyText.length ?? 0));
  const fresh = batch.items(body, shares);
  if (fresh.length !== missing.length) return generation;
  const made = fresh.map((text, at) => entryOf(call, text, shares[at] ?? 0, startedAt, deps.now()));
  storeEach(
    call,
    missing.flatMap((at) => keys[at] ?? []),
    made,
    deps,
  );
  const byPlace = new Map(missing.map((place, at) => [place, fresh[at] ?? ""]));
  return {
    contentType: generation.contentType,
    body: batch.join(singles.map((_, at) => entries[at]?.body ?? byPlace.get(at) ?? "")),
  };
}

async function lookUpEach(
  call: Call,
  plan: Plan,
  singles: readonly ChatRequest[],
  span: Span,
  deps: Deps,
): Promise<{ readonly keys: readonly CacheKey[]; readonly entries: readonly (CacheEntry | undefined)[] }> {
  const startedAt = deps.now();
  const cacheEpoch = await deps.confirmEpoch(call.bundle);
  const bundle = { ...call.bundle, cacheEpoch };
  const keys = await Promise.all(singles.map((chat) => keyOf({ ...call, bundle, chat }, plan)));
  if (call.cache.mode === "refresh") return { keys, entries: [] };
  const found = await Promise.all(keys.map((key) => deps.cacheStore.get(key)));
  call.facts.cacheMs = deps.now() - startedAt;
  if (found.some(({ status }) => status === "error")) span.fail("kv_error");
  return { keys, entries: found.map((lookup) => (lookup.status === "hit" ? lookup.entry : undefined)) };
}

function describe(span: Span, entries: readonly (CacheEntry | undefined)[], missing: number): void {
  const hits = present(entries);
  span.set({
    "db.system.name": "cloudflare.kv",
    "db.operation.name": "get",
    "gateway.cache.status": missing === 0 ? "hit" : "miss",
    "gateway.cache.inputs": hits.length + missing,
    "gateway.cache.inputs_found": hits.length,
  });
  const producers = new Map(hits.map(({ trace }) => [trace.spanId, trace]));
  for (const trace of [...producers.values()].slice(0, MAX_LINKS)) span.link(trace, "cached_from");
  span.end();
}

function allFound(
  { facts }: Call,
  batch: EmbeddingBatch,
  entries: readonly CacheEntry[],
  now: number,
): Generation {
  const saved = entries.reduce((sum, { costMicroUsd = 0 }) => sum + costMicroUsd, 0);
  facts.cache = "HIT";
  facts.outcome = "cache_hit";
  facts.attempts = 0;
  facts.costUsd = 0;
  facts.firstByteAt = now;
  facts.savedUsd = usd(saved);
  facts.cacheAgeSeconds = Math.max(...entries.map((entry) => ageSeconds(entry, now)));
  const [first] = entries;
  if (first) facts.target = first.target;
  return { contentType: "application/json", body: batch.join(entries.map(({ body }) => body)) };
}

/** What one text's vector is taken to have cost: its part of the request by length. */
function entryOf(
  { cache, facts, trace }: Call,
  body: string,
  share: number,
  startedAt: number,
  now: number,
): CacheEntry {
  const { usage, costUsd, target = "" } = facts;
  return {
    form: "json",
    contentType: "application/json",
    body,
    durationMs: now - startedAt,
    storedAt: now,
    ttlSeconds: cache.ttlSeconds,
    trace: trace.root.ref,
    target,
    ...(usage !== undefined && { usage: shareOf(usage, share) }),
    ...(costUsd !== undefined && { costMicroUsd: costUsd * MICRO_USD_PER_USD * share }),
  };
}

function storeEach(call: Call, keys: readonly CacheKey[], entries: readonly CacheEntry[], deps: Deps): void {
  const span = call.trace.root.child("gateway.cache.store", {
    kind: "client",
    attributes: {
      "db.system.name": "cloudflare.kv",
      "db.operation.name": "put",
      "gateway.cache.ttl_s": call.cache.ttlSeconds,
      "gateway.cache.inputs": entries.length,
      "gateway.cache.bytes": entries.reduce((sum, { body }) => sum + body.length, 0),
    },
  });
  const writes = keys.flatMap((key, at) => {
    const entry = entries[at];
    return entry === undefined ? [] : [deps.cacheStore.put(key, entry)];
  });
  deps.defer(
    Promise.all(writes).then((written) => {
      if (written.some(({ status }) => status === "error")) span.fail("kv_error");
      span.end();
    }),
  );
}

function shareOf({ inputTokens }: TokenUsage, share: number): TokenUsage {
  return { inputTokens: Math.round(inputTokens * share), outputTokens: 0 };
}

function sharesOf(lengths: readonly number[]): readonly number[] {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return lengths.map((length) => length / Math.max(1, total));
}

function present(entries: readonly (CacheEntry | undefined)[]): readonly CacheEntry[] {
  return entries.filter((entry) => entry !== undefined);
}
