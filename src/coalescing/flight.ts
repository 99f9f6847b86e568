/**
 * One generation's bytes on their way to many readers: each gets all of them from the start, at its own pace. One copy is
 * kept, of a very long answer only the last part: a reader further behind than that is cut off. Streams only; which
 * request leads is decided in single-flight.ts.
 */

/** An object has 128 MB for all its flights; no model means to write this much text in one answer. */
const WINDOW_BYTES = 8 * 1024 * 1024;

/** `told`: it failed, and its bytes say so. `broken`: they don't. */
type FlightEnd = "complete" | "told" | "broken";

export interface Flight {
  /** Resolves when more may come: not before the fastest reader has taken what would have to be dropped. */
  append(bytes: Uint8Array): Promise<void>;
  end(how: FlightEnd): void;
  /**
   * All bytes from the first one on. `failureText` is sent where the flight breaks, or its reader falls too far behind;
   * `onFailed` is called at any end but a complete one.
   */
  follow(failureText: string, onFailed?: () => void): ReadableStream<Uint8Array>;
  /** Whether the first byte is still there. */
  readonly isWhole: boolean;
  /** What is kept. */
  readonly bytes: number;
  readonly readers: number;
  /** Everything so far, as text; undefined where a part is gone. */
  text(): string | undefined;
}

interface Reader {
  /** Number of the next chunk, counted from the flight's first one. */
  next: number;
  isLost: boolean;
  /** Ends the wait for the next chunk. */
  wake: () => void;
}

/** `onEmpty` is called when the last reader has left before the end. */
export function createFlight(onEmpty: () => void = () => {}, windowBytes = WINDOW_BYTES): Flight {
  const chunks: Uint8Array[] = [];
  const readers = new Set<Reader>();
  let first = 0;
  let bytes = 0;
  let ending: FlightEnd | undefined;
  let onTaken = (): void => {};

  function wakeAll(): void {
    for (const reader of readers) reader.wake();
  }

  function dropFirst(): void {
    bytes -= chunks.shift()?.byteLength ?? 0;
    for (const reader of readers) if (reader.next <= first) reader.isLost = true;
    first++;
  }

  async function append(chunk: Uint8Array): Promise<void> {
    if (chunk.byteLength === 0) return;
    chunks.push(chunk);
    bytes += chunk.byteLength;
    wakeAll();
    while (bytes > windowBytes && chunks.length > 1) {
      const isTaken = readers.size === 0 || [...readers].some(({ next }) => next > first);
      if (isTaken) dropFirst();
      else await new Promise<void>((resolve) => (onTaken = resolve));
    }
  }

  /** The reader's next bytes; undefined at the end. */
  async function take(reader: Reader): Promise<Uint8Array | undefined> {
    for (;;) {
      if (reader.isLost) return undefined;
      const chunk = chunks[reader.next - first];
      if (chunk !== undefined) {
        reader.next++;
        onTaken();
        return chunk;
      }
      if (ending !== undefined) return undefined;
      await new Promise<void>((resolve) => (reader.wake = resolve));
    }
  }

  function follow(failureText: string, onFailed = (): void => {}): ReadableStream<Uint8Array> {
    const reader: Reader = { next: first, isLost: first > 0, wake: () => {} };
    let isTold = false;
    readers.add(reader);
    const leave = (): void => {
      reader.wake();
      if (readers.delete(reader)) onTaken();
    };
    return new ReadableStream({
      type: "bytes",
      async pull(controller) {
        const chunk = await take(reader);
        // A byte stream takes the buffer over, and all readers share it.
        if (chunk !== undefined) return controller.enqueue(chunk.slice());
        const how = reader.isLost ? "broken" : ending;
        if (how === "broken" && !isTold && failureText !== "") {
          isTold = true;
          // The last event may have been cut in its middle.
          return controller.enqueue(new TextEncoder().encode(`\n\n${failureText}`));
        }
        leave();
        if (how !== "complete") onFailed();
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel() {
        leave();
        if (readers.size === 0 && ending === undefined) onEmpty();
      },
    });
  }

  return {
    append,
    follow,
    end(how) {
      ending ??= how;
      wakeAll();
    },
    get isWhole() {
      return first === 0;
    },
    get bytes() {
      return bytes;
    },
    get readers() {
      return readers.size;
    },
    text() {
      if (first > 0) return undefined;
      const decoder = new TextDecoder();
      return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") + decoder.decode();
    },
  };
}
