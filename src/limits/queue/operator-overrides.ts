/**
 * The limits in force: the records' limits, and an operator's temporary overrides of them. Pure state of a tenant's
 * queue; stores nothing itself.
 */

import type { Limits, Overrides } from "../protocol.ts";

export interface OperatorOverrides {
  /** Those that have not ended. */
  readonly current: Overrides;
  readonly ownLimits: Limits;
  /** The records' limits with the overrides applied. */
  readonly limits: Limits;
  /** Until when new requests are refused; 0 while they are not. */
  readonly drainedUntil: number;
  /** When the next one ends; Infinity while there is none. */
  readonly nextEndAt: number;
  setLimits(limits: Limits): void;
  raise(limits: Partial<Limits>, untilAt: number): void;
  drain(untilAt: number): void;
  /** Puts stored overrides in force. */
  restore(stored: Overrides): void;
  /** Drops what has ended. Returns whether the limits in force have changed by it. */
  expire(now: number): boolean;
}

export function createOperatorOverrides(initial: Limits): OperatorOverrides {
  let own = initial;
  let inForce = initial;
  let current: Overrides = {};

  function put(changed: Overrides): void {
    current = changed;
    inForce = current.raised === undefined ? own : { ...own, ...current.raised.limits };
  }

  return {
    get current() {
      return current;
    },
    get ownLimits() {
      return own;
    },
    get limits() {
      return inForce;
    },
    get drainedUntil() {
      return current.drained?.untilAt ?? 0;
    },
    get nextEndAt() {
      return Math.min(current.raised?.untilAt ?? Infinity, current.drained?.untilAt ?? Infinity);
    },
    setLimits(limits) {
      own = limits;
      put(current);
    },
    raise: (limits, untilAt) => put({ ...current, raised: { limits, untilAt } }),
    drain: (untilAt) => put({ ...current, drained: { untilAt } }),
    restore: put,
    expire(now) {
      const { raised, drained } = current;
      const hasRaiseEnded = raised !== undefined && raised.untilAt <= now;
      const hasDrainEnded = drained !== undefined && drained.untilAt <= now;
      if (!hasRaiseEnded && !hasDrainEnded) return false;
      put({
        ...(raised !== undefined && !hasRaiseEnded && { raised }),
        ...(drained !== undefined && !hasDrainEnded && { drained }),
      });
      return hasRaiseEnded;
    },
  };
}
