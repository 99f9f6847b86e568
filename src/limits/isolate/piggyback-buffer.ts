/**
 * What an isolate has to tell a tenant's queue object and has not told yet: it rides on the next call, or is sent by
 * itself a moment later. What was told lately is kept, because an object that crashes forgets its last seconds. Plain
 * data of one tenant; queue-client.ts sends.
 */

import { MAX_CLOSED_MS } from "../../targets/cooldowns.ts";
import type { BatchStart, ClosedGate, Expense, IsolateNews, Settlement, TargetNews } from "../protocol.ts";

/** Longer than the oldest checkpoint that may be missing money. */
const REMEMBERED_MS = 15_000;
/** About 300 bytes each. */
const MAX_REMEMBERED = 1000;
/** What is learned of targets while no object can be reached; the newest counts most. */
const MAX_HEALTH = 200;

/** One sending. */
export interface Parcel {
  readonly settles: readonly Settlement[];
  readonly starts: readonly BatchStart[];
  readonly unused: readonly string[];
  readonly closes: readonly { readonly target: string; readonly until: number }[];
  readonly health: readonly DatedNews[];
  readonly expenses: readonly Expense[];
}

interface DatedNews {
  readonly news: TargetNews;
  readonly at: number;
}

export interface IsolateOutbox {
  readonly isEmpty: boolean;
  /** Whether there is bad news of a target: the object should hear it before the next request goes. */
  readonly isPressing: boolean;
  settle(settlement: Settlement): void;
  start(start: BatchStart): void;
  /** Gives the lease of a start back that was not told yet; false where there is none. */
  withdraw(requestId: string): boolean;
  close(gate: ClosedGate, now: number): void;
  learn(news: TargetNews, now: number): void;
  giveBack(leaseIds: readonly string[]): void;
  /** Not told again to an object that was started anew: it could not tell whether it had booked it. */
  spend(expense: Expense): void;
  /** All there is; what is taken must be delivered or put back. */
  take(): Parcel;
  putBack(parcel: Parcel): void;
  /** The object of that epoch has it. */
  delivered(parcel: Parcel, now: number): void;
  /** Drops what no object could need to be told again. */
  forget(now: number): void;
  /** The object was started anew: what it was told lately is to be told again. */
  retell(now: number): void;
}

const NO_NEWS: readonly DatedNews[] = [];

export function createIsolateOutbox(): IsolateOutbox {
  let settles: Settlement[] = [];
  let starts: BatchStart[] = [];
  let unused: string[] = [];
  let closes: { readonly target: string; readonly until: number }[] = [];
  let health: readonly DatedNews[] = NO_NEWS;
  let expenses: Expense[] = [];
  let told: { readonly settlement: Settlement; readonly at: number }[] = [];

  return {
    get isEmpty() {
      return sizeOf({ settles, starts, unused, closes, health, expenses }) === 0;
    },
    get isPressing() {
      return health.some(({ news }) => isPressing(news));
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
    close: ({ target, forMs }, now) =>
      void closes.push({ target, until: now + Math.min(MAX_CLOSED_MS, forMs) }),
    learn: (news, now) => void (health = [...health, { news, at: now }].slice(-MAX_HEALTH)),
    giveBack: (leaseIds) => void unused.push(...leaseIds),
    spend: (expense) => void expenses.push(expense),
    take() {
      const parcel = { settles, starts, unused, closes, health, expenses };
      settles = [];
      starts = [];
      unused = [];
      closes = [];
      health = NO_NEWS;
      expenses = [];
      return parcel;
    },
    putBack(parcel) {
      settles = [...parcel.settles, ...settles];
      starts = [...parcel.starts, ...starts];
      unused = [...parcel.unused, ...unused];
      closes = [...parcel.closes, ...closes];
      health = [...parcel.health, ...health].slice(-MAX_HEALTH);
      expenses = [...parcel.expenses, ...expenses];
    },
    delivered(parcel, now) {
      if (parcel.settles.length === 0) return;
      for (const settlement of parcel.settles) told.push({ settlement, at: now });
      const isOld = (told[0]?.at ?? now) <= now - REMEMBERED_MS;
      if (isOld) told = told.filter(({ at }) => at > now - REMEMBERED_MS);
      if (told.length > MAX_REMEMBERED) told = told.slice(-MAX_REMEMBERED);
    },
    forget(now) {
      told = told.filter(({ at }) => at > now - REMEMBERED_MS);
    },
    retell(now) {
      for (const { settlement, at } of told) if (at > now - REMEMBERED_MS) settles.push(settlement);
      told = [];
    },
  };
}

function isPressing(news: TargetNews): boolean {
  return news.kind !== "call" || news.report.verdict === "failed" || news.report.probe !== undefined;
}

function sizeOf({ settles, starts, unused, closes, health, expenses }: Parcel): number {
  return settles.length + starts.length + unused.length + closes.length + health.length + expenses.length;
}

/** A parcel's news as they go over the wire; undefined where there are none. */
export function newsOf(parcel: Parcel, now: number): IsolateNews | undefined {
  const { settles, starts, unused, closes, health, expenses } = parcel;
  if (sizeOf(parcel) === settles.length) return undefined;
  const gates = closes.map(({ target, until }) => ({ target, forMs: until - now }));
  return {
    starts,
    unused,
    closes: gates.filter(({ forMs }) => forMs > 0),
    ...(health.length > 0 && { health: health.map((each) => asOf(each, now)) }),
    ...(expenses.length > 0 && { expenses }),
  };
}

/** A pause has gone on while its news waited. */
function asOf({ news, at }: DatedNews, now: number): TargetNews {
  if (news.kind !== "open") return news;
  const { open } = news;
  const passedMs = now - at;
  const forMs = Math.max(0, open.forMs - passedMs);
  return { kind: "open", open: { ...open, forMs, openForMs: open.openForMs + passedMs } };
}
