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

const TRACE_ID_DIGITS = 32;
const SPAN_ID_DIGITS = 16;
/** Ids for a handful of requests; small enough to be filled in microseconds. */
const POOL_BYTES = 1024;
const ALL_ZERO = "0".repeat(TRACE_ID_DIGITS);

/** `fill` overwrites the whole array with random bytes, as `crypto.getRandomValues` does. */
export function createIds(fill: (bytes: Uint8Array<ArrayBuffer>) => unknown): IdSource {
  const pool = new Uint8Array(POOL_BYTES);
  /** The pool's digits: written out once, and cut into ids. */
  let digits = "";
  let next = 0;

  function take(count: number): string {
    if (next + count > digits.length) {
      fill(pool);
      digits = Array.from(pool, (byte) => HEX[byte]).join("");
      next = 0;
    }
    const id = digits.slice(next, next + count);
    next += count;
    return ALL_ZERO.startsWith(id) ? take(count) : id;
  }

  return { traceId: () => take(TRACE_ID_DIGITS), spanId: () => take(SPAN_ID_DIGITS) };
}
