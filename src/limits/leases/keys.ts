/**
 * The gateway keys of one tenant that the queue has seen: found by id, bounded in number. Only keys that owe and hold
 * nothing are dropped, so that nothing but their last use is lost.
 */

import { isIdle, setLimits, UNLIMITED } from "../usage/allowance.ts";
import { createKey, type Key } from "./queue-entry.ts";
import type { AdmissionRequest } from "../protocol.ts";

/** Keys kept per tenant while others are idle: about 300 bytes each. */
const MAX_KEYS = 1000;

export interface KeyTable {
  /** The key of a request, with the newest limits seen, marked as used. */
  use(ask: AdmissionRequest, now: number): Key;
  /** A key by its id; made if it is new. */
  find(id: string, now: number): Key;
  all(): Iterable<Key>;
  /** When each key was last used, ms since the epoch. */
  lastUsed(): Record<string, number>;
}

export function createKeyTable(): KeyTable {
  const keys = new Map<string, Key>();

  function find(id: string, now: number): Key {
    const known = keys.get(id);
    if (known !== undefined) return known;
    if (keys.size >= MAX_KEYS) dropIdle(now);
    const key = createKey(id);
    keys.set(id, key);
    return key;
  }

  function dropIdle(now: number): void {
    for (const key of keys.values()) {
      if (!isIdle(key.allowance, now)) continue;
      keys.delete(key.id);
      return;
    }
  }

  return {
    use(ask, now) {
      const key = find(ask.keyId, now);
      key.lastUsedAt = now;
      if (ask.configVersion > key.allowance.version)
        setLimits(key.allowance, ask.keyLimits ?? UNLIMITED, ask.configVersion, now);
      return key;
    },
    find,
    all: () => keys.values(),
    lastUsed: () => Object.fromEntries([...keys.values()].map(({ id, lastUsedAt }) => [id, lastUsedAt])),
  };
}
