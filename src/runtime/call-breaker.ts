/**
 * Calls on a request's path to objects and KV: each has a deadline, and what hangs is not called again for a while, so that
 * a hang costs a few deadlines and not one for each request. One for an isolate; plain data, bounded.
 */

import { createBoundedMap } from "./bounded-map.ts";
import { withDeadline, type StartTimer, startRealTimer } from "./waits.ts";

const DEADLINE_MS = 2000;
/** Time-outs in a row before calls stop: one may be bad luck, and what follows instead is dearer. */
const TIMEOUTS = 2;
const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30_000;
/** How often a call that may take long is checked: whether what it waits for is alive. */
const STILL_THERE_MS = 5000;
const MAX_NAMES = 2000;

export interface CallBreaker {
  /** Rejects after two seconds, and at once while `name` is not called. */
  guarded<T>(name: string, call: () => Promise<T>): Promise<T>;
  /** For a call that may wait long: rejects where `probe`, made while it waits, doesn't answer. */
  alive<T>(name: string, call: () => Promise<T>, probe: () => Promise<unknown>): Promise<T>;
}

class NotAnswered extends Error {
  override readonly name = "NotAnswered";
}

interface Silence {
  timeouts: number;
  pauseMs: number;
  closedUntil: number;
}

export function createCallBreaker(now: () => number, startTimer: StartTimer = startRealTimer): CallBreaker {
  const silences = createBoundedMap<string, Silence>(MAX_NAMES);

  /** After a pause one call tries; the others go on waiting until it is decided. */
  function enter(name: string): void {
    const silence = silences.get(name);
    if (silence === undefined || silence.closedUntil === 0) return;
    if (now() < silence.closedUntil)
      throw new NotAnswered(`${name} has not answered lately and is not called.`);
    silence.closedUntil = now() + DEADLINE_MS;
  }

  function noteTimeout(name: string): void {
    const before = silences.get(name) ?? { timeouts: 0, pauseMs: FIRST_PAUSE_MS / 2, closedUntil: 0 };
    before.timeouts += 1;
    if (before.timeouts >= TIMEOUTS) {
      before.pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * before.pauseMs);
      before.closedUntil = now() + before.pauseMs;
    }
    silences.set(name, before);
  }

  async function guarded<T>(name: string, call: () => Promise<T>): Promise<T> {
    enter(name);
    const timedOut = (): Error => new NotAnswered(`${name} did not answer within ${DEADLINE_MS} ms.`);
    try {
      const answer = await withDeadline(call(), DEADLINE_MS, timedOut, startTimer);
      silences.delete(name);
      return answer;
    } catch (thrown) {
      // Any other fault is an answer: it came in time.
      if (thrown instanceof NotAnswered) noteTimeout(name);
      else silences.delete(name);
      throw thrown;
    }
  }

  return {
    guarded,
    alive(name, call, probe) {
      return new Promise((resolve, reject) => {
        enter(name);
        let stop = startTimer(DEADLINE_MS, check);
        call()
          .finally(() => stop())
          .then(resolve, reject);

        function check(): void {
          stop = startTimer(STILL_THERE_MS, check);
          guarded(name, probe).catch((thrown: unknown) => {
            if (!(thrown instanceof NotAnswered)) return;
            stop();
            reject(thrown);
          });
        }
      });
    },
  };
}
