/**
 * An isolate's leases in advance (lease-grants.ts gives them out): which requests they let in without a call, and how many
 * more are worth asking for. Plain data of one tenant; queue-client.ts asks.
 */

import { leaseIdOf } from "../leases/lease-table.ts";
import { PREFETCH_TTL_MS, LEASE_TTL_MS, NO_WAIT, type AdmissionRequest, type Admitted } from "../protocol.ts";

const DEMAND_WINDOW_MS = 1000;
/** With fewer requests a second than this, a batch would mostly be given back. */
const MIN_DEMAND = 4;
/** Keys whose prefetched and demand are remembered. */
const MAX_KEYS = 200;

interface OpenBatch {
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
  batch: OpenBatch | undefined;
}

export interface PrefetchedLeases {
  /** The answer to an ask from a lease at hand; undefined where the object must be asked. Counts the ask as demand. */
  take(ask: AdmissionRequest, now: number): Admitted | undefined;
  /** How many leases the next second would use, by what the last one did. */
  prefetchCount(keyId: string): number;
  /** Puts what came with an answer of the object into use. */
  keep(keyId: string, answer: Admitted, now: number): void;
  /** Whether leases are at hand that will have to be given back unless they are used. */
  readonly hasOpen: boolean;
  /** Leases that ran out unused since the last call. */
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
    const state: KeyState = { windowEndsAt: 0, arrived: 0, arrivedBefore: 0, batch: undefined };
    keys.set(keyId, state);
    return state;
  }

  function drop(state: KeyState): void {
    const { batch } = state;
    if (batch === undefined) return;
    for (let n = batch.used; n < batch.count; n += 1) unused.push(leaseIdOf(batch.firstToken + n));
    state.batch = undefined;
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
      const { batch } = state;
      if (batch === undefined) return undefined;
      if (now >= batch.usableUntil || ask.configVersion > batch.grant.configVersion) {
        drop(state);
        return undefined;
      }
      const { inputTokens, outputTokens, costMicroUsd = 0 } = ask.estimate;
      if (inputTokens + outputTokens > batch.maxTokens || costMicroUsd > batch.maxMicroUsd) return undefined;
      const token = batch.firstToken + batch.used;
      batch.used += 1;
      if (batch.used === batch.count) state.batch = undefined;
      return answerOf(batch, token, now);
    },
    prefetchCount(keyId) {
      const { arrived, arrivedBefore } = stateOf(keyId);
      const demand = Math.max(arrived, arrivedBefore);
      return demand < MIN_DEMAND ? 0 : demand;
    },
    keep(keyId, grant, now) {
      if (grant.prefetched === undefined) return;
      const { firstToken, count, maxTokens = Infinity, maxMicroUsd = Infinity } = grant.prefetched;
      const state = stateOf(keyId);
      drop(state);
      const usableUntil = now + PREFETCH_TTL_MS;
      state.batch = { grant, firstToken, count, maxTokens, maxMicroUsd, usableUntil, used: 0 };
    },
    get hasOpen() {
      for (const { batch } of keys.values()) if (batch !== undefined) return true;
      return false;
    },
    takeUnused(now) {
      for (const state of keys.values())
        if (state.batch !== undefined && now >= state.batch.usableUntil) drop(state);
      if (unused.length === 0) return unused;
      const taken = unused;
      unused = [];
      return taken;
    },
  };
}

/** As the object would have answered it. */
function answerOf({ grant, used, maxTokens }: OpenBatch, token: number, now: number): Admitted {
  const { requests, tokens, configVersion, epoch } = grant;
  return {
    kind: "admitted",
    lease: { id: leaseIdOf(token), token, expiresAt: now + LEASE_TTL_MS },
    goInMs: 0,
    wait: NO_WAIT,
    canDeferSettle: true,
    isPrefetched: true,
    configVersion,
    epoch,
    ...(requests === undefined
      ? {}
      : { requests: { ...requests, remaining: Math.max(0, requests.remaining - used) } }),
    ...(tokens === undefined || maxTokens === Infinity
      ? {}
      : { tokens: { ...tokens, remaining: Math.max(0, tokens.remaining - used * maxTokens) } }),
  };
}
