/**
 * What an isolate has to send to a tenant's queue object: it is piggybacked on the next call, or sent by itself a second
 * later. What was sent lately is kept, because an object that crashes loses its last seconds. Plain data of one tenant;
 * sends nothing itself.
 */

import { type CircuitUpdate, isFailure } from "../../targets/circuit.ts";
import { type Cooldown, MAX_COOLDOWN_MS } from "../../targets/cooldowns.ts";
import {
  RESEND_WINDOW_MS,
  type IsolateUpdates,
  type LeaseStart,
  type ObjectState,
  type Settlement,
} from "../protocol.ts";
import type { Expense, NumberedExpense } from "../budget-protocol.ts";
import type { UsageCell } from "../usage-protocol.ts";
import { addCells, type UsageCells } from "../usage/usage-cells.ts";

/** Longer than the oldest checkpoint that may miss the end of a lease. */
const REMEMBERED_MS = 15_000;
/** Calls whose settlements are remembered: most carry one or a few, of about 300 bytes. */
const MAX_REMEMBERED = 2000;
/** Updates of targets kept while the object can't be reached; the newest matter most. */
const MAX_HEALTH = 200;
/** Admissions without an answer that are kept to be undone; those before have ended by themselves. */
const MAX_CANCELS = 1000;

/** What one call carries. */
export interface Piggyback {
  readonly settles: readonly Settlement[];
  readonly starts: readonly LeaseStart[];
  readonly unused: readonly string[];
  readonly cooldowns: readonly { readonly target: string; readonly until: number }[];
  readonly circuits: readonly DatedUpdate[];
  readonly expenses: readonly NumberedExpense[];
  readonly cancels: readonly string[];
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
  /** The request's admission is not needed, should the object have made it. */
  cancel(requestId: string): void;
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
interface Sent extends Pick<Piggyback, "settles" | "expenses" | "unused"> {
  readonly at: number;
  readonly count: number;
}

/** Expenses of a key's requests. */
interface Added {
  readonly requestId: string;
  readonly keyId: string;
  costMicroUsd: number;
  readonly usage: UsageCells;
}

/** What is gathered for the next call. */
type Gathered = { -readonly [Name in keyof Piggyback]: Piggyback[Name][number][] };

function createGathered(): Gathered {
  return { settles: [], starts: [], unused: [], cooldowns: [], circuits: [], expenses: [], cancels: [] };
}

export function createPiggybackBuffer(): PiggybackBuffer {
  /** Its expenses are those that the object may have recorded: the reply to the call that brought them was lost. */
  let next = createGathered();
  /** Expenses that no call has brought yet, added up by key: few, however long the object is away. */
  const added = new Map<string, Added>();
  let sender: string | undefined;
  let lastNumber = 0;
  let sent: Sent[] = [];
  /** How much of what was sent the object has saved, as far as is known. */
  let saved = 0;

  /** A lost slot is over after seconds; lost money is not. */
  function mayBeLost({ at, count }: Sent, now: number): boolean {
    return count > saved || at > now - REMEMBERED_MS;
  }

  function numbered({ usage, ...expense }: Added): NumberedExpense {
    // A request spends in one isolate, so that its id can name it.
    sender ??= expense.requestId;
    lastNumber += 1;
    return { ...expense, ...(usage.size > 0 && { usage: [...usage] }), sender, number: lastNumber };
  }

  function spend({ requestId, keyId, costMicroUsd, usage = [] }: Expense): void {
    const known = added.get(keyId) ?? { requestId, keyId, costMicroUsd: 0, usage: new Map() };
    known.costMicroUsd += costMicroUsd;
    addCells(known.usage, usage);
    added.set(keyId, known);
  }

  return {
    get isEmpty() {
      return sizeOf(next) + added.size === 0;
    },
    get isUrgent() {
      return next.circuits.some(({ updates }) => isUrgent(updates));
    },
    settle: (settlement) => void next.settles.push(settlement),
    start: (start) => void next.starts.push(start),
    cancel: (requestId) => void next.cancels.push(requestId),
    coolDown: ({ target, forMs }, now) =>
      void next.cooldowns.push({ target, until: now + Math.min(MAX_COOLDOWN_MS, forMs) }),
    learn: (updates, now) =>
      void (next.circuits = [...next.circuits, { updates, at: now }].slice(-MAX_HEALTH)),
    giveBack: (leaseIds) => void next.unused.push(...leaseIds),
    spend,
    note: (requestId, usage) => spend({ requestId, keyId: "", costMicroUsd: 0, usage }),
    take() {
      const taken = next;
      next = createGathered();
      // What may have been recorded goes first and alone, so that no more is added while the object is away.
      if (taken.expenses.length > 0 || added.size === 0) return taken;
      taken.expenses = Array.from(added.values(), numbered);
      added.clear();
      return taken;
    },
    putBack(piggyback) {
      // All but the last three are bounded by the leases that the isolate held when the object was last reached.
      next = {
        settles: [...piggyback.settles, ...next.settles],
        starts: [...piggyback.starts, ...next.starts],
        unused: [...piggyback.unused, ...next.unused],
        expenses: [...piggyback.expenses, ...next.expenses],
        cooldowns: [...piggyback.cooldowns, ...next.cooldowns].slice(-MAX_HEALTH),
        circuits: [...piggyback.circuits, ...next.circuits].slice(-MAX_HEALTH),
        cancels: [...piggyback.cancels, ...next.cancels].slice(-MAX_CANCELS),
      };
    },
    delivered(piggyback, ledger, now) {
      const { count = 0, saved: savedCount = 0 } = ledger ?? {};
      saved = Math.max(saved, savedCount);
      const { settles, expenses, unused } = piggyback;
      if (settles.length + expenses.length + unused.length > 0)
        sent.push({ settles, expenses, unused, at: now, count });
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
        next.settles.push(...one.settles);
        next.expenses.push(...one.expenses);
        next.unused.push(...one.unused);
      }
      sent = [];
      saved = ledger?.saved ?? 0;
    },
  };
}

function isUrgent(updates: CircuitUpdate): boolean {
  if (updates.kind !== "call") return true;
  return isFailure(updates.report.verdict) || updates.report.probe !== undefined;
}

function sizeOf({ settles, starts, unused, cooldowns, circuits, expenses, cancels }: Piggyback): number {
  const ofLeases = settles.length + starts.length + unused.length + cancels.length;
  return ofLeases + expenses.length + cooldowns.length + circuits.length;
}

/** A piggyback's updates as an RPC carries them; undefined where there are none. */
export function updatesOf(piggyback: Piggyback, now: number): IsolateUpdates | undefined {
  const { settles, starts, unused, cooldowns, circuits, expenses, cancels } = piggyback;
  if (sizeOf(piggyback) === settles.length) return undefined;
  const left = cooldowns.map(({ target, until }) => ({ target, forMs: until - now }));
  return {
    starts,
    unused,
    cooldowns: left.filter(({ forMs }) => forMs > 0),
    ...(circuits.length > 0 && { circuits: circuits.map((each) => asOf(each, now)) }),
    ...(expenses.length > 0 && { expenses }),
    ...(cancels.length > 0 && { cancels }),
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
