/**
 * A tenant's queue as one row, and back: what must survive an eviction or a crash. Waiting requests are not in it: their
 * callers' RPCs end with the object, and they call again. Pure; stores nothing itself.
 */

import { setLimits, spendOf, type Allowance, type Reservation } from "../usage/allowance.ts";
import type { TenantAlert } from "../alert-protocol.ts";
import type { BudgetAlerts } from "../usage/budget-alerts.ts";
import type { RateLimiter } from "../usage/rate-limiter.ts";
import {
  createEntry,
  estimateOf,
  type Booking,
  type Key,
  type LeaseState,
  type QueueEntry,
} from "../leases/queue-entry.ts";
import type { KeyTable } from "../leases/keys.ts";
import type { SavedSender } from "../leases/recorded-expenses.ts";
import type { Recorded } from "../leases/settlement.ts";
import type { OrphanedLeases, SavedOrphans } from "../leases/orphaned-leases.ts";
import type { LeaseTable } from "../leases/lease-table.ts";
import { LEASE_TTL_MS, type Lane, type Limits } from "../protocol.ts";
import type { Retention } from "../../telemetry/store/stored-trace.ts";
import type { Spend } from "../usage/spend.ts";
import type { OperatorOverrides } from "./operator-overrides.ts";

/** A row holds 2 MB and a lease takes about 250 bytes of it; those beyond are adopted again when they are renewed. */
const MAX_SAVED_LEASES = 4000;
/** Lapsed leases that are saved: the latest, whose holders may still be heard of. */
const MAX_SAVED_LAPSED = 200;

interface SavedAllowance {
  readonly limits: Limits;
  readonly version: number;
  readonly requests?: RateLimiter;
  readonly tokens?: RateLimiter;
  /** The ledger: what was spent in this day, week and month. */
  readonly spend?: Omit<Spend, "reserved">;
}

interface SavedKey extends SavedAllowance {
  readonly id: string;
  readonly served: number;
  readonly lastUsedAt: number;
}

/**
 * Token, arrival, start time, expiry, request, trace, span, key, lane, reserved tokens and micro-dollars; for one that
 * expired, the micro-dollars recorded for it and when.
 */
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
  costMicroUsd: number,
  bookedMicroUsd?: number,
  bookedAt?: number,
];

export interface Checkpoint {
  readonly at: number;
  /** How often money was recorded; absent in older rows. */
  readonly recorded?: number;
  readonly lastToken: number;
  /** Every lease up to `lastToken` is in it. */
  readonly isWhole: boolean;
  /** Its limits as they were in force; `ownLimits` are the records'. */
  readonly tenant: SavedAllowance;
  /** Absent in rows from before there were overrides. */
  readonly ownLimits?: Limits;
  readonly traces?: Retention;
  readonly keys: readonly SavedKey[];
  readonly leases: readonly SavedLease[];
  /** Leases that expired and may be adopted again; absent in older rows. */
  readonly lapsed?: readonly SavedLease[];
  /** Alerts that have not been handed over; absent where there are none. */
  readonly alerts?: readonly TenantAlert[];
  /** Whose expenses were recorded lately; absent in older rows, and where there are none. */
  readonly senders?: readonly SavedSender[];
  /** What earlier checkpoints missed; absent in older rows, and where nothing is open. */
  readonly orphans?: SavedOrphans;
}

/** What is packed and restored. */
export interface QueueState {
  readonly tenant: Allowance;
  readonly keys: KeyTable;
  readonly leases: LeaseTable;
  readonly overrides: OperatorOverrides;
  readonly orphaned: OrphanedLeases;
  readonly alerts: BudgetAlerts;
  /** How long the tenant keeps traces; undefined where it keeps none. */
  traces: Retention | undefined;
}

/** Copies the state out and marks the leases in it as saved. */
export function pack(state: QueueState, { count, senders }: Recorded, now: number): Checkpoint {
  const { tenant, keys, leases, overrides, orphaned, alerts, traces } = state;
  const saved: SavedLease[] = [];
  for (const entry of leases.entries()) {
    if (saved.length === MAX_SAVED_LEASES) break;
    if (entry.lease === undefined) continue;
    entry.lease.savedUntil = entry.dueAt;
    saved.push(packLease(entry, entry.lease));
  }
  const pending = alerts.pending();
  const lapsed = Array.from(orphaned.lapsed(now)).slice(-MAX_SAVED_LAPSED);
  const orphans = orphaned.save(now);
  return {
    at: now,
    recorded: count,
    lastToken: leases.lastToken,
    isWhole: saved.length === leases.size,
    tenant: packAllowance(tenant),
    ownLimits: overrides.ownLimits,
    ...(traces !== undefined && { traces }),
    keys: Array.from(keys.all(), packKey),
    leases: saved,
    ...(pending.length > 0 && { alerts: pending }),
    ...(senders !== undefined && { senders }),
    ...(orphans !== undefined && { orphans }),
    ...(lapsed.length > 0 && {
      lapsed: lapsed.flatMap((entry) => (entry.lease === undefined ? [] : [packLease(entry, entry.lease)])),
    }),
  };
}

function packLease(entry: QueueEntry, { token, goAt }: LeaseState): SavedLease {
  const { arrivedAt, dueAt, requestId, traceId, spanId, flow, lane } = entry;
  const { inputTokens, outputTokens, costMicroUsd, booked } = entry;
  return [
    token,
    arrivedAt,
    goAt,
    dueAt,
    requestId,
    traceId,
    spanId,
    flow.id,
    lane,
    inputTokens,
    outputTokens,
    costMicroUsd,
    ...(booked === undefined ? ([] as const) : ([booked.microUsd, booked.at] as const)),
  ];
}

function packAllowance({ limits, version, requests, tokens, spend }: Allowance): SavedAllowance {
  return {
    limits,
    version,
    ...(requests !== undefined && { requests: { ...requests.limiter } }),
    ...(tokens !== undefined && { tokens: { ...tokens.limiter } }),
    ...(spend !== undefined && { spend: packSpend(spend) }),
  };
}

function packSpend({ day, week, month, alerted }: Spend): Omit<Spend, "reserved"> {
  return {
    day: { ...day },
    week: { ...week },
    month: { ...month },
    ...(alerted !== undefined && { alerted }),
  };
}

function packKey({ id, served, lastUsedAt, allowance }: Key): SavedKey {
  return { id, served, lastUsedAt, ...packAllowance(allowance) };
}

/** Puts a checkpoint into a fresh state and returns the leases' entries; the caller ends the expired ones. */
export function restore(state: QueueState, checkpoint: Checkpoint, now: number): readonly QueueEntry[] {
  restoreAllowance(state.tenant, checkpoint.tenant, now);
  state.overrides.setLimits(checkpoint.ownLimits ?? checkpoint.tenant.limits);
  state.traces = checkpoint.traces;
  for (const saved of checkpoint.keys) {
    const key = state.keys.find(saved.id, now);
    key.served = saved.served;
    key.lastUsedAt = saved.lastUsedAt;
    restoreAllowance(key.allowance, saved, now);
  }
  for (const saved of checkpoint.lapsed ?? []) {
    const { entry, lease, booked } = unpackLease(saved, state.keys, now);
    entry.phase = "over";
    entry.booked = booked;
    entry.lease = { ...lease, ofTenant: NOTHING_RESERVED, ofKey: NOTHING_RESERVED };
    state.orphaned.noteLapsed(entry);
  }
  return checkpoint.leases.map((saved) => {
    const { entry, lease } = unpackLease(saved, state.keys, now);
    hold(state, entry, lease, now);
    if (entry.lease !== undefined) entry.lease.savedUntil = entry.dueAt;
    return entry;
  });
}

const NOTHING_RESERVED: Reservation = { requests: undefined, tokens: undefined, reserved: 0 };

/** A lease that is not in force yet. */
type BareLease = Omit<LeaseState, "ofTenant" | "ofKey">;

function bareLease(token: number, goAt: number): BareLease {
  return { token, goAt, answer: undefined, departure: undefined, savedUntil: 0 };
}

function unpackLease(
  saved: SavedLease,
  keys: KeyTable,
  now: number,
): { readonly entry: QueueEntry; readonly lease: BareLease; readonly booked: Booking | undefined } {
  const [token, arrivedAt, goAt, dueAt, requestId, traceId, spanId, keyId, lane, ...estimated] = saved;
  const [inputTokens, outputTokens, costMicroUsd, bookedMicroUsd, bookedAt] = estimated;
  const estimate = { inputTokens, outputTokens, costMicroUsd };
  const arrival = { arrivedAt, deadlineAt: dueAt, position: 0, depth: 0 };
  const source = { requestId, traceId, spanId, lane, estimate };
  return {
    entry: createEntry(source, keys.find(keyId, now), arrival),
    lease: bareLease(token, goAt),
    booked:
      bookedMicroUsd === undefined || bookedAt === undefined
        ? undefined
        : { microUsd: bookedMicroUsd, at: bookedAt },
  };
}

function restoreAllowance(allowance: Allowance, saved: SavedAllowance, now: number): void {
  setLimits(allowance, saved.limits, saved.version, now);
  if (allowance.requests !== undefined) Object.assign(allowance.requests.limiter, saved.requests);
  if (allowance.tokens !== undefined) Object.assign(allowance.tokens.limiter, saved.tokens);
  if (saved.spend !== undefined)
    allowance.spend = { ...packSpend({ ...saved.spend, reserved: 0 }), reserved: 0 };
}

/** Puts a lease in force again that was admitted before. */
function hold({ tenant, leases }: QueueState, entry: QueueEntry, lease: BareLease, now: number): void {
  const { allowance } = entry.flow;
  entry.phase = "holding";
  entry.lease = { ...lease, ofTenant: takeAgain(tenant, entry), ofKey: takeAgain(allowance, entry) };
  leases.add(entry, now);
  if (entry.lease.departure !== undefined) allowance.waiting += 1;
}

/**
 * Slot and reserved money of a lease from before; what it took of the rates is in the limiters already. It can be settled
 * but no longer given back: what came after it is not known.
 */
function takeAgain(allowance: Allowance, entry: QueueEntry): Reservation {
  const reserved = allowance.limits.budget === undefined ? 0 : entry.costMicroUsd;
  allowance.holding += 1;
  if (reserved > 0) spendOf(allowance).reserved += reserved;
  const units = Math.min(estimateOf(entry), allowance.tokens?.rule.burst ?? Infinity);
  const tokens = { before: 0, after: -Infinity, returnedMs: 0, units };
  return { requests: undefined, tokens, reserved };
}

/** Puts a lapsed lease in force again, over the limits if need be. */
export function adoptLapsed(state: QueueState, entry: QueueEntry, now: number): void {
  const { lease } = entry;
  if (lease === undefined) return;
  entry.dueAt = now + LEASE_TTL_MS;
  hold(state, entry, bareLease(lease.token, lease.goAt), now);
}

/** Puts a lease in force again that a crash lost: what it had reserved is not known. */
export function adoptLost(state: QueueState, token: number, key: Key, now: number): QueueEntry {
  const source = {
    requestId: "",
    traceId: "",
    spanId: "",
    lane: "interactive" as const,
    estimate: { inputTokens: 0, outputTokens: 0 },
  };
  const arrival = { arrivedAt: now, deadlineAt: now + LEASE_TTL_MS, position: 0, depth: 0 };
  const entry = createEntry(source, key, arrival);
  entry.isAdopted = true;
  hold(state, entry, bareLease(token, now), now);
  return entry;
}
