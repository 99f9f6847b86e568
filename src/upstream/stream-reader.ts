/**
 * Reads a stream: bytes to events to chunks, for usage, for the cache and for how it ends. Its source is the second branch
 * of a forwarded stream, or a translated stream itself. Writes nothing to the client: stream.ts and stream-translate.ts.
 */

import type { ChatChunk } from "../schema/chat.ts";
import { GatewayError } from "../errors.ts";
import type { Decoder } from "../wires/upstream-wire.ts";
import { type Gap, trackGaps } from "./gap-tracker.ts";
import type { EventParser, ServerSentEvent } from "../bytes/sse.ts";

/**
 * How much one read may take. A buffer is allocated and cleared at each read, which for 64 KiB costs more than the rest of
 * the read: the first is as large as a first event, the next as a short answer, and one that came back full makes the next
 * one larger.
 */
const FIRST_READ_BYTES = 2048;
const NEXT_READ_BYTES = 16_384;
const MAX_READ_BYTES = 65_536;
const GROWTH = 4;

export interface StreamObserver {
  /** Chunks as they are decoded, in order; called in bursts. */
  onChunks(chunks: readonly ChatChunk[]): void;
  /** The events themselves, for the cache; absent where they are not kept. */
  onEvents?(events: readonly ServerSentEvent[]): void;
}

export interface StreamReader {
  /** Waits for more bytes and decodes them; false at the end. Rejects when the upstream's connection fails. */
  read(): Promise<boolean>;
  /** Whether more has arrived than the last read took. */
  hasMore(): boolean;
  cancel(): Promise<void>;
  /** As of the last read; the same object each time. */
  readonly seen: Readonly<Seen>;
  /** So far. */
  longestGap(): Gap | undefined;
  isMidEvent(): boolean;
  /** Whether the end mark was seen, or every choice ended. */
  isComplete(): boolean;
}

/** What has been read of a stream so far. */
interface Seen {
  events: number;
  bytes: number;
  /** Whether the upstream's own end mark was seen, behind a failure too. */
  isEnded: boolean;
  /** An error event of the upstream, or an event that can't be read: stops the decoding, not the bytes. */
  failure: GatewayError | undefined;
  /** The failure was the upstream's own error event, which a forwarded stream has sent to the client. */
  hasReportedFailure: boolean;
}

/** How bytes become chunks: the framing and the decoder of one wire. */
export interface StreamFormat {
  readonly parser: EventParser;
  readonly decode: Decoder;
}

/** Gives the bytes of a stream, piece by piece. */
export interface ByteSource {
  /** The next bytes; undefined at the end. Rejects when the upstream's connection fails. */
  next(): Promise<Uint8Array | undefined>;
  /** Whether the last piece filled its buffer: more has arrived already. */
  hasMore(): boolean;
  cancel(): Promise<void>;
}

/** Takes all that has arrived, up to a full buffer. `branch` must be a byte stream, as fetched bodies and their tees are. */
export function readInBursts(branch: ReadableStream<Uint8Array>): ByteSource {
  const reader = branch.getReader({ mode: "byob" });
  let size = FIRST_READ_BYTES;
  let isFull = false;
  return {
    async next() {
      const { value, done } = await reader.read(new Uint8Array(size));
      if (done) return undefined;
      isFull = value.byteLength === size;
      if (size < NEXT_READ_BYTES) size = NEXT_READ_BYTES;
      else if (isFull) size = Math.min(MAX_READ_BYTES, size * GROWTH);
      return value;
    },
    hasMore: () => isFull,
    cancel: () => reader.cancel(),
  };
}

/** Takes the pieces as the network delivers them. */
export function readAsTheyCome(body: ReadableStream<Uint8Array>): ByteSource {
  const reader = body.getReader();
  return {
    async next() {
      const { value, done } = await reader.read();
      return done ? undefined : value;
    },
    hasMore: () => false,
    cancel: () => reader.cancel(),
  };
}

export function createStreamReader(
  source: ByteSource,
  { parser, decode }: StreamFormat,
  observer: StreamObserver,
  now: () => number,
): StreamReader {
  const seen: Seen = { events: 0, bytes: 0, isEnded: false, failure: undefined, hasReportedFailure: false };
  const gaps = trackGaps(now);
  /** Choices begun, by index, and whether each has ended. */
  const choices = new Map<number, boolean>();

  function takeChunks(chunks: readonly ChatChunk[]): void {
    for (const chunk of chunks) {
      if (chunk.type === "done") seen.isEnded = true;
      else if (chunk.type === "finish") choices.set(chunk.index, true);
      else if ("index" in chunk && !choices.has(chunk.index)) choices.set(chunk.index, false);
      if (chunk.type === "error") {
        seen.hasReportedFailure = true;
        seen.failure = new GatewayError(
          "upstream_error",
          "The upstream reported an error inside its stream.",
        );
      }
    }
    observer.onChunks(chunks);
  }

  function take(event: ServerSentEvent): void {
    seen.events++;
    if (seen.failure) return noteEnd(event);
    try {
      takeChunks(decode(event));
    } catch (thrown) {
      seen.failure =
        thrown instanceof GatewayError
          ? thrown
          : new GatewayError(
              "upstream_malformed",
              "The upstream sent an event that is not valid in its format.",
            );
    }
  }

  /** An event without its end mark counts where it can be read; else the stream was cut in its middle. */
  function takeLast(event: ServerSentEvent): void {
    if (seen.isEnded || seen.failure) return;
    try {
      takeChunks(decode(event));
    } catch {
      return;
    }
    seen.events++;
    observer.onEvents?.([event]);
  }

  /** After a failure only the end mark counts: a forwarded stream sends it to the client. */
  function noteEnd(event: ServerSentEvent): void {
    try {
      seen.isEnded ||= decode(event).some(({ type }) => type === "done");
    } catch {
      // Another broken event.
    }
  }

  function isComplete(): boolean {
    return seen.isEnded || (choices.size > 0 && [...choices.values()].every(Boolean));
  }

  return {
    async read() {
      const bytesRead = await source.next();
      if (bytesRead === undefined) {
        gaps.end();
        for (const event of parser.end()) takeLast(event);
        return false;
      }
      gaps.onBytes();
      seen.bytes += bytesRead.byteLength;
      const found = parser.push(bytesRead);
      observer.onEvents?.(found);
      for (const event of found) take(event);
      return true;
    },
    hasMore: source.hasMore,
    async cancel() {
      // A reader on a broken branch rejects; nothing is left to stop then.
      await source.cancel().catch(() => {});
    },
    seen,
    longestGap() {
      // What an upstream does after the end of its answer is not part of the answer.
      if (isComplete()) gaps.end();
      return gaps.longest();
    },
    isMidEvent: () => parser.isMidEvent(),
    isComplete,
  };
}
