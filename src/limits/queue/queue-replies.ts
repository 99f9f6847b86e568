/**
 * The replies and the live view of a tenant's queue, put together from its state. Reads, changes nothing.
 */

import {
  budgetUseOf,
  requestsWindow,
  spendWindow,
  tighterWindow,
  tokensWindow,
  type Allowance,
} from "../usage/allowance.ts";
import type { Cooldowns } from "../../targets/cooldowns.ts";
import type { CircuitBreakers } from "../../targets/circuit.ts";
import { isUnstarted, waitRecordOf, type QueueEntry, type LeaseState } from "../leases/queue-entry.ts";
import { leaseIdOf } from "../leases/lease-table.ts";
import type { BudgetUse } from "../budget-protocol.ts";
import { NO_WAIT } from "../protocol.ts";
import type {
  Admitted,
  Cancelled,
  LimitName,
  LimitWindow,
  ObjectState,
  ListedRequest,
  QueueSnapshot,
  Refused,
  SpanRef,
  Overrides,
} from "../protocol.ts";
import { spentUsd } from "../usage/spend.ts";

/** Entries that a snapshot lists of the waiting and of the holding: a page for a person. */
const MAX_LISTED = 100;

/** The windows of an answer; absent where neither tenant nor key has that limit. */
function windowsOf(
  tenant: Allowance,
  key: Allowance,
  now: number,
): { requests?: LimitWindow; tokens?: LimitWindow; budget?: BudgetUse } {
  const requests = tighterWindow(requestsWindow(tenant, now), requestsWindow(key, now));
  const tokens = tighterWindow(tokensWindow(tenant, now), tokensWindow(key, now));
  const windows: { requests?: LimitWindow; tokens?: LimitWindow; budget?: BudgetUse } = {};
  if (requests !== undefined) windows.requests = requests;
  if (tokens !== undefined) windows.tokens = tokens;
  const budget = moreUsed(budgetUseOf(tenant, now), budgetUseOf(key, now));
  if (budget !== undefined) windows.budget = budget;
  return windows;
}

function moreUsed(one: BudgetUse | undefined, other: BudgetUse | undefined): BudgetUse | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.spentMicroUsd / other.microUsd > one.spentMicroUsd / one.microUsd ? other : one;
}

/** The part of the object's state that each reply carries. */
export interface ReplyContext {
  readonly tenant: Allowance;
  readonly epoch: number;
  readonly cooldowns: Cooldowns;
  readonly circuits: CircuitBreakers;
  /** Undefined before money was recorded. */
  ledger(): ObjectState["ledger"];
}

export function stateOf(context: ReplyContext, now: number): ObjectState {
  const { tenant, epoch, cooldowns, circuits } = context;
  const ledger = context.ledger();
  const cooling = cooldowns.list(now);
  const openCircuits = circuits.list(now);
  const state = { configVersion: tenant.version, epoch };
  if (cooling === undefined && openCircuits === undefined && ledger === undefined) return state;
  return {
    ...state,
    ...(ledger !== undefined && { ledger }),
    ...(cooling !== undefined && { cooldowns: cooling }),
    ...(openCircuits !== undefined && { openCircuits }),
  };
}

export function admittedReply(
  context: ReplyContext,
  entry: QueueEntry,
  lease: LeaseState,
  now: number,
  more: { readonly admittedBy?: SpanRef | undefined; readonly canDeferSettle: boolean },
): Admitted {
  return {
    kind: "admitted",
    lease: { id: leaseIdOf(lease.token), token: lease.token, expiresAt: entry.dueAt },
    goInMs: lease.goAt - now,
    wait: waitRecordOf(entry, lease.goAt - entry.arrivedAt, more.admittedBy),
    canDeferSettle: more.canDeferSettle,
    ...windowsOf(context.tenant, entry.flow.allowance, now),
    ...stateOf(context, now),
  };
}

/** The same lease again for a repeated `admit`; after a restart the wait is no longer known. */
export function repeatedReply(
  context: ReplyContext,
  entry: QueueEntry,
  lease: LeaseState,
  now: number,
): Admitted {
  const goInMs = Math.max(0, lease.goAt - now);
  const first = lease.answer ?? {
    ...admittedReply(context, entry, lease, now, { canDeferSettle: false }),
    wait: NO_WAIT,
  };
  return { ...first, goInMs, lease: { ...first.lease, expiresAt: entry.dueAt } };
}

/** Why a request is refused, and when to come back. */
export interface Refusal {
  readonly code: Refused["code"];
  readonly limit: Refused["limit"];
  readonly retryAfterMs: number;
}

export function refusedReply(
  context: ReplyContext,
  entry: QueueEntry,
  refusal: Refusal,
  now: number,
): Refused {
  return {
    kind: "refused",
    ...refusal,
    wait: waitRecordOf(entry, now - entry.arrivedAt),
    ...windowsOf(context.tenant, entry.flow.allowance, now),
    ...stateOf(context, now),
  };
}

/** The facts of a limit by name: the key's where it is the lower one. */
export function limitFacts(
  name: LimitName,
  tenant: Allowance,
  key: Allowance,
  now: number,
): Refused["limit"] {
  const windows = windowsOf(tenant, key, now);
  const remaining =
    name === "requests_per_minute"
      ? windows.requests?.remaining
      : name === "tokens_per_minute"
        ? windows.tokens?.remaining
        : 0;
  return { name, value: limitValue(name, tenant, key), remaining: remaining ?? 0 };
}

/** The value of a limit by name. */
function limitValue(name: LimitName, tenant: Allowance, key: Allowance): number {
  const pick = (of: Allowance): number | undefined => {
    switch (name) {
      case "requests_per_minute":
        return of.limits.requestsPerMinute;
      case "tokens_per_minute":
        return of.limits.tokensPerMinute;
      case "concurrency":
        return of.limits.concurrency;
      case "queue_depth":
        return of.limits.maxDepth;
      case "budget":
        return of.limits.budget?.microUsd;
    }
  };
  const value = Math.min(pick(tenant) ?? Infinity, pick(key) ?? Infinity);
  return Number.isFinite(value) ? value : 0;
}

export function cancelledReply(context: ReplyContext, entry: QueueEntry | undefined, now: number): Cancelled {
  return {
    kind: "cancelled",
    wait: entry === undefined ? NO_WAIT : waitRecordOf(entry, now - entry.arrivedAt),
    ...stateOf(context, now),
  };
}

/** The live view; callers that sleep until their start time count as waiting. */
export function snapshotOf(
  tenant: Allowance,
  waiting: Iterable<QueueEntry>,
  leased: Iterable<QueueEntry>,
  counts: { readonly depth: number; readonly leases: number },
  overrides: Overrides,
  now: number,
): QueueSnapshot {
  const waitingList: ListedRequest[] = [];
  const holdingList: ListedRequest[] = [];
  let oldestWaitMs = 0;
  let batched = 0;
  const wait = (entry: QueueEntry): void => {
    oldestWaitMs = Math.max(oldestWaitMs, now - entry.arrivedAt);
    if (waitingList.length < MAX_LISTED) waitingList.push(listed(entry, now - entry.arrivedAt));
  };
  for (const entry of leased) {
    const goAt = entry.lease?.goAt ?? now;
    if (isUnstarted(entry)) batched += 1;
    else if (goAt > now) wait(entry);
    else if (holdingList.length < MAX_LISTED) holdingList.push(listed(entry, goAt - entry.arrivedAt));
  }
  for (const entry of waiting) wait(entry);
  return {
    ...counts,
    batched,
    oldestWaitMs,
    waiting: waitingList,
    holding: holdingList,
    limits: limitWindows(tenant, now),
    spentUsd: spentUsd(tenant.spend, now),
    ...((overrides.raised ?? overrides.drained) !== undefined && { orders: overrides }),
  };
}

function listed({ requestId, traceId, flow, lane }: QueueEntry, waitedMs: number): ListedRequest {
  return { requestId, traceId, keyId: flow.id, lane, waitedMs };
}

function limitWindows(tenant: Allowance, now: number): Record<string, LimitWindow> {
  const windows: Record<string, LimitWindow> = {};
  const requestsPerMinute = requestsWindow(tenant, now);
  const tokensPerMinute = tokensWindow(tenant, now);
  const { concurrency } = tenant.limits;
  if (requestsPerMinute !== undefined) windows["requestsPerMinute"] = requestsPerMinute;
  if (tokensPerMinute !== undefined) windows["tokensPerMinute"] = tokensPerMinute;
  if (concurrency !== undefined) {
    const remaining = Math.max(0, concurrency - tenant.holding);
    windows["concurrency"] = { limit: concurrency, remaining, resetMs: 0 };
  }
  const budgetMicroUsd = spendWindow(tenant, now);
  if (budgetMicroUsd !== undefined) windows["budgetMicroUsd"] = budgetMicroUsd;
  return windows;
}
