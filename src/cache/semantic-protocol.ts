/**
 * The RPC between the pipeline and a tenant's index object: plain data. Each call is idempotent. The object is
 * semantic-index.ts; the answers themselves are in KV (store.ts).
 */

import type { SpanContextRef } from "../telemetry/trace/trace.ts";
import type { Vector } from "./vectors.ts";

interface Place {
  /** Of the tenant's cache: a newer one than the object knows empties the index. */
  readonly epoch: number;
  /** semantic-scope.ts. */
  readonly scope: string;
  /** Of length 1. */
  readonly vector: Vector;
}

export type NearestAsk = Place;

export interface NearestEntry {
  /** From -1 to 1. */
  readonly similarity: number;
  /** Digest of the cache key under which the answer is stored. */
  readonly key: string;
  /** The inference span that produced it. */
  readonly trace: SpanContextRef;
}

export interface NearestAnswer {
  /** Absent where the scope has no entry. */
  readonly best?: NearestEntry;
  /** How many entries were compared. */
  readonly compared: number;
}

export interface IndexEntry extends Place {
  readonly key: string;
  readonly trace: SpanContextRef;
  /** When the answer's time to live ends, ms since the epoch. */
  readonly expiresAt: number;
  /** The route that it counts for, and how many entries of that route are kept. */
  readonly route: string;
  readonly maxEntries: number;
}

/** The methods of a tenant's index object. */
export interface SemanticIndexRpc {
  nearest(ask: NearestAsk): Promise<NearestAnswer>;
  /** A second entry under the same key replaces the first. */
  add(entry: IndexEntry): Promise<void>;
  /** For an entry whose answer is gone. */
  forget(scope: string, key: string): Promise<void>;
}
