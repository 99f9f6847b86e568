// Time that passes as fast as the machine can follow: events in order of their moment, and promises settled between two of them.
// For simulations and property tests.

interface Event {
  readonly at: number;
  readonly seq: number;
  /** Undefined once it was stopped. */
  run: (() => void) | undefined;
}

export interface VirtualTime {
  now(): number;
  /** Runs `run` after `ms`; the returned function stops it. */
  startTimer(ms: number, run: () => void): () => void;
  sleep(ms: number): Promise<void>;
  /** Lets everything happen that is due until then. */
  runUntil(at: number): Promise<void>;
}

export function createVirtualTime(startAt: number): VirtualTime {
  let now = startAt;
  let seq = 0;
  const heap: Event[] = [];

  function isBefore(one: Event, other: Event): boolean {
    return one.at < other.at || (one.at === other.at && one.seq < other.seq);
  }

  function push(event: Event): void {
    let slot = heap.length;
    heap.push(event);
    for (;;) {
      const parentSlot = (slot - 1) >> 1;
      const parent = heap[parentSlot];
      if (slot === 0 || parent === undefined || isBefore(parent, event)) break;
      heap[slot] = parent;
      slot = parentSlot;
    }
    heap[slot] = event;
  }

  function pop(): Event | undefined {
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || first === undefined || heap.length === 0) return first;
    let slot = 0;
    for (;;) {
      const left = 2 * slot + 1;
      const [one, other] = [heap[left], heap[left + 1]];
      const isRight = one !== undefined && other !== undefined && isBefore(other, one);
      const child = isRight ? other : one;
      if (child === undefined || isBefore(last, child)) break;
      heap[slot] = child;
      slot = isRight ? left + 1 : left;
    }
    heap[slot] = last;
    return first;
  }

  function startTimer(ms: number, run: () => void): () => void {
    const event: Event = { at: now + Math.max(0, ms), seq: (seq += 1), run };
    push(event);
    return () => (event.run = undefined);
  }

  return {
    now: () => Math.floor(now),
    startTimer,
    sleep: (ms) => new Promise((resolve) => startTimer(ms, resolve)),
    async runUntil(at) {
      for (let next = heap[0]; next !== undefined && next.at <= at; next = heap[0]) {
        pop();
        if (next.run === undefined) continue;
        now = Math.max(now, next.at);
        next.run();
        // All that follows from one event comes before the next.
        await new Promise((resolve) => setImmediate(resolve));
      }
      now = at;
    },
  };
}

/** Numbers in [0, 1) that are the same for the same seed: mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
