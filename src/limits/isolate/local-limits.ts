/**
 * What an isolate decides about limits without the tenant's object. In a flood: a request that the object would refuse as
 * it has refused an equal one just now. While it can't be called: the last known rates, kept by this isolate
 * alone. Plain data of one tenant.
 */

import { createBoundedMap } from "../../runtime/bounded-map.ts";
import {
  createAllowance,
  ratesOpenAt,
  reserve,
  setLimits,
  UNLIMITED,
  type Allowance,
} from "../usage/allowance.ts";
import { NO_WAIT, type AdmissionRequest, type LimitName, type Refused } from "../protocol.ts";

/** A client that retries now and then is answered by the object: an operator may have raised its limit just now. */
const FLOOD_REFUSALS = 5;
/** Refusals further apart are not a flood. */
const FLOOD_GAP_MS = 2000;
/** The longest that a refusal is repeated without a call. */
const MAX_BLOCK_MS = 1000;
/** A slot may be free again at any time. */
const MAX_SLOT_BLOCK_MS = 200;
/** Keys and lanes with refusals, and keys with a local allowance. */
const MAX_KEYS = 500;

/** An object's refusal by one limit, and the request that it was for. */
interface Block {
  readonly reply: Refused;
  readonly until: number;
  /** The end of the object's own `Retry-After`. */
  readonly retryAt: number;
  readonly maxWaitMs: number;
  readonly tokens: number;
  readonly costMicroUsd: number;
  readonly refusedAt: number;
  /** Refusals in a row, each within FLOOD_GAP_MS of the one before. */
  readonly refusals: number;
}

type KeyAndLane = Pick<AdmissionRequest, "keyId" | "lane">;

export interface LocalLimits {
  /** The refusal that the object would repeat; undefined where it must be called. */
  refusal(request: AdmissionRequest, now: number): Refused | undefined;
  /** The object has refused that request. */
  noteRefused(request: AdmissionRequest, reply: Refused, now: number): void;
  /** The object has admitted a request of that key and lane. */
  noteAdmitted(request: KeyAndLane): void;
  /** Whether the last request of that key and lane was refused, and its `Retry-After` is still to come. */
  isBlocked(request: KeyAndLane, now: number): boolean;
  /** Counts a request that goes without the object; a refusal where the last known rates, or the budget, are used up. */
  admitAlone(request: AdmissionRequest, now: number): Refused | undefined;
}

export function createLocalLimits(): LocalLimits {
  const blocks = createBoundedMap<string, Map<LimitName, Block>>(MAX_KEYS);
  const blockedUntil = createBoundedMap<string, number>(MAX_KEYS);
  const keys = createBoundedMap<string, Allowance>(MAX_KEYS);
  const tenant = createAllowance();

  function keyAllowance(keyId: string): Allowance {
    const known = keys.get(keyId);
    if (known !== undefined) return known;
    const allowance = createAllowance();
    keys.set(keyId, allowance);
    return allowance;
  }

  return {
    refusal(request, now) {
      const ofLimits = blocks.get(blockKey(request));
      if (ofLimits === undefined) return undefined;
      let last: Block | undefined;
      for (const block of ofLimits.values()) {
        if (isRepeated(block, request, now) && block.retryAt > (last?.retryAt ?? 0)) last = block;
      }
      // Of two limits the later one holds, as in the object: a Retry-After of the other would promise too much.
      return last && { ...last.reply, retryAfterMs: retryMs(last, now), isLocal: true, wait: NO_WAIT };
    },
    noteRefused(request, reply, now) {
      const isRate = reply.code === "rate_limited" && reply.limit.name !== "concurrency";
      const isExact = isRate || reply.code === "budget_exceeded";
      const forMs = Math.min(reply.retryAfterMs, isExact ? MAX_BLOCK_MS : MAX_SLOT_BLOCK_MS);
      const key = blockKey(request);
      blockedUntil.set(key, now + reply.retryAfterMs);
      let ofLimits = blocks.get(key);
      if (ofLimits === undefined) blocks.set(key, (ofLimits = new Map()));
      // One limit's refusals say nothing of another's: large requests may lack tokens while small ones are too many.
      const before = ofLimits.get(reply.limit.name);
      const isFlood = before !== undefined && now - before.refusedAt <= FLOOD_GAP_MS;
      ofLimits.set(reply.limit.name, {
        refusedAt: now,
        refusals: isFlood ? before.refusals + 1 : 1,
        reply,
        until: now + forMs,
        retryAt: now + reply.retryAfterMs,
        maxWaitMs: request.maxWaitMs,
        tokens: tokensOf(request),
        costMicroUsd: request.estimate.costMicroUsd ?? 0,
      });
    },
    noteAdmitted(request) {
      if (blockedUntil.size > 0) blockedUntil.delete(blockKey(request));
    },
    isBlocked: (request, now) => blockedUntil.size > 0 && now < (blockedUntil.get(blockKey(request)) ?? 0),
    admitAlone(request, now) {
      // Its rates can be kept here, its spend can't: a budget that was used up stays so.
      const spent = blocks.get(blockKey(request))?.get("budget");
      if (spent !== undefined && now < spent.retryAt && request.configVersion <= spent.reply.configVersion)
        return { ...spent.reply, retryAfterMs: retryMs(spent, now), isLocal: true, wait: NO_WAIT };
      const key = keyAllowance(request.keyId);
      const { configVersion, limits, keyLimits = UNLIMITED } = request;
      if (configVersion > tenant.version) setLimits(tenant, limits, configVersion, now);
      if (configVersion > key.version) setLimits(key, keyLimits, configVersion, now);
      const tokens = tokensOf(request);
      const openAt = Math.max(ratesOpenAt(tenant, tokens), ratesOpenAt(key, tokens));
      if (openAt > now)
        return refusedAlone(request, ratesOpenAt(tenant, tokens) > now ? tenant : key, openAt, now);
      reserve(tenant, tokens, 0, now);
      reserve(key, tokens, 0, now);
      return undefined;
    },
  };
}

/** Whether the object would refuse the request as it has refused that one. */
function isRepeated(block: Block, request: AdmissionRequest, now: number): boolean {
  if (now >= block.until || block.refusals < FLOOD_REFUSALS) return false;
  if (request.configVersion > block.reply.configVersion) return false;
  // A request that may wait longer, or needs less, may be admitted where that one was not.
  return (
    request.maxWaitMs <= block.maxWaitMs &&
    tokensOf(request) >= block.tokens &&
    (request.estimate.costMicroUsd ?? 0) >= block.costMicroUsd
  );
}

function retryMs({ retryAt }: Block, now: number): number {
  return Math.max(1, Math.ceil(retryAt - now));
}

function blockKey({ keyId, lane }: KeyAndLane): string {
  return `${keyId} ${lane}`;
}

function tokensOf({ estimate }: AdmissionRequest): number {
  return estimate.inputTokens + estimate.outputTokens;
}

function refusedAlone(request: AdmissionRequest, holder: Allowance, openAt: number, now: number): Refused {
  const { requestsPerMinute = 0, tokensPerMinute = 0 } = holder.limits;
  const name: LimitName = ratesOpenAt(holder, 0) > now ? "requests_per_minute" : "tokens_per_minute";
  const value = name === "requests_per_minute" ? requestsPerMinute : tokensPerMinute;
  return {
    kind: "refused",
    code: "rate_limited",
    limit: { name, value, remaining: 0 },
    retryAfterMs: openAt - now,
    isLocal: true,
    wait: { ...NO_WAIT, heldBy: name },
    configVersion: request.configVersion,
    epoch: 0,
  };
}
