/**
 * A tenant's queue as one row, and back: what must survive an eviction or a crash. Waiting requests are not in it:
 * their callers' RPCs end with the object, and they ask again. Pure; tenant-queue.ts stores it.
 */

import { setLimits, type Allowance, type Takings } from "./allowance.ts";
import type { RateGate } from "./bucket.ts";
import { createEntry, estimateOf, type Entry, type Key } from "./entry.ts";
import type { KeyRing } from "./key-ring.ts";
import { firstToken, type LeaseTable } from "./lease-table.ts";
import { LEASE_TTL_MS, type Lane, type Limits } from "./protocol.ts";

/** A row holds 2 MB and a lease takes about 250 bytes of it; those beyond are adopted when they are renewed. */
const MAX_SAVED_LEASES = 4000;

interface SavedAllowance {
  readonly limits: Limits;
  readonly version: number;
  readonly requests?: RateGate;
  readonly tokens?: RateGate;
}

interface SavedKey extends SavedAllowance {
  readonly id: string;
  readonly served: number;
  readonly lastUsedAt: number;
}

/** Token, arrival, moment to go, time limit, request, trace, span, key, lane, reserved input and output tokens. */
type SavedLease = readonly [
  token: number,
  arrivedAt: number,
  goAt: number,
  dueAt: number,
  requestId: string,
  traceId: string,
  spanId: string,
  keyId: string,
  lane: Lane,
  inputTokens: number,
  outputTokens: number,
];

export interface Checkpoint {
  readonly at: number;
  readonly lastToken: number;
  /** Every lease up to `lastToken` is in it. */
  readonly isWhole: boolean;
  readonly tenant: SavedAllowance;
  readonly keys: readonly SavedKey[];
  readonly leases: readonly SavedLease[];
}

/** What is packed and restored. */
export interface QueueState {
  readonly tenant: Allowance;
  readonly keys: KeyRing;
  readonly leases: LeaseTable;
}

/** Copies the state out and marks the leases in it as saved. */
export function pack({ tenant, keys, leases }: QueueState, now: number): Checkpoint {
  const saved: SavedLease[] = [];
  for (const entry of leases.entries()) {
    if (saved.length === MAX_SAVED_LEASES) break;
    if (entry.lease === undefined) continue;
    entry.lease.isSaved = true;
    saved.push([
      entry.lease.token,
      entry.arrivedAt,
      entry.lease.goAt,
      entry.dueAt,
      entry.requestId,
      entry.traceId,
      entry.spanId,
      entry.flow.id,
      entry.lane,
      entry.inputTokens,
      entry.outputTokens,
    ]);
  }
  return {
    at: now,
    lastToken: leases.lastToken,
    isWhole: saved.length === leases.size,
    tenant: packAllowance(tenant),
    keys: Array.from(keys.all(), packKey),
    leases: saved,
  };
}

function packAllowance({ limits, version, requests, tokens }: Allowance): SavedAllowance {
  return {
    limits,
    version,
    ...(requests === undefined ? {} : { requests: { ...requests.gate } }),
    ...(tokens === undefined ? {} : { tokens: { ...tokens.gate } }),
  };
}

function packKey({ id, served, lastUsedAt, allowance }: Key): SavedKey {
  return { id, served, lastUsedAt, ...packAllowance(allowance) };
}

/** Puts a checkpoint into a fresh state and returns the leases' entries; those that ran out are the caller's to end. */
export function restore(state: QueueState, checkpoint: Checkpoint, now: number): readonly Entry[] {
  restoreAllowance(state.tenant, checkpoint.tenant, now);
  for (const saved of checkpoint.keys) {
    const key = state.keys.find(saved.id, now);
    key.served = saved.served;
    key.lastUsedAt = saved.lastUsedAt;
    restoreAllowance(key.allowance, saved, now);
  }
  const entries: Entry[] = [];
  for (const saved of checkpoint.leases) {
    const [
      token,
      arrivedAt,
      goAt,
      dueAt,
      requestId,
      traceId,
      spanId,
      keyId,
      lane,
      inputTokens,
      outputTokens,
    ] = saved;
    const source = { requestId, traceId, spanId, lane, estimate: { inputTokens, outputTokens } };
    const entry = createEntry(source, state.keys.find(keyId, now), {
      arrivedAt,
      deadlineAt: dueAt,
      position: 0,
      depth: 0,
    });
    hold(state, entry, { token, goAt }, now);
    entries.push(entry);
  }
  return entries;
}

function restoreAllowance(allowance: Allowance, saved: SavedAllowance, now: number): void {
  setLimits(allowance, saved.limits, saved.version, now);
  if (allowance.requests !== undefined) Object.assign(allowance.requests.gate, saved.requests);
  if (allowance.tokens !== undefined) Object.assign(allowance.tokens.gate, saved.tokens);
}

/** Counts a lease in again that was admitted before the restart. */
function hold(
  { tenant, leases }: QueueState,
  entry: Entry,
  { token, goAt }: { readonly token: number; readonly goAt: number },
  now: number,
): void {
  const takings = spentTakings(estimateOf(entry));
  entry.phase = "holding";
  entry.lease = {
    token,
    goAt,
    ofTenant: takings,
    ofKey: takings,
    answer: undefined,
    departure: undefined,
    isSaved: true,
  };
  tenant.holding += 1;
  entry.flow.allowance.holding += 1;
  leases.add(entry, now);
  if (entry.lease.departure !== undefined) entry.flow.allowance.waiting += 1;
}

/** Takings that can be settled but no longer given back: what came after them is not known. */
function spentTakings(estimate: number): Takings {
  return { requests: undefined, tokens: { before: 0, after: -Infinity, returnedMs: 0, units: estimate } };
}

/** Leases that the last checkpoint missed, known by their tokens: they come back when their holders renew them. */
export interface Adopter {
  /** The lease of that token, in force again; undefined if it can't have been one of the missed. */
  adopt(token: number, key: Key, now: number): Entry | undefined;
}

/** For one restart: tokens above the checkpoint's and below this object's own, for one lease time. */
export function createAdopter(
  state: QueueState,
  checkpoint: Checkpoint | undefined,
  startedAt: number,
): Adopter {
  const above = checkpoint?.isWhole === true ? checkpoint.lastToken : 0;
  const below = firstToken(startedAt, checkpoint?.lastToken ?? 0);
  return {
    adopt(token, key, now) {
      const isMissed = token > above && token < below && now < startedAt + LEASE_TTL_MS;
      if (!isMissed) return undefined;
      const source = {
        requestId: "",
        traceId: "",
        spanId: "",
        lane: "interactive" as const,
        estimate: { inputTokens: 0, outputTokens: 0 },
      };
      const arrival = { arrivedAt: now, deadlineAt: now + LEASE_TTL_MS, position: 0, depth: 0 };
      const entry = createEntry(source, key, arrival);
      hold(state, entry, { token, goAt: now }, now);
      return entry;
    },
  };
}
