/**
 * Trace and span ids from a pool of random bytes, refilled in bulk: a request needs a dozen ids, and a call for
 * random bytes costs more than the ids. The source of randomness is passed in.
 */

import { HEX } from "../../bytes/digest.ts";

export interface IdSource {
  /** 32 hex digits, never all zero. */
  traceId(): string;
  /** 16 hex digits, never all zero. */
  spanId(): string;
}

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
/** Ids for a handful of requests; small enough to be filled in microseconds. */
const POOL_BYTES = 1024;

/** `fill` overwrites the whole array with random bytes, as `crypto.getRandomValues` does. */
export function createIds(fill: (bytes: Uint8Array<ArrayBuffer>) => unknown): IdSource {
  const pool = new Uint8Array(POOL_BYTES);
  let next = POOL_BYTES;

  function take(count: number): string {
    if (next + count > POOL_BYTES) {
      fill(pool);
      next = 0;
    }
    let hex = "";
    let sum = 0;
    for (const end = next + count; next < end; next++) {
      const byte = pool[next] ?? 0;
      sum += byte;
      hex += HEX[byte];
    }
    return sum === 0 ? take(count) : hex;
  }

  return { traceId: () => take(TRACE_ID_BYTES), spanId: () => take(SPAN_ID_BYTES) };
}
