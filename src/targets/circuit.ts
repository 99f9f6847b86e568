/**
 * Circuit breakers of one tenant's targets: pure rules over plain data. A target has one circuit for all keys, and one for
 * each key whose calls have failed there: a key's own failures hold up its own calls only (decision 074). Kept twice by
 * the same rules: by the tenant's object for all isolates (shared-circuits.ts), and by each isolate for what it has
 * received and seen (isolate-circuits.ts). `claim` gives the probe of a circuit whose pause is over to one caller at a time.
 */

import {
  ANY_KEY,
  type RecentCall,
  type CallRef,
  type CircuitEntry,
  type CircuitId,
  type CircuitStatus,
  countCall,
  createCircuitEntry,
  FIRST_PAUSE_MS,
  forgetKey,
  isClean,
  isProbed,
  isTripped,
  type OpenCircuit,
  openEntry,
  packEntry,
  statusOf,
  SUCCESS,
} from "./circuit-entry.ts";

export const LONGEST_PAUSE_MS = 120_000;
/** A probe without a report (its request died) is given up after the longest usual first-byte time. */
export const PROBE_MS = 60_000;
/** A tenant has a few dozen targets; a forgotten one is closed. As many circuits of single keys are kept. */
const MAX_TARGETS = 200;

/**
 * `alive`: it answered, even if with a refusal of the request. `silent`: it sent nothing for as long as the route's own
 * limits allow, which no client chose: that counts whatever the key. `neutral`: it says nothing about the target.
 */
export type Verdict = "alive" | "failed" | "silent" | "neutral";

export function isFailure(verdict: Verdict): boolean {
  return verdict === "failed" || verdict === "silent";
}

/** What came of a call that was let through. */
export interface CallReport {
  readonly target: string;
  /** The key that the call was made for; a failure without one counts for all keys. */
  readonly keyId?: string;
  readonly verdict: Verdict;
  /** The id under which it had claimed the probe, if it was one. */
  readonly probe?: string;
  readonly call?: CallRef;
}

/** What an isolate sends to the object. A call is counted once, by its span; a probe goes to the first to claim it. */
export type CircuitUpdate =
  | { readonly kind: "call"; readonly report: CallReport }
  | { readonly kind: "open"; readonly open: OpenCircuit }
  | { readonly kind: "claim"; readonly target: string; readonly keyId?: string; readonly id: string };

export interface CircuitBreakers {
  /** The circuit that a call of that key meets: the target's where it is not closed, else the key's own. */
  of(target: string, keyId: string | undefined, now: number): CircuitStatus;
  /** Whether calls of that key have failed there lately, or the target's for all: only then does a success matter. */
  isWatched(target: string, keyId: string | undefined): boolean;
  /** Gives the probe of the circuit that such a call meets to `id` where the pause is over and no other id has it; idempotent. */
  claim(target: string, keyId: string | undefined, id: string, now: number): boolean;
  /** Returns the circuit that opened by it, for the first time or again. */
  record(report: CallReport, now: number): OpenCircuit | undefined;
  /** Takes over another copy's state of a circuit. */
  put(open: OpenCircuit, now: number): void;
  /** Merges an isolate's state of a circuit: never shortens a pause. */
  merge(open: OpenCircuit, now: number): void;
  close(id: CircuitId): void;
  /** Those that are not closed; undefined when all are. */
  list(now: number): readonly OpenCircuit[] | undefined;
  /** All that are known, for display. */
  all(now: number): readonly (CircuitStatus & { readonly target: string })[];
}

export const CLOSED: CircuitStatus = { state: "closed", retryInMs: 0, failures: 0, calls: 0 };

/** Its name among all circuits of a tenant. */
export function circuitName({ target, keyId }: CircuitId): string {
  return keyId === undefined ? target : `${keyId} ${target}`;
}

export function createCircuitBreakers(): CircuitBreakers {
  /** By target, for all keys. */
  const shared = new Map<string, CircuitEntry>();
  /** By `circuitName`, of one key each. */
  const own = new Map<string, CircuitEntry>();

  function ownOf(target: string, keyId: string | undefined): CircuitEntry | undefined {
    return own.size === 0 || keyId === undefined ? undefined : own.get(circuitName({ target, keyId }));
  }

  /** The one that holds up such a call, if any does. */
  function blocking(target: string, keyId: string | undefined): CircuitEntry | undefined {
    const ofAll = shared.get(target);
    if (ofAll !== undefined && ofAll.openUntil > 0) return ofAll;
    const ofKey = ownOf(target, keyId);
    return ofKey !== undefined && ofKey.openUntil > 0 ? ofKey : undefined;
  }

  function entryOf(id: CircuitId): CircuitEntry {
    const entries = id.keyId === undefined ? shared : own;
    const name = circuitName(id);
    const known = entries.get(name);
    if (known !== undefined) return known;
    const [oldest] = entries.keys();
    if (entries.size >= MAX_TARGETS && oldest !== undefined) entries.delete(oldest);
    const entry = createCircuitEntry(id);
    entries.set(name, entry);
    return entry;
  }

  function drop(id: CircuitId): void {
    (id.keyId === undefined ? shared : own).delete(circuitName(id));
  }

  /** While it holds for all, the circuits of single keys say nothing more. */
  function dropOwn(target: string): void {
    for (const entry of own.values()) if (entry.target === target) drop(entry);
  }

  function open(entry: CircuitEntry, pauseMs: number, { call }: CallReport, now: number): OpenCircuit {
    openEntry(entry, pauseMs, call, now);
    if (entry.keyId === undefined) dropOwn(entry.target);
    return packEntry(entry, now);
  }

  function recordOpen(entry: CircuitEntry, report: CallReport, now: number): OpenCircuit | undefined {
    const { verdict, probe } = report;
    // What was under way when the circuit opened neither closes it nor lengthens the pause.
    if (probe === undefined) return undefined;
    // A success counts even from a probe that was given up: a target may just be slow.
    if (verdict === "alive") {
      drop(entry);
      forgive(shared.get(entry.target), entry.keyId);
    } else if (entry.probe?.id === probe) {
      entry.probe = undefined;
      if (isFailure(verdict)) return open(entry, Math.min(LONGEST_PAUSE_MS, entry.pauseMs * 2), report, now);
    }
    return undefined;
  }

  /** What a key's own circuit has counted is over with it, also for that of all. */
  function forgive(entry: CircuitEntry | undefined, keyId: string | undefined): void {
    if (entry === undefined || keyId === undefined) return;
    forgetKey(entry, keyId);
    if (!entry.recent.some((outcome) => outcome !== SUCCESS)) drop(entry);
  }

  function countSuccess(entry: CircuitEntry | undefined): void {
    if (entry === undefined) return;
    countCall(entry, SUCCESS);
    if (isClean(entry)) drop(entry);
  }

  function recordFailure(report: CallReport, now: number): OpenCircuit | undefined {
    const { target, keyId, verdict } = report;
    const outcome: RecentCall = keyId === undefined || verdict === "silent" ? ANY_KEY : keyId;
    const ofAll = entryOf({ target });
    countCall(ofAll, outcome);
    const ofKey = keyId === undefined ? undefined : entryOf({ target, keyId });
    if (ofKey !== undefined) countCall(ofKey, outcome);
    if (isTripped(ofAll)) return open(ofAll, FIRST_PAUSE_MS, report, now);
    return ofKey !== undefined && isTripped(ofKey) ? open(ofKey, FIRST_PAUSE_MS, report, now) : undefined;
  }

  return {
    of(target, keyId, now) {
      const entry = blocking(target, keyId) ?? shared.get(target);
      return entry === undefined ? CLOSED : statusOf(entry, now);
    },
    isWatched: (target, keyId) => shared.has(target) || ownOf(target, keyId) !== undefined,
    claim(target, keyId, id, now) {
      const entry = blocking(target, keyId);
      if (entry === undefined || now < entry.openUntil) return false;
      if (isProbed(entry, now)) return entry.probe?.id === id;
      entry.probe = { id, until: now + PROBE_MS };
      return true;
    },
    record(report, now) {
      const { target, keyId, verdict } = report;
      const entry = blocking(target, keyId);
      if (entry !== undefined) return recordOpen(entry, report, now);
      if (isFailure(verdict)) return recordFailure(report, now);
      // A target that never failed leaves no entry: most never do.
      if (verdict === "alive") {
        countSuccess(shared.get(target));
        countSuccess(ownOf(target, keyId));
      }
      return undefined;
    },
    put(received, now) {
      const { target, forMs, pauseMs, openForMs, probe, foundBy } = received;
      const entry = entryOf(received);
      entry.openedAt = now - openForMs;
      entry.openUntil = now + forMs;
      entry.pauseMs = pauseMs;
      entry.probe = probe && { id: probe.id, until: now + probe.forMs };
      entry.foundBy = foundBy;
      if (entry.keyId === undefined) dropOwn(target);
    },
    merge(received, now) {
      const { target, keyId, forMs, pauseMs, openForMs, foundBy } = received;
      // What holds for all holds for that key too.
      if (keyId !== undefined && blocking(target, undefined) !== undefined) return;
      const entry = entryOf(received);
      entry.openUntil = Math.max(entry.openUntil, now + Math.min(LONGEST_PAUSE_MS, forMs));
      entry.pauseMs = Math.max(entry.pauseMs, Math.min(LONGEST_PAUSE_MS, pauseMs));
      entry.openedAt = Math.min(entry.openedAt === 0 ? now : entry.openedAt, now - openForMs);
      entry.foundBy ??= foundBy;
      if (keyId === undefined) dropOwn(target);
    },
    close: drop,
    list(now) {
      if (shared.size === 0 && own.size === 0) return undefined;
      const listed: OpenCircuit[] = [];
      for (const entry of allEntries()) if (entry.openUntil > 0) listed.push(packEntry(entry, now));
      return listed.length === 0 ? undefined : listed;
    },
    all: (now) => Array.from(allEntries(), (entry) => ({ target: entry.target, ...statusOf(entry, now) })),
  };

  function* allEntries(): Generator<CircuitEntry> {
    yield* shared.values();
    yield* own.values();
  }
}
