/**
 * The time limits of one request on one timer of the platform: to set and clear one costs as much as a span, a request has half a
 * dozen limits, and hardly any is reached. A limit is moved by writing a number; it is never cleared.
 */

import { startRealTimer, type StartTimer } from "./waits.ts";

/** Of one limit: started with `set`, it runs once unless it is set again or cleared before. */
export interface Countdown {
  set(ms: number): void;
  clear(): void;
}

class SharedCountdown implements Countdown {
  /** Infinity while it is not set. */
  dueAt = Infinity;
  readonly run: () => void;
  readonly #timer: SharedTimer;

  constructor(timer: SharedTimer, run: () => void) {
    this.#timer = timer;
    this.run = run;
  }

  set(ms: number): void {
    this.dueAt = this.#timer.now() + Math.max(0, ms);
    this.#timer.wakeBy(this.dueAt);
  }

  clear(): void {
    this.dueAt = Infinity;
  }
}

/** For one request, since a request may not use another's timer. */
export class SharedTimer {
  readonly #countdowns: SharedCountdown[] = [];
  readonly #clock: () => number;
  readonly #startTimer: StartTimer;
  /** When the timer fires; Infinity while it doesn't run, -Infinity once it may not run any more. */
  #firesAt = Infinity;
  #stop: (() => void) | undefined;
  /** When it last fired: time has come that far, whatever the clock says. */
  #reachedAt = -Infinity;

  constructor(clock: () => number, startTimer: StartTimer = startRealTimer) {
    this.#clock = clock;
    this.#startTimer = startTimer;
  }

  now(): number {
    return Math.max(this.#clock(), this.#reachedAt);
  }

  /** One that is not set yet. */
  countdown(run: () => void): Countdown {
    const made = new SharedCountdown(this, run);
    this.#countdowns.push(made);
    return made;
  }

  /** As any `StartTimer`: a countdown that is set once. */
  readonly start: StartTimer = (ms, run) => {
    const countdown = this.countdown(run);
    countdown.set(ms);
    return () => this.#remove(countdown);
  };

  /** The request is over: nothing runs any more. The platform drops the timer with the request, for less than a call to clear it. */
  end(): void {
    this.#stop = undefined;
    this.#countdowns.length = 0;
    this.#firesAt = -Infinity;
  }

  /** Makes the timer fire then at the latest. */
  wakeBy(at: number): void {
    if (at >= this.#firesAt) return;
    this.#stop?.();
    this.#firesAt = at;
    this.#stop = this.#startTimer(at - this.now(), () => this.#fire());
  }

  #remove(countdown: Countdown): void {
    countdown.clear();
    const at = this.#countdowns.findIndex((each) => each === countdown);
    if (at >= 0) this.#countdowns.splice(at, 1);
  }

  #fire(): void {
    if (this.#firesAt < 0) return;
    this.#reachedAt = this.#firesAt;
    this.#firesAt = Infinity;
    this.#stop = undefined;
    const now = this.now();
    // What runs may set others, and these too.
    const due = this.#countdowns
      .filter(({ dueAt }) => dueAt <= now)
      .toSorted((one, other) => one.dueAt - other.dueAt);
    for (const countdown of due) {
      // One that ran before may have cleared or moved it.
      if (countdown.dueAt > now) continue;
      countdown.clear();
      countdown.run();
    }
    const next = Math.min(...this.#countdowns.map(({ dueAt }) => dueAt));
    if (next < Infinity) this.wakeBy(next);
  }
}
