/**
 * Time as the simulated server keeps it: waits that end at once when the call is aborted or its body is dropped, and a
 * body that is made piece by piece. The clock is injected.
 */

/** Longer than any request may take (src/docs/records.md: `totalMs` up to an hour), so that only an abort ends such a wait. */
const FOREVER_MS = 3_600_000;

export interface Pace {
  /** Resolves after `ms`; rejects with the abort's reason, at once when it came before. */
  wait(ms: number): Promise<void>;
  /** Waits for the abort. A timer runs meanwhile: a Worker that waits for nothing is killed as hung. */
  waitForever(): Promise<never>;
  /** Ends all waits with this reason: the answer is no longer read. */
  stop(reason: unknown): void;
}

export interface PaceSource {
  readonly signal: AbortSignal;
  readonly sleep: (ms: number) => Promise<void>;
}

/** The pace of one call. */
export function createPace({ signal, sleep }: PaceSource): Pace {
  const stopped = Promise.withResolvers<never>();
  // An abort while nothing waits is not an unhandled rejection: the next wait reports it.
  stopped.promise.catch(() => undefined);
  if (signal.aborted) stopped.reject(signal.reason);
  else signal.addEventListener("abort", () => stopped.reject(signal.reason), { once: true });

  const wait = (ms: number): Promise<void> =>
    Promise.race(ms > 0 ? [stopped.promise, sleep(ms)] : [stopped.promise, Promise.resolve()]);
  return {
    wait,
    async waitForever() {
      await wait(FOREVER_MS);
      throw new Error("The simulated server gave up on a call that was not aborted.");
    },
    stop: stopped.reject,
  };
}

/**
 * A body of these pieces, each made when it is pulled; a generator that throws breaks the body. A byte stream, as the
 * body of a fetched response is.
 */
export function createBody(pieces: AsyncGenerator<string, void>, pace: Pace): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream(
    {
      type: "bytes",
      async pull(controller: ReadableByteStreamController) {
        const next = await pieces.next();
        if (next.done === true) {
          controller.close();
          // A pending BYOB read is only answered with an empty view.
          controller.byobRequest?.respond(0);
        } else controller.enqueue(encoder.encode(next.value));
      },
      cancel: (reason: unknown) => pace.stop(reason),
    },
    // Nothing ahead of the reader, or a cut would throw away pieces that were still queued.
    { highWaterMark: 0 },
  );
}
