/**
 * The time limits of one request on one timer of the platform: to set and clear one costs as much as a span, a request has half a
 * dozen limits, and hardly any is reached. A limit is moved by writing a number. Timers are never cleared, which costs more than
 * to set them: one that has become needless fires and finds nothing to do.
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
  /** When the platform's timers fire that run: one, and another for each limit that was nearer than all before. */
  readonly #firesAt: number[] = [];
  /** The nearest of them. */
  #nextAt = Infinity;
  /** When one last fired: time has come that far, whatever the clock says. */
  #reachedAt = -Infinity;
  #isOver = false;

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

  /** The request is over: nothing runs any more. The platform drops its timers with the request. */
  end(): void {
    this.#isOver = true;
    this.#countdowns.length = 0;
  }

  /** Makes a timer fire then at the latest. */
  wakeBy(at: number): void {
    if (this.#isOver || at >= this.#nextAt) return;
    this.#firesAt.push(at);
    this.#nextAt = at;
    this.#startTimer(at - this.now(), () => this.#fire(at));
  }

  #remove(countdown: Countdown): void {
    countdown.clear();
    const at = this.#countdowns.findIndex((each) => each === countdown);
    if (at >= 0) this.#countdowns.splice(at, 1);
  }

  #fire(at: number): void {
    if (this.#isOver) return;
    this.#firesAt.splice(this.#firesAt.indexOf(at), 1);
    this.#nextAt = Math.min(...this.#firesAt);
    this.#reachedAt = Math.max(this.#reachedAt, at);
    const now = this.now();
    // What runs may set others, and these too.
    const due = this.#countdowns.filter(({ dueAt }) => dueAt <= now);
    for (const countdown of due.toSorted((one, other) => one.dueAt - other.dueAt)) {
      // One that ran before may have cleared or moved it.
      if (countdown.dueAt > now) continue;
      countdown.clear();
      countdown.run();
    }
    this.wakeBy(Math.min(...this.#countdowns.map(({ dueAt }) => dueAt)));
  }
}
