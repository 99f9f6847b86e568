/**
 * How the data plane reads tenants: a copy in the isolate for at most 30 s, then KV checked against the version that the
 * tenant's queue object has, then the directory. Only plain data is kept between requests. Whether a key is valid is
 * key-format.ts.
 */

import { GatewayError } from "../errors.ts";
import { createBoundedMap } from "../runtime/bounded-map.ts";
import { withDeadline } from "../runtime/waits.ts";
import { parseBundle } from "./bundle.ts";
import type { DirectoryRpc, KeyPointer } from "./directory/directory-api.ts";
import type { LookupBudget } from "./lookup-budget.ts";
import type { LimitRules } from "./records/limit-rules.ts";
import type { TenantBundle } from "./records/records.ts";
import { keyEntry, tenantEntry } from "./storage-keys.ts";

/** What was revoked stops within 30 s everywhere (src/docs/admin-api.md), so no copy is used longer, even in an outage. */
const MAX_COPY_AGE_MS = 30_000;
/** KV's least `cacheTtl`. An old bundle from an edge cache is recognised by its version. */
const BUNDLE_CACHE_SECONDS = 30;
/** A pointer never changes, and the bundle says whether its key is still valid. */
const POINTER_CACHE_SECONDS = 300;
/** About 2 MB. */
const MAX_POINTERS = 10_000;
const MAX_COPIES = 500;
/** An isolate has 128 MB in total; parsed JSON takes about three times its text. */
const MAX_COPIES_CHARS = 8 * 1024 * 1024;
/** A repeated wrong key is looked up once in that time. */
const UNKNOWN_MS = 3000;
const MAX_UNKNOWN = 1000;
/** KV and both objects answer in some 10 ms; after this the next source is tried. */
const READ_TIMEOUT_MS = 2000;
const RETRY_AFTER_MS = 1000;

type ReadFrom = "memory" | "kv" | "directory";

interface FoundKey extends KeyPointer {
  readonly source: ReadFrom;
}

export interface LoadedTenant {
  readonly bundle: TenantBundle;
  readonly source: ReadFrom;
  /** Since the copy was read. */
  readonly ageMs: number;
}

export interface TenantSource {
  /**
   * Where a key's hash leads; undefined for an unknown one. `address` is the client's. Throws `unavailable`, and for a key
   * that this isolate doesn't know `rate_limited` and `overloaded`: see lookup-budget.ts.
   */
  findKey(hash: string, address?: string): Promise<FoundKey | undefined>;
  /** Its tenant is gone, or the key has ended: it is unknown for a while. */
  noteInvalidKey(hash: string, address?: string): void;
  /** The tenant as of at most 30 s ago; undefined where there is none. Throws `unavailable`. */
  load(tenantId: string): Promise<LoadedTenant | undefined>;
  /** The tenant as it is now, before something is refused because of a copy. */
  reload(tenantId: string): Promise<LoadedTenant | undefined>;
  /** A newer version is known: an older copy is no longer used. */
  noteVersion(tenantId: string, version: number): void;
}

export interface TenantSourceDeps {
  readonly kv: { get(key: string, options: { type: "text"; cacheTtl: number }): Promise<string | null> };
  /** A fresh stub for each call. */
  readonly directory: () => Pick<DirectoryRpc, "findKey" | "readBundle">;
  /** The newest version that the tenant's queue object knows. */
  readonly queueVersion: (tenantId: string) => Promise<number>;
  readonly lookups: LookupBudget;
  /** The deployment's defaults and ceilings, which bundles are read with; none where absent. */
  readonly limitRules?: LimitRules;
  /** ms since the epoch. */
  readonly clock: () => number;
}

interface Copy {
  readonly bundle: TenantBundle;
  readonly readAt: number;
  readonly chars: number;
}

/** One for an isolate. */
export function createTenantSource(deps: TenantSourceDeps): TenantSource {
  const { kv, directory, queueVersion, lookups, limitRules, clock } = deps;
  const pointers = createBoundedMap<string, KeyPointer>(MAX_POINTERS);
  const unknownUntil = createBoundedMap<string, number>(MAX_UNKNOWN);
  const copies = createBoundedMap<string, Copy>(MAX_COPIES, {
    maxWeight: MAX_COPIES_CHARS,
    weigh: (copy) => copy.chars,
  });
  /** The newest known version, so that a read which began before can't bring an old copy back. */
  const newest = createBoundedMap<string, number>(MAX_COPIES);

  function newestOf(tenantId: string): number {
    return newest.get(tenantId) ?? 0;
  }

  function note(tenantId: string, version: number): void {
    if (version > newestOf(tenantId)) newest.set(tenantId, version);
  }

  function remember(tenantId: string, text: string, readAt: number): Copy {
    const bundle = parseBundle(text, limitRules);
    const copy: Copy = { bundle, readAt, chars: text.length };
    note(tenantId, bundle.version);
    if (bundle.version >= newestOf(tenantId)) copies.set(tenantId, copy);
    return copy;
  }

  /** Reads KV and the queue object's version side by side; the directory only where these two don't suffice. */
  async function read(tenantId: string): Promise<LoadedTenant | undefined> {
    const readAt = clock();
    const [text, version] = await Promise.all([
      settle(() => kv.get(tenantEntry(tenantId), { type: "text", cacheTtl: BUNDLE_CACHE_SECONDS })),
      settle(() => queueVersion(tenantId)),
    ]);
    // Without the queue object's version KV's answer may be old, so the directory is read. An object without one knows of no
    // tenant: it was emptied, or has not heard of the tenant yet.
    if (version !== undefined && version >= 0) {
      note(tenantId, version);
      if (typeof text === "string") {
        const { bundle } = remember(tenantId, text, readAt);
        if (bundle.version >= newestOf(tenantId)) return { bundle, source: "kv", ageMs: 0 };
      }
    }
    return readDirectory(tenantId);
  }

  async function readDirectory(tenantId: string): Promise<LoadedTenant | undefined> {
    const readAt = clock();
    const text = await mustAnswer(() => directory().readBundle(tenantId));
    if (text === undefined) {
      copies.delete(tenantId);
      return undefined;
    }
    return { bundle: remember(tenantId, text, readAt).bundle, source: "directory", ageMs: 0 };
  }

  function fromMemory(tenantId: string): LoadedTenant | undefined {
    const copy = copies.get(tenantId);
    if (copy === undefined) return undefined;
    const ageMs = clock() - copy.readAt;
    return ageMs < MAX_COPY_AGE_MS ? { bundle: copy.bundle, source: "memory", ageMs } : undefined;
  }

  /** A new hash may belong to a key younger than the tenant's copy, which is then dropped. */
  function learn(hash: string, { tenantId, keyId }: KeyPointer, source: ReadFrom): FoundKey {
    pointers.set(hash, { tenantId, keyId });
    const copy = copies.get(tenantId);
    if (copy !== undefined && !copy.bundle.keys.some((key) => key.hash === hash)) copies.delete(tenantId);
    return { tenantId, keyId, source };
  }

  return {
    async findKey(hash, address) {
      const known = pointers.get(hash);
      if (known !== undefined) return { ...known, source: "memory" };
      const until = unknownUntil.get(hash);
      if (until !== undefined && clock() < until) return undefined;
      await lookups.beforeKv(address);
      const text = await settle(() =>
        kv.get(keyEntry(hash), { type: "text", cacheTtl: POINTER_CACHE_SECONDS }),
      );
      if (typeof text === "string") {
        lookups.noteFound("kv");
        return learn(hash, parsePointer(text), "kv");
      }
      lookups.beforeDirectory();
      // KV caches for a while that an entry was absent, and a new key must work at once.
      const pointer = await mustAnswer(() => directory().findKey(hash));
      if (pointer !== undefined) {
        lookups.noteFound("directory");
        return learn(hash, pointer, "directory");
      }
      unknownUntil.set(hash, clock() + UNKNOWN_MS);
      lookups.noteFailed(address);
      return undefined;
    },

    noteInvalidKey(hash, address) {
      pointers.delete(hash);
      unknownUntil.set(hash, clock() + UNKNOWN_MS);
      lookups.noteFailed(address);
    },

    async load(tenantId) {
      return fromMemory(tenantId) ?? read(tenantId);
    },

    async reload(tenantId) {
      const copy = fromMemory(tenantId);
      if (copy === undefined) return read(tenantId);
      const version = await settle(() => queueVersion(tenantId));
      return version !== undefined && version <= copy.bundle.version ? copy : read(tenantId);
    },

    noteVersion(tenantId, version) {
      note(tenantId, version);
      const copy = copies.get(tenantId);
      if (copy !== undefined && copy.bundle.version < version) copies.delete(tenantId);
    },
  };
}

/** The answer, or undefined where there was none in time. */
async function settle<Value>(ask: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await withDeadline(ask(), READ_TIMEOUT_MS, "the source");
  } catch {
    return undefined;
  }
}

/** The directory's answer; there is no other source. Throws `unavailable`. */
async function mustAnswer<Value>(ask: () => Promise<Value>): Promise<Value> {
  try {
    return await withDeadline(ask(), READ_TIMEOUT_MS, "the directory");
  } catch (cause) {
    throw new GatewayError("unavailable", "The tenant's records are unavailable. Retry.", {
      retryAfterMs: RETRY_AFTER_MS,
      cause,
    });
  }
}

function parsePointer(text: string): KeyPointer {
  // Only the directory writes these entries.
  const { tenantId, keyId } = JSON.parse(text) as KeyPointer;
  return { tenantId, keyId };
}
