/**
 * When a destination that failed is asked again: back-off with jitter, Retry-After, and a circuit that opens after some
 * failures in a row, so that nobody waits for the dead. Pure; called by outbox-engine.ts.
 */

import type { ExportCircuit } from "../export-counters.ts";

/** Batches in a row: each has failed several times in its own request, or once here. */
const OPENS_AFTER = 2;
const FIRST_DELAY_MS = 1000;
/** A destination that is back gets its backlog within a minute; a dead one costs a call and three rows in each. */
const MAX_DELAY_MS = 60_000;
const MAX_DOUBLINGS = 16;
/** A destination may ask for a longer rest than ours, within reason. */
const MAX_RETRY_AFTER_MS = 3_600_000;
/** How long isolates keep off while one batch is under way to see. */
const PROBE_MS = 1000;

/** What is known of a destination's health; part of what is stored. */
export interface Health {
  /** In a row. */
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
 * After a batch came from an isolate that had failed with it. Many isolates say the same of one outage: a time that is
 * set already stays, or those who keep coming would put the next attempt off for ever.
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

/** Half of the pause is certain, so that nobody hammers; half is chance, so that nobody keeps step. */
function delayMs(failuresBefore: number, random: number, retryAfterMs = 0): number {
  const full = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failuresBefore, MAX_DOUBLINGS));
  return Math.round(Math.max(full / 2, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)) + (random * full) / 2);
}
