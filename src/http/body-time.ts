/** How long a request body may take: a client that sends slowly, or stops in the middle, must not hold a connection for long. */

import { GatewayError } from "../errors.ts";
import { startRealTimer, type StartTimer } from "../runtime/waits.ts";

/** Any body may take this long, and a second more for each `BYTES_PER_SECOND` of it: one megabit a second. */
const GRACE_MS = 10_000;
const BYTES_PER_SECOND = 128 * 1024;
const MS_PER_SECOND = 1000;

/** Adds to the bytes that have arrived, and so to the time that the body may take. */
export type NoteBytes = (bytes: number) => void;

/**
 * Settles as `read` does, or rejects with `request_timeout`. `expectedBytes`: of the content-length; 0 where there is none, and
 * `read` notes what arrives.
 */
export function withinBodyTime<T>(
  expectedBytes: number,
  read: (note: NoteBytes) => Promise<T>,
  startTimer: StartTimer = startRealTimer,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let bytes = expectedBytes;
    let waitedMs = 0;
    let stop = (): void => {};
    // One timer, not one for each piece: what arrived meanwhile is looked at when it fires.
    const wait = (): void => {
      const leftMs = allowedMs(bytes) - waitedMs;
      if (leftMs <= 0) return reject(tooSlow(waitedMs));
      waitedMs += leftMs;
      stop = startTimer(leftMs, wait);
    };
    wait();
    read((more) => (bytes += more)).then(
      (value) => {
        stop();
        resolve(value);
      },
      (fault: unknown) => {
        stop();
        reject(fault);
      },
    );
  });
}

/** A body that is passed on while it arrives. */
export interface TimedBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** `request_timeout` once the time was over: the stream was cut then. */
  fault(): GatewayError | undefined;
}

/** The same limit for a body of known length that nothing here reads. */
export function passWithinTime(body: ReadableStream<Uint8Array>, length: number): TimedBody {
  const { readable, writable } = new FixedLengthStream(length);
  const cut = new AbortController();
  let fault: GatewayError | undefined;
  const stop = startRealTimer(allowedMs(length), () => {
    fault = tooSlow(allowedMs(length));
    cut.abort(fault);
  });
  // What breaks the pipe breaks the stream as well, and is seen by its reader.
  void body.pipeTo(writable, { signal: cut.signal }).then(stop, stop);
  return { stream: readable, fault: () => fault };
}

function allowedMs(bytes: number): number {
  return GRACE_MS + Math.ceil((bytes / BYTES_PER_SECOND) * MS_PER_SECOND);
}

function tooSlow(ms: number): GatewayError {
  return new GatewayError(
    "request_timeout",
    `The body was not complete within ${Math.round(ms / MS_PER_SECOND)} s: a body may take 10 s, and 1 s more for each 128 KiB. Send it again.`,
    { param: "body" },
  );
}
