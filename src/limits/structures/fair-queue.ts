/**
 * The order of waiting requests: interactive before batch (batch keeps a guaranteed share), inside a lane the key that
 * was served least (virtual token counter, arXiv 2401.00588), inside a key first come, first served. Pure; knows
 * neither limits nor time: whether a key may be served at all is the caller's `isEligible`.
 */

import type { Lane } from "../protocol.ts";

/** While batch waits, it is next after so many interactive admissions: one in ten. */
const INTERACTIVE_RUN = 9;

interface Fifo<E> {
  head: E | undefined;
  tail: E | undefined;
  size: number;
}

/** A key's place in the queue: its counter of served weight and its waiting requests. */
export interface Flow<E> {
  /** Weight served so far, lifted on re-entry so that idle time earns no priority. */
  served: number;
  /** Its own limits held it when it was next: that time earns no priority either. */
  wasIneligible: boolean;
  readonly interactive: Fifo<E>;
  readonly batch: Fifo<E>;
}

/** What the queue needs of an entry; the links belong to the queue. */
export interface Queued<E> {
  readonly lane: Lane;
  readonly flow: Flow<E>;
  previous: E | undefined;
  next: E | undefined;
}

export interface FairQueue<E> {
  readonly size: number;
  /** A key's request passes an empty queue: its counter is lifted as if it had joined and left at once. */
  pass(flow: Flow<E>): void;
  add(entry: E): void;
  remove(entry: E): void;
  /** The next entry among keys whose first request is eligible. */
  next(isEligible: (head: E) => boolean): E | undefined;
  /** Takes the entry out because it was admitted, and counts it for its lane's share. */
  admit(entry: E): void;
  /** How many waiting requests would be served before a new one of this key and lane, at the least. */
  ahead(flow: Flow<E>, lane: Lane): number;
  /** Those of the same lane and of the lane before it: a new request's position less one. */
  before(lane: Lane): number;
  /** The newest entry that `lane` may displace of the key with the most waiting, where these are more than `flow` has. */
  newestOfLongest(flow: Flow<E>, lane: Lane): E | undefined;
  entries(): Iterable<E>;
}

export function createFlow<E>(): Flow<E> {
  return {
    served: 0,
    wasIneligible: false,
    interactive: { head: undefined, tail: undefined, size: 0 },
    batch: { head: undefined, tail: undefined, size: 0 },
  };
}

function waitingOf<E>({ interactive, batch }: Flow<E>): number {
  return interactive.size + batch.size;
}

interface LaneState<E> {
  readonly name: Lane;
  readonly flows: Set<Flow<E>>;
  size: number;
}

export function createFairQueue<E extends Queued<E>>(): FairQueue<E> {
  const lanes: Readonly<Record<Lane, LaneState<E>>> = {
    interactive: { name: "interactive", flows: new Set(), size: 0 },
    batch: { name: "batch", flows: new Set(), size: 0 },
  };
  /** Interactive admissions since batch began to wait or was last served. */
  let interactiveRun = 0;
  /** The counter of the key served last: where a returning key joins in. */
  let servedLevel = 0;

  function sizeOf(): number {
    return lanes.interactive.size + lanes.batch.size;
  }

  function pass(flow: Flow<E>): void {
    flow.served = Math.max(flow.served, servedLevel);
    servedLevel = flow.served;
  }

  function add(entry: E): void {
    const { flow, lane } = entry;
    if (sizeOf() === 0) pass(flow);
    else if (flow.interactive.size + flow.batch.size === 0) flow.served = Math.max(flow.served, servedLevel);
    const fifo = flow[lane];
    entry.previous = fifo.tail;
    if (fifo.tail === undefined) fifo.head = entry;
    else fifo.tail.next = entry;
    fifo.tail = entry;
    fifo.size += 1;
    lanes[lane].size += 1;
    lanes[lane].flows.add(flow);
  }

  function remove(entry: E): void {
    const { flow, lane, previous, next } = entry;
    const fifo = flow[lane];
    if (previous === undefined) fifo.head = next;
    else previous.next = next;
    if (next === undefined) fifo.tail = previous;
    else next.previous = previous;
    entry.previous = undefined;
    entry.next = undefined;
    fifo.size -= 1;
    lanes[lane].size -= 1;
    if (fifo.size === 0) lanes[lane].flows.delete(flow);
    if (lanes.batch.size === 0) interactiveRun = 0;
  }

  function nextOf(lane: LaneState<E>, isEligible: (head: E) => boolean): E | undefined {
    let best: E | undefined;
    for (const flow of lane.flows) {
      const { head } = flow[lane.name];
      if (head === undefined || (best !== undefined && flow.served >= best.flow.served)) continue;
      if (!isEligible(head)) {
        flow.wasIneligible = true;
        continue;
      }
      if (flow.wasIneligible) {
        flow.wasIneligible = false;
        flow.served = Math.max(flow.served, servedLevel);
        if (best !== undefined && flow.served >= best.flow.served) continue;
      }
      best = head;
    }
    return best;
  }

  return {
    get size() {
      return sizeOf();
    },
    pass,
    add,
    remove,
    next(isEligible) {
      const isBatchTurn = lanes.batch.size > 0 && interactiveRun >= INTERACTIVE_RUN;
      const first = isBatchTurn ? lanes.batch : lanes.interactive;
      return nextOf(first, isEligible) ?? nextOf(isBatchTurn ? lanes.interactive : lanes.batch, isEligible);
    },
    admit(entry) {
      servedLevel = Math.max(servedLevel, entry.flow.served);
      if (entry.lane === "batch") interactiveRun = 0;
      else if (lanes.batch.size > 0) interactiveRun += 1;
      remove(entry);
    },
    ahead(flow, lane) {
      const fairShare = (of: LaneState<E>): number =>
        Math.min(of.size, (flow[of.name].size + 1) * Math.max(1, of.flows.size));
      const own = fairShare(lanes[lane]);
      if (lane === "interactive") return own;
      return own + Math.min(lanes.interactive.size, INTERACTIVE_RUN * (own + 1));
    },
    before: (lane) => lanes.interactive.size + (lane === "batch" ? lanes.batch.size : 0),
    newestOfLongest(flow, lane) {
      let longest: Flow<E> | undefined;
      for (const { flows } of [lanes.batch, lanes.interactive])
        for (const other of flows) if (waitingOf(other) > waitingOf(longest ?? flow)) longest = other;
      return longest?.batch.tail ?? (lane === "interactive" ? longest?.interactive.tail : undefined);
    },
    *entries() {
      for (const lane of [lanes.interactive, lanes.batch])
        for (const flow of lane.flows)
          for (let entry = flow[lane.name].head; entry !== undefined; entry = entry.next) yield entry;
    },
  };
}
