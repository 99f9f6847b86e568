/** What an isolate knows of a tenant's targets, for the operator to see. Pure; the book is book.ts. */

import type { TenantBundle } from "../tenants/records.ts";
import { latencyKey, type RoutingBook } from "./book.ts";
import type { CircuitState } from "./circuit.ts";

export interface TargetHealth {
  readonly target: string;
  readonly circuit: CircuitState;
  /** Until a call is let through; 0 unless the circuit is open. */
  readonly retryInMs: number;
  /** Of the last calls, twenty at most. */
  readonly failures: number;
  readonly calls: number;
  /** Smoothed, in ms: to the first token of streams, to the end of whole answers; null where none was seen lately. */
  readonly firstTokenMs: number | null;
  readonly wholeAnswerMs: number | null;
}

/** All targets that the tenant's routes name, in their order. `now` is ms since the epoch. */
export function readHealth(
  { id, routes }: Pick<TenantBundle, "id" | "routes">,
  { circuits, latency }: RoutingBook,
  now: number,
): readonly TargetHealth[] {
  const targets = Object.values(routes).flatMap((route) =>
    [route, ...(route.when ?? [])].flatMap((branch) => branch.targets),
  );
  const labels = new Set(targets.map(({ provider, model }) => `${provider}/${model}`));
  const round = (ms: number | undefined): number | null => (ms === undefined ? null : Math.round(ms));
  return [...labels].map((target) => {
    const { state, retryInMs, failures, calls } = circuits.of(id, target, now);
    return {
      target,
      circuit: state,
      retryInMs,
      failures,
      calls,
      firstTokenMs: round(latency.of(id, latencyKey(target, true), now)),
      wholeAnswerMs: round(latency.of(id, latencyKey(target, false), now)),
    };
  });
}
