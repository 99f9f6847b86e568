/**
 * What an isolate has to tell a tenant's queue object and has not told yet: it rides on the next call, or is sent by
 * itself a moment later. What was told lately is kept, because an object that crashes forgets its last seconds. Plain
 * data of one tenant; client.ts sends.
 */

import { MAX_CLOSED_MS } from "./closed-gates.ts";
import type { BatchStart, ClosedGate, IsolateNews, Settlement } from "./protocol.ts";

/** Longer than the oldest checkpoint that may be missing money. */
const REMEMBERED_MS = 15_000;
/** About 300 bytes each. */
const MAX_REMEMBERED = 1000;

/** One sending. */
export interface Parcel {
  readonly settles: readonly Settlement[];
  readonly starts: readonly BatchStart[];
  readonly unused: readonly string[];
  readonly closes: readonly { readonly target: string; readonly until: number }[];
}

export interface IsolateOutbox {
  readonly isEmpty: boolean;
  settle(settlement: Settlement): void;
  start(start: BatchStart): void;
  /** Gives the lease of a start back that was not told yet; false where there is none. */
  withdraw(requestId: string): boolean;
  close(gate: ClosedGate, now: number): void;
  giveBack(leaseIds: readonly string[]): void;
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

export function createIsolateOutbox(): IsolateOutbox {
  let settles: Settlement[] = [];
  let starts: BatchStart[] = [];
  let unused: string[] = [];
  let closes: { readonly target: string; readonly until: number }[] = [];
  let told: { readonly settlement: Settlement; readonly at: number }[] = [];

  return {
    get isEmpty() {
      return settles.length + starts.length + unused.length + closes.length === 0;
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
    giveBack: (leaseIds) => void unused.push(...leaseIds),
    take() {
      const parcel = { settles, starts, unused, closes };
      settles = [];
      starts = [];
      unused = [];
      closes = [];
      return parcel;
    },
    putBack(parcel) {
      settles = [...parcel.settles, ...settles];
      starts = [...parcel.starts, ...starts];
      unused = [...parcel.unused, ...unused];
      closes = [...parcel.closes, ...closes];
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

/** A parcel's news as they go over the wire; undefined where there are none. */
export function newsOf({ starts, unused, closes }: Parcel, now: number): IsolateNews | undefined {
  if (starts.length + unused.length + closes.length === 0) return undefined;
  const gates = closes.map(({ target, until }) => ({ target, forMs: until - now }));
  return { starts, unused, closes: gates.filter(({ forMs }) => forMs > 0) };
}
