/**
 * The longest silence in a stream: when it began and how long it lasted, to the grain of whoever reads. Told by the readers
 * of streams (stream-reader.ts, stream-relay.ts), asked for when one has ended (stream.ts).
 */

/** From here on a person who reads along takes a stream for stuck. */
export const STALL_MS = 2000;

export interface Silence {
  /** Ms since the epoch. */
  readonly sinceAt: number;
  readonly ms: number;
}

export interface SilenceWatch {
  /** Bytes have come. */
  hear(): void;
  /** No more are to come: what follows is no silence. */
  end(): void;
  /** The one that lasts still counts. Undefined before the first byte. */
  longest(): Silence | undefined;
}

export function watchSilence(now: () => number): SilenceWatch {
  let longest: Silence | undefined;
  let lastAt: number | undefined;
  let isOver = false;

  function measure(): void {
    if (lastAt === undefined || isOver) return;
    const ms = now() - lastAt;
    if (longest === undefined || ms > longest.ms) longest = { sinceAt: lastAt, ms };
  }

  return {
    hear() {
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
