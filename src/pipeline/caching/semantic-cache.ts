/**
 * The semantic cache, on routes that have it, after the exact look-up has missed: a stored answer counts where all of the
 * request is equal but the wording of the last user text, and that is similar enough. Whatever goes wrong here is a miss
 * with a reason and never fails the request.
 */

import { describeLookup, keyInputOf, nothingCached, replayHit } from "./cached.ts";
import { cutLastUserText } from "../../cache/last-user-text.ts";
import { knownCacheKey } from "../../cache/key.ts";
import type { NearestAnswer, NearestEntry } from "../../cache/semantic-protocol.ts";
import { semanticScope } from "../../cache/semantic-scope.ts";
import type { CacheStore } from "../../cache/store.ts";
import type { Vector } from "../../cache/vectors.ts";
import { noteCost } from "../attempts/bill.ts";
import { type Bill, billedMicroUsd } from "../bills.ts";
import { embedPrompt } from "./embed-prompt.ts";
import type { Call, Deps, Generation } from "../ports.ts";
import { usageOfBills } from "../usage.ts";
import type { Plan } from "../../routing/plan.ts";
import type { Span } from "../../telemetry/trace/trace.ts";
import { withDeadline } from "../../runtime/waits.ts";
import type { SemanticSettings } from "../../tenants/records/route-record.ts";

/** Whose entries a request is compared with. */
function ownerOf({ bundle, key }: Call): string {
  return bundle.tenant.cache.share === "tenant" ? "" : key.id;
}

export interface SemanticLookup {
  readonly hit?: Generation;
  /** Where this request's own answer is to be stored: the cache, and with it the index where there is a vector. */
  readonly cacheStore: CacheStore;
}

/** `epoch` is the cache epoch in force. Throws `cache_miss` where the client wants only a cached answer. */
export async function lookUpSemantic(
  asked: Call,
  plan: Plan,
  settings: SemanticSettings,
  epoch: number,
  deps: Deps,
): Promise<SemanticLookup> {
  const call = { ...asked, bundle: { ...asked.bundle, cacheEpoch: epoch } };
  const span = call.trace.root.child("gateway.cache.lookup", {
    kind: "client",
    attributes: { "gateway.cache.kind": "semantic", "gateway.cache.threshold": settings.threshold },
  });
  const startedAt = deps.now();
  try {
    const found = await find(call, plan, settings, span, deps);
    if (found.hit === undefined && call.cache.mode === "only-if-cached") throw nothingCached();
    return found;
  } finally {
    call.facts.cacheMs = (call.facts.cacheMs ?? 0) + deps.now() - startedAt;
    span.end();
  }
}

async function find(
  call: Call,
  plan: Plan,
  settings: SemanticSettings,
  span: Span,
  deps: Deps,
): Promise<SemanticLookup> {
  const { cacheStore } = deps;
  const cut = cutLastUserText(call.chat);
  if (cut.text === undefined) {
    span.set({
      "gateway.cache.status": "bypass",
      "gateway.cache.reason": cut.reason,
      "gateway.span.cpu_only": true,
    });
    return { cacheStore };
  }
  // An embedding costs money, and a request that is refused anyway must not cost any.
  if (deps.queue.isBlocked({ keyId: call.key.id, lane: call.options.lane })) {
    span.set({
      "gateway.cache.status": "miss",
      "gateway.cache.reason": "over_limit",
      "gateway.span.cpu_only": true,
    });
    return { cacheStore };
  }
  const deadlineAt = deps.now() + settings.timeoutMs;
  const [scope, embedded] = await Promise.all([
    semanticScope(keyInputOf(call, plan), cut.rest, settings, ownerOf(call)),
    embedPrompt(call, cut.text, settings, deadlineAt, span, deps),
  ]);
  recordEmbedding(call, embedded.bills, deps);
  if (embedded.vector === undefined) {
    span.set({ "gateway.cache.status": "miss", "gateway.cache.reason": embedded.reason });
    return { cacheStore };
  }
  const { vector } = embedded;
  const indexing = indexed(cacheStore, { vector, scope, plan, settings, call }, deps);
  const answer = await queryIndex(call, scope, vector, deadlineAt, span, deps);
  const best = answer && nearEnough(answer, settings, call, span);
  if (best === undefined) return { cacheStore: indexing };
  const hit = await readAnswer(call, scope, best, span, deps);
  return hit === undefined ? { cacheStore: indexing } : { hit, cacheStore };
}

/** The money is spent whatever becomes of the request, so it can't wait for a settlement. */
function recordEmbedding({ facts, requestId, key }: Call, bills: readonly Bill[], deps: Deps): void {
  if (bills.length === 0) return;
  facts.embeddingBills = bills;
  noteCost(facts);
  const costMicroUsd = billedMicroUsd(bills);
  if (!(costMicroUsd > 0)) return;
  const usage = usageOfBills(facts, bills);
  deps.queue.spend({ requestId, keyId: key.id, costMicroUsd, usage });
}

/** For an embedding that came just in time: it is paid for, so it is used. */
const MIN_INDEX_MS = 100;

/** Undefined where the index did not answer in time. */
async function queryIndex(
  { bundle }: Call,
  scope: string,
  vector: Vector,
  deadlineAt: number,
  span: Span,
  deps: Deps,
): Promise<NearestAnswer | undefined> {
  span.set({ "rpc.system.name": "cloudflare.workers_rpc", "rpc.method": "SemanticIndex/nearest" });
  const leftMs = Math.max(MIN_INDEX_MS, deadlineAt - deps.now());
  try {
    const querying = deps.semanticIndex().nearest({ epoch: bundle.cacheEpoch, scope, vector });
    return await withDeadline(querying, leftMs, "the semantic index");
  } catch {
    span.set({ "gateway.cache.status": "miss", "gateway.cache.reason": "index_unreachable" });
    return undefined;
  }
}

/** The nearest entry, where it is near enough. */
function nearEnough(
  { best, compared }: NearestAnswer,
  { threshold }: SemanticSettings,
  { facts }: Call,
  span: Span,
): NearestEntry | undefined {
  span.set({ "gateway.cache.compared": compared, "gateway.cache.similarity": best?.similarity });
  if (best) facts.cacheSimilarity = best.similarity;
  if (best && best.similarity >= threshold) return best;
  span.set({ "gateway.cache.status": "miss" });
  if (best) span.link(best.trace, "near_to");
  return undefined;
}

async function readAnswer(
  call: Call,
  scope: string,
  { key }: NearestEntry,
  span: Span,
  deps: Deps,
): Promise<Generation | undefined> {
  const found = await deps.cacheStore.get(knownCacheKey(call.bundle.id, key));
  describeLookup(span, found, deps.now(), "semantic");
  // It expired before its index entry: a later answer to the same request was stored for a shorter time.
  if (found.status === "miss" || found.status === "stale") {
    span.set({ "gateway.cache.reason": "answer_gone" });
    deps.defer(
      deps
        .semanticIndex()
        .forget(scope, key)
        .catch(() => {}),
    );
  }
  if (found.status !== "hit") return undefined;
  const hit = replayHit(call, found, span, deps.now());
  if (hit === undefined) return undefined;
  const { facts } = call;
  facts.cacheKind = "semantic";
  // The embedding is all that it cost.
  noteCost(facts);
  return hit;
}

interface Placing {
  readonly call: Call;
  readonly plan: Plan;
  readonly scope: string;
  readonly vector: Vector;
  readonly settings: SemanticSettings;
}

/** The same store; what it has stored is in the semantic index from then on. */
function indexed(store: CacheStore, placing: Placing, deps: Deps): CacheStore {
  const { call, plan, scope, vector, settings } = placing;
  return {
    get: (key) => store.get(key),
    async put(key, entry) {
      const written = await store.put(key, entry);
      if (written.status !== "stored") return written;
      const adding = deps.semanticIndex().add({
        epoch: call.bundle.cacheEpoch,
        scope,
        vector,
        key: key.digest,
        trace: entry.trace,
        expiresAt: entry.storedAt + entry.ttlSeconds * MS_PER_SECOND,
        route: plan.routeId,
        maxEntries: settings.maxEntries,
      });
      const isIndexed = await adding.then(
        () => true,
        () => false,
      );
      return { ...written, isIndexed };
    },
  };
}

const MS_PER_SECOND = 1000;
