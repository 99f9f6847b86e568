/**
 * What one holder of limits, a tenant or one of its keys, has used of them: two rate gates and a count of slots.
 * The two are nested by admission.ts, which asks both. Pure.
 */

import {
  adjust,
  createGate,
  createRule,
  giveBack,
  opensAt,
  rescale,
  take,
  windowOf,
  type RateGate,
  type RateRule,
  type RateTicket,
} from "./bucket.ts";
import type { LimitName, Limits, LimitWindow } from "./protocol.ts";

/** A rate limit in force. */
interface RateLimit {
  readonly rule: RateRule;
  readonly gate: RateGate;
}

export interface Allowance {
  limits: Limits;
  /** The configuration that `limits` are from; -1 before any. */
  version: number;
  requests: RateLimit | undefined;
  tokens: RateLimit | undefined;
  /** Slots in use: leases, those of sleeping callers too. */
  holding: number;
  /** Requests that wait, sleeping callers too. */
  waiting: number;
}

/** What one admission took of an allowance, so that it can be taken back. */
export interface Takings {
  readonly requests: RateTicket | undefined;
  readonly tokens: RateTicket | undefined;
}

/** What holds for a key without limits of its own. */
export const UNLIMITED: Limits = { maxDepth: Infinity, maxWaitMs: Infinity };

export function createAllowance(limits: Limits = UNLIMITED, version = -1): Allowance {
  const allowance: Allowance = {
    limits: UNLIMITED,
    version: -1,
    requests: undefined,
    tokens: undefined,
    holding: 0,
    waiting: 0,
  };
  setLimits(allowance, limits, version, 0);
  return allowance;
}

/** Puts limits in force; what was used before carries over. */
export function setLimits(allowance: Allowance, limits: Limits, version: number, now: number): void {
  const { requestsPerMinute, burst, tokensPerMinute } = limits;
  allowance.requests =
    requestsPerMinute === undefined
      ? undefined
      : changeRate(allowance.requests, createRule(requestsPerMinute, burst), now);
  allowance.tokens =
    tokensPerMinute === undefined
      ? undefined
      : changeRate(allowance.tokens, createRule(tokensPerMinute), now);
  allowance.limits = limits;
  allowance.version = version;
}

function changeRate(old: RateLimit | undefined, rule: RateRule, now: number): RateLimit {
  if (old === undefined) return { rule, gate: createGate() };
  const isSame = old.rule.perMinute === rule.perMinute && old.rule.burst === rule.burst;
  if (!isSame) rescale(old.gate, old.rule, rule, now);
  return { rule, gate: old.gate };
}

export function isLimited({ limits, requests, tokens }: Allowance): boolean {
  return limits.concurrency !== undefined || requests !== undefined || tokens !== undefined;
}

/** Nothing held, nothing owed: forgetting it changes nothing. */
export function isIdle({ holding, waiting, requests, tokens }: Allowance, now: number): boolean {
  const owedUntil = Math.max(requests?.gate.fullAt ?? 0, tokens?.gate.fullAt ?? 0);
  return holding === 0 && waiting === 0 && owedUntil <= now;
}

export function hasSlot({ limits, holding }: Allowance): boolean {
  return limits.concurrency === undefined || holding < limits.concurrency;
}

/** When the request rate lets the next one pass, after `ahead` others. */
export function requestsOpenAt({ requests }: Allowance, ahead = 0): number {
  return requests === undefined ? 0 : opensAt(requests.gate, requests.rule, 1, ahead);
}

export function tokensOpenAt({ tokens }: Allowance, estimate: number): number {
  return tokens === undefined ? 0 : opensAt(tokens.gate, tokens.rule, estimate);
}

/** When both rates let a request of so many tokens pass; it may lie in the past. */
export function ratesOpenAt(allowance: Allowance, estimate: number): number {
  return Math.max(requestsOpenAt(allowance), tokensOpenAt(allowance, estimate));
}

/** The limit in the way at `now`, if one is. */
export function heldBy(allowance: Allowance, estimate: number, now: number): LimitName | undefined {
  if (!hasSlot(allowance)) return "concurrency";
  const requestsAt = requestsOpenAt(allowance);
  const tokensAt = tokensOpenAt(allowance, estimate);
  if (Math.max(requestsAt, tokensAt) <= now) return undefined;
  return requestsAt >= tokensAt ? "requests_per_minute" : "tokens_per_minute";
}

/** Counts an admission that goes at `at` and reserves its tokens; the slot is held until `free`. */
export function takeOne(allowance: Allowance, estimate: number, at: number): Takings {
  const { requests, tokens } = allowance;
  allowance.holding += 1;
  return {
    requests: requests && take(requests.gate, requests.rule, 1, at),
    tokens: tokens && take(tokens.gate, tokens.rule, estimate, at),
  };
}

export function free(allowance: Allowance): void {
  allowance.holding -= 1;
}

/** Takes an admission back that was never used. */
export function takeBack({ requests, tokens }: Allowance, takings: Takings, now: number): void {
  if (requests !== undefined && takings.requests !== undefined)
    giveBack(requests.gate, requests.rule, takings.requests, now);
  if (tokens !== undefined && takings.tokens !== undefined)
    giveBack(tokens.gate, tokens.rule, takings.tokens, now);
}

/** Puts the true count in place of the estimate: a debt is carried, a credit returned. */
export function settleTokens({ tokens }: Allowance, takings: Takings, actual: number, now: number): void {
  if (tokens === undefined || takings.tokens === undefined) return;
  adjust(tokens.gate, tokens.rule, actual - takings.tokens.units, now);
}

export function requestsWindow({ requests }: Allowance, now: number): LimitWindow | undefined {
  return requests && windowOf(requests.gate, requests.rule, now);
}

export function tokensWindow({ tokens }: Allowance, now: number): LimitWindow | undefined {
  return tokens && windowOf(tokens.gate, tokens.rule, now);
}

/** Of a tenant's and a key's window the one that will refuse first. */
export function tighterWindow(
  one: LimitWindow | undefined,
  other: LimitWindow | undefined,
): LimitWindow | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.remaining < one.remaining ? other : one;
}
