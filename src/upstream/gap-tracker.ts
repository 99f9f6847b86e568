/**
 * The longest gap between the bytes of a stream: when it began and how long it lasted, as precisely as the stream is
 * read. A measurement for traces; time limits are call.ts.
 */

/** A gap this long looks like a stuck stream to a person who reads along. */
export const STALL_MS = 2000;

export interface Gap {
  /** Ms since the epoch. */
  readonly sinceAt: number;
  readonly ms: number;
}

export interface GapTracker {
  onBytes(): void;
  /** The stream has ended: time that passes from here on is not a gap. */
  end(): void;
  /** The current gap counts too. Undefined before the first byte. */
  longest(): Gap | undefined;
}

export function trackGaps(now: () => number): GapTracker {
  let longest: Gap | undefined;
  let lastAt: number | undefined;
  let isOver = false;

  function measure(): void {
    if (lastAt === undefined || isOver) return;
    const ms = now() - lastAt;
    if (longest === undefined || ms > longest.ms) longest = { sinceAt: lastAt, ms };
  }

  return {
    onBytes() {
      measure();
      lastAt = now();
    },
    end() {
      isOver = true;
    },
    longest() {
      measure();
      return longest;
    },
  };
}
