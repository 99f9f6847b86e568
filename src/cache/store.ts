/**
 * Cached answers in Workers KV: the body is the value, as it was sent, and all else is its metadata, so that one read
 * returns both and a later version can stream the value. A fault of KV is returned, never thrown: a request does not fail
 * because of its cache. Keys: src/storage.md.
 */

import * as z from "zod/mini";
import type { CacheEntry } from "./entry.ts";
import { isStale } from "./entry.ts";
import type { CacheKey } from "./key.ts";

/** The part of a KV namespace that is used here. */
export interface CacheKv {
  getWithMetadata(
    name: string,
    options: { readonly type: "text"; readonly cacheTtl: number },
  ): Promise<{ readonly value: string | null; readonly metadata: unknown }>;
  put(
    name: string,
    value: string,
    options: { readonly expirationTtl: number; readonly metadata: unknown },
  ): Promise<void>;
}

export type CacheLookup =
  | {
      readonly status: "hit";
      readonly entry: CacheEntry;
      /** The isolate had the entry in memory; KV was not read. */
      readonly source?: "memory";
      /** The body in UTF-8; read-only. */
      readonly bytes?: Uint8Array<ArrayBuffer>;
    }
  | { readonly status: "miss" }
  /** The entry is past its time to live. */
  | { readonly status: "stale"; readonly entry: CacheEntry }
  | { readonly status: "error"; readonly cause: unknown };

export type CacheWrite =
  /** `isIndexed`: whether the semantic cache can find it too; undefined where that was not tried. */
  | { readonly status: "stored"; readonly isIndexed?: boolean }
  | { readonly status: "too_large" }
  | { readonly status: "error"; readonly cause: unknown };

export interface CacheStore {
  get(key: CacheKey): Promise<CacheLookup>;
  /** Kept for `entry.ttlSeconds`, from 60. */
  put(key: CacheKey, entry: CacheEntry): Promise<CacheWrite>;
}

/** A new number makes all earlier entries misses. */
const ENTRY_VERSION = 1;
/** KV's limit for metadata. */
const MAX_METADATA_BYTES = 1024;
/** A character takes up to 3 bytes of UTF-8, and KV's limit for a value is 25 MiB. */
export const MAX_BODY_CHARS = 8 * 1024 * 1024;
/**
 * KV's minimum. A location also caches for this long that a key had no value, so a larger number would hide a new entry
 * from the next request for longer.
 */
const READ_CACHE_SECONDS = 30;

const count = z.int().check(z.nonnegative());
const metadataSchema = z.object({
  v: z.literal(ENTRY_VERSION),
  form: z.enum(["json", "sse"]),
  contentType: z.string(),
  /** Detects a value and metadata that don't belong together. */
  length: count,
  usage: z.exactOptional(
    z.object({
      inputTokens: count,
      outputTokens: count,
      cacheReadTokens: z.exactOptional(count),
      cacheWriteTokens: z.exactOptional(count),
      reasoningTokens: z.exactOptional(count),
    }),
  ),
  costMicroUsd: z.exactOptional(z.number().check(z.nonnegative())),
  durationMs: z.number().check(z.nonnegative()),
  storedAt: z.number(),
  ttlSeconds: count,
  trace: z.object({ traceId: z.string(), spanId: z.string() }),
  model: z.exactOptional(z.string()),
  target: z.string(),
});

/** A store over a KV namespace; `now` is milliseconds since the epoch. */
export function createCacheStore(kv: CacheKv, now: () => number): CacheStore {
  return {
    async get(key) {
      try {
        const options = { type: "text", cacheTtl: READ_CACHE_SECONDS } as const;
        const { value, metadata } = await kv.getWithMetadata(nameOf(key), options);
        const entry = value === null ? undefined : readEntry(value, metadata);
        if (entry === undefined) return { status: "miss" };
        return { status: isStale(entry, now()) ? "stale" : "hit", entry };
      } catch (cause) {
        return { status: "error", cause };
      }
    },

    async put(key, { body, ...facts }) {
      const metadata = { v: ENTRY_VERSION, length: body.length, ...facts };
      const metadataBytes = new TextEncoder().encode(JSON.stringify(metadata)).length;
      if (body.length > MAX_BODY_CHARS || metadataBytes > MAX_METADATA_BYTES) return { status: "too_large" };
      try {
        await kv.put(nameOf(key), body, { expirationTtl: facts.ttlSeconds, metadata });
        return { status: "stored" };
      } catch (cause) {
        return { status: "error", cause };
      }
    },
  };
}

/** The tenant is part of the name, so that a listing by prefix finds only its own entries. */
function nameOf({ tenantId, digest }: CacheKey): string {
  return `cache/${tenantId}/${digest}`;
}

/** The entry, or undefined where it was written by another version or is damaged. */
function readEntry(body: string, metadata: unknown): CacheEntry | undefined {
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success || parsed.data.length !== body.length) return undefined;
  const { v: _, length: __, ...facts } = parsed.data;
  return { ...facts, body };
}
