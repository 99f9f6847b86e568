/**
 * Limits as they are in force: the records' own, and what an operator has ordered over them for a time. Pure state of a
 * tenant's queue; queue-machine.ts asks, tenant-queue.ts stores the orders.
 */

import type { Limits, Overrides } from "../protocol.ts";

export interface OperatorOverrides {
  /** Those that have not ended. */
  readonly orders: Overrides;
  readonly ownLimits: Limits;
  /** The records' limits with what is ordered over them. */
  readonly limits: Limits;
  /** When the refusal of newcomers ends; 0 while there is none. */
  readonly drainedUntil: number;
  setLimits(limits: Limits): void;
  raise(limits: Partial<Limits>, untilAt: number): void;
  drain(untilAt: number): void;
  /** Takes orders over as they were stored. */
  restore(orders: Overrides): void;
  /** Drops what has ended. Returns whether the limits in force have changed by it. */
  expire(now: number): boolean;
}

export function createOperatorOverrides(initial: Limits): OperatorOverrides {
  let own = initial;
  let inForce = initial;
  let orders: Overrides = {};

  function put(changed: Overrides): void {
    orders = changed;
    inForce = orders.raised === undefined ? own : { ...own, ...orders.raised.limits };
  }

  return {
    get orders() {
      return orders;
    },
    get ownLimits() {
      return own;
    },
    get limits() {
      return inForce;
    },
    get drainedUntil() {
      return orders.drained?.untilAt ?? 0;
    },
    setLimits(limits) {
      own = limits;
      put(orders);
    },
    raise: (limits, untilAt) => put({ ...orders, raised: { limits, untilAt } }),
    drain: (untilAt) => put({ ...orders, drained: { untilAt } }),
    restore: put,
    expire(now) {
      const { raised, drained } = orders;
      const hasRaiseEnded = raised !== undefined && raised.untilAt <= now;
      const hasDrainEnded = drained !== undefined && drained.untilAt <= now;
      if (!hasRaiseEnded && !hasDrainEnded) return false;
      put({
        ...(raised === undefined || hasRaiseEnded ? {} : { raised }),
        ...(drained === undefined || hasDrainEnded ? {} : { drained }),
      });
      return hasRaiseEnded;
    },
  };
}
