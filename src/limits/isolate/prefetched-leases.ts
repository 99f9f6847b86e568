/**
 * An isolate's prefetched leases: which requests they admit without a call, and how many more are worth asking for. Plain
 * data of one tenant; the object's side is lease-grants.ts.
 */

import { leaseIdOf } from "../leases/lease-table.ts";
import { PREFETCH_TTL_MS, LEASE_TTL_MS, NO_WAIT, type AdmissionRequest, type Admitted } from "../protocol.ts";

const DEMAND_WINDOW_MS = 1000;
/** With fewer requests a second than this, prefetched leases would mostly be returned unused. */
const MIN_DEMAND = 4;
/** Keys whose leases and demand are remembered. */
const MAX_KEYS = 200;

interface OpenGrant {
  readonly grant: Admitted;
  readonly firstToken: number;
  readonly count: number;
  readonly maxTokens: number;
  readonly maxMicroUsd: number;
  readonly usableUntil: number;
  used: number;
}

interface KeyState {
  windowEndsAt: number;
  arrived: number;
  arrivedBefore: number;
  open: OpenGrant | undefined;
}

export interface PrefetchedLeases {
  /** The reply from a prefetched lease; undefined where the object must be called. Counts the request as demand. */
  take(ask: AdmissionRequest, now: number): Admitted | undefined;
  /** How many leases the next second would use, judged by the last one. */
  prefetchCount(keyId: string): number;
  /** Puts the leases that came with a reply into use. Returns whether there are any. */
  keep(keyId: string, answer: Admitted, now: number): boolean;
  /** Whether there are leases that will have to be returned, unless they are used. */
  readonly hasLeases: boolean;
  /** Leases that expired unused since the last call. */
  takeUnused(now: number): readonly string[];
}

export function createPrefetchedLeases(): PrefetchedLeases {
  const keys = new Map<string, KeyState>();
  let unused: string[] = [];

  function stateOf(keyId: string): KeyState {
    const known = keys.get(keyId);
    if (known !== undefined) return known;
    const [oldest] = keys;
    if (keys.size >= MAX_KEYS && oldest !== undefined) {
      drop(oldest[1]);
      keys.delete(oldest[0]);
    }
    const state: KeyState = { windowEndsAt: 0, arrived: 0, arrivedBefore: 0, open: undefined };
    keys.set(keyId, state);
    return state;
  }

  function drop(state: KeyState): void {
    const { open } = state;
    if (open === undefined) return;
    for (let n = open.used; n < open.count; n += 1) unused.push(leaseIdOf(open.firstToken + n));
    state.open = undefined;
  }

  function count(state: KeyState, now: number): void {
    if (now >= state.windowEndsAt) {
      const isNextWindow = now < state.windowEndsAt + DEMAND_WINDOW_MS;
      state.arrivedBefore = isNextWindow ? state.arrived : 0;
      state.arrived = 0;
      state.windowEndsAt = now + DEMAND_WINDOW_MS;
    }
    state.arrived += 1;
  }

  return {
    take(ask, now) {
      const state = stateOf(ask.keyId);
      count(state, now);
      const { open } = state;
      if (open === undefined) return undefined;
      if (now >= open.usableUntil || ask.configVersion > open.grant.configVersion) {
        drop(state);
        return undefined;
      }
      const { inputTokens, outputTokens, costMicroUsd = 0 } = ask.estimate;
      if (inputTokens + outputTokens > open.maxTokens || costMicroUsd > open.maxMicroUsd) return undefined;
      const token = open.firstToken + open.used;
      open.used += 1;
      if (open.used === open.count) state.open = undefined;
      return answerOf(open, token, now);
    },
    prefetchCount(keyId) {
      const { arrived, arrivedBefore } = stateOf(keyId);
      const demand = Math.max(arrived, arrivedBefore);
      return demand < MIN_DEMAND ? 0 : demand;
    },
    keep(keyId, grant, now) {
      if (grant.prefetched === undefined) return false;
      const { firstToken, count, maxTokens = Infinity, maxMicroUsd = Infinity } = grant.prefetched;
      const state = stateOf(keyId);
      drop(state);
      const usableUntil = now + PREFETCH_TTL_MS;
      state.open = { grant, firstToken, count, maxTokens, maxMicroUsd, usableUntil, used: 0 };
      return true;
    },
    get hasLeases() {
      if (unused.length > 0) return true;
      for (const { open } of keys.values()) if (open !== undefined) return true;
      return false;
    },
    takeUnused(now) {
      for (const state of keys.values())
        if (state.open !== undefined && now >= state.open.usableUntil) drop(state);
      if (unused.length === 0) return unused;
      const taken = unused;
      unused = [];
      return taken;
    },
  };
}

/** The reply that the object would have sent. */
function answerOf({ grant, used, maxTokens }: OpenGrant, token: number, now: number): Admitted {
  const { requests, tokens, budget, configVersion, epoch } = grant;
  return {
    kind: "admitted",
    lease: { id: leaseIdOf(token), token, expiresAt: now + LEASE_TTL_MS },
    goInMs: 0,
    wait: NO_WAIT,
    canDeferSettle: true,
    isPrefetched: true,
    configVersion,
    epoch,
    ...(budget !== undefined && { budget }),
    ...(requests !== undefined && {
      requests: { ...requests, remaining: Math.max(0, requests.remaining - used) },
    }),
    ...(tokens !== undefined &&
      maxTokens !== Infinity && {
        tokens: { ...tokens, remaining: Math.max(0, tokens.remaining - used * maxTokens) },
      }),
  };
}
