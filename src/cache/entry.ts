/**
 * A cached answer: the bytes that a client got, and how they were produced.
 */

import type { TokenUsage } from "../schema/chat.ts";

export interface CacheEntry {
  /** How the answer was sent when it was stored; it can be replayed in either form. */
  readonly form: "json" | "sse";
  readonly contentType: string;
  readonly body: string;
  readonly usage?: TokenUsage;
  /** What the answer cost, at the price then. */
  readonly costMicroUsd?: number;
  /** How long the answer took. */
  readonly durationMs: number;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
  readonly ttlSeconds: number;
  /** The inference span that produced it, for the `cached_from` link. */
  readonly trace: { readonly traceId: string; readonly spanId: string };
  /** The model that answered, as the upstream named it. */
  readonly model?: string;
  /** `provider/model` by the tenant's names. */
  readonly target: string;
}

const MS_PER_SECOND = 1000;

/** Whole seconds since the entry was stored: the `age` header. Never negative, though clocks differ. */
export function ageSeconds(entry: CacheEntry, nowMs: number): number {
  return Math.max(0, Math.floor((nowMs - entry.storedAt) / MS_PER_SECOND));
}

/** Whether the entry is past its time to live: KV may still return it for a while. */
export function isStale(entry: CacheEntry, nowMs: number): boolean {
  return nowMs >= entry.storedAt + entry.ttlSeconds * MS_PER_SECOND;
}
