/**
 * Which targets are not worth asking: a circuit breaker for each. Pure rules over plain data. `CircuitBook` is the port:
 * today each isolate keeps its own book (nothing of it is shared); an object that many isolates ask could keep one too,
 * since all it takes are target, verdict and time.
 */

import { createBoundedMap } from "../tenants/bounded-map.ts";

/** api.md §6: at least 5 failures in a row, or half of 20. */
const FAILURES_IN_A_ROW = 5;
const WINDOW = 20;
const FAILURES_IN_WINDOW = WINDOW / 2;
/** The first pause, doubled by each probe that fails. */
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 120_000;
/** A probe that nobody reported on (its isolate's request died) is given up after the longest first-byte time. */
const PROBE_MS = 60_000;
/** Targets remembered per isolate; a forgotten one is closed. */
const MAX_TARGETS = 2_000;

export type CircuitState = "closed" | "open" | "half_open";

export interface Circuit {
  readonly state: CircuitState;
  /** How long it stays as it is: until a probe is allowed. 0 unless open. */
  readonly retryInMs: number;
  /** Of the last 20 calls. */
  readonly failures: number;
  readonly calls: number;
}

/** `alive`: it answered, were it with a refusal of the request. `neutral`: it says nothing about the target. */
export type Verdict = "alive" | "failed" | "neutral";

export interface CircuitBook {
  of(tenantId: string, target: string, now: number): Circuit;
  /** Whether the target may be called now; where a pause is over, one caller gets through and the others wait for him. */
  take(tenantId: string, target: string, now: number): boolean;
  /** What came of a call that was let through. */
  note(tenantId: string, target: string, verdict: Verdict, now: number): void;
}

interface Entry {
  /** The last calls' failures, newest last. */
  readonly recent: boolean[];
  inARow: number;
  /** 0 while closed; ms since the epoch until when nobody is let through. */
  openUntil: number;
  pauseMs: number;
  /** A probe is under way until then at the latest. */
  probeUntil: number;
}

const CLOSED: Circuit = { state: "closed", retryInMs: 0, failures: 0, calls: 0 };

export function createCircuitBook(): CircuitBook {
  const entries = createBoundedMap<string, Entry>(MAX_TARGETS);
  const keyOf = (tenantId: string, target: string): string => `${tenantId} ${target}`;

  return {
    of(tenantId, target, now) {
      const entry = entries.get(keyOf(tenantId, target));
      return entry === undefined ? CLOSED : describe(entry, now);
    },
    take(tenantId, target, now) {
      const entry = entries.get(keyOf(tenantId, target));
      if (entry === undefined || entry.openUntil === 0) return true;
      if (describe(entry, now).state === "open") return false;
      entry.probeUntil = now + PROBE_MS;
      return true;
    },
    note(tenantId, target, verdict, now) {
      const key = keyOf(tenantId, target);
      const known = entries.get(key);
      // A target that never failed leaves no entry: most never do.
      if (known === undefined && verdict !== "failed") return;
      const entry = known ?? createEntry();
      if (known === undefined) entries.set(key, entry);
      const isProbe = entry.openUntil > 0 && entry.probeUntil > 0;
      entry.probeUntil = 0;
      if (verdict === "neutral") return;
      // What was under way when the circuit opened neither closes it nor lengthens the pause.
      if (entry.openUntil > 0 && !isProbe) return;
      if (verdict === "alive" && isProbe) entries.delete(key);
      else if (isProbe) open(entry, Math.min(LONGEST_PAUSE_MS, entry.pauseMs * 2), now);
      else if (count(entry, verdict)) open(entry, FIRST_PAUSE_MS, now);
    },
  };
}

function createEntry(): Entry {
  return { recent: [], inARow: 0, openUntil: 0, pauseMs: FIRST_PAUSE_MS, probeUntil: 0 };
}

function describe({ recent, openUntil, probeUntil }: Entry, now: number): Circuit {
  const failures = recent.filter(Boolean).length;
  const counts = { failures, calls: recent.length };
  if (openUntil === 0) return { state: "closed", retryInMs: 0, ...counts };
  const closedUntil = Math.max(openUntil, probeUntil);
  if (now < closedUntil) return { state: "open", retryInMs: closedUntil - now, ...counts };
  return { state: "half_open", retryInMs: 0, ...counts };
}

/** Whether that was one failure too many. */
function count(entry: Entry, verdict: "alive" | "failed"): boolean {
  const isFailure = verdict === "failed";
  entry.recent.push(isFailure);
  if (entry.recent.length > WINDOW) entry.recent.shift();
  entry.inARow = isFailure ? entry.inARow + 1 : 0;
  if (!isFailure) return false;
  return entry.inARow >= FAILURES_IN_A_ROW || entry.recent.filter(Boolean).length >= FAILURES_IN_WINDOW;
}

function open(entry: Entry, pauseMs: number, now: number): void {
  entry.pauseMs = pauseMs;
  entry.openUntil = now + pauseMs;
}
