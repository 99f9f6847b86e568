// The steps that the queue's model takes, what it knows of each request, and the one invariant over all of them at the end.
import { expect } from "vitest";
import type { Checkpoint } from "../../../../src/limits/queue/checkpoint.ts";
import type {
  AdmissionRequest,
  Admitted,
  Lane,
  Limits,
  Settlement,
  QueueSnapshot,
} from "../../../../src/limits/protocol.ts";

export interface World {
  readonly limits: Limits;
  /** Of the key "small"; the other keys have none. */
  readonly keyLimits: Limits;
}

export type Step =
  | {
      readonly do: "admit";
      readonly key: string;
      readonly lane: Lane;
      readonly maxWaitMs: number;
      readonly tokens: number;
      /** Micro-dollars expected. */
      readonly cost: number;
      readonly prefetchCount: number;
    }
  /** With what it really cost, in tenths of the estimate. */
  | { readonly do: "settle" | "ride"; readonly which: number; readonly tenths: number }
  /** The report that a prefetched lease is used, or that it is returned. */
  | { readonly do: "start" | "give back"; readonly which: number }
  | { readonly do: "repeat" | "cancel" | "renew"; readonly which: number }
  /** A cancel that overtakes its admit. */
  | { readonly do: "overtake" }
  /** Time goes by, and the timer fires when it should; or it leaps, and everything is late. */
  | { readonly do: "pass" | "leap"; readonly ms: number }
  /** A crash, or an idle object's sleep: it comes back with its last checkpoint. */
  | { readonly do: "restart" }
  | { readonly do: "sleep"; readonly ms: number };

export interface Known {
  readonly ask: AdmissionRequest;
  readonly deadlineAt: number;
  readonly seq: number;
  phase: "waiting" | "holding" | "over";
  lease: Admitted["lease"] | undefined;
  goAt: number;
  expiresAt: number;
  /** Cancelled: it counts as never having gone. */
  isUndone: boolean;
  /** Micro-dollars that were counted as spent when its lease ran out. */
  booked: number;
  /** Admitted after the last checkpoint and before a crash: what invariant 7 allows on top. */
  isForgotten: boolean;
  /** It expired unsettled: its holder may be heard of again. */
  isLapsed: boolean;
  /** It was adopted again: on top of the limits, if need be. */
  isAdopted: boolean;
  /** Prefetched; `isStarted` once the queue knows which request uses it. */
  readonly isBatched: boolean;
  isStarted: boolean;
  /** The request with whose admission it came, for as long as the object knows that. */
  cameWith: string | undefined;
  /** The first settlement that was sent. */
  settlement: Settlement | undefined;
  /** Not after its lease was adopted by its token alone: what it had reserved was forgotten with the object. */
  isCostKnown: boolean;
}

export function newKnown(
  ask: AdmissionRequest,
  more: Pick<Known, "deadlineAt" | "seq" | "isBatched">,
): Known {
  return {
    ask,
    ...more,
    phase: "waiting",
    lease: undefined,
    goAt: 0,
    expiresAt: 0,
    isUndone: false,
    isForgotten: false,
    isLapsed: false,
    booked: 0,
    isAdopted: false,
    isStarted: false,
    cameWith: undefined,
    settlement: undefined,
    isCostKnown: true,
  };
}

/** Float noise of rates such as 70 a minute. */
export const EPSILON = 0.01;
export function isOfSmallKey({ ask }: Known): boolean {
  return ask.keyId === "small";
}

/**
 * Invariant 1: in any window no more than rate × window + burst (and of tokens one request's debt). A request reserves a
 * burst of tokens at most; what it uses beyond is a debt once it is settled.
 */
export function checkWindows(gone: readonly Known[], limits: Limits): void {
  const inOrder = gone.toSorted((one, other) => one.goAt - other.goAt);
  const { requestsPerMinute: rpm, tokensPerMinute: tpm } = limits;
  const burst = limits.burst ?? Math.ceil((rpm ?? 0) / 6);
  for (const [from, first] of inOrder.entries()) {
    let tokens = 0;
    let debt = 0;
    for (let to = from; to < inOrder.length; to += 1) {
      const last = inOrder[to] ?? first;
      const minutes = (last.goAt - first.goAt) / 60_000;
      tokens += Math.min(last.ask.estimate.inputTokens, Math.ceil((tpm ?? 0) / 6));
      if (rpm !== undefined) expect(to - from + 1).toBeLessThanOrEqual(burst + rpm * minutes + EPSILON);
      debt = Math.max(debt, last.ask.estimate.inputTokens - Math.ceil((tpm ?? 0) / 6));
      if (tpm !== undefined)
        expect(tokens).toBeLessThanOrEqual(Math.ceil(tpm / 6) + debt + tpm * minutes + EPSILON);
    }
  }
}

/** No request waits for what is free. */
export function expectNothingFree(limits: Limits, { limits: windows }: QueueSnapshot): void {
  if (limits.tokensPerMinute !== undefined) return;
  const hasSlot = (windows["concurrency"]?.remaining ?? 1) > 0;
  const hasRate = (windows["requestsPerMinute"]?.remaining ?? 1) > 0;
  expect(hasSlot && hasRate).toBe(false);
}

/**
 * What a request whose Worker died had reserved, or a prefetched lease of a dead isolate: it counts as spent, until its
 * settlement or its return comes after all.
 */
export function bookingOf({ isForgotten, ask }: Known): number {
  return isForgotten ? 0 : (ask.estimate.costMicroUsd ?? 0);
}

/** What came after the checkpoint is undone: a lease that ended may be booked, one that was adopted is so still. */
export function undoneBookings(all: readonly Known[], saved: Checkpoint | undefined): number {
  const inForce = new Set(saved?.leases.map(([token]) => token));
  const lapsed = new Set(saved?.lapsed?.map(([token]) => token));
  return all
    .filter(({ phase, isLapsed, lease }) => {
      const token = lease?.token ?? 0;
      return !isLapsed && (lapsed.has(token) || (phase === "over" && inForce.has(token)));
    })
    .reduce((sum, { ask }) => sum + (ask.estimate.costMicroUsd ?? 0), 0);
}

/** Invariant 6: what is left is the budget less all settlements and all that is outstanding. */
export function expectLedger(
  { budget }: Limits,
  { limits: windows }: QueueSnapshot,
  used: number,
  uncertain: number,
): void {
  if (budget === undefined) return;
  const left = budget.microUsd - used;
  const remaining = windows["budgetMicroUsd"]?.remaining ?? NaN;
  expect(remaining).toBeGreaterThanOrEqual(Math.floor(Math.max(0, left - uncertain) - EPSILON));
  expect(remaining).toBeLessThanOrEqual(Math.max(0, left + uncertain) + EPSILON);
}
