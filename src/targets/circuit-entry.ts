/**
 * One circuit: its last calls, when it opens, and its state as the isolates and the object exchange it. Pure; which
 * circuits a call meets is circuit.ts.
 */

export type CircuitState = "closed" | "open" | "half_open";

/** Points at the call whose failure opened a circuit. */
export interface CallRef {
  readonly requestId: string;
  readonly traceId: string;
  readonly spanId: string;
}

export interface CircuitStatus {
  readonly state: CircuitState;
  /** Until a probe may be claimed: the rest of the pause, or the longest that a probe under way may take; else 0. */
  readonly retryInMs: number;
  /** Of the last 20 reported calls. */
  readonly failures: number;
  readonly calls: number;
  /** Of a circuit that holds up one key's calls only. */
  readonly keyId?: string;
  /** Since it opened; absent while closed. */
  readonly openForMs?: number;
  readonly foundBy?: CallRef;
}

/** A circuit that is not closed, as it crosses from the object to the isolates and back. */
export interface OpenCircuit {
  readonly target: string;
  /** The only key whose calls it holds up; absent where it holds for all. */
  readonly keyId?: string;
  /** The rest of the pause; 0 once a probe may be claimed. */
  readonly forMs: number;
  /** This pause's whole length: the next one is twice as long. */
  readonly pauseMs: number;
  readonly openForMs: number;
  /** Who has the probe, and for how long at most. */
  readonly probe?: { readonly id: string; readonly forMs: number };
  readonly foundBy?: CallRef;
}

/** src/routing/README.md: at least 5 failures in a row, or half of 20. */
const FAILURES_IN_A_ROW = 5;
const WINDOW = 20;
const FAILURES_IN_WINDOW = WINDOW / 2;
/** The first pause, doubled by each probe that fails. */
export const FIRST_PAUSE_MS = 10_000;

/** One target's circuit for all keys or, with a key, for that key's calls only. */
export interface CircuitId {
  readonly target: string;
  readonly keyId?: string | undefined;
}

/** A call that succeeded, or the key whose call failed; `ANY_KEY` for a failure that counts whatever the key. */
export type RecentCall = typeof SUCCESS | string;
export const SUCCESS = null;
export const ANY_KEY = "";

export interface CircuitEntry extends CircuitId {
  /** The last calls, newest last. */
  recent: RecentCall[];
  /** ms since the epoch; 0 while closed. */
  openedAt: number;
  /** 0 while closed; ms since the epoch until when no call is let through. */
  openUntil: number;
  pauseMs: number;
  probe: { readonly id: string; readonly until: number } | undefined;
  foundBy: CallRef | undefined;
}

export function createCircuitEntry({ target, keyId }: CircuitId): CircuitEntry {
  return {
    target,
    keyId,
    recent: [],
    openedAt: 0,
    openUntil: 0,
    pauseMs: FIRST_PAUSE_MS,
    probe: undefined,
    foundBy: undefined,
  };
}

export function countCall({ recent }: CircuitEntry, outcome: RecentCall): void {
  recent.push(outcome);
  if (recent.length > WINDOW) recent.shift();
}

export function forgetKey(entry: CircuitEntry, keyId: string): void {
  entry.recent = entry.recent.filter((outcome) => outcome !== keyId);
}

/** Whether nothing that it remembers is a failure. */
export function isClean({ recent }: CircuitEntry): boolean {
  return recent.length === WINDOW && recent.every((outcome) => outcome === SUCCESS);
}

/** Whether its last calls open it. */
export function isTripped({ recent, keyId }: CircuitEntry): boolean {
  const inARow = recent.slice(recent.lastIndexOf(SUCCESS) + 1);
  const isOfAll = keyId === undefined;
  return reaches(inARow, FAILURES_IN_A_ROW, isOfAll) || reaches(recent, FAILURES_IN_WINDOW, isOfAll);
}

/** Whether there are that many failures. In the circuit of all keys, no key counts for more than half of them. */
function reaches(outcomes: readonly RecentCall[], needed: number, isOfAll: boolean): boolean {
  const share = isOfAll ? Math.ceil(needed / 2) : needed;
  const byKey = new Map<string, number>();
  let counted = 0;
  for (const outcome of outcomes) {
    if (outcome === SUCCESS) continue;
    const failures = (byKey.get(outcome) ?? 0) + 1;
    byKey.set(outcome, failures);
    if (outcome === ANY_KEY || failures <= share) counted += 1;
  }
  return counted >= needed;
}

export function openEntry(
  entry: CircuitEntry,
  pauseMs: number,
  call: CallRef | undefined,
  now: number,
): void {
  if (entry.openedAt === 0) entry.openedAt = now;
  entry.foundBy ??= call;
  entry.pauseMs = pauseMs;
  entry.openUntil = now + pauseMs;
  entry.probe = undefined;
}

export function isProbed({ probe }: CircuitEntry, now: number): boolean {
  return probe !== undefined && now < probe.until;
}

export function statusOf(entry: CircuitEntry, now: number): CircuitStatus {
  const { recent, openedAt, openUntil, probe, foundBy, keyId } = entry;
  const failures = recent.filter((outcome) => outcome !== SUCCESS).length;
  const counts = { failures, calls: recent.length, ...(keyId !== undefined && { keyId }) };
  if (openUntil === 0) return { state: "closed", retryInMs: 0, ...counts };
  const about = { ...counts, openForMs: now - openedAt, ...(foundBy !== undefined && { foundBy }) };
  if (now < openUntil) return { state: "open", retryInMs: openUntil - now, ...about };
  return { state: "half_open", retryInMs: Math.max(0, (probe?.until ?? 0) - now), ...about };
}

export function packEntry(entry: CircuitEntry, now: number): OpenCircuit {
  const { target, keyId, openedAt, openUntil, pauseMs, probe, foundBy } = entry;
  return {
    target,
    ...(keyId !== undefined && { keyId }),
    forMs: Math.max(0, openUntil - now),
    pauseMs,
    openForMs: now - openedAt,
    ...(probe !== undefined && isProbed(entry, now) && { probe: { id: probe.id, forMs: probe.until - now } }),
    ...(foundBy !== undefined && { foundBy }),
  };
}
