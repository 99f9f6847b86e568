/** What is known of a tenant's targets, for display. Pure; the state itself is behind targets.ts. */

import type { TenantBundle } from "../tenants/records/records.ts";
import { latencyKey, type Targets } from "./targets.ts";
import { CLOSED } from "./circuit.ts";
import type { CircuitStatus, CircuitState } from "./circuit-entry.ts";

export interface TargetHealth {
  readonly target: string;
  readonly circuit: CircuitState;
  /** The only keys whose calls it holds up; null where it is closed, or open for all. */
  readonly openForKeys: readonly string[] | null;
  /** Until a call is let through; 0 where one would be. */
  readonly retryInMs: number;
  /** Of the last reported calls, twenty at most. */
  readonly failures: number;
  readonly calls: number;
  /** Of a circuit that is not closed, ISO 8601: since when, and until when no call is let through. */
  readonly openedAt: string | null;
  readonly openUntil: string | null;
  /** Whose call's failure opened it. */
  readonly foundBy: { readonly requestId: string; readonly traceId: string } | null;
  /** Smoothed, in ms: to the first token of streams, to the end of non-streamed answers; null where none was seen lately. */
  readonly firstTokenMs: number | null;
  readonly wholeAnswerMs: number | null;
}

type TargetCircuit = CircuitStatus & { readonly target: string };

/** All targets that the tenant's routes name, in their order. `now` is ms since the epoch. */
export function readHealth(
  { id, routes }: Pick<TenantBundle, "id" | "routes">,
  circuits: readonly TargetCircuit[],
  { latency }: Pick<Targets, "latency">,
  now: number,
): readonly TargetHealth[] {
  const targets = Object.values(routes).flatMap((route) =>
    [route, ...(route.when ?? [])].flatMap((branch) => branch.targets),
  );
  const labels = new Set(targets.map(({ provider, model }) => `${provider}/${model}`));
  const round = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms));
  return [...labels].map((target) => ({
    target,
    ...circuitFields(
      circuits.filter((circuit) => circuit.target === target),
      now,
    ),
    firstTokenMs: round(latency.of(id, latencyKey(target, true), now)),
    wholeAnswerMs: round(latency.of(id, latencyKey(target, false), now)),
  }));
}

/** One target's circuits as one: that for all keys, unless it is closed and others aren't. */
function circuitFields(circuits: readonly TargetCircuit[], now: number) {
  const ofAll = circuits.find(({ keyId }) => keyId === undefined) ?? CLOSED;
  const ofKeys =
    ofAll.state === "closed"
      ? circuits.filter(({ keyId, state }) => keyId !== undefined && state !== "closed")
      : [];
  const { state, retryInMs, failures, calls, openForMs, foundBy } = ofKeys[0] ?? ofAll;
  const iso = (at: number): string => new Date(at).toISOString();
  return {
    circuit: state,
    openForKeys:
      ofKeys.length === 0 ? null : ofKeys.map(({ keyId }) => keyId).filter((id) => id !== undefined),
    retryInMs,
    failures,
    calls,
    openedAt: openForMs === undefined ? null : iso(now - openForMs),
    openUntil: state === "open" ? iso(now + retryInMs) : null,
    foundBy: foundBy === undefined ? null : { requestId: foundBy.requestId, traceId: foundBy.traceId },
  };
}
