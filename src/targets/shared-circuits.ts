/**
 * The circuits of a tenant's targets as its object keeps them for all isolates: one count of failures, one pause, one
 * probe at a time. Isolates piggyback their updates on calls that they make anyway (isolate-circuits.ts), and each reply
 * carries the open circuits. Nothing is saved: a restarted object receives the open ones from the isolates again.
 */

import { type CircuitBreakers, createCircuitBreakers, type CircuitUpdate } from "./circuit.ts";
import { createRecentIds } from "../runtime/recent-ids.ts";

export interface SharedCircuits {
  readonly breakers: CircuitBreakers;
  /** Idempotent: the runtime may repeat a call. */
  take(update: CircuitUpdate, now: number): void;
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
          return;
        case "open":
          breakers.merge(update.open, now);
          return;
        case "call": {
          const { report } = update;
          if (report.call !== undefined) {
            const id = `${report.call.spanId} ${report.verdict}`;
            if (counted.has(id, now)) return;
            counted.add(id, now);
          }
          breakers.record(report, now);
        }
      }
    },
  };
}
