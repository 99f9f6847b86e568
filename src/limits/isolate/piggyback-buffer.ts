/**
 * What an isolate has to send to a tenant's queue object: it is piggybacked on the next call, or sent by itself a second
 * later. What was sent lately is kept, because an object that crashes loses its last seconds. Plain data of one tenant;
 * sends nothing itself.
 */

import type { CircuitUpdate } from "../../targets/circuit.ts";
import { type Cooldown, MAX_COOLDOWN_MS } from "../../targets/cooldowns.ts";
import type { Expense, IsolateUpdates, LeaseStart, Settlement } from "../protocol.ts";

/** Longer than the oldest checkpoint that may be missing money. */
const REMEMBERED_MS = 15_000;
/** About 300 bytes each. */
const MAX_REMEMBERED = 1000;
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
  /** Never sent again to a restarted object: it could not tell whether it had recorded it. */
  spend(expense: Expense): void;
  /** Everything in the buffer; what is taken must be delivered or put back. */
  take(): Piggyback;
  putBack(piggyback: Piggyback): void;
  /** The object of that epoch has it. */
  delivered(piggyback: Piggyback, now: number): void;
  /** Drops what no restarted object could need again. */
  forget(now: number): void;
  /** The object was restarted: what was sent lately is to be sent again. */
  resend(now: number): void;
}

const NO_UPDATES: readonly DatedUpdate[] = [];

export function createPiggybackBuffer(): PiggybackBuffer {
  let settles: Settlement[] = [];
  let starts: LeaseStart[] = [];
  let unused: string[] = [];
  let cooldowns: { readonly target: string; readonly until: number }[] = [];
  let circuits: readonly DatedUpdate[] = NO_UPDATES;
  let expenses: Expense[] = [];
  let sent: { readonly settlement: Settlement; readonly at: number }[] = [];

  return {
    get isEmpty() {
      return sizeOf({ settles, starts, unused, cooldowns, circuits, expenses }) === 0;
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
    take() {
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
      settles = [...piggyback.settles, ...settles];
      starts = [...piggyback.starts, ...starts];
      unused = [...piggyback.unused, ...unused];
      cooldowns = [...piggyback.cooldowns, ...cooldowns];
      circuits = [...piggyback.circuits, ...circuits].slice(-MAX_HEALTH);
      expenses = [...piggyback.expenses, ...expenses];
    },
    delivered(piggyback, now) {
      if (piggyback.settles.length === 0) return;
      for (const settlement of piggyback.settles) sent.push({ settlement, at: now });
      const isOld = (sent[0]?.at ?? now) <= now - REMEMBERED_MS;
      if (isOld) sent = sent.filter(({ at }) => at > now - REMEMBERED_MS);
      if (sent.length > MAX_REMEMBERED) sent = sent.slice(-MAX_REMEMBERED);
    },
    forget(now) {
      sent = sent.filter(({ at }) => at > now - REMEMBERED_MS);
    },
    resend(now) {
      for (const { settlement, at } of sent) if (at > now - REMEMBERED_MS) settles.push(settlement);
      sent = [];
    },
  };
}

function isUrgent(updates: CircuitUpdate): boolean {
  return updates.kind !== "call" || updates.report.verdict === "failed" || updates.report.probe !== undefined;
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
