/**
 * An AIMD concurrency limiter per target (additive increase, multiplicative decrease), with its cooldowns: a 429 or 529
 * starts a cooldown until its Retry-After for the whole tenant, and lowers how many calls this isolate has under way at
 * once. Plain data of one tenant in one isolate.
 */

import { type Cooldown, createCooldowns } from "./cooldowns.ts";

const DECREASE = 0.7;
/** Refusals within this time count as one: calls that were under way before the first say nothing new. */
const DECREASE_EVERY_MS = 500;
/** Beyond this many calls at once the limit is forgotten. */
const FORGOTTEN_AT = 500;
/**
 * How long to wait before looking again for a free call. A request may not resolve another's promise, so each looks by its
 * own timer; whose turn it is, the line says.
 */
const LOOK_AGAIN_MS = 50;
/** Of those whose turn comes next. */
const LOOK_SOON_MS = 10;
/** A waiter that has not looked for this long has died with its request. */
const WAITER_LOST_MS = 1000;
/** A call that has not ended by now died with its request. */
const LOST_AFTER_MS = 600_000;
const MAX_TARGETS = 200;

interface Flight {
  readonly since: number;
}

interface TargetState {
  readonly flights: Set<Flight>;
  /** How many calls may be under way at once; Infinity until the upstream has refused one. */
  limit: number;
  decreasedAt: number;
  /** Requests that wait for a free call, first come first, and when each looked last. */
  readonly line: Map<object, number>;
}

/** How a call ended, as far as the upstream's limits are concerned. */
export type CallEnd =
  | { readonly kind: "ok" | "other" }
  | { readonly kind: "limited"; readonly retryAfterMs?: number | undefined };

export interface ConcurrencyLimiter {
  /**
   * How long to wait before calling it, in ms; 0 to call now. With a `waiter` the request keeps its place among those that
   * wait, until it gets 0 or leaves.
   */
  waitMs(target: string, now: number, waiter?: object): number;
  /** The request waits no longer. */
  leaveLine(target: string, waiter: object): void;
  /** A call begins; the returned function ends it, once. */
  enter(target: string, now: number): (end: CallEnd, now: number) => void;
  /** Another isolate was refused. */
  coolDown(cooldown: Cooldown, now: number): void;
}

/** `onCooldown` sends it to the tenant's object, and so to the other isolates. */
export function createConcurrencyLimiter(
  onCooldown: (cooldown: Cooldown, now: number) => void,
): ConcurrencyLimiter {
  const cooldowns = createCooldowns();
  const targets = new Map<string, TargetState>();

  function stateOf(target: string): TargetState {
    const known = targets.get(target);
    if (known !== undefined) return known;
    for (const [name, { flights, limit }] of targets) {
      if (targets.size < MAX_TARGETS) break;
      if (flights.size === 0 && limit === Infinity) targets.delete(name);
    }
    const state: TargetState = {
      flights: new Set(),
      limit: Infinity,
      decreasedAt: -Infinity,
      line: new Map(),
    };
    targets.set(target, state);
    return state;
  }

  function freeCalls({ flights, limit }: TargetState, now: number): number {
    if (flights.size >= Math.floor(limit))
      for (const flight of flights) if (flight.since <= now - LOST_AFTER_MS) flights.delete(flight);
    return Math.max(0, Math.floor(limit) - flights.size);
  }

  /** How many of those that wait come first. */
  function placeOf(waiter: object | undefined, { line }: TargetState, now: number): number {
    let place = 0;
    for (const [other, lookedAt] of line) {
      if (other === waiter) return place;
      if (lookedAt < now - WAITER_LOST_MS) line.delete(other);
      else place += 1;
    }
    return place;
  }

  function waitInLine(state: TargetState, waiter: object | undefined, now: number): number {
    const free = freeCalls(state, now);
    const place = placeOf(waiter, state, now);
    if (place < free) {
      if (waiter !== undefined) state.line.delete(waiter);
      return 0;
    }
    if (waiter !== undefined) state.line.set(waiter, now);
    return place === free ? LOOK_SOON_MS : LOOK_AGAIN_MS;
  }

  function learn(state: TargetState, target: string, end: CallEnd, now: number): void {
    if (end.kind === "limited") {
      if (cooldowns.remainingMs(target, now) === 0 && now - state.decreasedAt >= DECREASE_EVERY_MS) {
        state.limit = Math.max(1, DECREASE * Math.min(state.limit, state.flights.size + 1));
        state.decreasedAt = now;
      }
      // A refusal without Retry-After is retried after the usual pause: routing/retry.ts.
      if (end.retryAfterMs === undefined) return;
      const cooldown = { target, forMs: end.retryAfterMs };
      cooldowns.start(cooldown, now);
      onCooldown(cooldown, now);
    } else if (end.kind === "ok" && state.limit !== Infinity && state.flights.size + 1 >= state.limit / 2) {
      state.limit += 1 / state.limit;
      if (state.limit > FORGOTTEN_AT) state.limit = Infinity;
    }
  }

  return {
    waitMs(target, now, waiter) {
      const coolingMs = cooldowns.remainingMs(target, now);
      if (coolingMs > 0) return coolingMs;
      const state = targets.get(target);
      return state === undefined || state.limit === Infinity ? 0 : waitInLine(state, waiter, now);
    },
    leaveLine: (target, waiter) => void targets.get(target)?.line.delete(waiter),
    enter(target, now) {
      const state = stateOf(target);
      const flight: Flight = { since: now };
      state.flights.add(flight);
      return (end, at) => {
        if (state.flights.delete(flight)) learn(state, target, end, at);
      };
    },
    coolDown: (cooldown, now) => cooldowns.start(cooldown, now),
  };
}
