/**
 * A bound on the bytes of bodies that one isolate holds for all its requests: its memory is shared by all tenants, and
 * what runs out of it dies with every request under way. Counts raw bytes; parsed and rewritten they take about four
 * times as much. Streams that only pass through are not held.
 */

import { GatewayError } from "../../errors.ts";

/** Whose bytes they are: plain data of one request. */
export interface BodyHolder {
  heldBytes?: number;
}

export interface BodyMemory {
  /** Counts bytes of a request's body; throws `overloaded` where the isolate has no room for them. */
  hold(holder: BodyHolder, bytes: number): void;
  /** Counts bytes of an answer, which is paid for already: there is twice as much room. */
  holdAnswer(holder: BodyHolder, bytes: number): void;
  /** All that was counted for this request is let go; idempotent. */
  release(holder: BodyHolder): void;
  heldBytes(): number;
}

const RETRY_MS = 1000;

/** `maxBytes` for all requests together. `random` gives a number in [0, 1). */
export function createBodyMemory(maxBytes: number, random: () => number): BodyMemory {
  let total = 0;

  function holdUpTo(most: number, holder: BodyHolder, bytes: number): void {
    const own = (holder.heldBytes ?? 0) + bytes;
    if (total + bytes > most) checkRoom(most, own, bytes);
    total += bytes;
    holder.heldBytes = own;
  }

  /** A large body counts for half of the room at most: it may pass while others hold less than the other half. */
  function checkRoom(most: number, own: number, bytes: number): void {
    const ofOthers = total + bytes - own;
    if (ofOthers + Math.min(own, most / 2) <= most) return;
    throw new GatewayError(
      "overloaded",
      "The gateway is holding too many large bodies. Retry after the Retry-After time.",
      {
        limit: { name: "body_memory", value: most, remaining: Math.max(0, most - ofOthers) },
        // Spread out, so that those refused together don't come back together.
        retryAfterMs: Math.ceil(RETRY_MS * (1 + random())),
      },
    );
  }

  return {
    hold: (holder, bytes) => holdUpTo(maxBytes, holder, bytes),
    holdAnswer: (holder, bytes) => holdUpTo(2 * maxBytes, holder, bytes),
    release(holder) {
      total -= holder.heldBytes ?? 0;
      holder.heldBytes = 0;
    },
    heldBytes: () => total,
  };
}
