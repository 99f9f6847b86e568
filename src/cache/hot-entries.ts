/**
 * The entries that an isolate has just read or written, in front of the store: repeated requests are answered without a KV
 * read each. Knows nothing of purges, since these change the key (epoch.ts notices them). Plain data, bounded.
 */

import { createBoundedMap } from "../runtime/bounded-map.ts";
import { encodeText } from "../bytes/digest.ts";
import type { CacheEntry } from "./entry.ts";
import { isStale } from "./entry.ts";
import type { CacheKey } from "./key.ts";
import type { CacheStore } from "./store.ts";

/**
 * How long an entry is used without reading KV again. KV itself may return an old value for 30 s, so an answer that was
 * refreshed elsewhere is seen at most this much later.
 */
export const HOT_MS = 5_000;
/** An isolate has 128 MB in total; a character takes one or two bytes, and as many again in UTF-8. */
const MAX_CHARS = 3 * 1024 * 1024;
const MAX_ENTRIES = 2_000;
/** The size of an entry besides its body. */
const ENTRY_CHARS = 500;

interface HotEntry {
  readonly entry: CacheEntry;
  readonly until: number;
  /** Made by the first hit: encoding a large text costs more than the rest of a hit. */
  bytes?: Uint8Array<ArrayBuffer>;
}

function bytesOf(hot: HotEntry): Uint8Array<ArrayBuffer> {
  return (hot.bytes ??= encodeText(hot.entry.body));
}

/** The same store; `now` is ms since the epoch. */
export function withHotEntries(store: CacheStore, now: () => number): CacheStore {
  const hot = createBoundedMap<string, HotEntry>(MAX_ENTRIES, {
    maxWeight: MAX_CHARS,
    weigh: ({ entry }) => entry.body.length + ENTRY_CHARS,
  });
  const nameOf = ({ tenantId, digest }: CacheKey): string => `${tenantId}/${digest}`;

  return {
    async get(key) {
      const name = nameOf(key);
      const at = now();
      const known = hot.get(name);
      if (known !== undefined && at < known.until && !isStale(known.entry, at))
        return { status: "hit", entry: known.entry, source: "memory", bytes: bytesOf(known) };
      const found = await store.get(key);
      if (found.status === "hit") hot.set(name, { entry: found.entry, until: at + HOT_MS });
      else hot.delete(name);
      return found;
    },
    async put(key, entry) {
      const written = await store.put(key, entry);
      const name = nameOf(key);
      if (written.status === "stored") hot.set(name, { entry, until: now() + HOT_MS });
      else hot.delete(name);
      return written;
    },
  };
}
