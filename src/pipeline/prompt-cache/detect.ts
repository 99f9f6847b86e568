/**
 * After an answer: whether its conversation got less from the vendor's prompt cache than before, why, and what that cost. One
 * call of the tenant's object, behind the response, and only for a client that sends a session or a cache mark.
 */

import { digestPrompt, openingDigest, partName, readPromptSession } from "./read-prompt.ts";
import type { Ended } from "../ended.ts";
import type { BareCall, Deps } from "../ports.ts";
import { billedPrice, lookUpPrice } from "../target-price.ts";
import { fnv1a } from "../../bytes/digest.ts";
import { costMicroUsd, usd } from "../../pricing/cost.ts";
import { promptCacheOf } from "../../targets/prompt-caches.ts";
import type { TokenUsage } from "../../schema/chat.ts";
import { type EarlierTurn, explainCacheFall, type PromptCacheFacts } from "../../targets/prompt-turns.ts";
import type { SpanAttributes } from "../../telemetry/trace/attributes.ts";

const CALLING = {
  "rpc.system.name": "cloudflare.workers_rpc",
  "rpc.method": "TenantQueue/notePrompt",
} as const;

/** Compares an answer with the one before it, where there is a session to compare within. Nothing is waited for here. */
export function detectCacheFall(call: BareCall, ended: Ended, deps: Deps): void {
  if ((ended.kind !== "whole" && ended.kind !== "stream") || call.chat.operation !== "chat") return;
  const { bill, target, answer } = ended;
  const { chat, options, key } = call;
  // What the vendor keeps of a conversation is not in the request.
  if (bill === undefined || bill.isEstimate || typeof chat.body["previous_response_id"] === "string") return;
  const session = readPromptSession(chat, options.session);
  if (session === undefined) return;
  const span = call.trace.root.child("gateway.prompt_cache", { kind: "client", attributes: CALLING });
  const { usage } = bill;
  const named = `${key.id} ${session.id} ${chat.model}`;
  const noted = async (): Promise<void> => {
    // A whole answer has not left yet, and a long prompt takes a millisecond to read.
    await deps.sleep(0);
    const { inputTokens, cacheReadTokens = 0, cacheWriteTokens = 0 } = usage;
    const earlier = await deps.notePrompt({
      requestId: call.requestId,
      conversation: `${fnv1a(named)}.${openingDigest(chat)}`,
      target,
      digests: digestPrompt(chat),
      inputTokens,
      heldTokens: cacheReadTokens + cacheWriteTokens,
      isLong: session.isLong,
    });
    if (earlier === undefined) return;
    const facts = compare(call, earlier, usage, { target, answered: answer.model }, deps);
    call.facts.promptCache = facts;
    const attributes = promptCacheAttributes(facts);
    call.trace.setRoot(attributes);
    span.set(attributes);
  };
  deps.defer(
    noted().then(
      () => span.end(),
      () => span.fail("queue_unreachable").end(),
    ),
  );
}

function compare(
  call: BareCall,
  earlier: EarlierTurn,
  usage: TokenUsage,
  by: { readonly target: string; readonly answered: string | undefined },
  deps: Deps,
): PromptCacheFacts {
  const { inputTokens, cacheReadTokens: readTokens = 0 } = usage;
  const share = {
    share: shareOf(readTokens, inputTokens),
    earlierShare: shareOf(earlier.heldTokens, earlier.inputTokens),
  };
  const { kind, model } = accountOf(call, earlier.target);
  const cache = promptCacheOf(kind, model);
  const fall = explainCacheFall(earlier, { target: by.target, inputTokens, readTokens }, cache);
  if (fall === undefined) return share;
  const isChanged = fall.cause === "prefix_changed";
  const isMoved = fall.cause === "target_changed";
  const wastedMicroUsd = wasted(call, usage, fall.lostTokens, by, deps);
  return {
    ...share,
    ...fall,
    idleMs: earlier.agoMs,
    ...(isChanged && { changedAt: partName(call.chat, earlier.sameParts) }),
    ...(isMoved && { earlierTarget: earlier.target }),
    ...(wastedMicroUsd !== undefined && { wastedMicroUsd }),
  };
}

/** What the lost tokens cost more than they would have cost from the cache; undefined without a known price. */
function wasted(
  call: BareCall,
  usage: TokenUsage,
  lostTokens: number,
  { target, answered }: { readonly target: string; readonly answered: string | undefined },
  deps: Deps,
): number | undefined {
  const { accountName, model } = accountOf(call, target);
  const found = lookUpPrice(call.bundle, { accountName, model }, deps, answered);
  const account = call.bundle.providers[accountName];
  if (found === undefined || account === undefined) return undefined;
  const { price } = billedPrice(found, usage, account, answered ?? model);
  const { cacheReadTokens = 0, cacheWriteTokens = 0, cacheWriteHourTokens = 0 } = usage;
  const written = Math.max(0, cacheWriteTokens - lostTokens);
  const asHeld = {
    ...usage,
    cacheReadTokens: cacheReadTokens + lostTokens,
    cacheWriteTokens: written,
    cacheWriteHourTokens: Math.min(written, cacheWriteHourTokens),
  };
  const [paid, held] = [costMicroUsd(price, usage), costMicroUsd(price, asHeld)];
  return paid === undefined || held === undefined ? undefined : Math.max(0, paid - held);
}

/** A target's parts, and its account's kind: empty where the record is gone. */
function accountOf({ bundle: { providers } }: BareCall, target: string) {
  const slash = target.indexOf("/");
  const accountName = target.slice(0, slash);
  const kind = Object.hasOwn(providers, accountName) ? (providers[accountName]?.kind ?? "") : "";
  return { accountName, kind, model: target.slice(slash + 1) };
}

const SHARE_STEPS = 1000;

function shareOf(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((Math.min(part, whole) / whole) * SHARE_STEPS) / SHARE_STEPS;
}

const MS_PER_SECOND = 1000;

function promptCacheAttributes(facts: PromptCacheFacts): SpanAttributes {
  const { wastedMicroUsd, idleMs } = facts;
  return {
    "gateway.prompt_cache.share": facts.share,
    "gateway.prompt_cache.earlier_share": facts.earlierShare,
    "gateway.prompt_cache.cause": facts.cause,
    "gateway.prompt_cache.changed_at": facts.changedAt,
    "gateway.prompt_cache.earlier_target": facts.earlierTarget,
    "gateway.prompt_cache.lost_tokens": facts.lostTokens,
    "gateway.prompt_cache.idle_s": idleMs === undefined ? undefined : Math.round(idleMs / MS_PER_SECOND),
    "gateway.prompt_cache.wasted_usd": wastedMicroUsd === undefined ? undefined : usd(wastedMicroUsd),
  };
}
