/**
 * What an isolate has to send to a tenant's queue object: it is piggybacked on the next call, or sent by itself a second
 * later. What was sent lately is kept, because an object that crashes loses its last seconds. Plain data of one tenant;
 * sends nothing itself.
 */

import { type CircuitUpdate, isFailure } from "../../targets/circuit.ts";
import { type Cooldown, MAX_COOLDOWN_MS } from "../../targets/cooldowns.ts";
import {
  RESEND_WINDOW_MS,
  type Expense,
  type IsolateUpdates,
  type LeaseStart,
  type ObjectState,
  type Settlement,
} from "../protocol.ts";
import type { UsageCell } from "../usage-protocol.ts";
import { addCells, type UsageCells } from "../usage/usage-cells.ts";

/** Longer than the oldest checkpoint that may miss the end of a lease. */
const REMEMBERED_MS = 15_000;
/** Calls whose settlements are remembered: most carry one or a few, of about 300 bytes. */
const MAX_REMEMBERED = 2000;
/** Settlements and expenses kept while the object can't be reached; beyond, the money of the oldest is added up by key. */
const MAX_KEPT = 2000;
/** Updates of targets kept while the object can't be reached; the newest matter most. */
const MAX_HEALTH = 200;

/** What one call carries. */
export interface Piggyback {
  readonly settles: readonly Settlement[];
  readonly starts: readonly LeaseStart[];
  readonly unused: readonly string[];
  readonly cooldowns: readonly { readonly target: string; readonly until: number }[];
  readonly circuits: readonly DatedUpdate[];
  readonly expenses: readonly Expense[];
}

interface DatedUpdate {
  readonly updates: CircuitUpdate;
  readonly at: number;
}

export interface PiggybackBuffer {
  readonly isEmpty: boolean;
  /** Whether a target has failed: the object should know before the next request starts. */
  readonly isUrgent: boolean;
  settle(settlement: Settlement): void;
  start(start: LeaseStart): void;
  /** Returns the lease of a start that was not sent yet; false where there is none. */
  withdraw(requestId: string): boolean;
  coolDown(cooldown: Cooldown, now: number): void;
  learn(updates: CircuitUpdate, now: number): void;
  giveBack(leaseIds: readonly string[]): void;
  /** Money spent outside any lease. */
  spend(expense: Expense): void;
  /** What a request without a lease adds to the tenant's usage: added up until it is sent. */
  note(requestId: string, usage: readonly UsageCell[]): void;
  /** Everything in the buffer; what is taken must be delivered or put back. */
  take(): Piggyback;
  putBack(piggyback: Piggyback): void;
  /** The object has it; `ledger` is from its reply. */
  delivered(piggyback: Piggyback, ledger: ObjectState["ledger"], now: number): void;
  /** Drops what no restarted object could need again. */
  forget(now: number): void;
  /**
   * The object was restarted: what it is not known to have saved is to be sent again, and what was sent lately. It knows
   * what it has recorded. `ledger` is from its first reply since.
   */
  resend(ledger: ObjectState["ledger"], now: number): void;
}

/** What one call has delivered; `count` is the object's count of records of money after it. */
interface Sent {
  readonly settles: readonly Settlement[];
  readonly expenses: readonly Expense[];
  readonly at: number;
  readonly count: number;
}

const NO_UPDATES: readonly DatedUpdate[] = [];

export function createPiggybackBuffer(): PiggybackBuffer {
  let settles: Settlement[] = [];
  let starts: LeaseStart[] = [];
  let unused: string[] = [];
  let cooldowns: { readonly target: string; readonly until: number }[] = [];
  let circuits: readonly DatedUpdate[] = NO_UPDATES;
  let expenses: Expense[] = [];
  let noted: UsageCells = new Map();
  let notedId = "";
  let sent: Sent[] = [];
  /** How much of what was sent the object has saved, as far as is known. */
  let saved = 0;

  /** A lost slot is over after seconds; lost money is not. */
  function mayBeLost({ at, count }: Sent, now: number): boolean {
    return count > saved || at > now - REMEMBERED_MS;
  }

  return {
    get isEmpty() {
      return noted.size === 0 && sizeOf({ settles, starts, unused, cooldowns, circuits, expenses }) === 0;
    },
    get isUrgent() {
      return circuits.some(({ updates }) => isUrgent(updates));
    },
    settle: (settlement) => void settles.push(settlement),
    start: (start) => void starts.push(start),
    withdraw(requestId) {
      const at = starts.findIndex((start) => start.requestId === requestId);
      const [start] = at === -1 ? [] : starts.splice(at, 1);
      if (start === undefined) return false;
      unused.push(start.leaseId);
      return true;
    },
    coolDown: ({ target, forMs }, now) =>
      void cooldowns.push({ target, until: now + Math.min(MAX_COOLDOWN_MS, forMs) }),
    learn: (updates, now) => void (circuits = [...circuits, { updates, at: now }].slice(-MAX_HEALTH)),
    giveBack: (leaseIds) => void unused.push(...leaseIds),
    spend: (expense) => void expenses.push(expense),
    note(requestId, usage) {
      if (noted.size === 0) notedId = requestId;
      addCells(noted, usage);
    },
    take() {
      if (noted.size > 0) {
        // The first request's id makes that of the sum: it is recorded once.
        expenses.push({ requestId: `${notedId} usage`, keyId: "", costMicroUsd: 0, usage: [...noted] });
        noted = new Map();
      }
      const piggyback = { settles, starts, unused, cooldowns, circuits, expenses };
      settles = [];
      starts = [];
      unused = [];
      cooldowns = [];
      circuits = NO_UPDATES;
      expenses = [];
      return piggyback;
    },
    putBack(piggyback) {
      const kept = keepBounded([...piggyback.settles, ...settles], [...piggyback.expenses, ...expenses]);
      settles = kept.settles;
      expenses = kept.expenses;
      // What is beyond ends by its expiry.
      starts = [...piggyback.starts, ...starts].slice(-MAX_KEPT);
      unused = [...piggyback.unused, ...unused].slice(-MAX_KEPT);
      cooldowns = [...piggyback.cooldowns, ...cooldowns].slice(-MAX_HEALTH);
      circuits = [...piggyback.circuits, ...circuits].slice(-MAX_HEALTH);
    },
    delivered({ settles: told, expenses: spent }, ledger, now) {
      const { count = 0, saved: savedCount = 0 } = ledger ?? {};
      saved = Math.max(saved, savedCount);
      if (told.length > 0 || spent.length > 0) sent.push({ settles: told, expenses: spent, at: now, count });
      const [oldest] = sent;
      if (oldest !== undefined && !mayBeLost(oldest, now)) sent = sent.filter((one) => mayBeLost(one, now));
      if (sent.length > MAX_REMEMBERED) sent = sent.slice(-MAX_REMEMBERED);
    },
    forget(now) {
      sent = sent.filter((one) => mayBeLost(one, now));
    },
    resend(ledger, now) {
      // Its own count says nothing of what it had before: it counts on from its checkpoint, and others have told it more.
      for (const one of sent) {
        if (!mayBeLost(one, now) || one.at <= now - RESEND_WINDOW_MS) continue;
        settles.push(...one.settles);
        expenses.push(...one.expenses);
      }
      sent = [];
      saved = ledger?.saved ?? 0;
    },
  };
}

/**
 * Bounds what an outage gathers. The money of settlements beyond is kept as expenses, one a key; their leases end by their
 * expiry. Its id is new, so that a repetition of one of them would be recorded again: only a lost reply causes one.
 */
function keepBounded(
  settles: Settlement[],
  expenses: Expense[],
): { readonly settles: Settlement[]; readonly expenses: Expense[] } {
  if (settles.length <= MAX_KEPT && expenses.length <= MAX_KEPT) return { settles, expenses };
  const beyond: readonly Expense[] = [
    ...settles.slice(0, Math.max(0, settles.length - MAX_KEPT)),
    ...expenses.slice(0, Math.max(0, expenses.length - MAX_KEPT)),
  ];
  const byKey = new Map<string, Expense>();
  for (const { requestId, keyId, costMicroUsd, usage = [] } of beyond) {
    const known = byKey.get(keyId);
    const cells: UsageCells = new Map();
    addCells(cells, [...(known?.usage ?? []), ...usage]);
    const sum = (known?.costMicroUsd ?? 0) + costMicroUsd;
    byKey.set(keyId, { requestId: `${requestId}+`, keyId, costMicroUsd: sum, usage: [...cells] });
  }
  return { settles: settles.slice(-MAX_KEPT), expenses: [...byKey.values(), ...expenses.slice(-MAX_KEPT)] };
}

function isUrgent(updates: CircuitUpdate): boolean {
  if (updates.kind !== "call") return true;
  return isFailure(updates.report.verdict) || updates.report.probe !== undefined;
}

function sizeOf({ settles, starts, unused, cooldowns, circuits, expenses }: Piggyback): number {
  return (
    settles.length + starts.length + unused.length + cooldowns.length + circuits.length + expenses.length
  );
}

/** A piggyback's updates as an RPC carries them; undefined where there are none. */
export function updatesOf(piggyback: Piggyback, now: number): IsolateUpdates | undefined {
  const { settles, starts, unused, cooldowns, circuits, expenses } = piggyback;
  if (sizeOf(piggyback) === settles.length) return undefined;
  const left = cooldowns.map(({ target, until }) => ({ target, forMs: until - now }));
  return {
    starts,
    unused,
    cooldowns: left.filter(({ forMs }) => forMs > 0),
    ...(circuits.length > 0 && { circuits: circuits.map((each) => asOf(each, now)) }),
    ...(expenses.length > 0 && { expenses }),
  };
}

/** A circuit's pause went on while its update waited. */
function asOf({ updates, at }: DatedUpdate, now: number): CircuitUpdate {
  if (updates.kind !== "open") return updates;
  const { open } = updates;
  const passedMs = now - at;
  const forMs = Math.max(0, open.forMs - passedMs);
  return { kind: "open", open: { ...open, forMs, openForMs: open.openForMs + passedMs } };
}
