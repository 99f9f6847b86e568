/**
 * When a queue object's checkpoint is written: as late as what has changed allows, and at once when money was recorded and
 * no further call comes. A timer keeps the object alive and billed, so what may wait longer waits for the next call. Writes
 * nothing itself.
 */

import type { QueueMachine } from "../queue/queue-machine.ts";
import type { StartTimer } from "../../runtime/waits.ts";

/** What may be saved later than this waits for the next call. */
const MAX_SAVE_DELAY_MS = 10_000;
/** Money that was recorded is saved once no call came for so long: a deploy ends objects and isolates together. */
const IDLE_SAVE_MS = 1000;

export interface SaveScheduleDeps {
  readonly machine: Pick<QueueMachine, "staleAfterMs" | "hasUnsavedMoney">;
  readonly now: () => number;
  readonly startTimer: StartTimer;
  /** Writes the checkpoint; must not throw. */
  readonly write: (now: number) => void;
}

export interface SaveSchedule {
  /** After each call and timer of the object: writes before the answer leaves where the answer depends on it. */
  changed(now: number): void;
}

/** The schedule of an object that has just started: its last checkpoint counts as written now. */
export function createSaveSchedule({ machine, now, startTimer, write }: SaveScheduleDeps): SaveSchedule {
  let savedAt = now();
  let calledAt = savedAt;
  let dueAt = Infinity;
  let stop = (): void => {};

  /** When unsaved money is saved if no further call comes. */
  function idleAt(): number {
    return machine.hasUnsavedMoney() ? calledAt + IDLE_SAVE_MS : Infinity;
  }

  function plan(at: number): void {
    const staleMs = machine.staleAfterMs();
    if (staleMs === 0) return save();
    const nextAt = Math.max(at, Math.min(savedAt + staleMs, idleAt()));
    if (nextAt >= dueAt || nextAt - at > MAX_SAVE_DELAY_MS) return;
    stop();
    dueAt = nextAt;
    stop = startTimer(nextAt - at, saveIfStale);
  }

  /** What was to be saved may no longer matter. */
  function saveIfStale(): void {
    dueAt = Infinity;
    const at = now();
    if (at >= Math.min(savedAt + machine.staleAfterMs(), idleAt())) save();
    else plan(at);
  }

  function save(): void {
    stop();
    dueAt = Infinity;
    savedAt = now();
    write(savedAt);
  }

  return {
    changed(at) {
      calledAt = at;
      plan(at);
    },
  };
}
