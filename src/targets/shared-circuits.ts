/**
 * The circuits of a tenant's targets as its object keeps them for all isolates: one count of failures, one pause, one
 * probe at a time. Isolates piggyback their updates on calls that they make anyway (isolate-circuits.ts), and each reply
 * carries the open circuits. Nothing is saved: a restarted object receives the open ones from the isolates again.
 */

import { type CircuitBreakers, createCircuitBreakers, type CircuitUpdate } from "./circuit.ts";
import type { OpenCircuit } from "./circuit-entry.ts";
import { createRecentIds } from "../runtime/recent-ids.ts";

export interface SharedCircuits {
  readonly breakers: CircuitBreakers;
  /** Idempotent: the runtime may repeat a call. Returns the circuit that opened by it, for the first time or again. */
  take(update: CircuitUpdate, now: number): OpenCircuit | undefined;
}

export function createSharedCircuits(): SharedCircuits {
  const breakers = createCircuitBreakers();
  const counted = createRecentIds();
  return {
    breakers,
    take(update, now) {
      switch (update.kind) {
        case "claim":
          breakers.claim(update.target, update.keyId, update.id, now);
          return undefined;
        case "open":
          breakers.merge(update.open, now);
          return undefined;
        case "call": {
          const { report } = update;
          if (report.call !== undefined) {
            const id = `${report.call.spanId} ${report.verdict}`;
            if (counted.has(id, now)) return undefined;
            counted.add(id, now);
          }
          return breakers.record(report, now);
        }
      }
    },
  };
}
