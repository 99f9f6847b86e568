/**
 * A bounded Map that evicts by CLOCK (second chance): the oldest entry goes unless it was used since the hand last passed
 * it. Keeps plain data between requests, since a promise of one request may not be awaited by another.
 *
 * A look-up changes nothing but a mark. LRU instead, which moves each entry found to the end, has V8 rebuild the Map's
 * table every few look-ups, each reachable from the one before: their memory is not freed before a full collection
 * (decision 072).
 */

export interface BoundedMap<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): void;
  delete(key: Key): void;
  readonly size: number;
}

export interface Weight<Value> {
  readonly maxWeight: number;
  readonly weigh: (value: Value) => number;
}

interface Entry<Value> {
  readonly value: Value;
  /** Since the hand last passed it. */
  isUsed: boolean;
}

/** Holds at most `maxEntries`, and at most `maxWeight` of them all; an entry heavier than that is not kept. */
export function createBoundedMap<Key, Value>(
  maxEntries: number,
  { maxWeight, weigh }: Weight<Value> = { maxWeight: 0, weigh: () => 0 },
): BoundedMap<Key, Value> {
  // A Map keeps the order of insertion.
  const entries = new Map<Key, Entry<Value>>();
  let weight = 0;

  function drop(key: Key): void {
    const entry = entries.get(key);
    if (entry === undefined) return;
    weight -= weigh(entry.value);
    entries.delete(key);
  }

  function spare(key: Key, entry: Entry<Value>): void {
    entry.isUsed = false;
    entries.delete(key);
    entries.set(key, entry);
  }

  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entry.isUsed = true;
      return entry.value;
    },
    set(key, value) {
      drop(key);
      if (weigh(value) > maxWeight) return;
      entries.set(key, { value, isUsed: false });
      weight += weigh(value);
      // The hand goes round: a spared entry moves behind the others.
      for (const [oldest, entry] of entries) {
        if (entries.size <= maxEntries && weight <= maxWeight) return;
        if (entry.isUsed) spare(oldest, entry);
        else if (oldest !== key) drop(oldest);
      }
    },
    delete: drop,
    get size() {
      return entries.size;
    },
  };
}
