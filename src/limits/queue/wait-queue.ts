/**
 * The waiting requests: their order (fair-queue.ts), their deadlines, and each key's count of them, kept in step.
 * Decides nothing.
 */

import { createTimerHeap } from "../structures/timer-heap.ts";
import type { QueueEntry } from "../leases/queue-entry.ts";
import { createFairQueue, type FairQueue } from "../structures/fair-queue.ts";

export interface WaitQueue {
  readonly queue: FairQueue<QueueEntry>;
  add(entry: QueueEntry): void;
  /** It is admitted, and counts for its lane's share. */
  admit(entry: QueueEntry): void;
  /** It leaves without having been admitted. */
  leave(entry: QueueEntry): void;
  readonly nextDeadlineAt: number;
  /** One whose deadline was at or before `at`. */
  overdue(at: number): QueueEntry | undefined;
}

export function createWaitQueue(): WaitQueue {
  const queue = createFairQueue<QueueEntry>();
  const deadlines = createTimerHeap<QueueEntry>();

  function release(entry: QueueEntry): void {
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
