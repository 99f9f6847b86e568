/** What a cause of a request's length is, and what it is found from. */

import type { TraceContext } from "../store/stored-trace.ts";

/** A stretch of a sentence; `part` is the part of the time it speaks of. */
export interface Piece {
  readonly text: string;
  readonly part?: "queue" | "failed" | "vendor_queue" | "first_token" | "answer" | "cache" | "gateway";
}

/** How the reader writes amounts: a terminal and a browser differ. */
export interface AmountFormat {
  readonly duration: (ms: number) => string;
  readonly usd: (usd: number) => string;
  readonly place: (place: number) => string;
}

/** src/docs/why.md says what each means. */
export type CauseKind =
  | "refused"
  | "upstream_failed"
  | "client_left"
  | "own_limit"
  | "batch_lane"
  | "retry"
  | "fallback"
  | "hedge"
  | "circuit"
  | "cooldown"
  | "other_target"
  | "vendor_queue"
  | "long_prompt"
  | "cold_prompt_cache"
  | "long_answer"
  | "upstream_for_all"
  | "busy_replica"
  | "other_replica"
  | "other_region"
  | "upstream_here"
  | "stalled_stream"
  | "embedding"
  | "shared_answer"
  | "cold_isolate"
  | "far_object"
  | "gateway"
  | "unknown";

export interface Cause {
  readonly kind: CauseKind;
  /** Above what is usual; `unknown` is below 0 where the request was faster elsewhere. */
  readonly ms: number;
  /** What it cost; absent where that is nothing, or not known. */
  readonly usd?: number;
  /** As the predicate of a sentence about the request: `waited 3.87 s …`. */
  readonly pieces: readonly Piece[];
  /** Requests that have to do with it. */
  readonly traceIds?: readonly string[];
}

/** What is known beside the request's own trace. */
export interface Surroundings extends Omit<TraceContext, "otlp"> {
  /** A key's name by its id. */
  readonly keyName: (id: string) => string;
  /** How many requests at a time the tenant, or the request's key, may have; absent where that isn't known. */
  readonly slots?: { readonly count: number; readonly holder: string };
}

const MIN_SHARE = 0.1;
const MIN_MS = 50;

/** A shorter stretch is not worth the sentence. */
export function isNotable(ms: number, tookMs: number): boolean {
  return ms >= MIN_MS && ms >= MIN_SHARE * tookMs;
}
