/**
 * An answer that is forwarded unread, whatever its format: no JavaScript on the path of its bytes, and nothing of ours
 * among them. A fault aborts the client's connection, as the upstream's own would have.
 */

import { readInBursts, type StreamReader } from "./stream-reader.ts";
import { trackGaps } from "./gap-tracker.ts";
import { openPipe, pump, type StreamReport } from "./stream.ts";
import type { UpstreamCall } from "./call.ts";

export interface RelayOptions {
  readonly idleMs: number;
  readonly now: () => number;
  /** Gets the bytes of the second branch. */
  readonly onBytes?: (bytes: Uint8Array) => void;
}

export interface Relay {
  readonly body: ReadableStream<Uint8Array>;
  /** Resolves once, whatever happens. */
  readonly done: Promise<StreamReport>;
}

/** Starts at once, whatever the upstream's status. A missing body is an empty one. */
export function relayBody(call: UpstreamCall, options: RelayOptions): Relay {
  const [forClient, aside] = (call.response.body ?? emptyBody()).tee();
  call.disarm();
  const reader = createByteReader(aside, options);
  const pipe = openPipe(forClient);
  return { body: pipe.readable, done: pump(pipe, reader, call, options) };
}

function emptyBody(): ReadableStream<Uint8Array> {
  const { body } = new Response("");
  if (body) return body;
  throw new Error("A response of zero bytes has no body on this platform.");
}

/** A reader of no format: the answer is complete when its connection ended without a fault. */
function createByteReader(branch: ReadableStream<Uint8Array>, { now, onBytes }: RelayOptions): StreamReader {
  const source = readInBursts(branch);
  const seen = { events: 0, bytes: 0, isEnded: false, failure: undefined, hasReportedFailure: false };
  const gaps = trackGaps(now);
  return {
    async read() {
      const piece = await source.next();
      if (piece === undefined) {
        seen.isEnded = true;
        gaps.end();
        return false;
      }
      gaps.onBytes();
      seen.bytes += piece.byteLength;
      onBytes?.(piece);
      return true;
    },
    hasMore: source.hasMore,
    cancel: () => source.cancel().catch(() => {}),
    seen,
    longestGap: gaps.longest,
    isMidEvent: () => false,
    isComplete: () => seen.isEnded,
  };
}
