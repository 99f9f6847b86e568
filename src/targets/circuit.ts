/**
 * A circuit breaker per target: pure rules over plain data of one tenant. Kept twice by the same rules: by the tenant's
 * object for all isolates (shared-circuits.ts), and by each isolate for what it has received and seen
 * (isolate-circuits.ts). `claim` gives the probe of a target whose pause is over to one caller at a time.
 */

/** src/routing/README.md: at least 5 failures in a row, or half of 20. */
const FAILURES_IN_A_ROW = 5;
const WINDOW = 20;
const FAILURES_IN_WINDOW = WINDOW / 2;
/** The first pause, doubled by each probe that fails. */
const FIRST_PAUSE_MS = 10_000;
export const LONGEST_PAUSE_MS = 120_000;
/** A probe without a report (its request died) is given up after the longest usual first-byte time. */
export const PROBE_MS = 60_000;
/** A tenant has a few dozen targets; a forgotten one is closed. */
const MAX_TARGETS = 200;

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
  /** Since it opened; absent while closed. */
  readonly openForMs?: number;
  readonly foundBy?: CallRef;
}

/** A circuit that is not closed, as it crosses from the object to the isolates and back. */
export interface OpenCircuit {
  readonly target: string;
  /** The rest of the pause; 0 once a probe may be claimed. */
  readonly forMs: number;
  /** This pause's whole length: the next one is twice as long. */
  readonly pauseMs: number;
  readonly openForMs: number;
  /** Who has the probe, and for how long at most. */
  readonly probe?: { readonly id: string; readonly forMs: number };
  readonly foundBy?: CallRef;
}

/** `alive`: it answered, even if with a refusal of the request. `neutral`: it says nothing about the target. */
export type Verdict = "alive" | "failed" | "neutral";

/** What came of a call that was let through. */
export interface CallReport {
  readonly target: string;
  readonly verdict: Verdict;
  /** The id under which it had claimed the probe, if it was one. */
  readonly probe?: string;
  readonly call?: CallRef;
}

/** What an isolate sends to the object. A call is counted once, by its span; a probe goes to the first to claim it. */
export type CircuitUpdate =
  | { readonly kind: "call"; readonly report: CallReport }
  | { readonly kind: "open"; readonly open: OpenCircuit }
  | { readonly kind: "claim"; readonly target: string; readonly id: string };

export interface CircuitBreakers {
  of(target: string, now: number): CircuitStatus;
  /** Whether a target has failed lately: only then does a success matter. */
  isWatched(target: string): boolean;
  /** Gives the probe to `id` where the pause is over and no other id has it; idempotent. */
  claim(target: string, id: string, now: number): boolean;
  /** Returns whether the circuit opened by it, for the first time or again. */
  record(report: CallReport, now: number): boolean;
  /** Takes over another copy's state of a circuit. */
  put(open: OpenCircuit, now: number): void;
  /** Merges an isolate's state of a circuit: never shortens a pause. */
  merge(open: OpenCircuit, now: number): void;
  close(target: string): void;
  /** Those that are not closed; undefined when all are. */
  list(now: number): readonly OpenCircuit[] | undefined;
  /** All that are known, for display. */
  all(now: number): readonly (CircuitStatus & { readonly target: string })[];
}

interface Entry {
  /** The last calls' failures, newest last. */
  readonly recent: boolean[];
  inARow: number;
  /** ms since the epoch; 0 while closed. */
  openedAt: number;
  /** 0 while closed; ms since the epoch until when no call is let through. */
  openUntil: number;
  pauseMs: number;
  probe: { readonly id: string; readonly until: number } | undefined;
  foundBy: CallRef | undefined;
}

export const CLOSED: CircuitStatus = { state: "closed", retryInMs: 0, failures: 0, calls: 0 };

export function createCircuitBreakers(): CircuitBreakers {
  const entries = new Map<string, Entry>();

  function entryOf(target: string): Entry {
    const known = entries.get(target);
    if (known !== undefined) return known;
    const [oldest] = entries.keys();
    if (entries.size >= MAX_TARGETS && oldest !== undefined) entries.delete(oldest);
    const entry: Entry = {
      recent: [],
      inARow: 0,
      openedAt: 0,
      openUntil: 0,
      pauseMs: FIRST_PAUSE_MS,
      probe: undefined,
      foundBy: undefined,
    };
    entries.set(target, entry);
    return entry;
  }

  return {
    of(target, now) {
      const entry = entries.get(target);
      return entry === undefined ? CLOSED : statusOf(entry, now);
    },
    isWatched: (target) => entries.has(target),
    claim(target, id, now) {
      const entry = entries.get(target);
      if (entry === undefined || entry.openUntil === 0 || now < entry.openUntil) return false;
      if (isProbed(entry, now)) return entry.probe?.id === id;
      entry.probe = { id, until: now + PROBE_MS };
      return true;
    },
    record(report, now) {
      const { target, verdict } = report;
      // A target that never failed leaves no entry: most never do.
      if (verdict !== "failed" && !entries.has(target)) return false;
      const entry = entryOf(target);
      if (entry.openUntil > 0) return recordOpen(entry, report, now);
      if (verdict === "neutral") return false;
      if (count(entry, verdict)) {
        open(entry, FIRST_PAUSE_MS, report.call, now);
        return true;
      }
      if (entry.recent.length === WINDOW && !entry.recent.includes(true)) entries.delete(target);
      return false;
    },
    put({ target, forMs, pauseMs, openForMs, probe, foundBy }, now) {
      const entry = entryOf(target);
      entry.openedAt = now - openForMs;
      entry.openUntil = now + forMs;
      entry.pauseMs = pauseMs;
      entry.probe = probe && { id: probe.id, until: now + probe.forMs };
      entry.foundBy = foundBy;
    },
    merge({ target, forMs, pauseMs, openForMs, foundBy }, now) {
      const entry = entryOf(target);
      entry.openUntil = Math.max(entry.openUntil, now + Math.min(LONGEST_PAUSE_MS, forMs));
      entry.pauseMs = Math.max(entry.pauseMs, Math.min(LONGEST_PAUSE_MS, pauseMs));
      entry.openedAt = Math.min(entry.openedAt === 0 ? now : entry.openedAt, now - openForMs);
      entry.foundBy ??= foundBy;
    },
    close: (target) => void entries.delete(target),
    list(now) {
      if (entries.size === 0) return undefined;
      const listed: OpenCircuit[] = [];
      for (const [target, entry] of entries) if (entry.openUntil > 0) listed.push(pack(target, entry, now));
      return listed.length === 0 ? undefined : listed;
    },
    all: (now) => Array.from(entries, ([target, entry]) => ({ target, ...statusOf(entry, now) })),
  };

  function recordOpen(entry: Entry, { target, verdict, probe, call }: CallReport, now: number): boolean {
    // What was under way when the circuit opened neither closes it nor lengthens the pause.
    if (probe === undefined) return false;
    // A success counts even from a probe that was given up: a target may just be slow.
    if (verdict === "alive") entries.delete(target);
    else if (entry.probe?.id === probe) {
      entry.probe = undefined;
      if (verdict === "failed") {
        open(entry, Math.min(LONGEST_PAUSE_MS, entry.pauseMs * 2), entry.foundBy ?? call, now);
        return true;
      }
    }
    return false;
  }
}

function isProbed({ probe }: Entry, now: number): boolean {
  return probe !== undefined && now < probe.until;
}

function statusOf(entry: Entry, now: number): CircuitStatus {
  const { recent, openedAt, openUntil, probe, foundBy } = entry;
  const counts = { failures: recent.filter(Boolean).length, calls: recent.length };
  if (openUntil === 0) return { state: "closed", retryInMs: 0, ...counts };
  const about = { ...counts, openForMs: now - openedAt, ...(foundBy !== undefined && { foundBy }) };
  if (now < openUntil) return { state: "open", retryInMs: openUntil - now, ...about };
  return { state: "half_open", retryInMs: Math.max(0, (probe?.until ?? 0) - now), ...about };
}

function pack(target: string, entry: Entry, now: number): OpenCircuit {
  const { openedAt, openUntil, pauseMs, probe, foundBy } = entry;
  return {
    target,
    forMs: Math.max(0, openUntil - now),
    pauseMs,
    openForMs: now - openedAt,
    ...(probe !== undefined && isProbed(entry, now) && { probe: { id: probe.id, forMs: probe.until - now } }),
    ...(foundBy !== undefined && { foundBy }),
  };
}

/** Whether that failure opens the circuit. */
function count(entry: Entry, verdict: "alive" | "failed"): boolean {
  const isFailure = verdict === "failed";
  entry.recent.push(isFailure);
  if (entry.recent.length > WINDOW) entry.recent.shift();
  entry.inARow = isFailure ? entry.inARow + 1 : 0;
  if (!isFailure) return false;
  return entry.inARow >= FAILURES_IN_A_ROW || entry.recent.filter(Boolean).length >= FAILURES_IN_WINDOW;
}

function open(entry: Entry, pauseMs: number, call: CallRef | undefined, now: number): void {
  if (entry.openedAt === 0) entry.openedAt = now;
  entry.foundBy ??= call;
  entry.pauseMs = pauseMs;
  entry.openUntil = now + pauseMs;
  entry.probe = undefined;
}
