/**
 * When a failed destination is tried again: back-off with jitter, Retry-After, and a circuit that opens after
 * consecutive failures, so that isolates stop waiting for a destination that is down. Pure.
 */

import type { ExportCircuit } from "../export-counters.ts";

/** Consecutive failed batches; each has failed several times in its own request, or once here. */
const OPENS_AFTER = 2;
const FIRST_DELAY_MS = 1000;
/**
 * A recovered destination gets its backlog within a minute; one that stays down costs a call and three rows a
 * minute.
 */
const MAX_DELAY_MS = 60_000;
const MAX_DOUBLINGS = 16;
/** The longest Retry-After that is honoured. */
const MAX_RETRY_AFTER_MS = 3_600_000;
/** How long isolates send nothing while one batch is sent as a probe. */
const PROBE_MS = 1000;

/** A destination's health; part of the stored ledger. */
export interface Health {
  /** Consecutive failures. */
  readonly failures: number;
  /** Ms since the epoch; nothing is sent before. 0: at once. */
  readonly nextAttemptAt: number;
}

export const HEALTHY: Health = { failures: 0, nextAttemptAt: 0 };

export function circuitOf({ failures }: Health, isSending: boolean): ExportCircuit {
  if (failures < OPENS_AFTER) return "closed";
  return isSending ? "half-open" : "open";
}

/** After a failed send of the outbox's own. `random` is in [0, 1). */
export function afterFailure(
  { failures }: Health,
  now: number,
  random: number,
  retryAfterMs: number | undefined,
): Health {
  return { failures: failures + 1, nextAttemptAt: now + delayMs(failures, random, retryAfterMs) };
}

/**
 * After an isolate handed over a batch it could not deliver. Many isolates report one outage: a time already
 * set stays, or new batches would postpone the next attempt for ever.
 */
export function afterHandover(
  health: Health,
  now: number,
  random: number,
  retryAfterMs: number | undefined,
): Health {
  if (health.failures === 0) return afterFailure(health, now, random, retryAfterMs);
  return { ...health, failures: Math.max(health.failures, OPENS_AFTER) };
}

/** Until when isolates should send nothing themselves; undefined while the circuit is closed. */
export function openUntil(health: Health, now: number): number | undefined {
  return health.failures < OPENS_AFTER ? undefined : Math.max(health.nextAttemptAt, now + PROBE_MS);
}

/** Half of the pause is fixed, to protect the destination; half is random, to spread the senders. */
function delayMs(failuresBefore: number, random: number, retryAfterMs = 0): number {
  const full = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failuresBefore, MAX_DOUBLINGS));
  return Math.round(Math.max(full / 2, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)) + (random * full) / 2);
}
