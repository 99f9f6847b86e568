/**
 * A Map that forgets its least recently used entries: what an isolate may remember between requests. Plain data only,
 * since a promise of one request may not be awaited by another.
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

/** Holds at most `maxEntries`, and at most `maxWeight` of them all; one that is too heavy alone is not kept. */
export function createBoundedMap<Key, Value>(
  maxEntries: number,
  { maxWeight, weigh }: Weight<Value> = { maxWeight: 0, weigh: () => 0 },
): BoundedMap<Key, Value> {
  // A Map keeps the order of insertion, so its first key is the one used longest ago.
  const entries = new Map<Key, Value>();
  let weight = 0;

  function drop(key: Key): void {
    const value = entries.get(key);
    if (value === undefined) return;
    weight -= weigh(value);
    entries.delete(key);
  }

  return {
    get(key) {
      const value = entries.get(key);
      if (value === undefined) return undefined;
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set(key, value) {
      drop(key);
      entries.set(key, value);
      weight += weigh(value);
      for (const oldest of entries.keys()) {
        if (entries.size <= maxEntries && weight <= maxWeight) return;
        drop(oldest);
      }
    },
    delete: drop,
    get size() {
      return entries.size;
    },
  };
}
