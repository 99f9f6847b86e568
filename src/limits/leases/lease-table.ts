/**
 * The leases in force: by token, by expiry, and by start time of callers that still sleep. Also the fencing tokens and
 * how long a lease is held on average. Decides nothing.
 */

import { createTimerHeap, NO_SLOT, type TimerHeap } from "../structures/timer-heap.ts";
import { spanRefOf, type Departure, type QueueEntry } from "./queue-entry.ts";
import { LEASE_TTL_MS, MAX_LINKS, type SpanRef } from "../protocol.ts";

/** Tokens follow the clock, so that they grow over restarts too: this many are free in each ms. */
const TOKENS_PER_MS = 1024;
const TOKEN_RADIX = 36;
/** A new sample's share in the mean time that a lease is held. */
const HOLD_SHARE = 0.2;
/** The assumed hold before any lease has ended. */
const UNKNOWN_HOLD_MS = 1000;

export interface LeaseTable {
  readonly size: number;
  readonly lastToken: number;
  /** Samples behind `meanHoldMs`. */
  readonly holdSamples: number;
  /** How long a lease is held on average. */
  meanHoldMs(now: number): number;
  nextToken(now: number): number;
  /** Puts an admitted entry's lease in force; `dueAt` is its expiry. */
  add(entry: QueueEntry, now: number): void;
  remove(entry: QueueEntry): void;
  renew(entry: QueueEntry, now: number): void;
  find(leaseId: string): QueueEntry | undefined;
  /** A lease that has expired by `now`. */
  expired(now: number): QueueEntry | undefined;
  /** The next expiry. */
  readonly nextExpiryAt: number;
  /** Takes out one sleeping caller whose start time has come. */
  takeDeparted(now: number): QueueEntry | undefined;
  readonly sleeping: number;
  readonly nextDepartureAt: number;
  sampleHold(holdMs: number): void;
  /** The oldest leases in force, at most MAX_LINKS. */
  links(): readonly SpanRef[];
  entries(): IterableIterator<QueueEntry>;
}

export function leaseIdOf(token: number): string {
  return token.toString(TOKEN_RADIX);
}

/** NaN for a text that is not a lease id. */
export function tokenOf(leaseId: string): number {
  return Number.parseInt(leaseId, TOKEN_RADIX);
}

/** The lowest token of an object started at `now`. */
export function firstToken(now: number, lastToken: number): number {
  return Math.max(lastToken + 1, Math.floor(now) * TOKENS_PER_MS);
}

export function createLeaseTable(tokenFloor: number): LeaseTable {
  const byToken = new Map<number, QueueEntry>();
  const expiries: TimerHeap<QueueEntry> = createTimerHeap();
  const departures: TimerHeap<Departure> = createTimerHeap();
  let lastToken = tokenFloor;
  let holdMs = 0;
  let holdSamples = 0;

  return {
    get size() {
      return byToken.size;
    },
    get lastToken() {
      return lastToken;
    },
    get holdSamples() {
      return holdSamples;
    },
    meanHoldMs(now) {
      if (holdSamples > 0) return holdMs;
      const [oldest] = byToken.values();
      return Math.max(UNKNOWN_HOLD_MS, now - (oldest?.lease?.goAt ?? now));
    },
    nextToken(now) {
      lastToken = firstToken(now, lastToken);
      return lastToken;
    },
    add(entry, now) {
      const { lease } = entry;
      if (lease === undefined) return;
      byToken.set(lease.token, entry);
      expiries.add(entry);
      if (lease.goAt <= now) return;
      lease.departure = { dueAt: lease.goAt, slot: NO_SLOT, entry };
      departures.add(lease.departure);
    },
    remove(entry) {
      const { lease } = entry;
      if (lease === undefined) return;
      byToken.delete(lease.token);
      expiries.remove(entry);
      if (lease.departure !== undefined) departures.remove(lease.departure);
      lease.departure = undefined;
    },
    renew(entry, now) {
      expiries.move(entry, Math.max(now, entry.lease?.goAt ?? now) + LEASE_TTL_MS);
    },
    find: (leaseId) => byToken.get(tokenOf(leaseId)),
    expired(now) {
      const first = expiries.peek();
      return first !== undefined && first.dueAt <= now ? first : undefined;
    },
    get nextExpiryAt() {
      return expiries.peek()?.dueAt ?? Infinity;
    },
    takeDeparted(now) {
      const first = departures.peek();
      if (first === undefined || first.dueAt > now) return undefined;
      departures.remove(first);
      if (first.entry.lease !== undefined) first.entry.lease.departure = undefined;
      return first.entry;
    },
    get sleeping() {
      return departures.size;
    },
    get nextDepartureAt() {
      return departures.peek()?.dueAt ?? Infinity;
    },
    sampleHold(sampleMs) {
      holdMs = holdSamples === 0 ? sampleMs : holdMs + HOLD_SHARE * (sampleMs - holdMs);
      holdSamples += 1;
    },
    links() {
      const refs: SpanRef[] = [];
      for (const entry of byToken.values()) {
        if (refs.length === MAX_LINKS) break;
        if (entry.traceId !== "") refs.push(spanRefOf(entry));
      }
      return refs;
    },
    entries: () => byToken.values(),
  };
}
