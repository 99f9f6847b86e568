/**
 * The sums behind `enqueued = delivered + pending + dropped`, for all isolates together, and each destination's
 * health. Each push is applied once, however often it arrives. Pure; the outbox stores what `save` returns.
 */

import type { ExportCounts, ExportStatus } from "../export-counters.ts";
import { circuitOf, HEALTHY, type Health } from "./outbox-circuit.ts";
import type { Push } from "../outbox-port.ts";

interface Account {
  enqueued: number;
  delivered: number;
  retries: number;
  lastError: string | null;
  health: Health;
  readonly dropped: Record<string, number>;
  /** By isolate: traces it counted as enqueued and not yet as settled, and when it last reported. */
  readonly inFlight: Record<string, { traces: number; seenAt: number }>;
}

export interface SavedOutboxLedger {
  readonly tenantId: string;
  readonly accounts: Readonly<Record<string, Account>>;
  readonly pushIds: readonly string[];
}

export interface OutboxLedger {
  readonly tenantId: string;
  /** False for a push that was applied before. */
  apply(push: Push, now: number): boolean;
  deliver(destination: string, traces: number): void;
  drop(destination: string, traces: number, reason: string): void;
  /** A send of a waiting batch failed. */
  noteFailure(destination: string, reason: string): void;
  healthOf(destination: string): Health;
  setHealth(destination: string, health: Health): void;
  /** Writes off the traces of isolates that died; returns whether there were any. */
  writeOffLost(now: number): boolean;
  destinations(): readonly string[];
  status(isSending: (destination: string) => boolean): readonly ExportStatus[];
  save(): SavedOutboxLedger;
}

/** A push is repeated within seconds; fewer others than this arrive in between. */
const MAX_PUSH_IDS = 128;
/** An isolate has traces in flight for at most 45 s (export-batches.ts); one silent for longer has died. */
export const ISOLATE_LOST_MS = 60_000;

export function createOutboxLedger(saved?: SavedOutboxLedger): OutboxLedger {
  // Names come from tenants, so not an object: a Map has no `constructor` key.
  const accounts = new Map<string, Account>(Object.entries(structuredClone(saved?.accounts ?? {})));
  const pushIds = new Set(saved?.pushIds);
  let tenantId = saved?.tenantId ?? "";

  function accountOf(destination: string): Account {
    let account = accounts.get(destination);
    if (account === undefined) accounts.set(destination, (account = openAccount()));
    return account;
  }

  function remember(id: string): void {
    pushIds.add(id);
    const [oldest] = pushIds;
    if (pushIds.size > MAX_PUSH_IDS && oldest !== undefined) pushIds.delete(oldest);
  }

  return {
    get tenantId() {
      return tenantId;
    },
    apply(push, now) {
      tenantId = push.tenantId;
      if (pushIds.has(push.id)) return false;
      remember(push.id);
      for (const [destination, counts] of Object.entries(push.counts)) {
        const hasBatch = push.batch?.destination === destination;
        addCounts(accountOf(destination), counts, hasBatch, push.isolate, now);
      }
      return true;
    },
    deliver: (destination, traces) => void (accountOf(destination).delivered += traces),
    drop: (destination, traces, reason) => addDrop(accountOf(destination), traces, reason),
    noteFailure(destination, reason) {
      const account = accountOf(destination);
      account.retries++;
      account.lastError = reason;
    },
    healthOf: (destination) => accounts.get(destination)?.health ?? HEALTHY,
    setHealth: (destination, health) => void (accountOf(destination).health = health),
    writeOffLost(now) {
      let hasLost = false;
      for (const account of accounts.values()) {
        for (const [isolate, { traces, seenAt }] of Object.entries(account.inFlight)) {
          if (now - seenAt < ISOLATE_LOST_MS) continue;
          addDrop(account, traces, "isolate_lost");
          delete account.inFlight[isolate];
          hasLost = true;
        }
      }
      return hasLost;
    },
    destinations: () => [...accounts.keys()],
    status: (isSending) =>
      [...accounts].map(([destination, account]) => describe(destination, account, isSending(destination))),
    save: () => ({ tenantId, accounts: Object.fromEntries(accounts), pushIds: [...pushIds] }),
  };
}

function openAccount(): Account {
  return {
    enqueued: 0,
    delivered: 0,
    retries: 0,
    lastError: null,
    health: HEALTHY,
    dropped: {},
    inFlight: {},
  };
}

function addDrop(account: Account, traces: number, reason: string): void {
  account.dropped[reason] = (account.dropped[reason] ?? 0) + traces;
  account.lastError = reason;
}

function addCounts(
  account: Account,
  { enqueued, delivered, handedOver, dropped, retries, lastError }: ExportCounts,
  hasBatch: boolean,
  isolate: string,
  now: number,
): void {
  account.enqueued += enqueued;
  account.delivered += delivered;
  account.retries += retries;
  let droppedSum = 0;
  for (const [reason, traces] of Object.entries(dropped)) {
    addDrop(account, traces, reason);
    droppedSum += traces;
  }
  account.lastError = lastError ?? account.lastError;
  // The batch itself never arrived.
  if (handedOver > 0 && !hasBatch) addDrop(account, handedOver, "outbox_error");
  const before = account.inFlight[isolate]?.traces ?? 0;
  const traces = before + enqueued - delivered - handedOver - droppedSum;
  if (traces > 0) account.inFlight[isolate] = { traces, seenAt: now };
  else delete account.inFlight[isolate];
  // The isolate was written off but is alive: what it settled since was not lost.
  if (traces < 0) takeBack(account, -traces);
}

function takeBack({ dropped }: Account, traces: number): void {
  const left = Math.max(0, (dropped["isolate_lost"] ?? 0) - traces);
  if (left === 0) delete dropped["isolate_lost"];
  else dropped["isolate_lost"] = left;
}

function describe(destination: string, account: Account, isSending: boolean): ExportStatus {
  const { enqueued, delivered, dropped, lastError, retries, health } = account;
  const droppedSum = Object.values(dropped).reduce((sum, traces) => sum + traces, 0);
  return {
    destination,
    enqueued,
    delivered,
    pending: enqueued - delivered - droppedSum,
    dropped: { ...dropped },
    lastError,
    retries,
    circuit: circuitOf(health, isSending),
  };
}
