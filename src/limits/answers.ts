/**
 * The answers and the live view of a tenant's queue, put together from its state. Reads, changes nothing;
 * admission.ts decides what to answer.
 */

import { requestsWindow, tighterWindow, tokensWindow, type Allowance } from "./allowance.ts";
import { waitRecordOf, type Entry, type LeaseState } from "./entry.ts";
import { leaseIdOf } from "./lease-table.ts";
import type {
  Admitted,
  Cancelled,
  LimitName,
  LimitWindow,
  QueueEntry,
  QueueSnapshot,
  Refused,
  SpanRef,
  WaitRecord,
} from "./protocol.ts";

/** Entries that a snapshot lists of the waiting and of the holding: a page for a person. */
const MAX_LISTED = 100;

const NO_WAIT: WaitRecord = { waitMs: 0, position: 0, depth: 0, queuedBehind: [] };

/** The windows of an answer; absent where neither tenant nor key has that limit. */
function windowsOf(
  tenant: Allowance,
  key: Allowance,
  now: number,
): { requests?: LimitWindow; tokens?: LimitWindow } {
  const requests = tighterWindow(requestsWindow(tenant, now), requestsWindow(key, now));
  const tokens = tighterWindow(tokensWindow(tenant, now), tokensWindow(key, now));
  const windows: { requests?: LimitWindow; tokens?: LimitWindow } = {};
  if (requests !== undefined) windows.requests = requests;
  if (tokens !== undefined) windows.tokens = tokens;
  return windows;
}

export function admittedAnswer(
  tenant: Allowance,
  entry: Entry,
  lease: LeaseState,
  now: number,
  admittedBy: SpanRef | undefined,
): Admitted {
  return {
    kind: "admitted",
    lease: { id: leaseIdOf(lease.token), token: lease.token, expiresAt: entry.dueAt },
    goInMs: lease.goAt - now,
    wait: waitRecordOf(entry, lease.goAt - entry.arrivedAt, admittedBy),
    ...windowsOf(tenant, entry.flow.allowance, now),
    configVersion: tenant.version,
  };
}

/** The same lease again for a repeated `admit`; after a restart the wait is no longer known. */
export function repeatedAnswer(tenant: Allowance, entry: Entry, lease: LeaseState, now: number): Admitted {
  const goInMs = Math.max(0, lease.goAt - now);
  const first = lease.answer ?? { ...admittedAnswer(tenant, entry, lease, now, undefined), wait: NO_WAIT };
  return { ...first, goInMs, lease: { ...first.lease, expiresAt: entry.dueAt } };
}

export function refusedAnswer(
  tenant: Allowance,
  entry: Entry,
  refusal: { readonly name: LimitName; readonly retryAfterMs: number },
  now: number,
): Refused {
  const key = entry.flow.allowance;
  const windows = windowsOf(tenant, key, now);
  return {
    kind: "refused",
    code: refusal.name === "queue_depth" ? "queue_full" : "rate_limited",
    limit: {
      name: refusal.name,
      value: limitValue(refusal.name, tenant, key),
      remaining: remainingOf(refusal.name, windows),
    },
    retryAfterMs: refusal.retryAfterMs,
    wait: waitRecordOf(entry, now - entry.arrivedAt),
    ...windows,
    configVersion: tenant.version,
  };
}

/** The value of a limit by name: the key's where it is the lower one. */
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
        return undefined;
    }
  };
  const value = Math.min(pick(tenant) ?? Infinity, pick(key) ?? Infinity);
  return Number.isFinite(value) ? value : 0;
}

function remainingOf(name: LimitName, windows: { requests?: LimitWindow; tokens?: LimitWindow }): number {
  if (name === "requests_per_minute") return windows.requests?.remaining ?? 0;
  if (name === "tokens_per_minute") return windows.tokens?.remaining ?? 0;
  return 0;
}

export function cancelledAnswer(tenant: Allowance, entry: Entry | undefined, now: number): Cancelled {
  return {
    kind: "cancelled",
    wait: entry === undefined ? NO_WAIT : waitRecordOf(entry, now - entry.arrivedAt),
    configVersion: tenant.version,
  };
}

/** The live view: waiting ones include callers that sleep until their moment. */
export function snapshotOf(
  tenant: Allowance,
  waiting: Iterable<Entry>,
  leased: Iterable<Entry>,
  counts: { readonly depth: number; readonly leases: number },
  now: number,
): QueueSnapshot {
  const waitingList: QueueEntry[] = [];
  const holdingList: QueueEntry[] = [];
  let oldestWaitMs = 0;
  const wait = (entry: Entry): void => {
    oldestWaitMs = Math.max(oldestWaitMs, now - entry.arrivedAt);
    if (waitingList.length < MAX_LISTED) waitingList.push(listed(entry, now - entry.arrivedAt));
  };
  for (const entry of leased) {
    const goAt = entry.lease?.goAt ?? now;
    if (goAt > now) wait(entry);
    else if (holdingList.length < MAX_LISTED) holdingList.push(listed(entry, goAt - entry.arrivedAt));
  }
  for (const entry of waiting) wait(entry);
  return {
    ...counts,
    oldestWaitMs,
    waiting: waitingList,
    holding: holdingList,
    limits: limitWindows(tenant, now),
  };
}

function listed({ requestId, traceId, flow, lane }: Entry, waitedMs: number): QueueEntry {
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
  return windows;
}
