/**
 * A binary heap of items by due time, with removal from the middle in O(log n): each item remembers its slot. Holds the
 * deadlines of waiting requests, the expiry of leases and the start times of sleeping callers. Has no clock.
 */

/** What the heap needs of an item. It lives in one heap at a time; `slot` belongs to the heap. */
export interface Timed {
  dueAt: number;
  slot: number;
}

/** The slot of an item that is in no heap. */
export const NO_SLOT = -1;

export interface TimerHeap<T extends Timed> {
  readonly size: number;
  /** The item that falls due first. */
  peek(): T | undefined;
  add(item: T): void;
  /** A no-op for an item that is in no heap. */
  remove(item: T): void;
  /** Puts an item where its changed `dueAt` belongs. */
  move(item: T, dueAt: number): void;
}

export function createTimerHeap<T extends Timed>(): TimerHeap<T> {
  const items: T[] = [];

  function place(item: T, slot: number): void {
    items[slot] = item;
    item.slot = slot;
  }

  function rise(item: T): void {
    let slot = item.slot;
    while (slot > 0) {
      const parentSlot = (slot - 1) >> 1;
      const parent = items[parentSlot];
      if (parent === undefined || parent.dueAt <= item.dueAt) break;
      place(parent, slot);
      slot = parentSlot;
    }
    place(item, slot);
  }

  function sink(item: T): void {
    let slot = item.slot;
    for (;;) {
      const left = items[2 * slot + 1];
      const right = items[2 * slot + 2];
      const child = left !== undefined && right !== undefined && right.dueAt < left.dueAt ? right : left;
      if (child === undefined || child.dueAt >= item.dueAt) break;
      const childSlot = child.slot;
      place(child, slot);
      slot = childSlot;
    }
    place(item, slot);
  }

  return {
    get size() {
      return items.length;
    },
    peek: () => items[0],
    add(item) {
      item.slot = items.length;
      items.push(item);
      rise(item);
    },
    remove(item) {
      const { slot } = item;
      if (slot === NO_SLOT) return;
      item.slot = NO_SLOT;
      const last = items.pop();
      if (last === undefined || last === item) return;
      place(last, slot);
      rise(last);
      sink(last);
    },
    move(item, dueAt) {
      item.dueAt = dueAt;
      rise(item);
      sink(item);
    },
  };
}
