/**
 * Reads a stream: bytes to events to chunks, for usage, for the cache and for the way it ends. Either a branch beside the
 * client's bytes, or, where these are translated, the stream itself; stream.ts and stream-translate.ts decide when.
 */

import type { ChatChunk } from "../schema/chat.ts";
import { GatewayError } from "../errors.ts";
import type { Decoder } from "../providers/provider.ts";
import { type Silence, watchSilence } from "./gap-tracker.ts";
import type { EventParser, ServerSentEvent } from "../bytes/sse.ts";

/**
 * How much one read may take. A buffer's memory is given and cleared at each read, which for 64 KiB costs more than all
 * the rest of it: the first is as large as a first event, and one that came back full makes the next one larger.
 */
const FIRST_READ_BYTES = 2048;
const MAX_READ_BYTES = 65_536;
const GROWTH = 4;

export interface StreamObserver {
  /** Chunks as they are decoded, in order; called in bursts. */
  onChunks(chunks: readonly ChatChunk[]): void;
  /** The events themselves, for the cache; absent when nobody keeps them. */
  onEvents?(events: readonly ServerSentEvent[]): void;
}

export interface SideReader {
  /** Reads what has come; false at the end. Rejects when the upstream broke. */
  read(): Promise<boolean>;
  cancel(): Promise<void>;
  /** As of the last read; the same object each time. */
  readonly seen: Readonly<Seen>;
  /** Of the upstream, so far. */
  longestSilence(): Silence | undefined;
  isMidEvent(): boolean;
  /** Whether the end mark was seen, or every choice ended. */
  isComplete(): boolean;
}

/** What a stream has brought so far. */
interface Seen {
  events: number;
  bytes: number;
  /** Whether the upstream's own end mark was seen, behind a failure too. */
  isEnded: boolean;
  /** What the upstream itself said, or a broken event: stops the decoding, not the bytes. */
  failure: GatewayError | undefined;
  /** The failure was the upstream's own error event, which the client has been sent. */
  hasReportedFailure: boolean;
}

/** How bytes become chunks: the framing and the format of one wire. */
export interface StreamFormat {
  readonly parser: EventParser;
  readonly decode: Decoder;
}

/** Where the bytes come from. */
export interface ByteSource {
  /** The next bytes; undefined at the end. Rejects when the upstream broke. */
  next(): Promise<Uint8Array | undefined>;
  cancel(): Promise<void>;
}

/** Takes all that has come at once, a buffer full at most. `branch` must be a byte stream, as fetched bodies and their tees are. */
export function readInBursts(branch: ReadableStream<Uint8Array>): ByteSource {
  const reader = branch.getReader({ mode: "byob" });
  let size = FIRST_READ_BYTES;
  return {
    async next() {
      const { value, done } = await reader.read(new Uint8Array(size));
      if (done) return undefined;
      if (value.byteLength === size) size = Math.min(MAX_READ_BYTES, size * GROWTH);
      return value;
    },
    cancel: () => reader.cancel(),
  };
}

/** Takes the pieces as the network brings them. */
export function readAsTheyCome(body: ReadableStream<Uint8Array>): ByteSource {
  const reader = body.getReader();
  return {
    async next() {
      const { value, done } = await reader.read();
      return done ? undefined : value;
    },
    cancel: () => reader.cancel(),
  };
}

export function createSideReader(
  source: ByteSource,
  { parser, decode }: StreamFormat,
  observer: StreamObserver,
  now: () => number,
): SideReader {
  const seen: Seen = { events: 0, bytes: 0, isEnded: false, failure: undefined, hasReportedFailure: false };
  const silence = watchSilence(now);
  /** Choices begun, by index, and whether each has ended. */
  const choices = new Map<number, boolean>();

  function take(event: ServerSentEvent): void {
    seen.events++;
    if (seen.failure) return noteEnd(event);
    try {
      const chunks = decode(event);
      for (const chunk of chunks) {
        if (chunk.type === "done") seen.isEnded = true;
        else if (chunk.type === "finish") choices.set(chunk.index, true);
        else if ("index" in chunk && !choices.has(chunk.index)) choices.set(chunk.index, false);
        if (chunk.type === "error") {
          seen.hasReportedFailure = true;
          seen.failure = new GatewayError(
            "upstream_error",
            "The upstream reported a failure inside its stream.",
          );
        }
      }
      observer.onChunks(chunks);
    } catch (thrown) {
      seen.failure =
        thrown instanceof GatewayError
          ? thrown
          : new GatewayError("upstream_malformed", "The upstream sent an event that is not of its format.");
    }
  }

  /** Behind a failure nothing is believed but the end mark, which bytes that are passed on unread bring to the client. */
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
        silence.end();
        return false;
      }
      silence.hear();
      seen.bytes += bytesRead.byteLength;
      const found = parser.push(bytesRead);
      observer.onEvents?.(found);
      for (const event of found) take(event);
      return true;
    },
    async cancel() {
      // A reader on a branch that broke already rejects; there is nothing left to stop then.
      await source.cancel().catch(() => {});
    },
    seen,
    longestSilence() {
      // What an upstream does after its answer's end is no part of the answer.
      if (isComplete()) silence.end();
      return silence.longest();
    },
    isMidEvent: () => parser.isMidEvent(),
    isComplete,
  };
}
