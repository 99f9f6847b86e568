/**
 * The requests that wait: their order (fair-queue.ts), their deadlines, and each key's count of them, kept in step.
 * Decides nothing; queue-machine.ts does.
 */

import { createDueHeap } from "../leases/timer-heap.ts";
import type { Entry } from "../leases/queue-entry.ts";
import { createFairQueue, type FairQueue } from "../leases/fair-queue.ts";

export interface WaitingRoom {
  readonly queue: FairQueue<Entry>;
  add(entry: Entry): void;
  /** It is let in: its lane has had its turn. */
  admit(entry: Entry): void;
  /** It goes without having been let in. */
  leave(entry: Entry): void;
  readonly nextDeadlineAt: number;
  /** One whose deadline was at or before `at`. */
  overdue(at: number): Entry | undefined;
}

export function createWaitingRoom(): WaitingRoom {
  const queue = createFairQueue<Entry>();
  const deadlines = createDueHeap<Entry>();

  function release(entry: Entry): void {
    deadlines.remove(entry);
    entry.flow.allowance.waiting -= 1;
  }

  return {
    queue,
    add(entry) {
      queue.add(entry);
      deadlines.add(entry);
      entry.flow.allowance.waiting += 1;
    },
    admit(entry) {
      queue.admit(entry);
      release(entry);
    },
    leave(entry) {
      queue.remove(entry);
      release(entry);
      entry.phase = "over";
    },
    get nextDeadlineAt() {
      return deadlines.peek()?.dueAt ?? Infinity;
    },
    overdue(at) {
      const first = deadlines.peek();
      return first !== undefined && first.dueAt <= at ? first : undefined;
    },
  };
}
