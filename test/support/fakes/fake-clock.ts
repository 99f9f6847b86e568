// A clock that moves only when a test lets it, for the queue's client.
import { START_AT } from "../builders/admission.ts";

/** A clock whose timers fire when the test lets time pass. */
export function createTestClock() {
  let now = START_AT;
  const timers = new Set<{ at: number; run: () => void }>();
  return {
    now: () => now,
    pending: () => timers.size,
    /** What was to come does not: the request that waited for it is dead. */
    kill: () => timers.clear(),
    startTimer(ms: number, run: () => void) {
      const timer = { at: now + ms, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async pass(ms: number) {
      const until = now + ms;
      for (;;) {
        await settled();
        const [next] = [...timers]
          .filter(({ at }) => at <= until)
          .toSorted((one, other) => one.at - other.at);
        now = next?.at ?? until;
        if (next === undefined) return settled();
        timers.delete(next);
        next.run();
      }
    },
  };
}

export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
